"""Rows 1 to 108 and 112 of HTTP.md: every request of Tests/Vectors/http, as it stands there, sent to a running daemon.

What is refused gets its status, the end of the connection, and not a byte of it goes upstream; what is accepted arrives once
and as it was sent. `streamed` is a connector that lets bodies through, and is refused over TCP; `gathered` is one that reads
them first, and the shorter vectors go to it one byte at a time.
"""

import contextlib
import socket

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.stage import Stage
from harness.vectors import messages, read_all
from harness.wire import Response

VECTORS = [vector for vector in read_all() if not vector.is_response]
HOSTS = ["a", "h", "a.example.com", "api.example.com", "xn--bcher-kva.example", "a-b.c_d"]
CODES = {400: "malformed_request", 405: "method_not_supported", 413: "body_too_large", 414: "uri_too_long",
         417: "expectation_failed", 421: "misdirected", 431: "head_too_large", 501: "not_implemented",
         505: "version_not_supported"}
# Read without a fault, and then refused by the rules for what may be asked; whether the connection ends with it.
DECIDED = {17: (405, False), 18: (405, False), 20: (405, False), 21: (405, False), 22: (405, True), 41: (400, True),
           46: (421, False)}
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
# What ends here (rows 101 and 103), or is written anew.
STAYS = {b"host", b"connection", b"content-length", b"transfer-encoding", b"expect", b"upgrade", b"te", b"trailer", b"keep-alive",
         b"http2-settings", b"authorization"}
ADDED = {b"host", b"content-length", b"transfer-encoding", b"authorization", b"x-api-key", b"x-timestamp", b"x-signature"}


@pytest.fixture(scope="module", params=["bearer", "codegate"], ids=["streamed", "gathered"])
def stage(request, authority, build):
    with Stage(authority, build, request.param, HOSTS) as stage:
        yield stage


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_request(stage, vector):
    with stage.answering() as seen:
        before = stage.sentinel()
        # Only a Unix socket goes by every name that is accepted, and only there a client that ends at once is known (T1.3).
        over_tcp = not stage.gathers and vector.refusal is not None and not vector.is_unfinished
        with stage.wire(over_tcp) as wire:
            if vector.is_silent:
                send(stage, wire, vector.input)
                assert wire.ended(), "a client that does not speak HTTP gets no answer"
            elif vector.is_unfinished:
                unfinished(stage, wire, vector)
            elif vector.refusal:
                refused(stage, wire, vector, seen)
            elif vector.row in DECIDED and not is_ours(vector):
                decided(stage, wire, vector)
            elif vector.row == 24:
                send(stage, wire, vector.input)
                response = wire.response()
                assert (response.status, response.body) == (204, b"")
                assert "GET" in response.value("Allow")
            else:
                return accepted(stage, wire, seen, vector)
        if not stage.gathers and (vector.breaks_in_body or vector.is_unfinished):
            # The head was upstream before the body broke: what arrived must not look whole.
            stage.is_cut(before)
        elif not served_before(vector):
            stage.is_untouched(before, seen)


def send(stage, wire, data, behind=b""):
    """A refusal may come, and the connection end, before all of it is sent."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        if stage.gathers and len(data) < 2000:
            for index in range(len(data)):
                wire.send(data[index:index + 1])
            wire.send(behind)
        else:
            wire.send(data + behind)


def served_before(vector):
    """The requests that stand before the one that is refused."""
    return messages(vector.input, vector.expected.count(b"end"))


def refused(stage, wire, vector, seen):
    send(stage, wire, vector.input, SMUGGLED if vector.breaks_in_body or vector.input.endswith(b"\r\n\r\n") else b"")
    before = served_before(vector)
    for _ in before:
        assert wire.response().status == 200
    response = wire.response()
    is_refused(wire, response, vector.refusal, vector)
    assert [exchange.target for exchange in stage.whole] == [message.target for message in before]


def is_refused(wire, response, status, vector, closes=True):
    problem(response, CODES[status])
    if closes:
        assert response.values("Connection") == ["close"]
        assert wire.ended(), "the connection goes on though nobody knows where the next request starts"
    for line in vector.input.split(b"\r\n"):
        if len(line) > 12 and not line.startswith(b"Content-Length:"):  # which ours has, too
            assert line not in response.head + response.body, "an answer to an error repeats nothing of the input (I6)"


def is_ours(vector):
    """Row 46: a host that is one, and is a route's."""
    return vector.row == 46 and b"2001:" not in vector.input


def decided(stage, wire, vector):
    status, closes = DECIDED[vector.row]
    send(stage, wire, vector.input, SMUGGLED if closes else b"")
    response = wire.response()
    is_refused(wire, response, status, vector, closes)
    if status == 405:
        assert "GET" in response.value("Allow")


def unfinished(stage, wire, vector):
    """Rows 72, 73, 76, 89 and 95: the client ends within its body."""
    send(stage, wire, vector.input)
    if stage.gathers and vector.row in (72, 73):
        return is_refused(wire, wire.response(), 413, vector)
    wire.sock.shutdown(socket.SHUT_WR)
    assert wire.ended(), "nobody is there to answer"


def accepted(stage, wire, seen, vector):
    expected = messages(vector.input)
    send(stage, wire, vector.input)
    for message in expected:
        response = _final(wire, message)
        assert response.status == 200
    closes = expected[-1].version == b"HTTP/1.0" or b"close" in expected[-1].nominated
    assert (response.values("Connection") == ["close"]) == closes
    if closes:
        assert wire.ended()
    assert len(stage.whole) == len(expected), "each arrives once"
    for message, arrived in zip(expected, stage.whole):
        same(stage, message, arrived)
    assert seen.all[1:] == stage.whole
    # Nothing is left over upstream: the next request stands right behind it.
    last = stage.whole[-1].connection
    stage.whole.clear()
    assert stage.sentinel() is last


def _final(wire, message):
    response = wire.head()
    if response.status == 100:
        assert message.values(b"expect") and message.version == b"HTTP/1.1"
        response = wire.head()
    return wire.body(response, message.method.decode())


def same(stage, message, arrived):
    assert (arrived.method, arrived.target, arrived.version) == (message.method, message.target, b"HTTP/1.1")
    stays = STAYS | message.nominated
    sent = [(name, value) for name, value in message.fields
            if name.lower() not in stays and not name.lower().startswith((b"proxy-", b"x-chatelaine-"))]
    assert [(name, value) for name, value in arrived.fields if name.lower() not in ADDED] == sent
    assert arrived.body == message.body
    assert arrived.value("Host") == stage.upstream.authority
    if message.is_chunked:
        assert arrived.framing == ("length" if stage.gathers else "chunked")
        assert b";" not in bytes(arrived.raw_body).partition(b"\r\n")[0]
    elif message.values(b"content-length") or message.method == b"POST":
        assert arrived.value("Content-Length") == str(len(message.body))
    else:
        assert arrived.framing == "none"
