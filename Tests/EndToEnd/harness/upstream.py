"""A server that records the exact bytes of every request and answers from a script.

Written from sockets, so that nothing between the wire and an assertion repairs, joins, sorts or lower-cases anything.
"""

import base64
import contextlib
import itertools
import json
import queue
import socket
import ssl
import struct
import threading

from . import DEADLINE


class Connection:
    """One accepted connection. `received` is every byte that came in, unless `keep_bytes` was turned off for bulk."""

    def __init__(self, sock, index, context, keep_bytes, seen):
        self.index = index
        self.seen = seen  # the stretch of a test that it is in
        self.received = bytearray()
        self.buffer = bytearray()
        self.keep_bytes = keep_bytes
        self.closed = threading.Event()
        self.server_name = None
        self.sock = sock
        self.version = None  # of TLS
        self.resumed = False
        if context is not None:
            self.sock = context.wrap_socket(sock, server_side=True)
            self.version, self.resumed = self.sock.version(), bool(self.sock.session_reused)

    def more(self):
        """Reads once; False at the end of input."""
        block = self.sock.recv(256 * 1024)
        if self.keep_bytes:
            self.received += block
        self.buffer += block
        return bool(block)

    def line(self):
        """The next line with its ending, or None at the end of input."""
        while b"\n" not in self.buffer:
            if not self.more():
                return None
        return self.take(self.buffer.index(b"\n") + 1)

    def take(self, count):
        block = bytes(self.buffer[:count])
        del self.buffer[:count]
        return block

    def close(self, politely=True):
        """Ends the connection; impolitely leaves out TLS's close_notify."""
        with contextlib.suppress(OSError, ValueError):
            if politely and isinstance(self.sock, ssl.SSLSocket):
                self.end_tls()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.closed.set()

    def end_tls(self):
        """Sends close_notify, without waiting for the daemon's."""
        self.sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.sock.unwrap()

    def reset(self):
        """Ends the connection with a TCP reset."""
        if not self.closed.is_set():
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            socket.close(self.sock.detach())
            self.closed.set()


class Exchange:
    """One request as it arrived, and the means to answer it. All bytes are as on the wire."""

    def __init__(self, connection, head):
        self.connection = connection
        self.head = head
        lines = head.split(b"\r\n")
        self.method, self.target, self.version = lines[0].split(b" ", 2)
        self.fields = split_fields(lines[1:])
        self.raw_body = bytearray()
        self._body = None

    def values(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower().encode()]

    def value(self, name):
        """The one value of a field as text, or None; two lines of the name are a failure."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} arrived {len(values)} times: {values}"
        return values[0].decode("latin-1") if values else None

    @property
    def framing(self):
        return "chunked" if self.values("Transfer-Encoding") else "length" if self.values("Content-Length") else "none"

    def pieces(self):
        """The body's payload, block by block, as it arrives."""
        connection = self.connection
        if self.framing == "length":
            missing = int(self.value("Content-Length"))
            while missing:
                if not connection.buffer and not connection.more():
                    raise EOFError("the request's body was cut short")
                block = connection.take(min(missing, len(connection.buffer)))
                missing -= len(block)
                yield block
        elif self.framing == "chunked":
            while True:
                line = connection.line()
                if line is None:
                    raise EOFError("the request's body was cut short")
                size = int(line, 16)
                self.raw_body += line
                while len(connection.buffer) < size + 2:
                    if not connection.more():
                        raise EOFError("the request's body was cut short")
                block = connection.take(size + 2)
                self.raw_body += block
                assert block.endswith(b"\r\n"), "a chunk that does not end where it says"
                if size == 0:
                    break
                yield block[:-2]

    @property
    def body(self):
        """The whole payload."""
        if self._body is None:
            self._body = b"".join(self.pieces())
        return self._body

    def send(self, data):
        self.connection.sock.sendall(data)

    def start(self, status=200, fields=(), reason=b"OK"):
        """Sends a response's head."""
        lines = b"".join(b"%s: %s\r\n" % (_bytes(name), _bytes(value)) for name, value in fields)
        self.send(b"HTTP/1.1 %d %s\r\n%s\r\n" % (status, reason, lines))

    def answer(self, status=200, fields=(), body=b""):
        """Sends a whole response with Content-Length, after the whole request was read."""
        _ = self.body
        self.start(status, [*fields, ("Content-Length", str(len(body)))])
        if self.method != b"HEAD":
            self.send(body)

    def chunk(self, data):
        """Sends one chunk; the empty one ends the body."""
        self.send(b"%x\r\n%s\r\n" % (len(data), data))


