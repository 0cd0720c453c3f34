"""Sessions: each good once, for who began it and for ten minutes; tokens that are for somebody else; whose is whose."""

import contextlib
import json
import os
import shutil
import signal

import pytest

from harness.ath_client import REDIRECT_URI
from harness.ath_stage import SERVERS, in_one_mode, refused
from harness.problems import problem
from harness.stranger import NOBODY, as_root, stranger
from harness.vendors import says
from harness.waiting import until


@pytest.fixture
def begun(place):
    """A user of the daemon's own caller has agreed: what they came back with."""
    return place.back(place.ready().authorize())


def is_unknown(place, members, reasons, subject=None):
    """Brings a session back, and asserts that it is refused like any other, without a request; the log has the reason."""
    asked = len(place.heard("exchange"))
    response = place.ask("POST", "exchange", members, subject)
    said = refused(response, "state_unknown", None)
    assert said["hint"] == "chatelaine ath authorize r" and "10" not in said["title"]
    assert place.refusals(len(reasons)) == reasons
    assert len(place.heard("exchange")) == asked
    return said


# Good once


@in_one_mode
@pytest.mark.parametrize("session", ["ath-session-1-0000", "x", "' OR 1=1 --", "../../etc/passwd", "\x00", "é", "s" * 3000])
def test_a_session_that_was_never_begun(place, begun, session):
    is_unknown(place, {**begun, "session_id": session}, ["unknown"])
    assert place.take("exchange", begun).status == 200, "the one that was begun is as good as before"


def test_a_used_session(place, begun):
    assert place.take("exchange", begun).status == 200
    for count in 1, 2:
        is_unknown(place, begun, ["used"] * count)
    assert place.token_of() == 1, "a replay ends nothing"


def test_a_used_session_is_used_after_a_restart(place, begun):
    assert place.take("exchange", begun).status == 200
    place.stage.restart()
    is_unknown(place, begun, ["used"])


def test_a_session_is_used_up_by_a_refusal(place, begun):
    """Else a code could be tried until it fits."""
    refused(place.take("exchange", {**begun, "code": "guessed"}), "authorization_failed", "OAUTH_ERROR")
    is_unknown(place, begun, ["used"])


def test_ten_minutes(place, begun):
    place.clock.passes(590)
    assert place.take("exchange", begun).status == 200


def test_ten_minutes_and_a_second(place, begun):
    place.clock.passes(601)
    is_unknown(place, begun, ["expired"])


def test_a_late_session_that_the_server_counts(place, begun):
    """Where its clock is ahead of ours, it says so itself."""
    place.server.ahead = 700
    place.server.attestations.now = place.clock.now
    refused(place.take("exchange", begun), "authorization_failed", "SESSION_EXPIRED")


def test_another_state(place, begun):
    """Whoever has the state may say it: then it has to be the one that was sent."""
    state = place.server.sessions[0].state
    is_unknown(place, {**begun, "state": state[:-1] + ("A" if state[-1] != "A" else "B")}, ["state_mismatch"])
    assert place.take("exchange", {**begun, "state": state}).status == 200, "a mistake costs nobody their consent"


def test_the_state_that_was_sent(place, begun):
    assert place.take("exchange", {**begun, "state": place.server.sessions[0].state}).status == 200


def test_states_and_sessions_are_new_each_time(place):
    place.ready()
    for _ in range(5):
        place.authorize()
    states = [heard.json["state"] for heard in place.heard("authorize")]
    assert len(set(states)) == 5 and min(map(len, states)) >= 43, "256 bits in base64url"


@in_one_mode
def test_refusals_look_alike(place, begun):
    """Whoever guesses learns nothing: not even which sessions there are."""
    late = place.back(place.authorize())
    assert place.take("exchange", begun).status == 200
    said = [is_unknown(place, {**begun, "session_id": "guessed"}, ["unknown"]), is_unknown(place, begun, ["unknown", "used"])]
    place.clock.passes(601)
    said.append(is_unknown(place, late, ["unknown", "used", "expired"]))
    for members in said:
        del members["instance"]
    assert said[0] == said[1] == said[2]


# Whose it is


