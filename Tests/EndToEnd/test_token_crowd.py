"""Many callers, one token: fetched once for all, failed once for all, and never asked for again and again."""

import base64
import contextlib
import json
import threading
from urllib.parse import quote, quote_plus

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.vendors import OAuth, refuses_connections, says, unavailable
from harness.waiting import until
from harness.wire import Wire
from secrets_used import CLIENT, NAMES, SECRET, forms

ROOM = {"connections": 4000, "connections_per_caller": 4000}


@pytest.fixture
def vendor():
    return OAuth(CLIENT, SECRET)


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, "oauth2-client-credentials", secrets=NAMES, limits=ROOM)


@contextlib.contextmanager
def crowd(stage, count, target="/x"):
    """`count` requests on connections of their own, all sent, and all with the daemon."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(stage.house.address, deadline=3 * DEADLINE)) for _ in range(count)]
        for number, wire in enumerate(wires):
            wire.request("GET", f"/r{target}?n={number}")
        until(stage.house.rests, "every request to be with the daemon")
        yield wires


def answers(wires):
    return [wire.response() for wire in wires]


# One request for all


def test_a_thousand_callers_on_a_cold_token_are_one_request(stage, vendor):
    with vendor.silent(), crowd(stage, 1000) as wires:
        vendor.wait_for_asked(1)
        assert not vendor.calls, "nothing goes out without a token"
        vendor.speaks()
        got = answers(wires)
    assert [response.status for response in got] == [200] * 1000
    assert sorted(response.json()["target"] for response in got) == sorted(f"/x?n={number}" for number in range(1000))
    assert vendor.kinds() == ["fetch"]
    assert {call.token for call in vendor.calls} == {vendor.grants[0].access}
    assert len(vendor.calls) == 1000


def test_a_thousand_callers_on_an_expired_token_are_one_request(stage, vendor):
    assert stage.get() == 1
    stage.clock.passes(3601)
    with vendor.silent(), crowd(stage, 1000) as wires:
        vendor.wait_for_asked(2)
        vendor.speaks()
        got = answers(wires)
    assert {response.status for response in got} == {200}
    assert {response.json()["grant"] for response in got} == {2}
    assert vendor.kinds() == ["fetch", "fetch"]
    assert not vendor.dead()


def test_the_fetch_outlives_the_caller_that_began_it(stage, vendor):
    with vendor.silent():
        with stage.house.wire() as first:
            first.request("GET", "/r/first")
            vendor.wait_for_asked(1)
        with crowd(stage, 3) as others:
            vendor.speaks()
            assert {response.status for response in answers(others)} == {200}
    assert len(vendor.asked) == 1


def test_a_fetch_that_nobody_waits_for_any_more_is_kept(stage, vendor):
    with vendor.silent():
        with stage.house.wire() as only:
            only.request("GET", "/r/only")
            vendor.wait_for_asked(1)
        stage.turn()
        vendor.speaks()
    until(lambda: stage.tokens()["r", "default"]["state"] == "fresh", "the token to be kept")
    assert stage.get() == 1
    assert len(vendor.asked) == 1


def test_a_failure_reaches_all_who_wait_once(stage, vendor):
    vendor.answer = says(400, {"error": "invalid_client", "error_description": "nobody knows you"})
    with vendor.silent(), crowd(stage, 200) as wires:
        vendor.wait_for_asked(1)
        vendor.speaks()
        for response in answers(wires):
            assert "nobody knows you" in problem(response, "token_refused", "r")["detail"]
        for wire in wires:
            assert not wire.buffer
    assert len(vendor.asked) == 1
    assert not vendor.calls


def test_an_outage_reaches_all_who_wait_once(stage, vendor):
    vendor.answer = refuses_connections
    with vendor.silent(), crowd(stage, 200) as wires:
        vendor.wait_for_asked(1)
        vendor.speaks()
        for response in answers(wires):
            problem(response, "token_unavailable", "r")
    assert len(vendor.asked) == 1
    assert not vendor.calls


def test_two_routes_with_the_same_client_do_not_share(staged, vendor):
    stage = staged(vendor, routes={name: {"connector": "oauth2-client-credentials", "secrets": NAMES} for name in ("a", "b")})
    assert (stage.get(route="a"), stage.get(route="b"), stage.get(route="a")) == (1, 2, 1)


# Refused by the API


def held_calls(vendor, count, token):
    """Has the API take `count` calls with `token`, and only then answer each of them 401."""
    together = threading.Barrier(count)

    def serve(exchange, call):
        if call.grant is token:
            together.wait(3 * DEADLINE)
            vendor.reject(exchange)
        else:
            vendor.welcome(exchange, call)

    return serve


def test_a_hundred_that_are_all_refused_are_one_replacement_and_each_is_sent_once_more(stage, vendor):
    assert stage.get() == 1
    vendor.serve = held_calls(vendor, 100, vendor.grants[0])
    del vendor.calls[:]
    with crowd(stage, 100, "/again") as wires:
        got = answers(wires)
    assert [response.status for response in got] == [200] * 100
    assert {response.json()["grant"] for response in got} == {2}
    assert vendor.kinds() == ["fetch", "fetch"]
    sent = [call.exchange.target for call in vendor.calls]
    assert all(sent.count(f"/again?n={number}".encode()) == 2 for number in range(100))
    assert len(sent) == 200


def test_a_token_that_was_replaced_is_not_replaced_for_a_late_refusal(stage, vendor):
    """Two requests with the same token; one is refused much later than the other. The generation was retired already."""
    assert stage.get() == 1
    late = threading.Event()

    def serve(exchange, call):
        if call.grant.number == 2:
            return vendor.welcome(exchange, call)
        if exchange.target == b"/late":
            assert late.wait(3 * DEADLINE)
        return vendor.reject(exchange)

    vendor.serve = serve
    with stage.house.wire() as wire:
        wire.request("GET", "/r/late")
        until(lambda: len(vendor.calls) == 2, "the late one to be under way")
        assert stage.get("/early") == 2
        late.set()
        assert wire.response().json()["grant"] == 2
    assert len(vendor.asked) == 2


def test_an_api_that_refuses_every_token_is_not_asked_forever(stage, vendor):
    """Its 401 comes through; the endpoint is asked for one replacement, and not for each request."""
    vendor.serve = lambda exchange, call: vendor.reject(exchange)
    for _ in range(10):
        response = stage.ask()
        assert (response.status, response.json()) == (401, {"error": "invalid_token"})
        assert response.value("Proxy-Status") is None
    assert len(vendor.asked) <= 2
    assert len(vendor.calls) <= 12
    # However long it goes on, the answer is the upstream's own, and the replacements become fewer.
    for _ in range(60):
        stage.clock.passes(11)
        response = stage.ask()
        assert (response.status, response.json()) == (401, {"error": "invalid_token"}), response
    assert len(vendor.asked) <= 10


def test_a_body_that_is_gone_is_not_sent_again(stage, vendor):
    """A streamed body cannot be replayed: its 401 comes through, and the next request has a new token."""
    assert stage.get() == 1
    vendor.grants[0].revoked = True
    body = b"x" * (4 << 20)
    response = stage.ask("PUT", "/big", body=body)
    assert response.status == 401
    assert [call.exchange.method for call in vendor.calls] == [b"GET", b"PUT"]
    assert stage.get() == 2
    assert len(vendor.asked) == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH"])
def test_a_refused_request_is_sent_once_more(stage, vendor, method):
    """A 401 says that nothing was done, so it may be any method."""
    assert stage.get() == 1
    vendor.grants[0].revoked = True
    body = b'{"a": 1}' if method in ("PUT", "POST", "PATCH") else None
    assert stage.ask(method, "/x", body=body).status == 200
    arrived = [call.exchange for call in vendor.calls[1:]]
    assert [(exchange.method.decode(), exchange.body) for exchange in arrived] == [(method, body or b"")] * 2
    assert len({exchange.value("Authorization") for exchange in arrived}) == 2


# The endpoint is down


@pytest.mark.parametrize("down", [refuses_connections, unavailable(503), unavailable(500), unavailable(429), unavailable(408)],
                         ids=["reset", "503", "500", "429", "408"])
def test_an_endpoint_that_is_down(stage, vendor, down):
    vendor.answer = down
    response = stage.ask()
    members = problem(response, "token_unavailable", "r")
    assert 1 <= int(response.value("Retry-After")) <= 300
    assert members["retryable"]
    assert b"come back later" not in response.body, "its text is not a message for us"
    problem(stage.ask(), "token_unavailable", "r")
    assert len(vendor.asked) == 1, "not asked again at once"
    assert not vendor.calls
    vendor.answer = None
    stage.clock.passes(int(response.value("Retry-After")))
    assert stage.get() == 1


def test_nobody_listens_there(staged, vendor):
    stage = staged(vendor, "oauth2-client-credentials", secrets=NAMES, options={"token_url": "https://127.0.0.1:1/oauth/token"})
    problem(stage.ask(), "token_unavailable", "r")
    assert not vendor.calls


def test_the_pause_grows_and_is_bounded(stage, vendor):
    """Seen in the endpoint's own log: exponential with jitter, from a second to five minutes; told in Retry-After."""
    vendor.answer = unavailable(503)
    pauses = []
    for count in range(1, 17):
        response = stage.ask()
        problem(response, "token_unavailable", "r")
        vendor.wait_for_asked(count)
        pause = int(response.value("Retry-After"))
        pauses.append(pause)
        for _ in range(3):
            problem(stage.ask(), "token_unavailable", "r")
        assert len(vendor.asked) == count, "asked again before its time"
        stage.clock.passes(pause)
    assert all(1 <= pause <= 301 for pause in pauses)
    assert all(pause <= 2 ** (number + 1) + 1 for number, pause in enumerate(pauses)), pauses
    assert max(pauses[-6:]) > 20, f"it does not grow: {pauses}"
    assert len(set(pauses[-6:])) > 1, f"no jitter: {pauses}"
    vendor.answer = None
    assert stage.get() == 1
    # And it begins small again.
    vendor.answer = unavailable(503)
    stage.clock.passes(3601)
    response = stage.ask()
    problem(response, "token_unavailable", "r")
    assert int(response.value("Retry-After")) <= 3


