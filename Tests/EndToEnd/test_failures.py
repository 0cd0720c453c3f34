"""When the upstream fails: which code, how often it was tried, and that nothing is sent twice that must not be (row 134)."""

import os
import socket
import struct
import threading

import pytest

from harness import DEADLINE
from harness.daemon import free_port
from harness.problems import problem
from harness.upstream import Upstream
from harness.wire import Wire

BODY = b"a body"
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to give the daemon an /etc/hosts of its own")


@pytest.fixture(scope="module")
def full():
    """A listener whose queue is full: the kernel answers no further connection attempt."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        held = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            held.append(sock)
        yield listener.getsockname()[1]
        for sock in held:
            sock.close()


@pytest.fixture(scope="module")
def broken(build, upstream, full):
    """A daemon with a route for each way to fail."""
    def to(origin, **more):
        return {"connector": "bearer", "upstream": origin, "secrets": {"token": "shared/token"}, **more}

    routes = {
        "unresolved": to("https://no-such-name.invalid"),
        "metadata": to("https://169.254.169.254"),
        "metadata-6": to("https://[fd00:ec2::254]"),
        "any": to(f"https://0.0.0.0:{upstream.port}"),
        "any-6": to(f"https://[::ffff:0.0.0.0]:{upstream.port}"),
        "unreachable": to(f"https://127.0.0.1:{free_port()}"),
        "full": to(f"https://127.0.0.1:{full}", timeouts={"connect": "200ms"}),
        "silent": to(upstream.origin, timeouts={"first_byte": "200ms"}),
        "stalls": to(upstream.origin, timeouts={"idle": "200ms"}),
        "once": to(upstream.origin),
        "twice": to(upstream.origin, retry={"attempts": 2}),
        "twice-signed": {"connector": "codegate", "upstream": upstream.origin, "retry": {"attempts": 2},
                         "secrets": {"api_key": "codegate/api_key", "secret": "codegate/secret"}},
        "no-secret": {"connector": "bearer", "upstream": upstream.origin},
    }
    # One loop, so that each request meets the connections that the one before it left.
    with build(routes, loops=1) as house:
        yield house


def test_an_upstream_without_an_address(broken):
    problem(broken.exchange("GET", "/unresolved/x"), "upstream_unresolved", "unresolved")


@pytest.mark.parametrize("route", ["metadata", "metadata-6", "any", "any-6"])
def test_an_address_that_no_upstream_has_is_not_tried(broken, upstream, route):
    """T4: neither where a cloud keeps its credentials nor an address that leads back here, though no name led there."""
    before = len(upstream.connections) + len(upstream.refused)
    problem(broken.exchange("GET", f"/{route}/x"), "upstream_unresolved", route)
    upstream.drop_idle()
    with upstream.answering():
        broken.exchange("GET", "/once/x")
    assert len(upstream.connections) + len(upstream.refused) == before + 1, "only the control's"


def test_an_upstream_that_nobody_listens_for(broken):
    problem(broken.exchange("GET", "/unreachable/x"), "upstream_unreachable", "unreachable")
    problem(broken.exchange("POST", "/unreachable/x", body=BODY), "upstream_unreachable", "unreachable")


def test_an_upstream_that_does_not_accept_in_time(broken):
    problem(broken.exchange("GET", "/full/x"), "upstream_timeout", "full")


def test_an_upstream_that_never_answers(broken, upstream):
    release = threading.Event()
    with upstream.answering(lambda exchange: release.wait(DEADLINE) and None) as seen:
        for method, body in ("GET", None), ("POST", BODY):
            problem(broken.exchange(method, "/silent/x", body=body), "upstream_timeout", "silent")
        release.set()
        assert len(seen.all) == 2, "a timeout is not a reason to send it again"


def test_an_upstream_whose_head_trickles_has_no_more_time_for_it(broken, upstream):
    """`first_byte` is for all of the head: each byte of it does not start anew."""
    gone = threading.Event()

    def trickle(exchange):
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 60 + b"\r\nContent-Length: 0\r\n\r\n":
                exchange.send(bytes([byte]))
                threading.Event().wait(0.05)  # time passing is what is tested
        except OSError:
            gone.set()

    with upstream.answering(trickle):
        problem(broken.exchange("GET", "/silent/x"), "upstream_timeout", "silent")
        assert gone.wait(DEADLINE)


def test_an_http_1_0_client_that_stands_still_sees_a_reset(broken, upstream):
    """Where the end of a connection is the end of an answer, one that is given up must not end like that (row 127)."""
    cut = threading.Event()

    def pour(exchange):
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        try:
            while True:
                exchange.chunk(bytes(64 * 1024))
        except OSError:
            cut.set()

    with upstream.answering(pour), broken.wire() as wire:
        wire.request("GET", "/stalls/x", version="1.0")
        assert cut.wait(DEADLINE), "the daemon waits for a client that reads nothing"
        assert wire.head().status == 200
        with pytest.raises(ConnectionResetError):
            while wire.more():
                wire.buffer.clear()


def test_an_upstream_that_stops_in_the_middle(broken, upstream):
    """The head went to the client already: the answer ends without its end."""
    release = threading.Event()

    def stall(exchange):
        exchange.start(200, [("Content-Length", "100")])
        exchange.send(b"part of it")
        release.wait(DEADLINE)

    with upstream.answering(stall), broken.wire() as wire:
        wire.request("GET", "/stalls/x")
        assert wire.head().status == 200
        assert wire.take(10) == b"part of it"
        assert wire.ended()
        release.set()


def test_an_upstream_that_is_slow_and_keeps_going_is_not_timed_out(broken, upstream):
    """`first_byte` ends with the first byte; each block starts `idle` anew."""

    def steadily(exchange):
        exchange.start(200, [("Transfer-Encoding", "chunked")])
        for _ in range(8):
            # Not a wait for anything: the passing of time is what is tested.
            threading.Event().wait(0.06)
            exchange.chunk(b"x")
        exchange.chunk(b"")

    with upstream.answering(steadily):
        assert broken.exchange("GET", "/stalls/x").body == b"x" * 8
        assert broken.exchange("GET", "/silent/x").body == b"x" * 8


def test_a_secret_that_is_missing_is_named(broken, upstream):
    with upstream.answering() as seen:
        members = problem(broken.exchange("GET", "/no-secret/x"), "secret_missing", "no-secret")
        assert "chatelaine secret set no-secret/token" in members["hint"]
        seen.none()


def test_a_secret_that_is_set_while_the_daemon_runs_is_used(broken, upstream):
    broken.run_well("secret", "set", "no-secret/token", input="found-it")
    with upstream.answering() as seen:
        assert broken.exchange("GET", "/no-secret/x").status == 200
        assert seen.only().value("Authorization") == "Bearer found-it"
    broken.run_well("secret", "set", "no-secret/token", input="changed")
    with upstream.answering() as seen:
        assert broken.exchange("GET", "/no-secret/x").status == 200
        assert seen.only().value("Authorization") == "Bearer changed"
    broken.run_well("secret", "rm", "no-secret/token")
    problem(broken.exchange("GET", "/no-secret/x"), "secret_missing", "no-secret")


# Connections that went stale in the pool


def close_the_second(how):
    """A script that serves the first request of each connection and ends the connection on the second one's arrival."""
    served = set()

    def script(exchange):
        if exchange.connection.index in served:
            how(exchange.connection)
        else:
            served.add(exchange.connection.index)
            exchange.answer(200, [], b"ok")

    return script