def test_another_subjects_session(place):
    members = place.back(place.ready().authorize("alice"))
    is_unknown(place, members, ["other_subject"], "bob")
    assert not place.stage.tokens()
    assert place.ask("POST", "exchange", members, "alice").status == 200, "a mistake costs nobody their consent"
    assert set(place.stage.tokens()) == {("r", "alice")}


def test_who_names_nobody_gets_it_for_whom_it_was_begun(place):
    members = place.back(place.ready().authorize("alice"))
    response = place.take("exchange", members)
    assert response.status == 200 and response.json()["subject"] == "alice"
    assert list(place.stage.tokens()) == [("r", "alice")]
    problem(place.call(), "not_connected", "r")
    assert place.token_of("alice") == 1


def test_two_subjects(place):
    place.ready()
    for subject in "alice", "bob":
        place.connect(subject)
    assert (place.token_of("alice"), place.token_of("bob")) == (1, 2)
    problem(place.call(subject="carol"), "not_connected", "r")
    assert place.revoke("alice") == {"subject": "alice", "revoked": True}
    assert place.token_of("bob") == 2
    problem(place.call(subject="alice"), "not_connected", "r")


@in_one_mode
@pytest.mark.parametrize("subject", ["a\tb", "x" * 300])
def test_what_is_no_subject(place, subject):
    place.ready()
    for step in "authorize", "revoke":
        assert place.ask("POST", step, place.wish(step), subject).status == 400
    assert not place.heard("authorize")


@as_root
def test_another_callers_session(place, begun, identities):
    """The daemon runs as somebody else after the session was begun: what its predecessor's caller has, no other may bring."""
    house = place.house
    house.stop()
    trust = shutil.copy(house.settings["routes"]["r"]["tls"]["ca"], house.home)
    os.chmod(trust, 0o644)
    house.settings["routes"]["r"]["tls"]["ca"] = trust
    house.write()
    for path in house.home, *house.home.rglob("*"):
        os.chown(path, NOBODY, -1)
    house.start(under=("setpriv", "--reuid", str(NOBODY), "--clear-groups"), env=None)
    try:
        with stranger():
            is_unknown(place, begun, ["other_caller"])
    finally:
        house.stop()


def test_two_who_authorize_at_once(place):
    """The server answers the second first, and their users come back crosswise: each gets their own."""
    place.ready()
    with contextlib.ExitStack() as stack:
        wires = {name: stack.enter_context(place.house.wire()) for name in ("alice", "bob", "carol", "dave")}
        with place.server.silent("authorize"):
            for name, wire in wires.items():
                wire.request("POST", "/-/ath/r/authorize", [("X-Chatelaine-Subject", name)], json.dumps(
                    place.wish("authorize", resource=f"https://{name}.example.com/")).encode())
            until(lambda: len(place.heard("authorize")) == 4, "all to have asked")
        begun = {name: wire.response().json() for name, wire in wires.items()}
    assert len({each["ath_session_id"] for each in begun.values()}) == 4
    for name in reversed(begun):
        assert place.exchange(begun[name])["subject"] == name
    for name in begun:
        token = place.server.tokens[place.token_of(name) - 1]
        assert token.session.resource == f"https://{name}.example.com/"


@in_one_mode
def test_a_hundred_returns_are_one_exchange(place, begun):
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(place.house.wire()) for _ in range(100)]
        with place.server.silent("exchange"):
            for wire in wires:
                wire.request("POST", "/-/ath/r/exchange", (), json.dumps(begun).encode())
            place.refusals(99)
        statuses = sorted(wire.response().status for wire in wires)
    assert statuses == [200] + [400] * 99
    assert len(place.heard("exchange")) == len(place.server.tokens) == 1


def test_a_server_that_gives_a_session_twice(place):
    """The second who is given it must not get the first one's token."""
    place.ready()
    first = place.authorize("alice")
    place.server.answers("authorize", says(200, {
        "authorization_url": "https://x.example/", "ath_session_id": first["ath_session_id"]}), times=2)
    refused(place.ask("POST", "authorize", place.wish("authorize"), "mallory"), "authorization_failed", None)
    assert place.exchange(first)["subject"] == "alice"
    refused(place.ask("POST", "authorize", place.wish("authorize"), "mallory"), "authorization_failed", None)


