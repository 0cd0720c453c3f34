"""Rows of HTTP.md that one message alone does not show: over several messages, over time, or as a route says.

Their names carry the row; others are beside what they are about (test_connections.py, test_responses.py, test_failures.py, …),
and test_rows_listed.py sees that none is missing.
"""

import contextlib
import json
import select
import socket

import pytest

from harness import DEADLINE
from harness.codegate import assert_signed
from harness.problems import problem
from harness.stage import Stage, held
from harness.wire import Truncated
from secrets_used import API_KEY, SECRETS

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
KIB = 1024


@pytest.fixture(scope="module", params=["bearer", "codegate"], ids=["streamed", "gathered"])
def stage(request, authority, build):
    with Stage(authority, build, request.param, route={"limits": {"body": "4KiB"}, "empty_segments": True}) as stage:
        yield stage


@pytest.fixture(scope="module")
def hasty(authority, build):
    with Stage(authority, build, "bearer", route={"timeouts": {"first_byte": "300ms"}}) as stage:
        yield stage


gathered = pytest.mark.parametrize("stage", ["codegate"], indirect=True)
streamed = pytest.mark.parametrize("stage", ["bearer"], indirect=True)


# What is asked for


@pytest.mark.parametrize("target", ["/a//b", "/a//", "/a///b?c=//"])
def test_row_041_a_route_may_let_empty_segments_through(stage, target):
    with stage.answering() as seen, stage.wire() as wire:
        assert wire.exchange("GET", target).status == 200
        assert seen.only().target == target.encode()


@gathered
@pytest.mark.parametrize("target", [
    "/p?b=2&a=1&a=0&c=x+y%20z&&d&=e&%41=%61", "/p?a=%00%0d%0a%7f", "/p?", "/a%2Fb?c=%2f", "/%2541?%2541=%25"])
def test_row_042_the_signature_is_over_the_bytes_that_are_sent(stage, target):
    """Rows 36, 38 and 39, too: the vendor's own arithmetic agrees on what arrived, which is what was sent."""
    with stage.answering() as seen, stage.wire() as wire:
        assert wire.exchange("POST", target, body=b"{}").status == 200
        arrived = seen.only()
    assert arrived.target == target.encode()
    assert_signed(arrived, API_KEY, SECRETS["codegate/secret"])


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.2", "[::2]", "vectors.localhost.evil", "a:80"])
def test_row_047_a_host_that_is_no_route_s_is_421(stage, host):
    with stage.answering() as seen, stage.wire() as wire:
        before = stage.sentinel()
        problem(wire.exchange("GET", "/x", host=host), "misdirected", None)
        stage.is_untouched(before, seen)


def test_row_021_trace_with_a_body_is_refused_before_the_body(stage):
    with stage.answering() as seen, stage.wire() as wire:
        before = stage.sentinel()
        wire.request("TRACE", "/x", body=SMUGGLED)
        response = wire.response()
        problem(response, "method_not_supported")
        assert "GET" in response.value("Allow")
        assert wire.ended(), "a body that was not read cannot be told from a next request"
        stage.is_untouched(before, seen)


def test_row_014_http_1_0_gets_no_interim_response(stage):
    """And from an upstream without a length the end of the connection, whatever it asked for."""
    def hinted(exchange):
        exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        for part in b"one", b"two", b"":
            exchange.chunk(part)

    with stage.answering(hinted), stage.wire() as wire:
        wire.request("GET", "/x", [("Connection", "keep-alive")], version="1.0")
        response = wire.head()
        assert (response.version, response.status, response.values("Transfer-Encoding")) == (b"HTTP/1.1", 200, [])
        assert response.values("Connection") == ["close"]
        assert wire.body(response).body == b"onetwo"
        assert wire.ended()


# Bodies


@pytest.mark.parametrize("fields, body", [
    ([], bytes(4 * KIB + 1)),
    ([("Transfer-Encoding", "chunked")], b"1001\r\n" + bytes(4 * KIB + 1) + b"\r\n0\r\n\r\n"),
    ([("Transfer-Encoding", "chunked")], b"800\r\n" + bytes(2 * KIB) + b"\r\n801\r\n" + bytes(2 * KIB + 1) + b"\r\n0\r\n\r\n"),
], ids=["row_073", "row_097", "row_097 in two"])
def test_row_073_and_097_a_body_over_the_limit(stage, fields, body):
    with stage.answering() as seen, stage.wire() as wire:
        before = stage.sentinel()
        wire.request("POST", "/x", fields, body)
        wire.send(SMUGGLED)
        problem(wire.response(), "body_too_large", "vectors")
        assert wire.ended()
        if stage.gathers or not fields:
            stage.is_untouched(before, seen)
        else:
            stage.is_cut(before)


