"""A TLS server that hands out its own records, so that a test can cut and falsify them."""

import contextlib
import socket
import ssl
import struct
import threading

from . import DEADLINE


class Session:
    """One accepted connection behind its handshake and one request's head."""

    def __init__(self, sock, context):
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self._drive(self.tls.do_handshake)
        self.flush()
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._drive(lambda: self.tls.read(65536))
        self.target = head.split(b" ")[1].decode()

    def _drive(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                block = self.sock.recv(65536)
                if not block:
                    raise EOFError from None
                self.incoming.write(block)

    def flush(self):
        self.sock.sendall(self.outgoing.read())

    def records(self, *pieces):
        """A record for each piece, as it would go over the wire."""
        for piece in pieces:
            self.tls.write(piece)
        return self.outgoing.read()

    def close_notify(self):
        """The record that ends a TLS connection in order."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def ended(self):
        """Waits for the daemon to end the connection."""
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass


class RecordServer:
    """Runs `script(session)` for each connection, which carries one request, and closes it."""

    def __init__(self, context):
        self.context = context
        self.script = None
        self.failures = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.origin = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(3 * DEADLINE)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            try:
                self.script(Session(sock, self.context))
            except Exception as error:
                self.failures.append(error)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
