"""The limits of HTTP.md: each is configurable, lets through what is within it and refuses what is over.

The defaults are in the vectors (rows 15, 16, 17, 62, 91, 93 and 98); here everything is smaller, so that it is the configured
number that bites. test_strangers.py shows those that hold before the caller is known.
"""

import fcntl
import select
import struct
import termios
import time

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.stage import Stage
from harness.waiting import until

SIZES = {"head": "2KiB", "fields": 12, "field": "300B", "target": "200B", "chunk_extension": "16B", "chunk_extensions": "40B",
         "trailer_fields": 3, "trailers": "60B", "buffered": "64KiB"}
TIME = 0.3
TIMES = {"head_time": "300ms", "body_grace": "300ms", "body_rate": "100B", "client_idle": "300ms", "upstream_idle": "300ms"}


@pytest.fixture(scope="module", params=["bearer", "codegate"], ids=["streamed", "gathered"])
def sizes(request, authority, build):
    with Stage(authority, build, request.param, limits=SIZES) as stage:
        yield stage


@pytest.fixture(scope="module", params=["bearer", "codegate"], ids=["streamed", "gathered"])
def times(request, authority, build):
    with Stage(authority, build, request.param, limits=TIMES) as stage:
        yield stage


# Sizes

LINE = b"GET /x HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


def head(count, start=LINE, longest=200):
    """A head of so many bytes, in lines that are short enough."""
    lines, left = start, count - len(start) - 2
    while left:
        line = min(left, longest) if left - min(left, longest) not in range(1, 6) else longest // 2
        lines += b"A: " + b"a" * (line - 5) + b"\r\n"
        left -= line
    assert len(lines) + 2 == count
    return lines + b"\r\n"


def fields(count):
    return LINE + b"A: b\r\n" * (count - 1) + b"\r\n"


def field(count):
    return LINE + b"A: " + b"a" * (count - 3) + b"\r\n\r\n"


def target(count):
    return b"GET /" + b"t" * (count - 1) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


def chunk_extension(count):
    return CHUNKED + b"1;" + b"e" * (count - 1) + b"\r\nx\r\n0\r\n\r\n"


def chunk_extensions(count):
    ends = b"".join(b"1;" + b"e" * (part - 1) + b"\r\nx\r\n" for part in (10, 10, 10, count - 30))
    return CHUNKED + ends + b"0\r\n\r\n"


def trailer_fields(count):
    return CHUNKED + b"0\r\n" + b"A: b\r\n" * count + b"\r\n"


def trailers(count):
    return CHUNKED + b"0\r\nA: " + b"a" * (count - 7) + b"\r\n\r\n"


CASES = [(head, 2048, "head_too_large"), (fields, 12, "head_too_large"), (field, 300, "head_too_large"),
         (target, 200, "uri_too_long"), (chunk_extension, 16, "malformed_request"), (chunk_extensions, 40, "malformed_request"),
         (trailer_fields, 3, "malformed_request"), (trailers, 60, "malformed_request")]


@pytest.mark.parametrize("make, limit, code", CASES, ids=[make.__name__ for make, _, _ in CASES])
def test_a_size_is_what_is_configured(sizes, make, limit, code):
    with sizes.answering() as seen:
        with sizes.wire() as wire:
            wire.send(make(limit))
            assert wire.response().status == 200
        kept = seen.only().connection
        assert len(sizes.whole) == 1
        # From here on only what should not have come is there.
        seen.all.clear()
        sizes.whole.clear()
        with sizes.wire() as wire:
            wire.send(make(limit + 1))
            problem(wire.response(), code)
            assert wire.ended()
        if code == "malformed_request" and not sizes.gathers:
            sizes.is_cut(kept)  # the head was upstream before the body broke
        else:
            sizes.is_untouched(kept, seen)


@pytest.mark.parametrize("make, limit, code", CASES[:4], ids=[make.__name__ for make, _, _ in CASES[:4]])
def test_a_head_is_counted_while_it_is_read(sizes, make, limit, code):
    """No end has come, and none has to: the byte that is too many is answered."""
    over = make(limit + 1)
    cut = {"head": limit, "fields": len(over) - 7, "field": len(LINE) + limit + 1, "target": len(b"GET ") + limit + 1}
    with sizes.wire() as wire:
        wire.send(over[:cut[make.__name__] - 1])
        assert not select.select([wire.sock], [], [], 0)[0]
        wire.send(over[cut[make.__name__] - 1:cut[make.__name__]])
        problem(wire.response(), code)
        assert wire.ended()


def test_an_upstream_connection_carries_so_many_requests(authority, build):
    stage = Stage(authority, build, "bearer", limits={"upstream_requests": 3})
    with stage, stage.answering() as seen, stage.wire() as wire:
        for number in range(7):
            assert wire.exchange("GET", f"/{number}").status == 200
        first = seen.all[0].connection.index
        assert [exchange.connection.index - first for exchange in seen.all] == [0, 0, 0, 1, 1, 1, 2]
        assert seen.all[2].connection.closed.wait(DEADLINE)


