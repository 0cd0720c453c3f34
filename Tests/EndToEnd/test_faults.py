"""An upstream over TLS that closes, resets, stalls or lies at every byte, of its answer and of the records around it.

The same over plain TCP, byte by byte, is in Tests/DaemonTests/Exchange.
"""

import contextlib
import re
import threading

import pytest

from harness import DEADLINE
from harness.records import RecordServer
from harness.upstream import Upstream
from harness.waiting import until
from harness.wire import Truncated

HEAD = b"HTTP/1.1 200 OK\r\n"
SHAPES = {
    "length": HEAD + b"Content-Length: 5\r\n\r\nhello",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: y\r\n\r\n",
    "no length": HEAD + b"X: y\r\n\r\nhello",
    "no body": b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n",
    "interim in front": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello",
}
# What a client may be told of an answer that is not all there.
REFUSED = {"502 upstream_truncated", "502 upstream_protocol", "502 upstream_tls"}
BROKEN = {"broken"}


@pytest.fixture(scope="module")
def unsafe(authority):
    """The upstream, for one after another to use."""
    server = Upstream(authority.server_context(), backlog=1024)
    yield server
    server.close()


@pytest.fixture(scope="module")
def records(authority):
    server = RecordServer(authority.server_context())
    yield server
    server.close()


@pytest.fixture(scope="module")
def daemon(build, unsafe, records):
    def to(origin, **more):
        return {"connector": "bearer", "upstream": origin, "secrets": {"token": "shared/token"}, **more}

    hasty = {"first_byte": "1500ms", "idle": "1500ms"}
    with build({
        "patient": to(unsafe.origin), "hasty": to(unsafe.origin, timeouts=hasty),
        "records": to(records.origin), "hasty-records": to(records.origin, timeouts=hasty),
    }) as house:
        yield house


def ask(daemon, route, count, versions=("1.1",)):
    """What each of so many clients of each version, that ask at the same time, is told: (version, number, answer)."""
    with contextlib.ExitStack() as stack:
        wires = [(version, number, stack.enter_context(daemon.wire())) for version in versions for number in range(count)]
        for version, number, wire in wires:
            wire.request("GET", f"/{route}/{number}", version=version)
        return [(version, number, told(wire)) for version, number, wire in wires]


def told(wire):
    try:
        response = wire.response()
    except (Truncated, ConnectionResetError):
        return "broken"
    if response.value("Content-Type") == "application/problem+json":
        return f"{response.status} {response.json()['code']}"
    return f"whole {response.status} {response.body.decode()}"


def idle(daemon):
    return sum(map(int, re.findall(rb"chatelaine_upstream_idle_connections{[^}]*} (\d+)", daemon.exchange("GET", "/-/metrics").body)))


def whole(shape):
    return "whole 204 " if shape == "no body" else "whole 200 hello"


def promised(shape, fault, count):
    """What may be told of the first `count` bytes of a response and what happens then."""
    response = SHAPES[shape]
    head = response.rindex(b"\r\n\r\n", 0, len(response) - (shape == "chunks") * 10) + 4
    if shape == "no length" and count >= head:
        return {"whole 200 " + response[head:count].decode()} if fault == "end" else BROKEN | (REFUSED if fault == "reset" else set())
    if count == len(response):
        # A reset may overtake the bytes before it; then that must show.
        return {whole(shape)} | (BROKEN | REFUSED if fault == "reset" else set())
    if fault == "stall":
        return BROKEN if count >= head else {"504 upstream_timeout"}
    if count >= head:
        return BROKEN | (REFUSED if fault == "reset" else set())
    return REFUSED


@pytest.mark.parametrize("fault", ["end", "cut", "reset", "stall"])
@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_over_tls_that_stops_at_any_byte_is_whole_or_visibly_broken(daemon, unsafe, shape, fault):
    """Rows 126 to 128 and 131: `end` has a close_notify, `cut` has none."""
    response = SHAPES[shape]

    def stop(exchange):
        exchange.send(response[: int(exchange.target[1:])])
        connection = exchange.connection
        if fault == "stall":
            with contextlib.suppress(OSError):
                while connection.more():
                    pass
            connection.close()
        elif fault == "reset":
            connection.reset()
        else:
            connection.close(politely=fault == "end")

    with unsafe.answering(stop) as seen:
        answers = ask(daemon, "hasty" if fault == "stall" else "patient", len(response) + 1, ["1.1", "1.0"])
        assert not [answer for answer in answers if answer[2] not in promised(shape, fault, answer[1])]
        arrived = sorted(int(exchange.target[1:]) for exchange in seen.all)
        assert arrived == sorted([*range(len(response) + 1)] * 2), "asked once each"
        # Only a connection whose answer was whole and that still stands may be kept.
        kept = 2 if fault == "stall" and shape != "no length" else 0
        until(lambda: idle(daemon) == kept, "broken connections to be let go")
        standing = {exchange.target for exchange in seen.all if not exchange.connection.closed.is_set()}
        assert standing <= {b"/%d" % len(response)}
        unsafe.drop_idle()
        until(lambda: idle(daemon) == 0, "the pool to be empty")


# Below the bytes of HTTP: the records that they are in


def pieces(response):
    """Records for a response: the end of the head is in one with the beginning of the body."""
    return response[:20], response[20:-3], response[-3:]


@pytest.mark.parametrize("fault", ["cut", "reset", "stall", "lie"])
@pytest.mark.parametrize("shape", ["length", "chunks", "no length"])
def test_records_that_stop_or_lie_at_any_byte_are_visibly_broken(daemon, records, shape, fault):
    """The response's records have a close_notify behind them, which matters where nothing else says where the body ends."""
    response = SHAPES[shape]
    # Three records with 22 bytes around each, and one of 24 (TLS 1.3, AES-GCM).
    answered, ended = len(response) + 3 * 22, len(response) + 3 * 22 + 24
    let_go, release = threading.Event(), threading.Event()

    def script(session):
        wire = session.records(*pieces(response)) + session.close_notify()
        assert len(wire) == ended
        at = int(session.target[1:])
        if at < ended:
            wire = wire[:at] + bytes([wire[at] ^ 0x10]) + wire[at + 1:] if fault == "lie" else wire[:at]
        session.sock.sendall(wire)
        if fault == "reset":
            session.reset()
        elif fault == "stall" and at == ended:
            session.ended()
            let_go.set()
        elif fault == "stall":
            assert release.wait(3 * DEADLINE)

    records.script = script
    answers = ask(daemon, "hasty-records" if fault == "stall" else "records", ended + 1)
    first_whole = ended if shape == "no length" else answered
    broken = BROKEN | REFUSED | ({"504 upstream_timeout"} if fault == "stall" else set())
    for _, at, answer in answers:
        assert answer in broken if at < first_whole else answer == "whole 200 hello" or fault == "reset" and answer in broken, at
    if fault == "stall":
        assert let_go.wait(DEADLINE), "an end that came with the answer is noticed"
        # The others behind a whole answer stand: nothing, or a part of a close_notify, has been said on them.
        assert idle(daemon) == ended - first_whole
    release.set()
    until(lambda: idle(daemon) == 0, "the pool to be empty")
    assert not records.failures