def split_fields(lines):
    """Field lines as (name, value), without the one space that belongs to neither."""
    parted = (line.partition(b":") for line in lines if line)
    return [(name, value.removeprefix(b" ")) for name, _, value in parted]


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def echo(exchange):
    """Answers 200 with what arrived, as JSON."""
    shown = {
        "method": exchange.method.decode(),
        "target": exchange.target.decode(),
        "fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in exchange.fields],
        "body_base64": base64.b64encode(exchange.body).decode(),
    }
    exchange.answer(fields=[("Content-Type", "application/json")], body=json.dumps(shown).encode())


class Seen:
    """The exchanges of one stretch of a test, in order of arrival."""

    def __init__(self):
        self._arrived = queue.Queue()
        self.all = []
        self.failures = []  # what a script failed with

    def next(self, deadline=DEADLINE):
        """The next exchange, waiting for it."""
        try:
            return self._arrived.get(timeout=deadline)
        except queue.Empty:
            raise AssertionError(f"no request reached the upstream within {deadline} s") from None

    def only(self):
        """The one exchange there was."""
        exchange = self.next()
        assert len(self.all) == 1, f"expected one request upstream, saw {[seen.head for seen in self.all]}"
        return exchange

    def none(self):
        """Asserts that nothing arrived."""
        assert not self.all, f"nothing should have gone upstream, saw {[seen.head for seen in self.all]}"

    def add(self, exchange):
        self.all.append(exchange)
        self._arrived.put(exchange)


class Upstream:
    """Listens on a loopback address; one thread a connection. `context` None is plain HTTP."""

    def __init__(self, context=None, address="127.0.0.1", name="localhost", backlog=128):
        self.context = context
        self._numbers = itertools.count()
        self.connections = []
        self.refused = []  # what a TLS handshake failed with
        self.keep_bytes = True
        self.script = echo
        self.seen = Seen()
        self._lock = threading.Lock()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.create_server((address, 0), family=family, backlog=backlog)
        self.listening_at = self.listener.getsockname()[:2]
        self.port = self.listening_at[1]
        self.authority = f"{name}:{self.port}"
        self.origin = f"{'http' if context is None else 'https'}://{self.authority}"
        if context is not None:
            context.sni_callback = self._name_asked
        self._names = threading.local()
        self._listen()

    def _listen(self):
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _name_asked(self, sock, name, context):
        self._names.last = name

    def _accept(self):
        with contextlib.suppress(OSError):  # the listener is closed: the end
            while True:
                sock, _ = self.listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(3 * DEADLINE)  # no thread outlives a test by much
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        self._names.last = None
        try:
            connection = Connection(sock, next(self._numbers), self.context, self.keep_bytes, self.seen)
        except (OSError, ssl.SSLError) as error:
            with self._lock:
                self.refused.append(error)
            sock.close()
            return
        connection.server_name = self._names.last
        with self._lock:
            self.connections.append(connection)
        try:
            while not connection.closed.is_set() and (connection.buffer or connection.more()) and self._one(connection):
                pass
        except (OSError, EOFError):
            pass  # the daemon went away: tests that care look at what they got
        except Exception as error:  # a script failed, or an assertion in it
            connection.seen.failures.append(error)
        finally:
            if not connection.closed.is_set():
                connection.close()

    def _one(self, connection):
        """Reads one request and runs the script; False when the connection is done."""
        if self.context is None and connection.buffer[:1] == b"\x16":  # TLS to a server that does not speak it
            connection.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            return False
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):
            line = connection.line()
            if line is None:
                raise AssertionError(f"a request's head was cut short: {bytes(head)}")
            head += line
        exchange = Exchange(connection, bytes(head))
        with self._lock:
            script, seen = self.script, self.seen
            connection.seen = seen
            seen.add(exchange)
        script(exchange)
        if not connection.closed.is_set() and exchange._body is None:
            for _ in exchange.pieces():
                pass
        return b"close" not in b",".join(exchange.values("Connection"))

    @contextlib.contextmanager
    def answering(self, script=echo):
        """Runs `script` for each request of this stretch and hands over what was seen."""
        with self._lock:
            self.script, self.seen = script, Seen()
            seen = self.seen
        try:
            yield seen
        finally:
            with self._lock:
                self.script = echo
        if seen.failures:
            raise seen.failures[0]

    @contextlib.contextmanager
    def away(self):
        """Nobody listens: connections are refused, until this is over."""
        self.close()
        self._thread.join(DEADLINE)
        try:
            yield
        finally:
            self.listener = socket.create_server(self.listening_at, family=self.listener.family, backlog=128)
            self._listen()

    def drop_idle(self):
        """Closes every connection there is, so that the next request has to make a new one."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_idle()
