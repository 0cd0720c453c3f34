// Node's http server as an upstream: says its port, then prints every request that it read to the end, a JSON line each.
// It ends with its standard input.
const crypto = require('crypto');
const http = require('http');

const print = (line) => process.stdout.write(JSON.stringify(line) + '\n');
// Idle connections are the daemon's to close: one that ends by itself may be met by a request that is not sent twice.
const server = http.createServer({keepAliveTimeout: 3600e3, maxHeaderSize: 65536}, (request, response) => {
  const digest = crypto.createHash('sha256');
  request.on('data', (block) => digest.update(block));
  request.on('end', () => {
    const fields = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) fields.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
    print({method: request.method, target: request.url, version: request.httpVersion, fields, body: digest.digest('hex'),
           trailers: request.rawTrailers});
    response.end('ok');
  });
});
server.on('clientError', (error, socket) => {
  // A request whose client was refused in the middle of its body breaks off, and should.
  if (error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET') print({error: error.code});
  socket.destroy();
});
server.listen(0, '127.0.0.1', () => print({port: server.address().port}));
process.stdin.on('end', () => process.exit()).resume();