@streamed
def test_row_097_a_stream_that_passes_the_limit_is_cut_upstream(stage):
    """Some of it has arrived by then: not as a whole body, and the connection ends."""
    with stage.answering() as seen, stage.wire() as wire:
        wire.request("POST", "/x", [("Transfer-Encoding", "chunked")], b"1000\r\n" + bytes(4 * KIB) + b"\r\n")
        arrived = seen.next()
        wire.send(b"1\r\nx\r\n0\r\n\r\n")
        problem(wire.response(), "body_too_large", "vectors")
        assert wire.ended()
        assert arrived.connection.closed.wait(DEADLINE)
        assert stage.whole == []


@pytest.mark.parametrize("fields, part", [
    ([("Content-Length", "10")], b"12345"), ([("Transfer-Encoding", "chunked")], b"5\r\n12345\r\n"),
    ([("Transfer-Encoding", "chunked")], b"5\r\n12345\r\n0\r\n"),
], ids=["row_076", "row_095", "row_095 all but its last line"])
def test_row_076_and_095_a_client_that_resets_within_its_body(stage, fields, part):
    with stage.answering() as seen, stage.wire() as wire:
        wire.request("POST", "/x", fields, part)
        if not stage.gathers:
            arrived = seen.next()
        wire.sock.close()
        if not stage.gathers:
            assert arrived.connection.closed.wait(DEADLINE)
        stage.sentinel()
        assert stage.whole == []


# Several on one connection


def test_row_108_what_is_behind_a_request_waits_for_its_answer(stage):
    """In order, one at a time; and no more than 64 KiB are read ahead, whatever comes."""
    release, wait = held()

    def slowly(exchange):
        if exchange.target == b"/first":
            assert wait()
        stage.answer(exchange)

    request = b"POST /next HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + bytes(1000)
    with stage.answering(slowly) as seen, stage.wire() as wire:
        wire.request("GET", "/first")
        seen.next()
        # What the daemon does not read stays in the sender's buffer.
        room = wire.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        sent = 0
        wire.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while sent < 4 * (room + 64 * KIB):
                sent += wire.sock.send((request * 20)[sent % len(request):])
        wire.sock.settimeout(DEADLINE)
        stage.house.run_well("status")  # the loop has been round
        assert sent <= room + 64 * KIB
        assert [exchange.target for exchange in seen.all] == [b"/first"]
        release.set()
        whole = sent // len(request)
        for _ in range(1 + whole):
            assert wire.response().status == 200
        assert [exchange.target for exchange in stage.whole] == [b"/first"] + [b"/next"] * whole


