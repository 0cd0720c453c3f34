"""HTTP/1.1 connections: keep-alive, pipelining, Expect, HEAD and answers without a body."""

import os
import socket
import threading
import time

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.waiting import until

# The same must hold where the body streams and where the connector reads it first.
ROUTES = ["bearer", "codegate"]
SMUGGLED = b"GET /bearer/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


# Connections


def test_requests_of_one_client_connection_share_one_upstream_connection(house, upstream, seen):
    upstream.drop_idle()
    with house.wire() as wire:
        for number in range(5):
            assert wire.exchange("GET", f"/bearer/{number}").status == 200
    assert len({exchange.connection.index for exchange in seen.all}) == 1
    assert len(seen.all) == 5


def test_upstream_connections_outlive_the_clients(house, upstream, seen):
    upstream.drop_idle()
    for number in range(20):
        house.exchange("GET", f"/bearer/{number}")
    assert len({exchange.connection.index for exchange in seen.all}) <= os.cpu_count(), "one a loop at most"


def test_connections_that_wait_end_one_after_the_other_whichever_was_used_again(build, upstream):
    """Of several, the last one put back is the one that is used; the others expire all the same."""
    met = threading.Barrier(3)

    def together(exchange):
        if exchange.target == b"/together":
            met.wait(DEADLINE)
        exchange.answer(200, [], b"ok")

    house = build({"bearer": {"connector": "bearer", "upstream": upstream.origin}}, limits={"upstream_idle": "1s"}, loops=1)

    def waiting():
        metrics = house.exchange("GET", "/-/metrics").body.decode()
        return int(metrics.split('chatelaine_upstream_idle_connections{route="bearer"} ')[1].split()[0])

    with house, upstream.answering(together):
        wires = [house.wire() for _ in range(3)]
        for wire in wires:
            wire.request("GET", "/bearer/together")
        assert [wire.response().status for wire in wires] == [200] * 3
        assert waiting() == 3
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            assert house.exchange("GET", "/bearer/alone").status == 200
        assert waiting() <= 1, "those that nobody used are gone"
        until(lambda: waiting() == 0, "the last one to expire")


def test_pipelined_requests_are_answered_in_order(house, seen):
    with house.wire() as wire:
        for number in range(10):
            wire.request("GET", f"/{ROUTES[number % 2]}/{number}")
        answers = [wire.response().json()["target"] for _ in range(10)]
    assert answers == [f"/{number}" for number in range(10)]


def test_row_108_a_pipelined_request_waits_for_the_answer_before_it(house, upstream):
    """The second one does not reach the upstream while the first is unanswered."""
    release = threading.Event()

    def slowly(exchange):
        if exchange.target == b"/first":
            assert release.wait(DEADLINE)
        exchange.answer(200, [], exchange.target)

    with upstream.answering(slowly) as seen, house.wire() as wire:
        wire.request("GET", "/bearer/first")
        wire.request("GET", "/bearer/second")
        seen.next()
        house.exchange("GET", "/-/livez")  # the loop has been round
        assert len(seen.all) == 1
        release.set()
        assert [wire.response().body, wire.response().body] == [b"/first", b"/second"]


def test_pipelined_bodies_do_not_run_into_each_other(house, seen):
    with house.wire() as wire:
        wire.request("POST", "/codegate/a", body=b"one" + SMUGGLED)
        wire.request("POST", "/bearer/b", [("Transfer-Encoding", "chunked")], b"3\r\ntwo\r\n0\r\n\r\n")
        wire.request("POST", "/codegate/c", body=b"three")
        assert [wire.response().status for _ in range(3)] == [200] * 3
    assert [(exchange.target, exchange.body) for exchange in seen.all] == [
        (b"/a", b"one" + SMUGGLED), (b"/b", b"two"), (b"/c", b"three"),
    ]


def test_close_is_honoured(house, seen):
    with house.wire() as wire:
        assert wire.exchange("GET", "/bearer/x", [("Connection", "close")]).status == 200
        assert wire.ended()


def test_row_110_a_client_that_half_closes_gets_its_answer(house, seen):
    """Row 110. Who it is was asked when it was accepted, and only a whole connection has an answer to that (T1.3)."""
    with house.wire() as wire:
        assert wire.exchange("GET", "/-/livez").status == 200
        wire.request("GET", "/bearer/x")
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.response().status == 200
        assert wire.ended()


