"""Rows 113 to 133 of HTTP.md: every response of Tests/Vectors/http, as it stands there, said by an upstream to a running daemon.

What is not valid is a 502, or where its head was passed on already an answer that is visibly cut; and that connection is
closed and never used again. What is valid arrives, and its connection is used again unless something about it is in doubt.
"""

import http.client

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.stage import Stage
from harness.vectors import read_all
from harness.wire import Truncated

VECTORS = [vector for vector in read_all() if vector.is_response]


@pytest.fixture(scope="module")
def stage(authority, build):
    with Stage(authority, build, "bearer") as stage:
        yield stage


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_response(stage, vector):
    def say(exchange):
        if exchange.target != b"/x":
            return stage.answer(exchange)
        exchange.send(vector.input)
        if vector.ends:
            exchange.connection.close()

    method = "HEAD" if vector.to_head else "GET"
    with stage.answering(say) as seen, stage.wire() as wire:
        first = stage.sentinel()
        wire.request(method, "/x")
        if vector.refusal or vector.row == 122:
            refused(wire, method, vector)
            is_kept = False
        else:
            accepted(wire, method, vector)
            is_kept = not vector.ends and not any(
                line == b"close" or line.startswith(b"surplus") for line in vector.expected)
        seen.next()
        said = seen.next()
        assert said.connection is first
        if not is_kept:
            assert said.connection.closed.wait(DEADLINE)
        assert (stage.sentinel() is said.connection) == is_kept
        assert len(seen.all) == 3, "it was sent again"


def refused(wire, method, vector):
    try:
        response = wire.response(method)
    except (Truncated, ConnectionResetError):
        assert any(line.startswith(b"body ") for line in vector.expected), "the head was not there, so a 502 was possible"
        return
    problem(response, "upstream_truncated" if vector.is_unfinished else "upstream_protocol", "vectors")


def accepted(wire, method, vector):
    interim = [int(line.split(b" ")[1]) for line in vector.expected if line.startswith(b"response 1")]
    passed = []
    while (response := wire.head()).status < 200:
        passed.append(response.status)
        assert not response.values("Content-Length")
    assert passed == [status for status in interim if status != 100], "100 is between the upstream and us"
    wire.body(response, method)
    status = int(vector.input.rpartition(b"HTTP/1.")[2].split()[1]) if interim else int(vector.input.split()[1])
    assert response.status == status
    assert response.head.split(b"\r\n")[0] == b"HTTP/1.1 %d %s" % (status, http.client.responses[status].encode())
    body = [line.removeprefix(b"body ") for line in vector.expected if line.startswith(b"body ")]
    assert response.body == b"".join(body)
    for line in vector.expected:
        if line.startswith(b"field ") and not interim and b"Content-Length" not in line:
            name, _, value = line.removeprefix(b"field ").partition(b": ")
            assert (name, value) in response.fields
    if status == 204:
        assert not response.values("Content-Length") and not response.values("Transfer-Encoding")
    if status == 205:
        assert response.values("Content-Length") == ["0"]
    # Both ends of the client's connection agree where the answer ended.
    assert wire.exchange("GET", "/-/livez").status == 200
