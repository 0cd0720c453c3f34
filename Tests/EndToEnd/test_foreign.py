"""What we emit is read alike by parsers that are not ours: Node's http and Python's, as upstreams and as clients.

The messages come from a seed, 3,000 requests to each of two upstreams and 2,000 responses to each of two clients. What the
generator says must arrive is what both parsers read; a message within a body is never one of its own.
"""

import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import pathlib
import subprocess
import sys
import threading

import pytest

from harness import DEADLINE
from harness.generated import Generator, Request, Response
from harness.upstream import Upstream
from secrets_used import API_KEY, SECRETS

HERE = pathlib.Path(__file__).parent / "foreign"
SERVERS = {"node": ["node", HERE / "server.js"], "python": [sys.executable, HERE / "server.py"]}
SEED = 9112
REQUESTS, RESPONSES, REFUSED = 3000, 2000, 300


class Server:
    """A foreign server; `end` gives everything that it read."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self.reader.start()

    @property
    def authority(self):
        return f"127.0.0.1:{self.port}"

    def end(self):
        self.process.stdin.close()
        self.reader.join(DEADLINE)
        assert self.process.wait(DEADLINE) == 0
        return [json.loads(line) for line in self.lines]


@contextlib.contextmanager
def servers(build):
    """Both servers with a route that streams and one that reads bodies before each, and the daemon in front of them."""
    running = {name: Server(command) for name, command in SERVERS.items()}
    try:
        routes = {}
        for name, server in running.items():
            origin = f"http://{server.authority}"
            routes[name] = {"connector": "bearer", "upstream": origin, "secrets": {"token": "shared/token"}}
            routes[f"{name}-signed"] = {
                "connector": "codegate", "upstream": origin,
                "secrets": {"api_key": "codegate/api_key", "secret": "codegate/secret"},
            }
        with build(routes) as house:
            yield house, running
    finally:
        for server in running.values():
            server.process.kill()
            server.process.wait()


def in_parallel(work, items):
    """`work` for each, four at a time; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(work, items))


def connections(messages):
    """Runs of messages that go over one connection."""
    run = []
    for message in messages:
        run.append(message)
        if message.is_last or message.waits or len(run) == 8:
            yield run
            run = []
    if run:
        yield run


def send(house, route, run, generator):
    """All of a run in one go, cut anywhere; the answers come in order, one each."""
    with house.wire() as wire:
        *_, last = run
        wires = b"".join(message.head(route) + message.encoded for message in run[:-1]) + last.head(route)
        for piece in generator.pieces(wires + (b"" if last.waits else last.encoded)):
            wire.send(piece)
        for message in run[:-1]:
            response = wire.response(message.method)
            assert (response.status, message.number) == (200, message.number), response
        if last.waits:
            assert wire.head().status == 100, last.number
            for piece in generator.pieces(last.encoded):
                wire.send(piece)
        assert wire.response(last.method).status == 200, last.number
        if last.is_last:
            assert wire.ended(), last.number


def signed(fields):
    """The fields without what the signature is, and whether it was there."""
    ours = {"X-API-Key", "X-Timestamp", "X-Signature"}
    assert [name for name, _ in fields if name in ours] == ["X-API-Key", "X-Timestamp", "X-Signature"]
    return [field for field in fields if field[0] not in ours]


def test_two_foreign_servers_read_what_was_meant(build):
    with servers(build) as (house, running):
        generator = Generator(SEED)
        messages = [Request(generator, number, house.port) for number in range(REQUESTS)]
        assert sum(b"/smuggled HTTP/1.1\r\n" in message.body for message in messages) > REQUESTS / 4
        runs = list(connections(messages))
        # Every other run goes where the connector reads the body first.
        work = [(name, name + "-signed" * (number % 2), run, number)
                for number, run in enumerate(runs) for name in running]
        in_parallel(lambda item: send(house, item[1], item[2], Generator(f"{SEED} {item[3]}")), work)
        is_signed = {message.number for number, run in enumerate(runs) for message in run if number % 2}
        for name, server in running.items():
            read = server.end()
            assert not [line for line in read if "error" in line], "a parser found a mistake"
            arrived = {int(line["target"].split("/")[1].partition("?")[0]): line for line in read}
            assert len(read) == len(arrived) == REQUESTS
            for message in messages:
                line = arrived[message.number]
                credential = [("Authorization", "Bearer " + SECRETS["shared/token"])]
                if message.number in is_signed:
                    line["fields"] = signed(line["fields"])
                    credential = []
                assert line == message.arrives(server.authority, message.number in is_signed, credential), (name, message.head("r"))


