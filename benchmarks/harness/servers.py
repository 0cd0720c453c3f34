"""The servers of a run: the upstream, the daemon and its rivals. Each stays on its cores, and is ended by its pid.

Every proxy has the same routes, `<connector>-<upstream>`, like `codegate-tls`. They take the route's name off the path, set
`Host`, keep connections to the upstream, verify its certificate, and log nothing of a request.
"""

import base64
import http.client
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

from . import attestation
from .machine import BIN, descriptors, pinned

ANSWER = json.dumps({"data": [{"code": "SUMMER-2026-0001", "state": "active", "used": 3}], "page": 1, "total": 1})
UPSTREAMS = ("plain", "tls")
CONNECTORS = ("header", "bearer", "codegate", "fastmoss", "fastmoss-static", "es256")
# Longer than any run: no rival closes a connection for being idle or for having done enough.
FOREVER = "1h"

API_KEY = "0123456789abcdef0123456789abcdef"
SECRET = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90"
TOKEN = "benchmark-token-0123456789abcdef"
# The same request with the token as a static secret: what a fetched one costs beside it.
STATIC_TOKEN = {
    "connector": "fastmoss-static",
    "secrets": {"client_id": {"about": "client id"}, "client_secret": {"about": "client secret"},
                "access_token": {"about": "access token"}},
    "values": {"sign": "${hex(sha256(join('|', secret.client_secret, path, body, secret.client_secret)))}"},
    "set": {
        "query": {"access_token": "${secret.access_token}", "sign": "${sign}", "client_id": "${secret.client_id}",
                  "timestamp": "${now}", "signature_version": "2"},
        "headers": {"Content-Type": "application/json; charset=utf-8"},
    },
}


def free_port():
    """A port nobody listens on, outside the range that the kernel gives to clients."""
    while True:
        port = random.randrange(20000, 30000)
        try:
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", port))
            return port
        except OSError:
            continue


class Server:
    """One process with its children. `start` returns when it answers on its port."""

    name = ""
    ready_path = "/"

    def __init__(self, home, cores):
        self.home = home
        self.cores = cores
        self.port = free_port()
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self, environment=None, under=()):
        """Starts it, `under` a command that becomes it or watches it; `seconds` is the time until it answered."""
        self.log = open(self.home / f"{self.name}.log", "ab")
        before = time.monotonic()
        self.process = subprocess.Popen(
            [*under, *map(str, self.command())], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.home,
            env={"PATH": os.environ["PATH"], **(environment or {})}, preexec_fn=pinned(self.cores), start_new_session=True,
        )
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {self.said()}")
            if time.monotonic() - before > 20:
                self.stop()
                raise RuntimeError(f"{self.name} does not answer: {self.said()}")
            time.sleep(0.0005)
        self.seconds = time.monotonic() - before
        return self.seconds

    def answers(self):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", self.ready_path)
            status = connection.getresponse().status
            connection.close()
            return status < 500
        except (OSError, http.client.HTTPException):
            return False

    def said(self):
        return (self.home / f"{self.name}.log").read_text(errors="replace")[-2000:]

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                # Its own session, which nothing else is in: a watcher and what it watches.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None
        self.log.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Nginx(Server):
    """One worker under a master, as it is run anywhere."""

    def command(self):
        path = self.home / f"{self.name}.conf"
        path.write_text(f"""
            {"user root;" if os.getuid() == 0 else ""}
            daemon off; worker_processes 1; pid {self.home}/{self.name}.pid; error_log stderr warn;
            worker_rlimit_nofile {descriptors()};
            events {{ worker_connections {descriptors() - 100}; }}
            http {{
              access_log off; default_type application/json; keepalive_timeout {FOREVER}; keepalive_requests 1000000000;
              client_max_body_size 0; client_body_buffer_size 2m; client_body_temp_path {self.home}/{self.name}-bodies;
              {" ".join(f"{kind}_temp_path {self.home}/{self.name}-{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))}
              {self.servers()}
            }}
            """)
        return ["nginx", "-e", "stderr", "-c", path]

    def servers(self):
        raise NotImplementedError