STALE = {"closed": lambda connection: connection.close(), "reset": lambda connection: connection.reset()}


@pytest.mark.parametrize("how", STALE)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_row_134_a_get_on_a_stale_connection_is_sent_once_more(broken, upstream, how, method):
    upstream.drop_idle()
    with upstream.answering(close_the_second(STALE[how])) as seen:
        for number in range(2):
            assert broken.exchange(method, f"/once/{number}").status == 200
        assert [exchange.target for exchange in seen.all] == [b"/0", b"/1", b"/1"]
        assert len({exchange.connection.index for exchange in seen.all}) == 2


@pytest.mark.parametrize("how", STALE)
@pytest.mark.parametrize("method, body", [("POST", None), ("POST", BODY), ("PUT", BODY), ("DELETE", None)])
@pytest.mark.parametrize("route", ["once", "twice-signed"])
def test_row_134_another_method_that_was_written_to_a_stale_connection_is_not(broken, upstream, route, method, body, how):
    """A byte of it was written: nobody knows what the upstream did with it, though we could send it again."""
    upstream.drop_idle()
    with upstream.answering(close_the_second(STALE[how])) as seen:
        assert broken.exchange(method, f"/{route}/0", body=body).status == 200
        response = broken.exchange(method, f"/{route}/1", body=body)
        assert response.status == 502
        problem(response, response.json()["code"], route)
        assert [exchange.target for exchange in seen.all] == [b"/0", b"/1"]


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", BODY)])
def test_a_connection_that_closed_while_idle_is_not_used(broken, upstream, method, body):
    """The daemon saw the end before it had anything to send: any method goes on a new connection."""
    upstream.drop_idle()

    def one_each(exchange):
        exchange.answer(200, [], b"ok")
        exchange.connection.close()

    with upstream.answering(one_each) as seen:
        for number in range(3):
            assert broken.exchange(method, f"/once/{number}", body=body).status == 200
            seen.all[-1].connection.closed.wait(DEADLINE)
        assert len(seen.all) == 3


