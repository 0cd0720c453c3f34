"""HTTP/1.1 as clients and upstreams meet it: what is kept, what is refused, and where one message ends."""

import socket
import threading
from urllib.parse import urljoin, urlsplit

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.wire import Truncated

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
    for number in range(3):
        house.exchange("GET", f"/bearer/{number}")
    assert len({exchange.connection.index for exchange in seen.all}) == 1


def test_pipelined_requests_are_answered_in_order(house, seen):
    with house.wire() as wire:
        for number in range(10):
            wire.request("GET", f"/{ROUTES[number % 2]}/{number}")
        answers = [wire.response().json()["target"] for _ in range(10)]
    assert answers == [f"/{number}" for number in range(10)]


def test_a_pipelined_request_waits_for_the_answer_before_it(house, upstream):
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


def test_a_client_that_half_closes_gets_its_answer(house, seen):
    """Row 110."""
    with house.wire() as wire:
        wire.request("GET", "/bearer/x")
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.response().status == 200
        assert wire.ended()


@pytest.mark.parametrize("route", ROUTES)
def test_http_1_0_gets_a_plain_answer_and_the_end(house, upstream, route):
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
def test_expect_continue_is_answered_by_the_daemon(house, seen, route):
    with house.wire() as wire:
        wire.request("POST", f"/{route}/x", [("Expect", "100-continue"), ("Content-Length", "5")])
        interim = wire.head()
        assert (interim.status, interim.fields) == (100, [])
        wire.send(b"hello")
        assert wire.response().status == 200
    arrived = seen.only()
    assert arrived.value("Expect") is None
    assert arrived.body == b"hello"


def test_a_body_that_is_refused_is_not_asked_for(house, seen):
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


def test_early_hints_are_passed_on(house, upstream):
    """Row 121: 103 goes to the client, 100 does not."""

    def hinted(exchange):
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n")
        exchange.answer(200, [], b"done")

    with upstream.answering(hinted), house.wire() as wire:
        wire.request("GET", "/bearer/x")
        hint = wire.head()
        assert (hint.status, hint.value("Link")) == (103, "</a>; rel=preload")
        assert wire.response().body == b"done"


# What goes upstream


def test_fields_arrive_as_they_were_sent(house, upstream, seen):
    """Order, spelling, count and bytes of the caller's own fields; and Host is the upstream's."""
    sent = [
        ("Accept", "a/b"), ("x-LOWER-Upper", "kept  as\tis"), ("Accept", "c/d"), ("X-Latin", "caf\xe9"),
        ("User-Agent", "test/1 (a; b)"), ("X-Empty", ""), ("Content-Type", "application/json; charset=utf-8"),
        ("Accept-Encoding", "gzip"), ("X_Under", "score"), ("If-None-Match", '"a", W/"b"'),
    ]
    house.exchange("POST", "/bearer/x", sent, b"{}")
    arrived = seen.only()
    names = {name.encode().lower() for name, _ in sent}
    ours = [(name.decode(), value.decode("latin-1")) for name, value in arrived.fields if name.lower() in names]
    assert [(name, value) for name, value in ours] == sent
    assert arrived.value("Host") == upstream.authority
    others = {name.lower() for name, _ in arrived.fields} - names
    assert others <= {b"host", b"authorization", b"content-length"}, f"the daemon added {others}"


@pytest.mark.parametrize(
    "field",
    [
        "Cookie", "Proxy-Authorization", "Proxy-Connection", "Keep-Alive", "TE", "Upgrade", "HTTP2-Settings", "Forwarded",
        "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via", "X-Chatelaine-Subject", "X-HTTP-Method-Override",
        "X-Method-Override", "X-Original-URL", "X-Rewrite-URL", "X-Named-By-Connection",
    ],
)
def test_this_field_never_goes_upstream(house, seen, field):
    """T2.5, T3.4, rows 101 and 103."""
    fields = [(field, "trailers" if field == "TE" else "planted")]
    if field == "X-Named-By-Connection":
        fields.append(("Connection", "X-Named-By-Connection"))
    house.exchange("GET", "/bearer/x", fields)
    arrived = seen.only()
    assert not arrived.values(field)
    assert not arrived.values("Connection") or arrived.value("Connection") == "keep-alive"