def taken(wire):
    """Waits until the daemon has read everything that was sent on a Unix socket."""
    def is_taken():
        return struct.unpack("i", fcntl.ioctl(wire.sock, termios.TIOCOUTQ, bytes(4)))[0] == 0
    until(is_taken, "the daemon to read what was sent")


@pytest.mark.parametrize("sizes", ["codegate"], indirect=True)
def test_bodies_in_memory_are_limited_all_together(sizes):
    """256 MiB by default; past it 503, as another request may find room again."""
    full = 64 * 1024
    with sizes.answering() as seen, sizes.wire() as first, sizes.wire() as second:
        first.request("POST", "/first", [("Content-Length", str(full))], bytes(full - 10))
        taken(first)
        second.request("POST", "/second", body=bytes(11))
        problem(second.response(), "overloaded", "vectors")
        assert not seen.all
        first.send(bytes(10))
        assert first.response().status == 200
        with sizes.wire() as third:
            assert third.exchange("POST", "/third", body=bytes(full)).status == 200
        assert [len(exchange.body) for exchange in sizes.whole] == [full, full]


def test_a_body_that_is_gathered_has_a_limit_by_default(house, seen):
    """8 MiB: as one that waits for leave to send it is told at once."""
    for length, status in (8 << 20, 100), ((8 << 20) + 1, 413):
        with house.wire() as wire:
            wire.request("POST", "/codegate/x", [("Expect", "100-continue"), ("Content-Length", str(length))])
            assert wire.head().status == status
    seen.none()


def test_a_limit_that_is_reloaded_holds_on_connections_that_stand(authority, build):
    with Stage(authority, build, "bearer") as stage, stage.answering(), stage.wire() as wire, stage.wire() as kept:
        for connection in wire, kept:
            assert connection.exchange("GET", "/" + "t" * 300).status == 200
        stage.house.settings["limits"] = {"target": "200B"}
        stage.house.write()
        stage.house.run_well("reload")
        assert kept.exchange("GET", "/" + "t" * 199).status == 200
        problem(wire.exchange("GET", "/" + "t" * 200), "uri_too_long")
        assert wire.ended()


# Times


def drip(wire, data=b"x"):
    """Sends `data` every few milliseconds until there is an answer: seconds that took."""
    began = time.monotonic()
    while not select.select([wire.sock], [], [], TIME / 10)[0]:
        assert time.monotonic() - began < DEADLINE, "it is never answered"
        wire.send(data)
    return time.monotonic() - began


def test_row_111_a_head_has_a_deadline_that_no_drip_moves(times):
    with times.answering() as seen, times.wire() as wire:
        wire.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert drip(wire) >= TIME * 0.9
        problem(wire.response(), "request_timeout")
        assert wire.ended()
        seen.none()


def test_row_111_a_second_head_has_its_own_deadline(times):
    with times.answering() as seen, times.wire() as wire:
        assert wire.exchange("GET", "/first").status == 200
        wire.send(b"G")
        assert drip(wire, b"E") >= TIME * 0.9
        problem(wire.response(), "request_timeout")
        assert wire.ended()
        seen.only()


def test_row_111_a_body_needs_its_pace_once_the_grace_is_over(times):
    with times.answering(), times.wire() as wire:
        wire.request("POST", "/x", [("Content-Length", "100000")])
        assert drip(wire) >= TIME * 0.9
        problem(wire.response(), "request_timeout", "vectors")
        assert wire.ended()
        assert times.whole == []


def test_row_111_a_body_that_keeps_its_pace_arrives(times):
    """Slow, and all the time faster than it has to be."""
    with times.answering(), times.wire() as wire:
        wire.request("POST", "/x", [("Content-Length", "2000")])
        began = time.monotonic()
        for _ in range(20):
            assert not select.select([wire.sock], [], [], TIME / 6)[0]
            wire.send(bytes(100))
        assert wire.response().status == 200
        assert time.monotonic() - began > 2 * TIME
        assert len(times.whole) == 1 and len(times.whole[0].body) == 2000


@pytest.mark.parametrize("exchanges", [0, 1])
def test_row_111_an_idle_client_is_closed_without_a_word(times, exchanges):
    with times.answering(), times.wire() as wire:
        for _ in range(exchanges):
            assert wire.exchange("GET", "/x").status == 200
        began = time.monotonic()
        assert wire.ended()
        assert time.monotonic() - began >= TIME * 0.9


def test_an_idle_upstream_connection_is_closed(times):
    with times.answering() as seen, times.wire() as wire:
        assert wire.exchange("GET", "/x").status == 200
        began = time.monotonic()
        assert seen.only().connection.closed.wait(DEADLINE)
        assert time.monotonic() - began >= TIME * 0.5
