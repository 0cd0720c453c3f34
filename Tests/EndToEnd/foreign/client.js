// Node's http client: makes the requests that come as JSON lines [method, URL], one after another on as few connections as it
// can, and prints what it read of each answer, a JSON line each.
const crypto = require('crypto');
const http = require('http');

const agent = new http.Agent({keepAlive: true, maxSockets: 1});

const ask = (method, url) => new Promise((done) => {
  const request = http.request(url, {method, agent, maxHeaderSize: 131072}, (response) => {
    const digest = crypto.createHash('sha256');
    response.on('data', (block) => digest.update(block));
    response.on('end', () => {
      const fields = [];
      for (let i = 0; i < response.rawHeaders.length; i += 2) fields.push([response.rawHeaders[i], response.rawHeaders[i + 1]]);
      done({status: response.statusCode, fields, body: digest.digest('hex'), trailers: response.rawTrailers});
    });
    response.on('error', (error) => done({error: String(error)}));
  });
  request.on('error', (error) => done({error: String(error)}));
  request.end();
});

let text = '';
process.stdin.on('data', (block) => text += block).on('end', async () => {
  for (const line of text.split('\n').filter(Boolean)) {
    process.stdout.write(JSON.stringify(await ask(...JSON.parse(line))) + '\n');
  }
  agent.destroy();
});