def test_the_callers_authorization_never_goes_upstream(house, seen):
    house.exchange("GET", "/header/x", [("Authorization", "Bearer planted")])
    assert seen.only().values("Authorization") == []


def test_a_named_field_of_the_connectors_cannot_be_removed(house, seen):
    """Row 101, T3.5."""
    with house.wire() as wire:
        problem(wire.exchange("GET", "/codegate/x", [("Connection", "close, X-Signature")]), "malformed_request")
    seen.none()


def test_an_underscore_does_not_smuggle_a_connectors_field(house, seen):
    """Row 54."""
    with house.wire() as wire:
        assert wire.exchange("GET", "/codegate/x", [("X_API_Key", "mine")]).status == 400
        assert wire.ended()
    seen.none()


@pytest.mark.parametrize("target", ["/a%2Fb/c", "/%7euser/%41", "/a;b=c/d,e", "/x?", "/x?a=b&a=c&%25",
                                    "/x?q=%00%0d%0a", "/~a/-._!$&'()*+,;=:@", "/" + "s" * 7900])
def test_the_target_goes_upstream_byte_for_byte(house, seen, target):
    house.exchange("GET", f"/bearer{target}")
    assert seen.only().target.decode() == target


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_body_is_kept_whatever_the_method(house, seen, route, method):
    """Row 74."""
    house.exchange(method, f"/{route}/x", body=b"with a body")
    arrived = seen.only()
    assert (arrived.method.decode(), arrived.body) == (method, b"with a body")


@pytest.mark.parametrize("method", ["PROPFIND", "get"])
def test_a_method_that_the_route_does_not_allow_is_a_405(house, seen, method):
    """Rows 18 and 20: `get` is not GET."""
    response = house.exchange(method, "/bearer/x")
    problem(response, "method_not_supported", "bearer")
    assert "GET" in response.value("Allow")
    seen.none()


def test_a_chunked_upload_streams_as_chunks_of_our_own(house, seen):
    """Row 100: extensions and trailers stay here."""
    with house.wire() as wire:
        wire.request("POST", "/bearer/x", [("Transfer-Encoding", "chunked")],
                     b'3;a="b"\r\none\r\n4\r\n two\r\n0\r\nX-Trailer: t\r\n\r\n')
        assert wire.response().status == 200
    arrived = seen.only()
    assert (arrived.framing, arrived.body) == ("chunked", b"one two")
    assert b";" not in arrived.raw_body and b"X-Trailer" not in arrived.connection.received


