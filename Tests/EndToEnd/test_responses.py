"""What of an answer comes back, and that a damaged one is never passed off as whole."""

import threading
from urllib.parse import urljoin, urlsplit

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.wire import Truncated


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


def test_row_126_a_body_that_ends_by_close_notify_is_complete(house, upstream):
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
def test_row_126_and_127_an_answer_that_was_cut_short_is_never_passed_off_as_whole(house, upstream, script):
    """Rows 126 and 127: no final chunk, and not all of the promised length."""
    with upstream.answering(script), house.wire() as wire:
        wire.request("GET", "/bearer/x")
        try:
            response = wire.response()
        except (Truncated, ConnectionResetError):
            return
        # Or the daemon knew before it had sent a byte.
        problem(response, "upstream_truncated", "bearer")


UNFRAMED = {
    "an end without close_notify": ([], lambda exchange: exchange.connection.close(politely=False)),
    "a reset": ([], lambda exchange: exchange.connection.reset()),
    "an end before the last chunk": ([("Transfer-Encoding", "chunked")], lambda exchange: exchange.connection.close()),
    "a broken chunk": ([("Transfer-Encoding", "chunked")], lambda exchange: exchange.send(b"nonsense\r\n")),
}


@pytest.mark.parametrize("way", UNFRAMED)
def test_row_126_and_127_an_http_1_0_client_sees_a_reset_where_an_answer_was_cut_short(house, upstream, way):
    """Rows 126 and 127: it takes the end of the connection for the end of the answer."""
    fields, cut = UNFRAMED[way]
    received = threading.Event()

    def break_off(exchange):
        exchange.start(200, fields)
        (exchange.chunk if fields else exchange.send)(b"part of it")
        assert received.wait(DEADLINE)
        cut(exchange)

    with upstream.answering(break_off), house.wire() as wire:
        wire.request("GET", "/bearer/x", version="1.0")
        response = wire.head()
        assert response.status == 200
        assert not response.values("Content-Length") and not response.values("Transfer-Encoding")
        assert wire.take(10) == b"part of it"
        received.set()
        with pytest.raises(ConnectionResetError):
            wire.more()


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


def test_row_128_surplus_bytes_after_an_answer_reach_nobody(house, upstream):
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