def test_the_endpoints_own_retry_after_is_respected(stage, vendor):
    vendor.answer = unavailable(429, [("Retry-After", "120")])
    response = stage.ask()
    problem(response, "token_unavailable", "r")
    assert 115 <= int(response.value("Retry-After")) <= 300
    stage.clock.passes(100)
    problem(stage.ask(), "token_unavailable", "r")
    assert len(vendor.asked) == 1
    vendor.answer = None
    stage.clock.passes(int(response.value("Retry-After")) - 100)
    assert stage.get() == 1


def test_while_the_old_token_is_good_an_outage_is_nobodys_concern(stage, vendor):
    assert stage.get() == 1
    vendor.answer = unavailable(503)
    stage.clock.passes(3600 - 30)
    assert [stage.get() for _ in range(5)] == [1] * 5
    vendor.wait_for_asked(2)
    stage.turn()
    vendor.answer = None
    stage.clock.passes(25)
    assert stage.get() == 1
    vendor.wait_for_asked(3)
    stage.turn()
    assert stage.get() == 2


def test_a_token_that_is_known_to_be_over_is_never_sent(stage, vendor):
    assert stage.get() == 1
    vendor.answer = unavailable(503)
    stage.clock.passes(3601)
    before = len(vendor.calls)
    for _ in range(5):
        problem(stage.ask(), "token_unavailable", "r")
        stage.clock.passes(10)
    assert len(vendor.calls) == before