def test_a_registration_that_changed_meanwhile(place, begun):
    """The code is another client's then."""
    place.server.registrations.clear()
    place.register()
    is_unknown(place, begun, ["other_client"])


# Wrong wishes


@in_one_mode
@pytest.mark.parametrize("uri", [
    "https://evil.example/back", REDIRECT_URI + "&x=1", REDIRECT_URI + "/", REDIRECT_URI.upper(), REDIRECT_URI[:-1], "x"])
def test_a_redirect_uri_that_was_not_registered(place, uri):
    place.ready()
    response = place.ask("POST", "authorize", place.wish("authorize", redirect_uri=uri))
    refused(response, "malformed_request")
    assert not place.heard("authorize")


def test_each_redirect_uri_that_was_registered(place):
    place.discover()
    place.register(redirect_uris=[REDIRECT_URI, "http://127.0.0.1:8080/back"])
    place.authorize(redirect_uri="http://127.0.0.1:8080/back")
    place.authorize()
    assert [heard.json["user_redirect_uri"] for heard in place.heard("authorize")] == [
        "http://127.0.0.1:8080/back", REDIRECT_URI]


@in_one_mode
@pytest.mark.parametrize("step, body", [
    ("register", {"purpose": ...}), ("register", {"purpose": 1}), ("register", {"providers": []}),
    ("register", {"providers": [{"provider_id": "mail"}]}), ("register", {"providers": "mail"}),
    ("register", {"developer": {"name": "x"}}), ("register", {"redirect_uris": []}),
    ("register", {"redirect_uris": ["https://x/#fragment"]}), ("register", {"redirect_uris": ["not an address"]}),
    ("register", {"client_secret": "x"}), ("register", {"agent_attestation": "x"}),
    ("authorize", {"scopes": ...}), ("authorize", {"scopes": []}), ("authorize", {"scopes": "mail:read"}),
    ("authorize", {"scopes": ["a b"]}), ("authorize", {"state": "mine"}), ("authorize", {"scope": ["mail:read"]})])
def test_wishes_that_are_none(place, step, body):
    place.discover()
    if step == "authorize":
        place.register()
    before = len(place.heard())
    refused(place.ask("POST", step, place.wish(step, **body)), "malformed_request", route=...)
    assert len(place.heard()) == before


@in_one_mode
@pytest.mark.parametrize("body", [b"", b"[]", b"x", b'{"code":"a","code":"b","session_id":"c"}', b'{"code":"a"}',
                                  b'{"session_id":"c"}', b'{"code":1,"session_id":"c"}', b"\xff"])
def test_a_body_that_is_none(place, begun, body):
    refused(place.ask("POST", "exchange", body=body), "malformed_request", route=...)
    assert not place.heard("exchange") and place.take("exchange", begun).status == 200


# For somebody else


@pytest.mark.parametrize("member, value", [("agent_id", "https://other.example/agent.json"), ("provider_id", "other")])
def test_a_token_for_somebody_else(place, begun, member, value):
    token = "canary-ath-token-of-another-0123456789"
    place.server.canaries.append(token)
    place.server.answers("exchange", says(200, {
        "access_token": token, "token_type": "Bearer", "expires_in": 3600, "effective_scopes": ["mail:read"],
        "provider_id": place.provider, "agent_id": place.agent_id, member: value}))
    members = refused(place.take("exchange", begun), "authorization_failed", None)
    assert ("AGENT_IDENTITY_MISMATCH" if member == "agent_id" else "PROVIDER_MISMATCH") in members["detail"]
    assert not place.stage.tokens()
    problem(place.call(), "not_connected", "r")
    assert not place.heard("call")


def test_it_does_not_take_the_place_of_one_that_is_there(place, begun):
    assert place.take("exchange", begun).status == 200
    again = place.back(place.authorize())
    place.server.answers("exchange", says(200, {"access_token": "x" * 40, "token_type": "Bearer", "provider_id": "other"}))
    refused(place.take("exchange", again), "authorization_failed", None)
    assert place.token_of() == 1