@pytest.mark.parametrize("fin", [True, False])
def test_an_end_that_comes_in_one_segment_with_the_answer_is_seen(broken, upstream, fin):
    """One readiness event for all of it: whoever reads the answer and no further never hears of the end."""
    upstream.drop_idle()
    kept = []

    def answer_and_end(exchange):
        _ = exchange.body
        sock = exchange.connection.sock
        kept.append(sock)  # open until the test is over: what the daemon does not close stays
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        exchange.answer(200, [], b"ok")
        exchange.connection.end_tls()
        if fin:
            socket.socket.shutdown(sock, socket.SHUT_WR)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        exchange.connection.closed.set()  # the harness leaves it alone

    with upstream.answering(answer_and_end) as seen:
        for number in range(5):
            response = broken.exchange("POST", f"/once/{number}", body=BODY)
            assert response.status == 200, response
        assert len({exchange.connection.index for exchange in seen.all}) == 5
    for sock in kept:
        sock.close()


@pytest.mark.parametrize("method, body", [("GET", None), ("POST", BODY)])
def test_row_134_a_fresh_connection_that_breaks_is_not_tried_again(broken, upstream, method, body):
    upstream.drop_idle()
    with upstream.answering(lambda exchange: exchange.body and None or exchange.connection.reset()) as seen:
        response = broken.exchange(method, "/once/x", body=body)
        assert response.status == 502
        problem(response, response.json()["code"], "once")
        assert len(seen.all) == 1


@as_root
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_that_refuses_costs_no_request(authority, build, address):
    """A name with an address of each family, and a server on one of them: not a byte was written to the other, so even a
    POST goes on."""
    server = Upstream(authority.server_context(names=["both.test"]), address=address, name="both.test")
    house = build({"shared": {"connector": "bearer", "upstream": server.origin}})
    (house.home / "hosts").write_text("127.0.0.1 localhost both.test\n::1 both.test\n")
    # The daemon alone sees another /etc/hosts.
    house.start(under=["unshare", "--mount", "sh", "-c", f'mount --bind {house.home}/hosts /etc/hosts && exec "$@"', "sh"])
    try:
        with server.answering() as seen:
            assert house.exchange("POST", "/shared/x", body=BODY).status == 200
            seen.only()
        house.stop()
    finally:
        house.remove()
        server.close()