def test_a_token_runs_out_though_the_wall_clock_is_set_back(stage, vendor):
    """Its lifetime goes by with time itself: a clock set back makes no dead token live."""
    assert stage.get() == 1
    stage.clock.passes(3500)
    stage.clock.is_set(-3000)
    stage.clock.passes(200)
    assert stage.get() == 2


def test_renewal_is_early_and_in_the_background(stage, vendor):
    """Whoever comes while the old token is good is served with it at once, though the endpoint takes its time."""
    assert stage.get() == 1
    stage.clock.passes(3600 - 50)
    with vendor.silent():
        assert [stage.get() for _ in range(5)] == [1] * 5
        vendor.wait_for_asked(2)
    stage.turn()
    until(lambda: stage.get() == 2, "the new token to be used")
    assert len(vendor.asked) == 2


def test_a_token_that_nobody_uses_is_not_renewed(staged, vendor):
    vendor.lifetime = 300
    stage = staged(vendor, "oauth2-client-credentials", secrets=NAMES)
    assert stage.get() == 1
    for _ in range(20):
        stage.clock.passes(290)
        stage.turn()
    renewed = len(vendor.asked)
    assert renewed <= 4, "only what was used within the last ten minutes is renewed"
    for _ in range(5):
        stage.clock.passes(290)
        stage.turn()
    assert len(vendor.asked) == renewed
    stage.get()
    assert not vendor.dead()


