"""Bodies stream: event by event, in both directions at once, and in flat memory however long they are."""

import os
import select
import threading
import time

import pytest
import requests

from harness import DEADLINE
from harness.problems import problem
from harness.upstream import Upstream

MIB = 1024 * 1024
# What one bulk transfer moves. A quick run sets CHATELAINE_E2E_BULK_MIB lower.
BULK = int(os.environ.get("CHATELAINE_E2E_BULK_MIB", "1024")) * MIB
# What a transfer may add to the daemon's memory: a few buffers, and what the allocator keeps of them.
FLAT = 16 * MIB


class Drip(threading.Thread):
    """Sends enough of a body for the first look at its pace, and then a byte at a time, faster than the daemon looks."""

    FOR = 16  # seconds, at most; eleven are enough to be too slow

    def __init__(self, house, route):
        super().__init__(daemon=True)
        self.wire, self.route = house.wire(), route
        self.stopped = False
        self.answer = None
        self.start()

    def run(self):
        began = time.monotonic()
        with self.wire as wire:
            wire.request("POST", f"/{self.route}/x", [("Content-Length", "1000000")], bytes(11_000))
            while not select.select([wire.sock], [], [], 0.2)[0]:
                if self.stopped or time.monotonic() - began > self.FOR:
                    return
                wire.send(b"x")
            self.answer = wire.response()


@pytest.fixture(scope="module", autouse=True)
def drips(build):
    """One body that streams and one that the connector reads first: they drip while the other tests of this file run."""
    server = Upstream(None)
    house = build({
        "bearer": {"connector": "bearer", "upstream": server.origin},
        "codegate": {"connector": "codegate", "upstream": server.origin},
    })
    with house:
        drips = [Drip(house, route) for route in ("bearer", "codegate")]
        yield drips
        for drip in drips:
            drip.stopped = True
        for drip in drips:
            drip.join()
    server.close()