# `retry.attempts`


def busy(times, status=503):
    """A script that answers `status` so often, then 200."""
    left = [times]

    def script(exchange):
        left[0] -= 1
        exchange.answer(status if left[0] >= 0 else 200, [("X-Left", str(left[0]))], b"x")

    return script


@pytest.mark.parametrize("status", [502, 503, 504])
@pytest.mark.parametrize("method, body", [("GET", None), ("HEAD", None), ("PUT", BODY), ("DELETE", None), ("OPTIONS", None)])
def test_a_busy_upstream_is_asked_again_where_the_method_allows(broken, upstream, method, body, status):
    """With a body only where the connector has read all of it: one that streamed through is gone."""
    with upstream.answering(busy(1, status)) as seen:
        assert broken.exchange(method, "/twice-signed/x" if body else "/twice/x", body=body).status == 200
        assert len(seen.all) == 2
        assert {exchange.body for exchange in seen.all} == {body or b""}


@pytest.mark.parametrize("early", [False, True])
def test_a_body_without_bytes_arrives_whole_the_second_time_too(broken, upstream, early):
    """Its end is framing, and without it the next request would be taken for the rest of this one."""
    upstream.drop_idle()

    def busy_once(exchange):
        if len(seen.all) == 1:
            exchange.answer(503, [], b"x")
        elif early and exchange.method == b"DELETE":
            exchange.start(200, [("Content-Length", "2")])
            exchange.send(b"ok")  # what the body is, is not waited for; the harness reads it behind the answer
        else:
            exchange.answer(200, [], b"ok")

    with upstream.answering(busy_once) as seen, Wire(broken.address, deadline=5) as wire:
        wire.request("DELETE", "/twice/x", [("Transfer-Encoding", "chunked")], b"0\r\n\r\n")
        assert wire.response().body == b"ok"
        assert wire.exchange("GET", "/twice/next").status == 200
    assert [(exchange.method, exchange.target, bytes(exchange.raw_body)) for exchange in seen.all] == [
        (b"DELETE", b"/x", b"0\r\n\r\n"), (b"DELETE", b"/x", b"0\r\n\r\n"), (b"GET", b"/next", b""),
    ]
    assert len({exchange.connection.index for exchange in seen.all[1:]}) == 1, "or nothing is proved"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_busy_upstream_is_not_asked_again_otherwise(broken, upstream, method):
    with upstream.answering(busy(1)) as seen:
        response = broken.exchange(method, "/twice/x", body=BODY)
        assert (response.status, response.body) == (503, b"x")
        assert response.value("Proxy-Status") is None, "it is the upstream's own answer"
        assert len(seen.all) == 1


def test_attempts_are_counted(broken, upstream):
    """`attempts` are further ones, after the first."""
    with upstream.answering(busy(10)) as seen:
        assert broken.exchange("GET", "/twice/x").status == 503
        assert len(seen.all) == 1 + 2


@pytest.mark.parametrize("status", [500, 429, 404])
def test_another_status_is_final(broken, upstream, status):
    with upstream.answering(busy(1, status)) as seen:
        assert broken.exchange("GET", "/twice/x").status == status
        assert len(seen.all) == 1


def test_without_attempts_nothing_is_tried_again(broken, upstream):
    with upstream.answering(busy(1)) as seen:
        assert broken.exchange("GET", "/once/x").status == 503
        assert len(seen.all) == 1


def test_a_client_that_goes_away_takes_its_upstream_request_along(broken, upstream):
    """Away is a reset: one that only ended its own direction still wants its answer (row 110)."""
    gone = threading.Event()

    def wait_for_the_end(exchange):
        if not exchange.connection.more():
            gone.set()

    with upstream.answering(wait_for_the_end) as seen:
        with broken.wire() as wire:
            wire.request("GET", "/once/x")
            seen.next()
            wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert gone.wait(DEADLINE), "the upstream connection outlived the client that it was for"