# The endpoint refuses


def encoded(text):
    return base64.b64encode(text.encode()).decode()


ECHOES = {
    "plain": SECRET, "percent": quote(SECRET, safe=""), "form": quote_plus(SECRET), "base64": encoded(SECRET),
    "json": json.dumps(SECRET, ensure_ascii=False)[1:-1],
    "header": encoded(f"{quote_plus(CLIENT)}:{quote_plus(SECRET)}"),
}


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("where", ["error_description", "error"])
def test_a_refusal_has_the_endpoints_words_without_our_secret(stage, vendor, echo, where):
    said = {"error": "invalid_client", where: f"no client has the secret {ECHOES[echo]}, ask your administrator"}
    vendor.answer = says(401, said)
    response = stage.ask()
    members = problem(response, "token_refused", "r")
    assert "no client has the secret" in members["detail"] and "ask your administrator" in members["detail"]
    assert ECHOES[echo] not in members["detail"]
    for form in forms(SECRET):
        assert form not in response.body.decode(), f"our secret came back as {form}"
    # Wherever else it is told.
    row = stage.tokens()["r", "default"]
    assert "no client has the secret" in json.dumps(row)
    stage.run("token", "list")
    stage.run("check", "--connect")
    stage.house.exchange("GET", "/-/metrics")
    # The end of every test here searches all of it for every secret.


def test_a_refusal_is_one_line_and_short(stage, vendor):
    vendor.answer = says(400, {"error": "invalid_client", "error_description": "first\r\nsecond\x1b[31m\x00\u2028" + "x" * 5000})
    response = stage.ask()
    detail = problem(response, "token_refused", "r")["detail"]
    assert "first" in detail and "second" in detail
    assert all(character.isprintable() for character in detail), repr(detail)
    assert len(detail) < 500


def test_a_wrong_secret_does_not_hammer_the_vendor_and_a_new_one_is_used_at_once(stage, vendor):
    vendor.client_secret = "canary-the-right-one"
    for _ in range(20):
        problem(stage.ask(), "token_refused", "r")
    assert len(vendor.asked) == 1
    stage.run_well("secret", "set", "oauth/client_secret", input="canary-the-right-one")
    assert stage.get() == 1
    assert len(vendor.asked) == 2


def test_a_refusal_is_remembered_briefly_and_longer_each_time(stage, vendor):
    vendor.client_secret = "canary-another"
    times = []
    for _ in range(900):
        problem(stage.ask(), "token_refused", "r")
        if len(vendor.asked) > len(times):
            times.append(stage.clock.now())
        stage.clock.passes(2)
        if len(times) == 6:
            break
    pauses = [after - before for before, after in zip(times, times[1:])]
    assert 8 <= pauses[0] <= 15, pauses
    assert all(after > before * 1.5 for before, after in zip(pauses[:4], pauses[1:4])), pauses
    assert max(pauses) <= 310


def test_dropping_the_token_forgets_a_refusal(stage, vendor):
    vendor.client_secret = "canary-another"
    problem(stage.ask(), "token_refused", "r")
    vendor.client_secret = SECRET
    problem(stage.ask(), "token_refused", "r")
    stage.run_well("token", "drop", "r")
    assert stage.get() == 1


# Answers that are no token


def nested(depth):
    return b'{"access_token":"t","expires_in":60,"more":' + b"[" * depth + b"]" * depth + b"}"


def token(text):
    return json.dumps({"access_token": text, "token_type": "Bearer", "expires_in": 60}).encode()