def test_a_chunked_upload_to_a_connector_that_reads_it_gets_a_length(house, seen):
    with house.wire() as wire:
        wire.request("POST", "/codegate/x", [("Transfer-Encoding", "chunked")], b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n")
        assert wire.response().status == 200
    arrived = seen.only()
    assert (arrived.framing, arrived.body) == ("length", b"one two")


# Limits


def test_a_body_at_the_limit_is_forwarded(house, seen):
    assert house.exchange("POST", "/small/x", body=b"x" * 1024).status == 200
    assert len(seen.only().body) == 1024


@pytest.mark.parametrize("fields, body", [
    ([], b"x" * 1025),
    ([("Transfer-Encoding", "chunked")], b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n"),
])
def test_a_body_over_the_limit_is_refused(house, seen, fields, body):
    """Rows 73 and 97."""
    with house.wire() as wire:
        problem(wire.exchange("POST", "/small/x", fields, body), "body_too_large", "small")
        assert wire.ended()
    seen.none()


@pytest.mark.parametrize("code, target, fields", [
    ("uri_too_long", "/bearer/" + "x" * 17000, []),
    ("head_too_large", "/bearer/x", [(f"X-{number}", "v") for number in range(101)]),
    ("head_too_large", "/bearer/x", [("X-Long", "v" * 9000)]),
])
def test_a_head_over_the_limit_is_refused(house, seen, code, target, fields):
    with house.wire() as wire:
        problem(wire.exchange("GET", target, fields), code)
        assert wire.ended()
    seen.none()


# Refused, with nothing sent upstream. The grammar's every row is tested beside its parser; these show that the daemon asks it.


@pytest.mark.parametrize("request_bytes", [
    b"POST /bearer/x HTTP/1.1\r\nHost: H\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"POST /bearer/x HTTP/1.1\r\nHost: H\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + SMUGGLED,
    b"POST /bearer/x HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: xchunked\r\n\r\n" + SMUGGLED,
    b"POST /bearer/x HTTP/1.1\r\nHost: H\r\nTransfer-Encoding : chunked\r\n\r\n" + SMUGGLED,
    b"GET /bearer/x HTTP/1.1\nHost: H\n\n",
    b"GET /bearer/x HTTP/1.1\r\n\r\n",
    b"GET /bearer/x HTTP/1.1\r\nHost: H\r\nHost: H\r\n\r\n",
    b"GET /bearer/../codegate/x HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET /bearer/%2e%2e/x HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET /bearer//x HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET //evil/x HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET /bearer/x y HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET /bearer/x#f HTTP/1.1\r\nHost: H\r\n\r\n",
    b"GET /bearer/x HTTP/1.1\r\nHost: H\r\nX: a\r\n folded\r\n\r\n",
    b"GET /bearer/x HTTP/1.1\r\nHost: H\r\nX: a\x00b\r\n\r\n",
])
def test_a_malformed_request_is_refused_and_nothing_after_it_is_read(house, seen, request_bytes):
    with house.wire() as wire:
        wire.send(request_bytes.replace(b"Host: H", b"Host: 127.0.0.1:%d" % house.port) + SMUGGLED)
        response = wire.response()
        problem(response, "malformed_request")
        assert wire.ended(), "the connection is closed without reading on"
    assert b"smuggled" not in response.head + response.body, "an answer to an error reflects nothing of the input (I6)"
    seen.none()


def test_a_broken_chunk_reaches_no_upstream_as_a_whole_body(house, upstream):
    """Row 88 in the middle of a stream: what was sent so far is not passed off as complete."""
    ends = []

    def read(exchange):
        try:
            _ = exchange.body
            ends.append("complete")
        except (EOFError, OSError):
            ends.append("cut")
            raise

    with upstream.answering(read) as seen, house.wire() as wire:
        wire.request("POST", "/bearer/x", [("Transfer-Encoding", "chunked")], b"3\r\none\r\n")
        arrived = seen.next()
        wire.send(b"0x5\r\nhello\r\n0\r\n\r\n")
        assert wire.response().status == 400
        arrived.connection.closed.wait(DEADLINE)
    assert ends == ["cut"]


def test_tls_on_the_plain_port_is_closed_without_a_word(house, seen):
    """Row 12."""
    with house.wire() as wire:
        wire.send(bytes.fromhex("160301020001fc0303") + bytes(512))
        assert wire.ended()
    seen.none()


# What comes back


def test_an_answers_fields_come_back_as_they_were(house, upstream):
    fields = [("X-Vendor", "a"), ("Vary", "A"), ("Vary", "B"), ("ETag", '"x"'), ("Content-Encoding", "gzip"),
              ("Date", "Thu, 01 Jan 2026 00:00:00 GMT")]
    with upstream.answering(lambda exchange: exchange.answer(201, fields, b"\x1f\x8bnot really gzip")):
        response = house.exchange("GET", "/bearer/x")
    assert (response.status, response.body) == (201, b"\x1f\x8bnot really gzip")
    names = {name.encode() for name, _ in fields}
    assert [(n.decode(), v.decode()) for n, v in response.fields if n in names] == fields
    assert response.value("X-Request-Id")


@pytest.mark.parametrize("field", ["Set-Cookie", "Alt-Svc", "Clear-Site-Data", "Access-Control-Allow-Origin",
                                   "Proxy-Authenticate", "Proxy-Status", "Keep-Alive", "Connection"])
def test_this_field_never_comes_back(house, upstream, field):
    """T3.8."""
    with upstream.answering(lambda exchange: exchange.answer(200, [(field, "planted")], b"x")):
        response = house.exchange("GET", "/bearer/x")
    assert response.status == 200
    assert "planted" not in response.values(field)


def test_two_request_ids_differ(house, seen):
    first, second = (house.exchange("GET", "/bearer/x").value("X-Request-Id") for _ in range(2))
    assert first and second and first != second


def test_a_redirect_to_the_upstream_leads_through_the_daemon(house, upstream):
    """T4.1: passed through, never followed, and Location points where the caller can follow it."""

    def redirect(exchange):
        if exchange.target == b"/base/v2/there?a=b":
            exchange.answer(200, [], b"there")
        else:
            exchange.answer(302, [("Location", upstream.origin + "/base/v2/there?a=b")])

    with upstream.answering(redirect) as seen:
        response = house.exchange("GET", "/based/here")
        assert response.status == 302
        assert len(seen.all) == 1
        followed = urlsplit(urljoin(house.url + "/based/here", response.value("Location")))
        assert followed.netloc == f"127.0.0.1:{house.port}"
        assert house.exchange("GET", f"{followed.path}?{followed.query}").body == b"there"


def test_a_redirect_elsewhere_passes_unchanged(house, upstream):
    elsewhere = "https://login.example.com/x?y=z"
    with upstream.answering(lambda exchange: exchange.answer(307, [("Location", elsewhere)])):
        response = house.exchange("GET", "/bearer/x")
    assert (response.status, response.value("Location")) == (307, elsewhere)


def test_a_body_that_ends_by_close_notify_is_complete(house, upstream):
    """Row 126."""

    def answer(exchange):
        exchange.start(200, [])
        exchange.send(b"all of it")
        exchange.connection.close()

    with upstream.answering(answer):
        response = house.exchange("GET", "/bearer/x")
    assert (response.framing, response.body) == ("chunked", b"all of it")


def _close_without_notify(exchange):
    exchange.start(200, [])
    exchange.send(b"part of it")
    exchange.connection.close(politely=False)


def _cut_length(exchange):
    exchange.start(200, [("Content-Length", "100")])
    exchange.send(b"part of it")
    exchange.connection.close()


def _cut_chunked(exchange):
    exchange.start(200, [("Transfer-Encoding", "chunked")])
    exchange.chunk(b"part of it")
    exchange.connection.close()


def _broken_chunk(exchange):
    exchange.start(200, [("Transfer-Encoding", "chunked")])
    exchange.chunk(b"part of it")
    exchange.send(b"nonsense\r\n")
    exchange.connection.close()


def _reset(exchange):
    exchange.start(200, [("Content-Length", "100")])
    exchange.send(b"part of it")
    exchange.connection.reset()


@pytest.mark.parametrize("script", [_close_without_notify, _cut_length, _cut_chunked, _broken_chunk, _reset])
def test_an_answer_that_was_cut_short_is_never_passed_off_as_whole(house, upstream, script):
    """Rows 126 and 127: no final chunk, and not all of the promised length."""
    with upstream.answering(script), house.wire() as wire:
        wire.request("GET", "/bearer/x")
        with pytest.raises((Truncated, ConnectionResetError)):
            response = wire.response()
            raise AssertionError(f"passed off as whole: {response}") if response.status == 200 else Truncated("as an error")


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"HTTP/2 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    b"HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9,
    b"SSH-2.0-OpenSSH_9.2\r\n",
], ids=lambda answer: repr(answer[:40]))
def test_an_upstream_that_does_not_speak_http_is_a_502(house, upstream, answer):
    """Rows 113 to 122."""

    def say(exchange):
        exchange.send(answer)
        exchange.connection.close()

    with upstream.answering(say) as seen:
        with house.wire() as wire:
            wire.request("GET", "/bearer/x")
            problem(wire.response(), "upstream_protocol", "bearer")
        assert len(seen.all) == 1


def test_surplus_bytes_after_an_answer_reach_nobody(house, upstream):
    """Rows 124 and 128: that upstream connection is not used again."""

    def surplus(exchange):
        exchange.start(200, [("Content-Length", "2")])
        exchange.send(b"okHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled")

    with upstream.answering(surplus) as seen, house.wire() as wire:
        assert wire.exchange("GET", "/bearer/1").body == b"ok"
        assert wire.exchange("GET", "/bearer/2").body == b"ok"
        assert len({exchange.connection.index for exchange in seen.all}) == 2


def test_an_early_answer_ends_an_upload(house, upstream):
    """Rows 109 and 130: the answer comes while the client still sends, and both ends are closed."""

    def too_early(exchange):
        exchange.start(403, [("Content-Length", "2"), ("Connection", "close")])
        exchange.send(b"no")
        for _ in exchange.pieces():  # until the daemon gives up: the rest never comes
            pass

    with upstream.answering(too_early), house.wire() as wire:
        wire.request("POST", "/bearer/x", [("Content-Length", "1000000")])
        wire.send(b"x" * 1000)
        response = wire.response()
        assert (response.status, response.body) == (403, b"no")
        assert wire.ended()
