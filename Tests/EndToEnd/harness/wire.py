"""A client that sends exactly the bytes it is given and reads responses strictly."""

import contextlib
import json
import socket

from . import DEADLINE
from .upstream import split_fields


class Truncated(AssertionError):
    """The connection ended before the response did."""


class Response:
    def __init__(self, head):
        self.head = head
        lines = head.split(b"\r\n")
        self.version, status, *_ = lines[0].split(b" ", 2)
        self.status = int(status)
        self.fields = split_fields(lines[1:])
        self.body = b""
        self.framing = None

    def values(self, name):
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == name.lower().encode()]

    def value(self, name):
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.head!r} {self.body[:2000]!r}>"


class Wire:
    """One connection: `address` is a (host, port) pair or the path of a Unix socket."""

    def __init__(self, address, deadline=DEADLINE):
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout=deadline)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(deadline)
            self.sock.connect(str(address))
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        self.sock.sendall(data)

    def more(self):
        block = self.sock.recv(256 * 1024)
        self.buffer += block
        return bool(block)

    def take(self, count):
        while len(self.buffer) < count:
            if not self.more():
                raise Truncated(f"ended after {len(self.buffer)} of {count} bytes")
        block = bytes(self.buffer[:count])
        del self.buffer[:count]
        return block

    def through(self, ending):
        while ending not in self.buffer:
            if not self.more():
                raise Truncated(f"ended before {ending!r}, after {bytes(self.buffer)!r}")
        return self.take(self.buffer.index(ending) + len(ending))

    def head(self):
        """The next head, interim or final."""
        return Response(self.through(b"\r\n\r\n"))

    def body(self, response, method="GET"):
        """Reads what follows `response`'s head by its framing."""
        codings, length = response.values("Transfer-Encoding"), response.value("Content-Length")
        assert not (codings and length), "both framings in one response"
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            response.framing = "none"
        elif codings:
            assert codings == ["chunked"]
            response.framing = "chunked"
            response.body = b"".join(self.chunks())
        elif length is not None:
            response.framing = "length"
            response.body = self.take(int(length))
        else:
            response.framing = "close"
            while self.more():
                pass
            response.body = self.take(len(self.buffer))
        return response

    def chunks(self):
        """The payload of each chunk, as it arrives."""
        while True:
            size = int(self.through(b"\r\n")[:-2], 16)
            block = self.take(size + 2)
            assert block.endswith(b"\r\n")
            if size == 0:
                return
            yield block[:-2]

    def response(self, method="GET"):
        """The next final response, whole; interim ones before it are left out."""
        while True:
            response = self.head()
            if response.status >= 200:
                return self.body(response, method)

    def request(self, method, target, fields=(), body=None, host=None, version="1.1"):
        """Sends one request, with Host and Content-Length unless they are given."""
        names = {name.lower() for name, _ in fields}
        lines = [f"{method} {target} HTTP/{version}"]
        if "host" not in names:
            lines.append(f"Host: {host or self.host}")
        lines += [f"{name}: {value}" for name, value in fields]
        if body is not None and not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))

    def exchange(self, method, target, fields=(), body=None, **more):
        """Sends one request and reads its response."""
        self.request(method, target, fields, body, **more)
        return self.response(method)

    @property
    def host(self):
        if self.sock.family == socket.AF_UNIX:
            return "localhost"
        host, port = self.sock.getpeername()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def ended(self):
        """Whether the daemon closes the connection without another byte, waiting for it."""
        with contextlib.suppress(ConnectionResetError):
            return not self.buffer and not self.more()
        return not self.buffer