WRONG = {
    "redirect": (302, b"", [("Location", "https://elsewhere.example/token")], "redirect"),
    "redirect, 307": (307, b"", [("Location", "/oauth/token")], "redirect"),
    "too long": (200, token("t")[:-1] + b',"more":"' + b"x" * (65 << 10) + b'"}', [], "64"),
    "too deep": (200, nested(17), [], ""),
    "a name twice": (200, b'{"access_token":"t","access_token":"u","expires_in":60}', [], ""),
    "a name twice, escaped": (200, b'{"access_token":"t","access_\\u0074oken":"u","expires_in":60}', [], ""),
    "a line end in it": (200, token("t\r\nX-Injected: 1"), [], "access_token"),
    "a control character in it": (200, token("t\x01"), [], "access_token"),
    "a space in it": (200, token("a b"), [], "access_token"),
    "not ASCII": (200, token("té"), [], "access_token"),
    "empty": (200, token(""), [], "access_token"),
    "a number": (200, b'{"access_token":5,"expires_in":60}', [], "access_token"),
    "too long a token": (200, token("t" * (16 * 1024 + 1)), [], "access_token"),
    "absent": (200, b'{"token_type":"Bearer","expires_in":60}', [], "access_token"),
    "no object": (200, b'["access_token"]', [], ""),
    "no JSON": (200, b"<html>Sign in</html>", [], "JSON"),
    "cut": (200, b'{"access_token":"t"', [], ""),
    "nothing": (200, b"", [], ""),
    "no body": (204, None, [], ""),
    "not UTF-8": (200, b'{"access_token":"t","expires_in":60,"x":"\xff"}', [], ""),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_that_is_no_token(stage, vendor, wrong):
    status, body, fields, word = WRONG[wrong]

    def answer(exchange, asked):
        if body is None:
            exchange.start(status, fields)
        else:
            exchange.answer(status, [("Content-Type", "application/json"), *fields], body)

    vendor.answer = answer
    response = stage.ask()
    assert response.status in (424, 503) and response.json()["code"].startswith("token_"), response
    members = problem(response, response.json()["code"], "r")
    assert word in members["detail"]
    for text in "elsewhere.example", "X-Injected", "Sign in", "t\r", "té":
        assert text not in members["detail"]
    assert not vendor.calls
    stage.ask()
    assert len(vendor.asked) == 1, "not asked again at once"
    assert (row := stage.tokens().get(("r", "default"))) is None or row["state"] != "fresh"
    # It recovers by itself.
    vendor.answer = None
    stage.clock.passes(310)
    assert stage.get() == 1


@pytest.mark.parametrize("ending", ["no length", "chunked", "cut"])
def test_how_the_answer_is_framed(stage, vendor, ending):
    good = vendor.new(refreshes=False)
    body = json.dumps({"access_token": good.access, "expires_in": 3600}).encode()

    def answer(exchange, asked):
        _ = exchange.body
        if ending == "chunked":
            exchange.start(200, [("Transfer-Encoding", "chunked")])
            for at in range(0, len(body), 7):
                exchange.chunk(body[at:at + 7])
            exchange.chunk(b"")
        elif ending == "no length":
            exchange.start(200, [("Connection", "close")])
            exchange.send(body)
            exchange.connection.close()
        else:
            exchange.start(200, [("Content-Length", str(len(body) + 10))])
            exchange.send(body)
            exchange.connection.close()

    vendor.answer = answer
    if ending == "cut":
        problem(stage.ask(), "token_unavailable", "r")
        assert not vendor.calls
    else:
        assert stage.get() == 1


def test_an_endpoint_that_never_answers_is_given_up(staged, vendor):
    stage = staged(vendor, "oauth2-client-credentials", secrets=NAMES, more={"timeouts": {"first_byte": "300ms"}})
    with vendor.silent():
        response = stage.ask()
        problem(response, "token_unavailable", "r")
    assert not vendor.calls


def test_a_missing_secret_is_told_before_anyone_is_asked(staged, vendor):
    stage = staged(vendor, "oauth2-client-credentials", secrets={**NAMES, "client_secret": "not/stored"})
    members = problem(stage.ask(), "secret_missing", "r")
    assert "not/stored" in members["detail"] + members["hint"]
    assert not vendor.asked