@pytest.mark.parametrize("route", ROUTES)
def test_row_014_http_1_0_gets_a_plain_answer_and_the_end(house, upstream, route):
    """Row 14: no chunked framing to a client that does not know it, even when the upstream uses it."""

    def chunked(exchange):
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        exchange.chunk(b"one ")
        exchange.chunk(b"two")
        exchange.chunk(b"")

    with upstream.answering(chunked) as seen, house.wire() as wire:
        response = wire.exchange("GET", f"/{route}/x", [("Connection", "keep-alive")], version="1.0")
        assert response.framing in ("close", "length")
        assert response.body == b"one two"
        assert wire.ended()
        assert seen.only().version == b"HTTP/1.1"


def test_http_1_0_needs_a_host_too(house, seen):
    with house.wire() as wire:
        wire.send(b"GET /bearer/x HTTP/1.0\r\n\r\n")
        problem(wire.response(), "malformed_request")
    seen.none()


# Expect, HEAD and answers without a body


@pytest.mark.parametrize("route", ROUTES)
def test_row_105_expect_continue_is_answered_by_the_daemon(house, seen, route):
    with house.wire() as wire:
        wire.request("POST", f"/{route}/x", [("Expect", "100-continue"), ("Content-Length", "5")])
        interim = wire.head()
        assert (interim.status, interim.fields) == (100, [])
        wire.send(b"hello")
        assert wire.response().status == 200
    arrived = seen.only()
    assert arrived.value("Expect") is None
    assert arrived.body == b"hello"


def test_row_105_a_body_that_is_refused_is_not_asked_for(house, seen):
    with house.wire() as wire:
        wire.request("POST", "/nowhere/x", [("Expect", "100-continue"), ("Content-Length", "5")])
        problem(wire.body(wire.head()), "unknown_route")
        assert wire.ended()
    seen.none()


def test_a_body_over_the_limit_is_not_asked_for(house, seen):
    with house.wire() as wire:
        wire.request("POST", "/small/x", [("Expect", "100-continue"), ("Content-Length", "1025")])
        problem(wire.body(wire.head()), "body_too_large", "small")
        assert wire.ended()
    seen.none()


def test_another_expectation_is_refused(house, seen):
    """Row 106."""
    with house.wire() as wire:
        wire.request("POST", "/bearer/x", [("Expect", "100-continue, x"), ("Content-Length", "5")])
        assert wire.response().status == 417
        assert wire.ended()
    seen.none()


@pytest.mark.parametrize("route", ROUTES)
def test_head_has_the_length_and_no_body(house, upstream, route):
    def answer(exchange):
        exchange.start(200, [("Content-Length", "1234")])

    with upstream.answering(answer) as seen, house.wire() as wire:
        response = wire.exchange("HEAD", f"/{route}/x")
        assert (response.status, response.value("Content-Length")) == (200, "1234")
        # Both connections go on: the next exchange is not shifted by a body that never came.
        assert wire.exchange("HEAD", f"/{route}/y").status == 200
    assert [exchange.method for exchange in seen.all] == [b"HEAD", b"HEAD"]
    assert len({exchange.connection.index for exchange in seen.all}) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_ends_with_its_head(house, upstream, status):
    def answer(exchange):
        if exchange.target == b"/last":
            return exchange.answer(200, [], b"last")
        exchange.start(status, [("ETag", '"x"')] + ([("Content-Length", "99")] if status == 304 else []))

    with upstream.answering(answer) as seen, house.wire() as wire:
        response = wire.exchange("GET", "/bearer/x")
        assert (response.status, response.value("ETag")) == (status, '"x"')
        assert not response.values("Transfer-Encoding")
        assert response.value("Content-Length") == ("99" if status == 304 else None)
        assert wire.exchange("GET", "/bearer/last").body == b"last"
    assert len({exchange.connection.index for exchange in seen.all}) == 1


def test_row_121_early_hints_are_passed_on(house, upstream):
    """Row 121: 103 goes to the client, 100 does not."""

    def hinted(exchange):
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        exchange.answer(200, [], b"done")

    with upstream.answering(hinted), house.wire() as wire:
        wire.request("GET", "/bearer/x")
        hint = wire.head()
        assert (hint.status, hint.value("Link")) == (103, "</a>; rel=preload")
        assert wire.response().body == b"done"
