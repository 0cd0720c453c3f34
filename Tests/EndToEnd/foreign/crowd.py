"""A crowd of connections to a port, in a process of its own. It does what its standard input says, a word a line, and answers
each with a line. The first argument is the port, the second how many they are.

    open    connects them all, without a byte
    ask     a request and its answer on each of them, one connection after another
    drip    from here on each sends one byte a second of a head that never ends; those that the daemon ends come again
    still   stops that
    close   ends them all
"""

import os
import resource
import select
import socket
import sys
import time

HEAD = b"GET /shared/x HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000
ASK = b"GET /shared/x HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nX-Long: " + b"x" * 4000 + b"\r\n\r\n"
_, port, count = sys.argv
os.nice(19)  # what is looked at is what the daemon has to do for them, not what it takes to send it
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def connect():
    sock = socket.create_connection(("127.0.0.1", int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ask(sock):
    sock.sendall(ASK % port.encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\nok"):
        block = sock.recv(65536)
        if not block:
            sys.exit(f"a connection ended with {answer}")
        answer += block


class Drip:
    """All of them, a thousandth every thousandth of a second."""

    def __init__(self, socks):
        self.socks, self.sent, self.turn = socks, [0] * len(socks), 0

    def go_on(self):
        for index in range(self.turn % 1000, len(self.socks), 1000):
            try:
                self.socks[index].send(HEAD[self.sent[index] : self.sent[index] + 1])
                self.sent[index] += 1
            except OSError:
                self.socks[index].close()
                self.socks[index], self.sent[index] = connect(), 0
        self.turn += 1


socks, drip, due = [], None, 0
while True:
    wait = None if drip is None else max(0, due - time.monotonic())
    if drip is not None and wait == 0:
        drip.go_on()
        due += 0.001
        continue
    if not select.select([sys.stdin], [], [], wait)[0]:
        continue
    match sys.stdin.readline().strip():
        case "open":
            socks = [connect() for _ in range(int(count))]
        case "ask":
            for sock in socks:
                ask(sock)
        case "drip":
            drip, due = Drip(socks), time.monotonic()
            for _ in range(1000):
                drip.go_on()
        case "still":
            drip = None
        case "close":
            for sock in socks:
                sock.close()
            socks = []
        case _:
            sys.exit()
    print("done", flush=True)
