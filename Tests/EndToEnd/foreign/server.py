"""Python's http.server as an upstream: says its port, then prints every request that it read to the end, a JSON line each.

It ends with its standard input.
"""

import hashlib
import http.client
import http.server
import json
import sys
import threading

printing = threading.Lock()


def show(line):
    with printing:
        print(json.dumps(line), flush=True)


class Chunks(http.client.HTTPResponse):
    """http.server leaves bodies to its user; http.client has the library's one reader of chunks."""

    def __init__(self, file):
        self.fp, self.chunked, self.chunk_left, self.length, self._method = file, True, None, None, "POST"


class Kept:
    """A file that is not closed by who has read one message from it."""

    def __init__(self, file):
        self.read, self.readline, self.readinto, self.close = file.read, file.readline, file.readinto, lambda: None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def serve(self):
        try:
            if self.headers["Transfer-Encoding"] == "chunked":
                body = Chunks(Kept(self.rfile)).read()
            else:
                length = int(self.headers["Content-Length"] or 0)
                body = self.rfile.read(length)
                if len(body) < length:
                    raise EOFError
        except (http.client.HTTPException, OSError, EOFError):
            self.close_connection = True
            return
        show({"method": self.command, "target": self.path, "version": self.request_version.removeprefix("HTTP/"),
              "fields": self.headers.items(), "body": hashlib.sha256(body).hexdigest(), "trailers": []})
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"ok")

    def send_error(self, code, *arguments, **more):
        show({"error": f"{code} {arguments}"})
        self.close_connection = True

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
show({"port": server.server_address[1]})
sys.stdin.read()