class Upstream(Nginx):
    """Answers with a small body of its own; behind /upload it reads the whole request first, as a program does that looks at
    a body. /seen says what the proxies did to a request."""

    name = "upstream"

    def __init__(self, home, cores, authority):
        super().__init__(home, cores)
        self.authority = authority
        self.tls_port = free_port()

    def ports(self):
        return {"plain": self.port, "tls": self.tls_port}

    def servers(self):
        seen = "|".join("$" + name for name in (
            "request_method", "request_uri", "http_host", "http_x_api_key", "http_x_timestamp", "http_x_signature",
            "http_authorization", "http_x_vendor_key"))
        end = int(time.time()) + 30 * 86400
        token = json.dumps({"code": 0, "msg": "success", "data": {
            "access_token": TOKEN, "expire_at": end, "refresh_token": "refresh", "refresh_expire_at": end}})
        locations = f"""
            location / {{ return 200 '{ANSWER}'; }}
            location = /v1/token {{ return 200 '{token}'; }}
            location = /seen {{ return 200 '{seen}'; }}
            # The mirror has the body read; the file that is not there has the answer come after it.
            location /upload {{ mirror /nowhere; root /nonexistent; error_page 404 405 =200 @answer; log_not_found off; }}
            location = /nowhere {{ internal; return 204; }}
            location @answer {{ return 200 '{ANSWER}'; }}"""
        # One suite, so that every proxy's encryption costs the same.
        return f"""
            server {{ listen 127.0.0.1:{self.port} backlog=4096; {locations} }}
            server {{
              listen 127.0.0.1:{self.tls_port} ssl backlog=4096;
              ssl_certificate {self.authority.certificate}; ssl_certificate_key {self.authority.key};
              ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
              {locations}
            }}"""


class NginxProxy(Nginx):
    """The rival that only forwards: it sets the fixed header of `header` and `bearer`, and signs nothing."""

    name = "nginx"

    def __init__(self, home, cores, upstream):
        super().__init__(home, cores)
        self.upstream = upstream

    def servers(self):
        locations = []
        for kind in UPSTREAMS:
            scheme = "https" if kind == "tls" else "http"
            for connector in CONNECTORS:
                field = {"header": f"proxy_set_header X-Vendor-Key {TOKEN};",
                         "bearer": f'proxy_set_header Authorization "Bearer {TOKEN}";'}.get(connector, "")
                locations.append(f"""
                    location /{connector}-{kind}/ {{
                      proxy_pass {scheme}://{kind}/; proxy_http_version 1.1; proxy_set_header Connection "";
                      proxy_set_header Host 127.0.0.1:{self.upstream.ports()[kind]}; {field}
                    }}""")
        upstreams = "".join(
            f"upstream {kind} {{ server 127.0.0.1:{port}; keepalive 2048; keepalive_requests 1000000000;"
            f" keepalive_timeout {FOREVER}; }}" for kind, port in self.upstream.ports().items())
        return f"""
            {upstreams}
            server {{
              listen 127.0.0.1:{self.port} backlog=4096;
              proxy_ssl_verify on; proxy_ssl_trusted_certificate {self.upstream.authority.path}; proxy_ssl_name localhost;
              proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.2 TLSv1.3;
              location / {{ return 200; }}
              {"".join(locations)}
            }}"""


class HAProxy(Server):
    """The rival that computes the same header. docs/PERFORMANCE.md says where its work is not the daemon's."""

    def __init__(self, home, cores, upstream, largest_body=0, name="haproxy"):
        super().__init__(home, cores)
        self.name = name
        self.upstream = upstream
        # What it looks at has to fit into one buffer; more than the default only where a body needs it.
        self.buffer = largest_body + 16384 if largest_body > 8192 else 16384

    def command(self):
        backends = []
        for kind, port in self.upstream.ports().items():
            tls = f"ssl verify required ca-file {self.upstream.authority.path} sni str(localhost) verifyhost localhost"
            for connector in CONNECTORS:
                route = f"{connector}-{kind}"
                backends.append(f"""
backend {route}
  http-request set-path %[path,bytes({len(route) + 1})]
  http-request set-header Host 127.0.0.1:{port}
  {self._edits(connector)}
  server upstream 127.0.0.1:{port} pool-purge-delay {FOREVER} {tls if kind == "tls" else ""}
""")
        path = self.home / f"{self.name}.cfg"
        path.write_text(f"""
global
  nbthread 1
  maxconn {(descriptors() - 200) // 2}
  tune.bufsize {self.buffer}
  # Many clients are no reason to close connections to the upstream.
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
defaults
  mode http
  timeout connect 5s
  timeout client {FOREVER}
  timeout server {FOREVER}
  timeout http-request {FOREVER}
  http-reuse always
frontend clients
  bind 127.0.0.1:{self.port} backlog 4096
  http-request return status 200 if {{ path / }}
  use_backend %[path,field(2,/)]
{"".join(backends)}""")
        return ["haproxy", "-db", "-q", "-f", path]

    @staticmethod
    def _edits(connector):
        if connector == "es256":
            return ""  # it verifies such tokens (jwt_verify), and makes none
        if connector == "header":
            return f"http-request set-header X-Vendor-Key {TOKEN}"
        if connector == "bearer":
            return f'http-request set-header Authorization "Bearer {TOKEN}"'
        if connector.startswith("fastmoss"):
            return f"""option http-buffer-request
  http-request set-header Content-Type "application/json; charset=utf-8"
  http-request set-var(txn.now) date
  http-request set-var(txn.path) path
  http-request set-var-fmt(txn.text) "{SECRET}|%[var(txn.path)]|%[req.body]|{SECRET}"
  http-request set-var(txn.sign) var(txn.text),sha2(256),hex,lower
  http-request set-query %[query]&access_token={TOKEN}&sign=%[var(txn.sign)]&client_id={API_KEY}&timestamp=%[var(txn.now)]&signature_version=2"""
        key = base64.b64encode(SECRET.encode()).decode()
        return f"""option http-buffer-request
  http-request set-var(txn.now) date
  http-request set-var(txn.digest) req.body,sha2(256),hex,lower
  http-request set-var-fmt(txn.text) "%[method]\\n%[path]\\n%[query]\\n%[var(txn.digest)]\\n%[var(txn.now)]"
  http-request set-header X-API-Key {API_KEY}
  http-request set-header X-Timestamp %[var(txn.now)]
  http-request set-header X-Signature %[var(txn.text),hmac(sha256,{key}),hex,lower]"""


