"""Sessions: one for each user of a route, refreshed once for all, kept across restarts, never mixed, never shown."""

import contextlib
import random
import threading
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from harness.logins import begin, call, come_back, exchange, log_in, sessions, user_of
from harness.problems import problem
from harness.stranger import as_root, stranger
from harness.vendors import unavailable
from harness.waiting import until
from harness.wire import Wire
from secrets_used import NAMES, leaks_of


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, "oauth2", secrets=NAMES)


# Whose


def test_a_session_is_the_subjects(stage):
    for user in "alice", "bob":
        log_in(stage, user)
    log_in(stage, user="carol")
    assert [user_of(stage, subject) for subject in ("alice", "bob", None, "default")] == ["alice", "bob", "carol", "carol"]


def test_two_subjects_never_mix_in_a_crowd(stage, vendor):
    """64 clients with connections of their own, who act for one and then for the other, while both tokens expire under them."""
    for user in "alice", "bob":
        log_in(stage, user)
    failures, served = [], []
    halfway = threading.Barrier(65)

    def client(number):
        choice = random.Random(number)
        def acts():
            with Wire(stage.house.address) as wire:
                for _ in range(20):
                    subject = choice.choice(("alice", "bob"))
                    response = wire.exchange("GET", f"/r/{subject}", [("X-Chatelaine-Subject", subject)])
                    assert response.status == 200, response
                    assert response.json()["user"] == subject
                    served.append(subject)

        try:
            acts()
            halfway.wait()
            halfway.wait()
            acts()
        except BaseException as error:
            failures.append(error)
            halfway.abort()

    threads = [threading.Thread(target=client, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        halfway.wait()
        stage.clock.passes(3601)
        halfway.wait()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]
    assert len(served) == 64 * 40 and {*served} == {"alice", "bob"}
    for seen in vendor.calls:
        assert seen.exchange.target == f"/{seen.grant.user}".encode(), "another user's token went upstream"
    assert vendor.kinds() == ["exchange"] * 2 + ["refresh"] * 2
    assert not vendor.dead()


def test_the_subject_never_goes_upstream(stage, vendor):
    log_in(stage, "alice")
    assert user_of(stage, "alice", fields=[("X-Chatelaine-Anything", "x")]) == "alice"
    head = vendor.calls[-1].exchange.head.lower()
    assert b"chatelaine" not in head and b"alice" not in head


@pytest.mark.parametrize("subject", ["", " ", "a b", "a/b", "a\x7f", "ä", "x" * 300, "alice,bob"])
def test_what_is_no_subject_gets_nobodys_session(stage, vendor, subject):
    log_in(stage, user="carol")
    response = call(stage, subject) if subject else stage.ask(fields=[("X-Chatelaine-Subject", "")])
    assert response.status in (400, 424), response
    assert not vendor.calls


def test_two_subjects_in_one_request_are_refused(stage, vendor):
    for user in "alice", "bob":
        log_in(stage, user)
    response = call(stage, "alice", fields=[("X-Chatelaine-Subject", "bob")])
    assert response.status == 400, response
    assert not vendor.calls


@pytest.mark.parametrize("target", ["/oauth/token", "/oauth/token?x=1", "/OAuth/%74oken/", "/oauth/token;v=1"])
def test_no_caller_reaches_the_token_endpoint(stage, vendor, target):
    """T3.9: what it answers is the daemon's business, and a session's token would go with the request."""
    log_in(stage, "alice")
    asked = len(vendor.asked)
    for method, body in ("POST", b"grant_type=refresh_token&refresh_token=x"), ("GET", None):
        problem(call(stage, "alice", target, method=method, body=body), "unknown_route", "r")
    assert len(vendor.asked) == asked and not vendor.calls
    assert user_of(stage, "alice", target="/oauth/tokens") == "alice"


def test_two_routes_share_no_session(staged, vendor):
    stage = staged(vendor, routes={name: {"connector": "oauth2", "secrets": NAMES} for name in ("r", "s")})
    log_in(stage, "alice")
    assert user_of(stage, "alice") == "alice"
    problem(call(stage, "alice", route="s"), "not_connected", "s")


def test_a_new_login_takes_the_place_of_the_old(stage, vendor):
    log_in(stage, "alice")
    log_in(stage, "alice", user="alice-2")
    assert user_of(stage, "alice") == "alice-2"
    assert len(vendor.grants) == 2 and len(sessions(stage)) == 1


# None


def test_without_a_session_the_way_to_one_is_named(stage, vendor):
    members = problem(call(stage), "not_connected", "r")
    assert members["hint"].startswith("chatelaine login r")
    members = problem(call(stage, "alice"), "not_connected", "r")
    assert "chatelaine login r" in members["hint"] and not members["retryable"]
    assert not vendor.asked and not vendor.calls
    assert not sessions(stage), "to ask is not to begin one"


def test_one_that_the_provider_ended_has_to_log_in_again(stage, vendor):
    for user in "alice", "bob":
        log_in(stage, user)
    vendor.ends("alice")
    for _ in range(3):
        members = problem(call(stage, "alice"), "reauthorization_required", "r")
        assert "chatelaine login r" in members["hint"] and not members["retryable"]
    assert vendor.kinds() == ["exchange", "exchange", "refresh"], "the provider said no once"
    assert sessions(stage)["alice"]["state"] == "reauthorization_required"
    # That is known after a restart and a reload as well.
    stage.restart()
    assert sessions(stage)["alice"]["state"] == "reauthorization_required"
    stage.run_well("reload")
    problem(call(stage, "alice"), "reauthorization_required", "r")
    assert len(vendor.asked) == 3, "and nobody asked again"
    assert user_of(stage, "bob") == "bob"
    log_in(stage, "alice")
    assert user_of(stage, "alice") == "alice"


def test_a_provider_that_is_down_ends_no_session(stage, vendor):
    log_in(stage, "alice")
    stage.clock.passes(3601)
    vendor.answer = unavailable(503)
    problem(call(stage, "alice"), "token_unavailable", "r")
    vendor.answer = None
    stage.clock.passes(301)
    assert user_of(stage, "alice") == "alice"


def test_a_login_ends_what_a_refused_refresh_left(stage, vendor):
    """Also where both happen at once: a login that succeeds while a refresh waits for its answer is what counts."""
    log_in(stage, "alice")
    stage.clock.passes(3601)
    begun = begin(stage, subject="alice")
    address = vendor.goes_to(begun.url)
    first = threading.Event()

    def answer(exchanged, asked):
        if asked.kind == "refresh":
            first.wait()
            vendor.say(exchanged, 400, {"error": "invalid_grant"})
        else:
            vendor.give(exchanged, asked)

    vendor.answer = answer
    with stage.house.wire() as waiting:
        waiting.request("GET", "/r/x", [("X-Chatelaine-Subject", "alice")])
        vendor.wait_for_asked(2)
        assert come_back(stage, address).status == 200
        first.set()
        assert waiting.response().status == 200, "whoever waited has what the login brought"
    stage.turn()
    assert user_of(stage, "alice") == "alice"
    assert sessions(stage)["alice"]["state"] == "fresh"


# How long


@pytest.mark.parametrize("killed", [False, True])
def test_sessions_outlive_the_daemon(stage, vendor, killed):
    for user in "alice", "bob":
        log_in(stage, user)
    for _ in range(2):
        if killed:
            stage.house.process.kill()
            stage.house.process.wait()
            stage.start()
        else:
            stage.restart()
        assert [user_of(stage, user) for user in ("alice", "bob")] == ["alice", "bob"]
    assert vendor.kinds() == ["exchange"] * 2
    stage.restart()
    stage.clock.passes(3601)
    assert [user_of(stage, user) for user in ("alice", "bob")] == ["alice", "bob"]
    assert vendor.kinds() == ["exchange"] * 2 + ["refresh"] * 2


def test_a_login_outlives_the_daemon(stage, vendor):
    """Its state is in the store, and so is its verifier."""
    begun = begin(stage, subject="alice")
    stage.restart()
    assert come_back(stage, vendor.goes_to(begun.url)).status == 200
    assert user_of(stage, "alice") == "alice"


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_new_client_secret_keeps_sessions(stage, vendor, running):
    for user in "alice", "bob":
        log_in(stage, user)
    if not running:
        stage.house.stop()
    vendor.client_secret = "canary-a-new-secret/+"
    stage.run_well("secret", "set", "oauth/client_secret", input=vendor.client_secret)
    if not running:
        stage.start()
    assert [user_of(stage, user) for user in ("alice", "bob")] == ["alice", "bob"]
    assert vendor.kinds() == ["exchange"] * 2, "nothing was asked for again"
    stage.clock.passes(3601)
    assert [user_of(stage, user) for user in ("alice", "bob")] == ["alice", "bob"]
    assert vendor.kinds() == ["exchange"] * 2 + ["refresh"] * 2, "with the new secret, or it would have been refused"
    assert not leaks_of([vendor.client_secret], stage.came_out())


def test_a_reload_keeps_sessions(stage, vendor):
    log_in(stage, "alice")
    stage.house.settings["routes"]["r"]["headers"] = {"X-Tenant": "t1"}
    stage.house.write()
    stage.run_well("reload")
    assert user_of(stage, "alice") == "alice"
    assert vendor.calls[-1].exchange.value("X-Tenant") == "t1"
    assert len(vendor.asked) == 1


def test_a_session_whose_refresh_token_rotates_goes_on(stage, vendor):
    log_in(stage, "alice")
    for generation in range(2, 7):
        stage.clock.passes(3601)
        assert user_of(stage, "alice") == "alice"
        assert sessions(stage)["alice"]["generation"] == generation
    assert vendor.kinds() == ["exchange"] + ["refresh"] * 5
    assert all(grant.spent for grant in vendor.grants[:-1])


# The list, and the end


def test_sessions_lists_who_is_logged_in(stage, vendor):
    assert sessions(stage) == {}
    for user in "bob", "alice":
        log_in(stage, user)
    for _ in "live", "restarted":
        found = sessions(stage)
        assert list(found) == ["alice", "bob"]
        for user, grant in zip(("bob", "alice"), vendor.grants):
            assert abs(found[user]["expires"] - grant.expires) <= 1
            assert found[user]["generation"] == 1
        assert stage.tokens().keys() == {("r", "alice"), ("r", "bob")}
        assert stage.metric("chatelaine_token_expires_seconds", route="r") == min(
            row["expires"] for row in found.values())
        stage.restart()


def test_sessions_lists_only_the_routes(staged, vendor):
    stage = staged(vendor, routes={name: {"connector": "oauth2", "secrets": NAMES} for name in ("r", "s")})
    log_in(stage, "alice")
    log_in(stage, "bob", route="s")
    assert list(sessions(stage)) == ["alice"] and list(sessions(stage, "s")) == ["bob"]


def test_logins_are_counted(stage, vendor):
    log_in(stage, "alice")
    assert stage.metric("chatelaine_token_refreshes_total", route="r", outcome="granted") == 1
    stage.log_line("logged in", '"alice"')
    vendor.answer = lambda exchanged, asked: vendor.say(exchanged, 400, {"error": "invalid_grant"})
    assert come_back(stage, vendor.goes_to(begin(stage).url)).status == 424
    vendor.answer = unavailable(503)
    assert come_back(stage, vendor.goes_to(begin(stage).url)).status in (424, 503)
    for outcome in "granted", "refused", "unavailable":
        assert stage.metric("chatelaine_token_refreshes_total", route="r", outcome=outcome) == 1


@pytest.mark.parametrize("subject", ["alice", "alice@example.com", "a.b-c_d~e"])
def test_a_session_can_be_ended(stage, vendor, subject):
    for user in subject, "bob":
        log_in(stage, user)
    gone = vendor.grants[0]

    def end():
        return stage.house.exchange("DELETE", f"/-/oauth/r/sessions/{quote(subject, safe='')}")

    response = end()
    assert response.status in (200, 204), response
    problem(call(stage, subject), "not_connected", "r")
    assert user_of(stage, "bob") == "bob"
    assert list(sessions(stage)) == ["bob"]
    problem(end(), "not_connected", "r")
    stage.restart()
    problem(call(stage, subject), "not_connected", "r")
    assert not leaks_of([gone.access, gone.refresh], stage.came_out())
    assert vendor.kinds() == ["exchange"] * 2


def test_to_end_the_session_of_nobody(stage, vendor):
    log_in(stage, "alice")
    for subject in "bob", "default", "ALICE", "alice%20", "ali":
        problem(stage.house.exchange("DELETE", f"/-/oauth/r/sessions/{subject}"), "not_connected", "r")
    for subject in "", "%zz", "alice/x":
        assert stage.house.exchange("DELETE", f"/-/oauth/r/sessions/{subject}").status in (400, 404, 405, 424)
    assert user_of(stage, "alice") == "alice"


# Who may ask


@as_root
@pytest.mark.parametrize("method, path", [
    ("POST", "authorize"), ("POST", "exchange"), ("GET", "sessions"), ("DELETE", "sessions/alice")])
def test_a_stranger_may_ask_nothing(stage, vendor, method, path):
    log_in(stage, "alice")
    with stranger():
        response = stage.house.exchange(method, f"/-/oauth/r/{path}", body=b"{}" if method == "POST" else None)
    assert problem(response, "caller_unknown")
    assert b"alice" not in response.body
    assert user_of(stage, "alice") == "alice"


def test_routes_without_logins_have_no_such_endpoints(staged, vendor):
    stage = staged(vendor, routes={"r": {"connector": "oauth2", "secrets": NAMES},
                                   "static": {"connector": "bearer", "secrets": {"token": "shared/token"}}})
    for route in "static", "nowhere", "-", "", "r/r", "R":
        for method, path in ("POST", "authorize"), ("POST", "exchange"), ("GET", "sessions"):
            response = stage.house.exchange(method, f"/-/oauth/{route}/{path}", body=b"{}" if method == "POST" else None)
            assert problem(response, "unknown_route"), (route, path)
    # To a browser every return looks alike: who is not known learns nothing of routes.
    pages = {stage.house.exchange("GET", f"/-/oauth/{route}/callback?code=a&state=b").body for route in ("static", "nowhere", "r")}
    assert len(pages) == 1 and b"This login is over" in pages.pop()
    assert not vendor.asked


@pytest.mark.parametrize("body", [
    b"[]", b"null", b"{", b'"alice"', b'{"subject": 1}', b'{"subject": ""}', b'{"user": "alice"}', b'{"subject":"a","subject":"b"}',
    b'{"scope": ""}', b'{"scope": ["a"]}', b'{"redirect_uri": "https://evil.example/"}', b'{"subject": "a\\u0000b"}',
    b'{"subject": "\xff"}',
    b'{"subject": "%s"}' % (b"x" * 3000)])
def test_what_is_no_wish_begins_no_login(stage, vendor, body):
    response = stage.house.exchange("POST", "/-/oauth/r/authorize", body=body)
    assert response.status == 400, response
    problem(response, "malformed_request")
    for word in b"evil", b"alice", b"xxx":
        assert word not in response.body


def test_an_empty_wish_is_the_default(stage, vendor):
    for body in None, b"", b"{}":
        response = stage.house.exchange("POST", "/-/oauth/r/authorize", body=body)
        assert response.status == 200, response
        stage.vendor.states.add(response.json()["state"])


# What nobody sees


def test_what_is_secret_of_a_login_stays_inside(stage, vendor):
    """The fixture searches at the end for every code, verifier, state and token in logs, store, answers and error texts.

    Here each way of failing is gone, with the log at its most talkative; and the verifier is in nothing that the browser sees.
    """
    stage.house.settings["log"] = {"level": "debug"}
    stage.house.write()
    stage.run_well("reload")
    log_in(stage, "alice")
    begun = begin(stage)
    address = vendor.goes_to(begun.url)
    verifier, = vendor.verifiers
    challenge = parse_qs(urlsplit(begun.url).query)["code_challenge"][0]
    assert len(verifier) == 43 and verifier not in begun.url and challenge != verifier
    code = parse_qs(urlsplit(address).query)["code"][0]
    # Tampered, denied, refused with the provider's words, refused with our secrets in them, replayed, down.
    come_back(stage, address.replace("state=", "state=x"))
    come_back(stage, address + "&state=again")
    vendor.answer = lambda exchanged, asked: vendor.say(exchanged, 400, {
        "error": "invalid_grant", "error_description": f"no {asked.values['code']} {asked.values['code_verifier']}"})
    come_back(stage, address)
    come_back(stage, address)
    for answer in unavailable(503), lambda exchanged, asked: vendor.say(exchanged, 200, {"access_token": "canary-broken-1 2"}):
        vendor.answer = answer
        begun = begin(stage)
        exchange(stage, begun.state, parse_qs(urlsplit(vendor.goes_to(begun.url)).query)["code"][0])
    vendor.answer = None
    exchange(stage, begun.state, "canary-unknown-code-5")
    vendor.error = "access_denied"
    come_back(stage, vendor.goes_to(begin(stage).url))
    for arguments in ("token", "list"), ("token", "list", "--json"), ("status",), ("check",), ("explain", "r", "GET", "/x"):
        stage.run(*arguments)
    vendor.verifiers.add(verifier)
    assert not leaks_of([code, "canary-unknown-code-5", "canary-broken-1 2", "canary-description-<b>"], stage.came_out())
    assert len(vendor.every_secret()) > 10, "the control: there is something to search for"
    assert leaks_of([code], address), "and the search finds it"
    until(stage.house.rests, "the daemon to rest")
