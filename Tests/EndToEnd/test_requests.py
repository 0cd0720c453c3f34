"""What of a request goes upstream, what stays here, and what is refused with nothing sent."""

import pytest

from harness import DEADLINE
from harness.problems import problem

# The same must hold where the body streams and where the connector reads it first.
ROUTES = ["bearer", "codegate"]
SMUGGLED = b"GET /bearer/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


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
def test_row_101_and_103_this_field_never_goes_upstream(house, seen, field):
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


def test_row_101_a_named_field_of_the_connectors_cannot_be_removed(house, seen):
    """Row 101, T3.5."""
    with house.wire() as wire:
        problem(wire.exchange("GET", "/codegate/x", [("Connection", "close, X-Signature")]), "malformed_request")
    seen.none()


def test_row_054_an_underscore_does_not_smuggle_a_connectors_field(house, seen):
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


def test_row_100_a_chunked_upload_streams_as_chunks_of_our_own(house, seen):
    """Row 100: extensions and trailers stay here."""
    with house.wire() as wire:
        wire.request("POST", "/bearer/x", [("Transfer-Encoding", "chunked")],
                     b'3;a="b"\r\none\r\n4\r\n two\r\n0\r\nX-Trailer: t\r\n\r\n')
        assert wire.response().status == 200
    arrived = seen.only()
    assert (arrived.framing, arrived.body) == ("chunked", b"one two")
    assert b";" not in arrived.raw_body and b"X-Trailer" not in arrived.connection.received


def test_row_100_a_chunked_upload_to_a_connector_that_reads_it_gets_a_length(house, seen):
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


def test_row_012_tls_on_the_plain_port_is_closed_without_a_word(house, seen):
    """Row 12."""
    with house.wire() as wire:
        wire.send(bytes.fromhex("160301020001fc0303") + bytes(512))
        assert wire.ended()
    seen.none()