# Requests of which two readers might make two things. Each is followed by the request that one of them would see.
CHUNKED, LENGTH = b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n"
DISPUTED = [
    CHUNKED + b"Content-Length: %d\r\n", b"Content-Length: %d\r\n" + CHUNKED, b"Content-Length: %d\r\nContent-Length: 5\r\n",
    b"Content-Length: 5, %d\r\n", b"Content-Length: +%d\r\n", b"Content-Length: 0%d\r\n", b"Content-Length: %d \t;\r\n",
    b"Content-Length : %d\r\n", b"Content_Length: %d\r\n", b" Content-Length: %d\r\n", b"X: y\n" + CHUNKED, b"X: y\r" + CHUNKED,
    b"X: y\r\n " + CHUNKED, b"Transfer-Encoding : chunked\r\n", b"Transfer_Encoding: chunked\r\n", b"Transfer-Encoding:\x0bchunked\r\n",
    b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding: identity, chunked\r\n",
    b'Transfer-Encoding: "chunked"\r\n', b"Transfer-Encoding: chunked;a=b\r\n", b"Transfer-Encoding: ,chunked\r\n", CHUNKED + CHUNKED,
    b"Transfer-Encoding:\r\n chunked\r\n", b"Transfer-Encoding\x00: chunked\r\n", b"Connection: Content-Length\r\nContent-Length: %d\r\n",
]
BROKEN_CHUNKS = [
    b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
    b"5;\r\nhello\r\n0\r\n\r\n", b"5;a\nb\r\nhello\r\n0\r\n\r\n", b"5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", b"\r\n5\r\nhello\r\n0\r\n\r\n",
    b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"-1\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\nX\r\n\r\n", b"5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\n", b"4\r\nhello\r\n0\r\n\r\n", b"6\r\nhello\r\n0\r\n\r\n", b"5\r\rhello\r\n0\r\n\r\n",
]


def disputed(house, route, generator):
    """One of them, with the bytes of a request behind it that is the caller's to make, were it one."""
    smuggled = f"GET /{route}/smuggled HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n\r\n".encode()
    if generator.chance(0.5):
        line, body = generator.random.choice(DISPUTED), generator.random.choice([b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"hello"]) + smuggled
    else:
        line, body = CHUNKED, generator.random.choice(BROKEN_CHUNKS) + smuggled
    if b"%d" in line:
        line = line % len(body)
    lines = [b"Host: 127.0.0.1:%d\r\n" % house.port, line]
    if not line.startswith(b" "):
        generator.random.shuffle(lines)
    return b"POST /" + route.encode() + b"/refused HTTP/1.1\r\n" + b"".join(lines) + b"\r\n" + body


def test_what_two_readers_could_take_for_two_things_is_refused_and_ends_there(build):
    """Nothing of what stands behind it is read by anybody, and the next request on the same upstream connections is itself."""
    with servers(build) as (house, running):

        def refused(item):
            route, number = item
            generator = Generator(f"{SEED} refused {number}")
            wire_bytes = disputed(house, route, generator)
            with house.wire() as wire:
                for piece in generator.pieces(wire_bytes):
                    with contextlib.suppress(OSError):  # refused before the last piece
                        wire.send(piece)
                response = wire.response()
                assert response.status in (400, 501) and response.value("Connection") == "close", (wire_bytes, response)
                with contextlib.suppress(ConnectionResetError):
                    assert not wire.buffer and not wire.more(), wire_bytes
            assert house.exchange("GET", f"/{route}/after/{number}").status == 200

        work = [(name + "-signed" * (number % 2), number) for number in range(REFUSED) for name in running]
        in_parallel(refused, work)
        for server in running.values():
            read = server.end()
            assert sorted(line["target"] for line in read) == sorted(f"/after/{number}" for number in range(REFUSED))


# The other way


def answers(generated):
    """The upstream's script: the bytes of the response that the target asks for."""

    def script(exchange):
        _ = exchange.body
        response = generated[int(exchange.target[1:])]
        for piece in response.pieces:
            exchange.send(piece)
        if response.closes:
            exchange.connection.close()

    return script


def read_by_node(house, generated):
    asked = "".join(json.dumps([response.method, f"{house.url}/shared{response.target}"]) + "\n" for response in generated)
    done = subprocess.run(["node", HERE / "client.js"], input=asked.encode(), capture_output=True, timeout=3 * DEADLINE)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_by_python(house, generated):
    connection = http.client.HTTPConnection(*house.address, timeout=DEADLINE)
    read = []
    for asked in generated:
        connection.request(asked.method, f"/shared{asked.target}")
        response = connection.getresponse()
        body = response.read()
        read.append({"status": response.status, "fields": [list(field) for field in response.getheaders()],
                     "body": hashlib.sha256(body).hexdigest(), "trailers": []})
    connection.close()
    return read


@pytest.mark.parametrize("read", [read_by_node, read_by_python])
def test_a_foreign_client_reads_what_the_upstream_meant(build, read):
    generator = Generator(SEED)
    generated = [Response(generator, number) for number in range(RESPONSES)]
    assert sum(any(b"X-Smuggled" in piece for piece in response.pieces) for response in generated) > RESPONSES / 4
    upstream = Upstream()
    routes = {"shared": {"connector": "bearer", "upstream": upstream.origin}}
    try:
        with upstream.answering(answers(generated)) as seen, build(routes) as house:
            arrived = read(house, generated)
        assert len(arrived) == RESPONSES == len(seen.all)
        for response, line in zip(generated, arrived):
            fields = [[name, None if name == "X-Request-Id" else value] for name, value in line.get("fields", [])]
            assert line | {"fields": fields} == response.arrives, (response.target, response.pieces)
    finally:
        upstream.close()