class Daemon(Server):
    """Ours, on one loop. Its store is made by its own command line."""

    name = "chatelaine"
    ready_path = "/-/readyz"

    def __init__(self, home, cores, upstream, routes=None, loops=1, log="warn", name="chatelaine"):
        """`routes`: in place of the common ones. `upstream` needs `ports()` and `authority`."""
        super().__init__(home / name, cores)
        self.name = name
        self.home.mkdir()
        self.upstream = upstream
        state = self.home / "state"
        state.mkdir(mode=0o700)
        self.admin = self.home / "admin.sock"
        connectors = self.home / "connectors"
        connectors.mkdir()
        for connector in STATIC_TOKEN, attestation.CONNECTOR:
            (connectors / f"{connector['connector']}.jsonc").write_text(json.dumps(connector))
        self.attestation_key = attestation.Key(self.home / "attestation.pem")
        self.settings = {
            "version": 1,
            "connectors": [str(connectors)],
            "listen": [{"tcp": f"127.0.0.1:{self.port}"}],
            "admin": {"unix": str(self.admin)},
            "store": {"path": str(state / "store.db"), "key": {"file": str(self.home / "master.key")}},
            "routes": routes if routes is not None else
            {f"{connector}-{kind}": self.route(connector, kind) for connector in CONNECTORS for kind in UPSTREAMS},
            "loops": loops, "log": {"level": log, "format": "json"},
            "limits": {"connections": 16000, "connections_per_caller": 16000, "buffered": "1GiB"},
        }
        self.write()
        self.run("init")
        self.secrets = {"api_key": API_KEY, "secret": SECRET, "token": TOKEN, "client": attestation.CLIENT,
                        "key": self.attestation_key.pem}
        for name, value in self.secrets.items():
            self.run("secret", "set", f"bench/{name}", input=value)

    def route(self, connector, kind):
        secrets = {"header": {"value": "bench/token"}, "bearer": {"token": "bench/token"},
                   "codegate": {"api_key": "bench/api_key", "secret": "bench/secret"},
                   "fastmoss": {"client_id": "bench/api_key", "client_secret": "bench/secret"},
                   "fastmoss-static": {"client_id": "bench/api_key", "client_secret": "bench/secret",
                                       "access_token": "bench/token"},
                   "es256": {"client": "bench/client", "key": "bench/key"}}[connector]
        route = {"connector": connector, "secrets": secrets,
                 "upstream": f"http{'s' if kind == 'tls' else ''}://127.0.0.1:{self.upstream.ports()[kind]}"}
        if connector == "header":
            route["options"] = {"name": "X-Vendor-Key"}
        if kind == "tls":
            route["tls"] = {"ca": str(self.upstream.authority.path)}
        return route

    @property
    def config(self):
        return self.home / "chatelaine.jsonc"

    def write(self):
        self.config.write_text(json.dumps(self.settings))

    def command(self):
        return [BIN, "serve", "--config", self.config]

    def run(self, *arguments, input=""):
        done = subprocess.run([BIN, *arguments, "--config", self.config], input=input, capture_output=True, text=True,
                              timeout=60, env={"PATH": os.environ["PATH"], "HOME": str(self.home)})
        if done.returncode != 0:
            raise RuntimeError(f"chatelaine {' '.join(arguments)}: {done.returncode}: {done.stderr}")

    def store(self, names, value=TOKEN):
        """Stores many secrets through the running daemon, a connection each."""
        for name in names:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.admin))
                sock.sendall(f"PUT /secrets/{name.replace('/', '%2F')} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                             f"Content-Length: {len(value)}\r\n\r\n{value}".encode())
                answer = sock.recv(4096)
                if not answer.startswith(b"HTTP/1.1 20"):
                    raise RuntimeError(f"secret {name} was not stored: {answer.decode()}")

