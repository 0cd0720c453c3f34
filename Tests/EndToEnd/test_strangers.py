"""What holds before a caller is known, shown with one that never is: another user's process (HTTP.md, I2 and I7)."""

import contextlib
import select

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.stranger import as_root, stranger
from harness.waiting import until
from harness.wire import Wire
import test_limits
from test_limits import drip, taken

pytestmark = as_root
KIB = 1024
MOST = 64 * KIB


@pytest.fixture(scope="module")
def strict(build, upstream):
    """What it is told to read of a head is more than it may read of a stranger's."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, loops=1, limits={
        "head": "1MiB", "fields": 300, "head_time": "1s", "client_idle": "10m", "connections_per_caller": 300})
    house.settings["listen"].append({"unix": str(house.socket), "mode": "0666"})
    house.write()
    with house:
        yield house


@pytest.fixture(params=["tcp", "unix"])
def place(request, strict):
    return strict.address if request.param == "tcp" else strict.socket


def strange(place):
    with stranger():
        return Wire(place)


def head(count):
    """A valid head of so many bytes."""
    return test_limits.head(count, b"GET /shared/x HTTP/1.1\r\nHost: localhost\r\n", 8000)


REFUSED = {
    "uri_too_long": b"GET /" + b"t" * 16384,
    "head_too_large": b"GET /shared/x HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 100,
    "malformed_request": b"GET /shared/x HTTP/1.1\r\nHost : localhost\r\n",
    "not_implemented": b"M" * 33,
    "version_not_supported": b"GET / HTTP/2.0\r\n",
}


@pytest.mark.parametrize("code", REFUSED)
def test_the_grammar_and_its_limits_come_before_who_asks(strict, upstream, place, code):
    with upstream.answering() as seen, strange(place) as wire:
        wire.send(REFUSED[code])
        problem(wire.response(), code, None)
        assert wire.ended()
        seen.none()


def test_a_stranger_is_told_that_he_is_one(strict, upstream, place):
    """Row 24, too: the control of the refusals here. Nothing is said of routes, and nothing goes upstream."""
    with upstream.answering() as seen:
        for method, target in ("GET", "/shared/x"), ("GET", "/nowhere/x"), ("OPTIONS", "*"), ("TRACE", "/shared/x"):
            with strange(place) as wire:
                problem(wire.exchange(method, target), "caller_unknown", None)
        seen.none()


def test_i7_a_strangers_head_is_read_no_further_than_64_kib(strict, upstream):
    """The daemon's own user may send as much as is configured; with the room of a read, a stranger 64 KiB."""
    with upstream.answering() as seen:
        most = 48 * KIB
        with strange(strict.socket) as wire:
            wire.send(head(most))
            problem(wire.response(), "caller_unknown")
        with strange(strict.socket) as wire:
            wire.send(head(most + 1)[:most])
            problem(wire.response(), "head_too_large")
            assert wire.ended()
        seen.none()
        with Wire(strict.socket) as wire:
            wire.send(head(1024 * KIB))
            assert wire.response().status == 200
        with Wire(strict.socket) as wire:
            wire.send(head(1024 * KIB + 1))
            problem(wire.response(), "head_too_large")
        seen.only()


def test_i7_strangers_cost_at_most_64_kib_each(build, upstream):
    """Each sends as much as is taken without an answer, and stays."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, loops=1, limits={"head": "1MiB"})
    house.settings["listen"].append({"unix": str(house.socket), "mode": "0666"})
    house.write()
    with house, contextlib.ExitStack() as held:
        with upstream.answering():
            assert house.exchange("GET", "/shared/x").status == 200
        before, count = house.memory(), 250
        part = head(48 * KIB)[:48 * KIB - 1]
        wires = [held.enter_context(strange(house.socket)) for _ in range(count)]
        for wire in wires:
            wire.send(part)
            taken(wire)
        grown = house.memory() - before
        assert not select.select(wires, [], [], 0)[0], "one was answered, and holds nothing"
        assert count * len(part) / 2 < grown, "nothing was held, so nothing is shown"
        assert grown < count * (MOST + 2 * KIB), f"{grown // count} bytes each"


def test_row_105_a_strangers_body_is_neither_asked_for_nor_read(strict, upstream, place):
    """401 without a 100, and what he sends all the same is dropped, at most 64 KiB of it."""
    with upstream.answering() as seen, strange(place) as wire:
        wire.request("POST", "/shared/x", [("Expect", "100-continue"), ("Content-Length", str(1 << 40))])
        response = wire.head()
        assert response.status == 401
        problem(wire.body(response), "caller_unknown")
        assert wire.ended()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1024):
                wire.send(bytes(64 * KIB))
        seen.none()


def test_row_111_a_strangers_head_has_the_same_deadline(strict, place):
    with strange(place) as wire:
        wire.send(b"GET /shared/x HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert drip(wire) >= 0.9
        problem(wire.response(), "request_timeout")
        assert wire.ended()


def test_a_stranger_who_takes_all_his_connections_takes_nobody_elses(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, loops=1, limits={"connections_per_caller": 4})
    house.settings["listen"].append({"unix": str(house.socket), "mode": "0666"})
    house.write()
    with house, contextlib.ExitStack() as held, upstream.answering():
        for place in house.address, house.socket, house.address, house.socket:
            wire = held.enter_context(strange(place))
            assert wire.exchange("GET", "/-/livez").status == 200
        for place in house.address, house.socket:
            with strange(place) as wire:
                problem(wire.response(), "overloaded")
                assert wire.ended()
            with Wire(place) as wire:
                assert wire.exchange("GET", "/shared/x").status == 200
        held.close()

        def has_room():
            with contextlib.suppress(AssertionError, OSError), strange(house.socket) as wire:
                return wire.exchange("GET", "/-/livez").status == 200

        until(has_room, "a place to be free again", DEADLINE)