def test_server_sent_events_arrive_one_by_one(house, upstream):
    """Each event is sent only when the client holds the one before it: a daemon that gathers them would stand still."""
    received = [threading.Event() for _ in range(20)]

    def events(exchange):
        exchange.start(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
        for number, got in enumerate(received):
            exchange.chunk(b"data: %d\n\n" % number)
            assert got.wait(DEADLINE), f"event {number} was sent and did not arrive"
        exchange.chunk(b"")

    with upstream.answering(events):
        with requests.get(f"{house.url}/codegate/events", stream=True, timeout=DEADLINE) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            lines = (line for line in response.iter_lines(chunk_size=1) if line)
            for number, got in enumerate(received):
                assert next(lines) == b"data: %d" % number
                got.set()
            assert next(lines, None) is None


def test_server_sent_events_of_an_upstream_that_ends_by_closing(house, upstream):
    """The same without chunked framing; the end is TLS's close_notify."""
    received = [threading.Event() for _ in range(3)]

    def events(exchange):
        exchange.start(200, [("Content-Type", "text/event-stream"), ("Connection", "close")])
        for number, got in enumerate(received):
            exchange.send(b"data: %d\n\n" % number)
            assert got.wait(DEADLINE)
        exchange.connection.close()

    with upstream.answering(events), house.wire() as wire:
        wire.request("GET", "/bearer/events")
        assert wire.head().status == 200
        blocks = wire.chunks()
        for number, got in enumerate(received):
            assert next(blocks) == b"data: %d\n\n" % number
            got.set()
        assert next(blocks, None) is None


def test_an_upload_streams_while_the_answer_does(house, upstream):
    """The upstream answers each block as it comes, and the client sends the next one only then."""

    def mirror(exchange):
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        for block in exchange.pieces():
            exchange.chunk(block)
        exchange._body = b""
        exchange.chunk(b"")

    with upstream.answering(mirror), house.wire() as wire:
        wire.request("POST", "/bearer/mirror", [("Transfer-Encoding", "chunked")])
        wire.send(b"5\r\nfirst\r\n")
        assert wire.head().status == 200
        blocks = wire.chunks()
        assert next(blocks) == b"first"
        for number in range(20):
            block = b"block %d" % number
            wire.send(b"%x\r\n%s\r\n" % (len(block), block))
            assert next(blocks) == block
        wire.send(b"0\r\n\r\n")
        assert next(blocks, None) is None


class Memory:
    """Watches the daemon's resident memory while something runs."""

    def __init__(self, house):
        self.house = house
        self.start = self.highest = house.memory()

    def look(self):
        self.highest = max(self.highest, self.house.memory())

    def assert_flat(self):
        grown = self.highest - self.start
        assert grown < FLAT, f"{BULK // MIB} MiB went through and resident memory grew by {grown // 1024} KiB"


def warm(house):
    """One small exchange, so that what is made once is not counted as growth."""
    assert house.exchange("POST", "/bearer/warm", body=b"x" * MIB).status == 200


def test_a_long_upload_leaves_memory_flat(house, upstream):
    warm(house)
    memory = Memory(house)
    upstream.drop_idle()
    upstream.keep_bytes = False

    def count(exchange):
        total = sum(len(block) for block in exchange.pieces())
        exchange._body = b""
        exchange.answer(200, [], b"%d" % total)

    try:
        with upstream.answering(count), house.wire() as wire:
            wire.request("PUT", "/bearer/big", [("Content-Length", str(BULK))])
            block = os.urandom(MIB)
            for _ in range(BULK // MIB):
                wire.send(block)
                memory.look()
            assert wire.response().body == b"%d" % BULK
    finally:
        upstream.keep_bytes = True
    memory.look()
    memory.assert_flat()


def test_a_long_download_leaves_memory_flat(house, upstream):
    warm(house)
    memory = Memory(house)

    def pour(exchange):
        exchange.start(200, [("Content-Length", str(BULK))])
        block = os.urandom(MIB)
        for _ in range(BULK // MIB):
            exchange.send(block)

    with upstream.answering(pour), house.wire() as wire:
        wire.request("GET", "/bearer/big")
        assert wire.head().value("Content-Length") == str(BULK)
        missing, scratch = BULK - len(wire.buffer), bytearray(MIB)
        looked = missing
        while missing:
            count = wire.sock.recv_into(scratch)
            assert count, f"ended {missing} bytes early"
            missing -= count
            if looked - missing > 4 * MIB:
                memory.look()
                looked = missing
    memory.look()
    memory.assert_flat()


# What fits into the kernel's buffers on the way, generously; what is more than this stands in the daemon's memory.
IN_FLIGHT = 48 * MIB


def test_a_reader_that_stops_holds_the_upstream_back(house, upstream):
    warm(house)
    memory = Memory(house)
    sent, stalled = 0, threading.Event()

    def pour(exchange):
        nonlocal sent
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        block = bytes(64 * 1024)
        # Held back is: for a whole second not one byte more was taken.
        while select.select([], [exchange.connection.sock], [], 1)[1] and sent < 4 * IN_FLIGHT:
            exchange.chunk(block)
            sent += len(block)
        stalled.set()
        exchange.connection.reset()

    with upstream.answering(pour), house.wire() as wire:
        wire.request("GET", "/bearer/endless")
        assert stalled.wait(DEADLINE)
        memory.look()
    assert sent < IN_FLIGHT, f"the upstream could send {sent // MIB} MiB to a client that read nothing"
    memory.assert_flat()


def test_an_upstream_that_stops_reading_holds_the_client_back(house, upstream):
    warm(house)
    memory = Memory(house)
    release = threading.Event()
    upstream.drop_idle()

    def stand_still(exchange):
        release.wait(DEADLINE)
        exchange.connection.reset()

    with upstream.answering(stand_still) as seen, house.wire() as wire:
        wire.request("PUT", "/bearer/endless", [("Content-Length", str(1024 * MIB))])
        seen.next()
        sent, block = 0, bytes(64 * 1024)
        while select.select([], [wire.sock], [], 1)[1] and sent < 4 * IN_FLIGHT:
            sent += wire.sock.send(block)
        memory.look()
        release.set()
    assert sent < IN_FLIGHT, f"the client could send {sent // MIB} MiB to an upstream that read nothing"
    memory.assert_flat()


def test_many_streams_at_once_share_the_daemon(house, upstream):
    """Thirty clients each upload and download a MiB at the same time; each gets its own bytes back."""

    def mirror(exchange):
        exchange.answer(200, [], exchange.body)

    failures = []

    def one(number):
        try:
            body = bytes([number]) * MIB
            response = house.exchange("POST", f"/{'bearer' if number % 2 else 'codegate'}/mirror", body=body)
            assert response.status == 200 and response.body == body
        except Exception as error:
            failures.append(error)

    with upstream.answering(mirror):
        threads = [threading.Thread(target=one, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
    assert not failures, failures[0]


def test_a_body_that_drips_is_cut_though_it_never_pauses(drips):
    """Row 111: 1 KiB a second on average, looked at ten seconds after it began and then every second."""
    for drip in drips:
        drip.join()
        assert drip.answer is not None, f"{drip.route}: a byte now and then kept it open"
        problem(drip.answer, "request_timeout")