def test_row_108_after_an_error_nothing_is_parsed(stage):
    with stage.answering() as seen, stage.wire() as wire:
        wire.send(b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /2 HTTP/1.1\r\nHost : localhost\r\n\r\n" + SMUGGLED)
        assert wire.response().status == 200
        problem(wire.response(), "malformed_request")
        wire_is_over(wire)
        stage.sentinel()
        assert [exchange.target for exchange in stage.whole] == [b"/1"]
        assert len(seen.all) == 2


def wire_is_over(wire):
    """Nothing more is said, though more is asked."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        wire.send(SMUGGLED)
    assert wire.ended()


@streamed
def test_row_109_an_early_answer_is_read_though_the_body_still_comes(stage):
    """`Connection: close`, then what the client still sends is dropped, at most 64 KiB of it."""
    def early(exchange):
        exchange.start(403, [("Content-Length", "2")])
        exchange.send(b"no")
        while exchange.connection.more():
            exchange.connection.buffer.clear()

    with stage.answering(early), stage.wire() as wire:
        wire.request("POST", "/x", [("Content-Length", str(4 * KIB))], bytes(100))
        response = wire.head()
        assert (response.status, response.values("Connection")) == (403, ["close"])
        wire.send(bytes(2 * KIB))  # it has not gone away: a reset would take the answer along
        assert wire.body(response).body == b"no"
        assert wire.ended()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(1024):
                wire.send(bytes(KIB))


@streamed
def test_row_109_lingering_ends_by_itself(stage):
    """After a second, though the client keeps its side open and says nothing."""
    with stage.answering(lambda exchange: exchange.answer(200, [], b"ok")), stage.wire() as wire:
        wire.request("GET", "/x", [("Connection", "close")])
        assert wire.response().status == 200
        assert wire.ended()
        gone = select.poll()
        gone.register(wire.sock, 0)  # POLLHUP alone: both directions are closed
        assert gone.poll(DEADLINE * 1000)


@pytest.mark.parametrize("over_tcp", [False, True], ids=["unix", "tcp"])
def test_row_109_a_refusal_is_read_though_more_comes(stage, over_tcp):
    """A reset would take the answer along: what is behind it is read and dropped first."""
    with stage.answering() as seen, stage.wire(over_tcp) as wire:
        wire.send(b"GET /x HTTP/1.1\r\nHost : a\r\n\r\n")
        assert wire.more()
        wire.send(bytes(60 * KIB))
        problem(wire.response(), "malformed_request")
        assert wire.more() is False, "in order, not by a reset"
        seen.none()


# The upstream's side


def test_row_129_bytes_on_an_idle_connection_reach_nobody(stage):
    """The connection is closed when they come, before anybody asks for it."""
    with stage.answering() as seen, stage.wire() as wire:
        assert wire.exchange("GET", "/1").status == 200
        idle = seen.next().connection
        idle.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
        assert idle.closed.wait(DEADLINE)
        assert wire.exchange("GET", "/2").body == b"ok"
        assert seen.next().connection is not idle


def test_row_129_nor_do_those_that_are_there_when_it_is_wanted_again(stage):
    """Two answers in one segment and records of their own, two requests in one write: no event tells of the second answer."""
    def two(exchange):
        sock = exchange.connection.sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        stage.answer(exchange)
        if exchange.target == b"/1":
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)

    with stage.answering(two), stage.wire() as wire:
        for _ in range(20):
            wire.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in (1, 2)))
            assert [wire.response().body, wire.response().body] == [b"ok", b"ok"]


@streamed
def test_row_130_an_answer_before_the_request_was_read_closes_both(stage):
    def early(exchange):
        exchange.start(413, [("Content-Length", "2")])
        exchange.send(b"no")
        exchange.connection.close()

    with stage.answering(early) as seen, stage.wire() as wire:
        wire.request("POST", "/x", [("Content-Length", str(4 * KIB))], bytes(100))
        response = wire.response()
        assert (response.status, response.body, response.values("Connection")) == (413, b"no", ["close"])
        assert wire.ended()
        assert seen.next().connection.closed.wait(DEADLINE)


@pytest.mark.parametrize("header, is_sent_again", [("${route}", True), ("${nonce}", False), ("${uuid}", False)])
def test_row_134_a_signature_for_one_use_is_not_sent_twice(build, upstream, header, is_sent_again):
    """A kept connection that ends under a GET: a byte of it was written, and the nonce may be spent."""
    served = set()

    def once_each(exchange):
        if exchange.connection.index in served:
            return exchange.connection.close()
        served.add(exchange.connection.index)
        exchange.answer(200, [], b"ok")

    house = build({"signed": {"connector": "signs", "upstream": upstream.origin}}, loops=1)
    folder = house.home / "connectors"
    folder.mkdir(mode=0o755)
    (folder / "signs.jsonc").write_text(json.dumps(
        {"connector": "signs", "title": "A header a request", "set": {"headers": {"X-Once": header}}}))
    (folder / "signs.jsonc").chmod(0o644)
    house.settings["connectors"] = [str(folder)]
    house.write()
    with house, upstream.answering(once_each) as seen:
        upstream.drop_idle()
        assert house.exchange("GET", "/signed/1").status == 200
        response = house.exchange("GET", "/signed/2")
        if not is_sent_again:
            problem(response, "upstream_protocol", "signed")
        assert [exchange.target for exchange in seen.all] == [b"/1", b"/2"] + [b"/2"] * is_sent_again


def pour(exchange, start, again):
    """Says `start`, and `again` until the daemon has had enough."""
    exchange.send(start)
    while True:
        exchange.send(again)


ENDLESS = {
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "upstream_protocol"),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 50, "upstream_protocol"),
    "one field": (b"HTTP/1.1 200 OK\r\nX: ", b"y" * 1000, "upstream_protocol"),
    "a reason": (b"HTTP/1.1 200 ", b"y" * 1000, "upstream_protocol"),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"e" * 1000, None),
    "a chunk's size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 1000, None),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 100, None),
    "chunks of overhead": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"00000001\r\nx\r\n" * 100, None),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_row_131_an_upstream_without_end_is_cut_off(stage, what):
    start, again, code = ENDLESS[what]
    with stage.answering(lambda exchange: pour(exchange, start, again)) as seen, stage.wire() as wire:
        wire.request("GET", "/x")
        if code:
            problem(wire.response(), code, "vectors")
        else:
            with contextlib.suppress(ConnectionResetError), pytest.raises(Truncated):
                wire.response()
        assert seen.only().connection.closed.wait(DEADLINE)


@pytest.mark.parametrize(
    "drip", [b"y", b"X: y\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"], ids=["bytes", "fields", "interim responses"])
def test_row_131_a_head_that_trickles_has_the_time_that_the_route_gives(hasty, drip):
    """504; interim responses buy time, and are counted."""
    def trickle(exchange):
        if not drip.startswith(b"HTTP"):
            exchange.send(b"HTTP/1.1 200 OK\r\n")
        gone = select.poll()
        gone.register(exchange.connection.sock, select.POLLIN)
        while not gone.poll(40):
            exchange.send(drip)

    with hasty.answering(trickle) as seen, hasty.wire() as wire:
        wire.request("GET", "/x", version="1.0")
        problem(wire.response(), "upstream_protocol" if drip.startswith(b"HTTP") else "upstream_timeout", "vectors")
        assert seen.only().connection.closed.wait(DEADLINE)