@in_one_mode
@pytest.mark.parametrize("extra", [{"token_type": "DPoP"}, {"access_token": "a b"}, {"access_token": "a\r\nX: y"}, {"access_token": ""}])
def test_a_token_that_nobody_can_send(place, begun, extra):
    place.server.answers("exchange", says(200, {
        "access_token": "t" * 40, "token_type": "Bearer", "expires_in": 3600, "provider_id": place.provider,
        "agent_id": place.agent_id, **extra}))
    refused(place.take("exchange", begun), "authorization_failed", None)
    assert not place.stage.tokens()


# The first of the protocol's own errors


def test_what_is_missing_is_said_before_any_request(place, kind):
    """NOT_REGISTERED, NO_TOKEN and NOT_DISCOVERED of the protocol's own client: not_connected, with the next command."""

    def hint_of(response):
        return refused(response, "not_connected", None)["hint"]

    for step, members in ("authorize", place.wish("authorize")), ("exchange", {"code": "x", "session_id": "y"}), ("revoke", {}):
        assert hint_of(place.ask("POST", step, members)) == "chatelaine ath register r"
    if kind == "native":
        assert hint_of(place.call()) == "chatelaine ath discover r"
        place.register()
        assert hint_of(place.ask("POST", "authorize", place.wish("authorize"))) == "chatelaine ath discover r"
        place.discover()
    else:
        assert hint_of(place.call()) == "chatelaine ath register r"
        place.register()
    assert hint_of(place.call()) == "chatelaine ath authorize r"
    assert hint_of(place.call(subject="alice")) == "chatelaine ath authorize r --subject alice"
    assert hint_of(place.ask("POST", "revoke", {})) == "chatelaine ath authorize r"
    assert not place.heard("call") and not place.heard("authorize") and not place.heard("revoke")


# Over restarts


@pytest.mark.parametrize("way", ["restart", "kill -9"])
def test_nothing_is_lost_between_two_steps(settle, kind, way):
    place = settle(kind, key="generated")

    def again():
        if way == "restart":
            return place.stage.restart()
        place.house.signal(signal.SIGKILL)
        place.house.wait()
        place.house.process = None
        place.stage.start()

    again()
    place.discover()
    again()
    place.register()
    again()
    begun = {name: place.authorize(name) for name in ("alice", "bob")}
    again()
    for name in begun:
        place.exchange(begun[name], name)
        again()
    assert (place.token_of("alice"), place.token_of("bob")) == (1, 2)
    again()
    assert (place.token_of("bob"), place.token_of("alice")) == (2, 1)
    assert place.status()["registration"]["client_id"] == place.server.registrations[0].client_id
    again()
    assert place.revoke("alice")["revoked"] is True
    again()
    problem(place.call(subject="alice"), "not_connected", "r")
    assert place.token_of("bob") == 2
    assert not place.server.refusals
    assert [heard.step for heard in place.heard() if heard.step != "call"] == [
        "discover", "register", "authorize", "authorize", "exchange", "exchange", "revoke"], "nothing is done twice"


@pytest.mark.parametrize("step", ["register", "exchange"])
def test_killed_as_the_answer_comes(settle, kind, step):
    """What was answered was stored before: who has the answer has all that it says."""
    place = settle(kind, server=SERVERS[kind]())
    members = place.before(step)
    assert place.take(step, members).status == 200
    place.house.signal(signal.SIGKILL)
    place.house.wait()
    place.house.process = None
    place.stage.start()
    place.connect("bob") if step == "register" else place.token_of()
    assert len(place.heard("register")) == 1


def test_killed_while_the_server_thinks(place, begun):
    """Nobody knows what became of the code: the session is over, and nothing is in doubt about it."""
    with place.server.silent("exchange"), place.house.wire() as wire:
        wire.request("POST", "/-/ath/r/exchange", (), json.dumps(begun).encode())
        until(lambda: place.heard("exchange"), "the server to be asked")
        place.house.signal(signal.SIGKILL)
        place.house.wait()
    place.house.process = None
    place.stage.start()
    is_unknown(place, begun, ["used"])
    place.connect()
