"""What becomes of an agent's token: calls that it is refused for, its end, and what is told of its scopes."""

import json
import re

import pytest

from harness.ath_servers import error
from harness.ath_stage import in_one_mode, refused
from harness.problems import problem
from harness.vendors import says


@pytest.fixture
def connected(place):
    place.ready()
    place.connect()
    return place


def is_over(place, subject=None):
    members = problem(place.call(subject=subject), "reauthorization_required", "r")
    assert members["hint"] == "chatelaine ath authorize r" + (f" --subject {subject}" if subject else "")
    return members


# Tokens that are dead


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_expired_token(connected, method):
    """By the server's word, before it is so by ours: another would do, and there is none."""
    connected.server.ahead = 3700
    body = b"{}" if method == "POST" else None
    members = problem(connected.call(method=method, body=body), "reauthorization_required", "r")
    assert members["hint"] == "chatelaine ath authorize r"
    assert len(connected.heard("call")) == 1
    is_over(connected)
    assert len(connected.heard("call")) == 1, "what was refused is not sent again"


def test_a_token_that_expired_here(connected):
    connected.clock.passes(3601)
    is_over(connected)
    assert not connected.heard("call")
    connected.connect()
    assert connected.token_of() == 2


@pytest.mark.parametrize("code, status", [("TOKEN_REVOKED", 401), ("TOKEN_INVALID", 401), ("TOKEN_REVOKED", 403)])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_revoked_token(connected, code, status, method):
    """No retry: one request upstream, whose answer passes; and from then on none."""
    connected.server.answers("call", error(code, status))
    body = b"{}" if method == "POST" else None
    response = connected.call(method=method, body=body)
    assert response.status == status and response.json()["code"] == code
    assert response.value("Proxy-Status") is None and len(connected.heard("call")) == 1
    is_over(connected)
    assert len(connected.heard("call")) == 1
    connected.connect()
    assert connected.token_of() == 2


@pytest.mark.parametrize("answer", [
    error("PROVIDER_MISMATCH"), error("PROVIDER_MISMATCH", 401), error("SCOPE_NOT_APPROVED"), error("AGENT_IDENTITY_MISMATCH"),
    error("INTERNAL_ERROR"), says(401, b""), says(401, b"<html>"), says(401, {"code": "SOMETHING"}), says(403, {"code": 7}),
    says(200, {"code": "TOKEN_EXPIRED"}), says(200, {"code": "TOKEN_REVOKED"}), says(404, {"code": "TOKEN_EXPIRED"})],
    ids=["provider", "provider 401", "scope", "agent", "internal", "empty", "page", "other code", "no code", "200 expired",
         "200 revoked", "404 expired"])
def test_other_refusals_pass(connected, answer):
    """One request upstream, its answer passes, and the token is as good as before."""
    connected.server.answers("call", answer)
    response = connected.call()
    assert response.value("Proxy-Status") is None
    assert len(connected.heard("call")) == 1
    assert response.status == (connected.heard("call")[0].status or response.status)
    assert connected.token_of() == 1


def test_a_session_that_began_meanwhile(connected):
    """Two programs: the one's call comes back as expired, when the other's user has just agreed anew."""
    connected.server.tokens[0].expires = 0
    connected.connect()
    assert connected.token_of() == 2 and len(connected.heard("call")) == 1


def test_an_expired_tokens_answer_is_large(connected):
    connected.server.answers("call", says(401, {"code": "TOKEN_EXPIRED", "message": "x" * 300_000}))
    response = connected.call()
    assert response.status in (401, 424) and len(connected.heard("call")) == 1


def test_calls_are_passed_as_they_are(connected):
    response = connected.call("/v1/messages?q=a%20b&q=%2F", "POST", body=b"\x00\xff raw", fields=[
        ("Content-Type", "application/octet-stream"), ("X-Custom", "1")])
    seen = response.json()
    assert seen["method"] == "POST" and seen["target"] == "/v1/messages?q=a%20b&q=%2F"
    assert ["X-Custom", "1"] in seen["fields"]


# Its end


def test_revoke(connected):
    assert connected.revoke() == {"subject": "default", "revoked": True}
    assert connected.server.tokens[0].revoked
    problem(connected.call(), "not_connected", "r")
    assert not connected.heard("call") and not connected.stage.tokens()
    refused(connected.ask("POST", "revoke", {}), "not_connected", None)
    assert len(connected.heard("revoke")) == 1


def test_revoke_without_a_body(connected):
    response = connected.ask("POST", "revoke")
    assert response.status == 200 and response.json()["revoked"] is True


@pytest.mark.parametrize("way", ["expired here", "expired there", "revoked there"])
def test_a_dead_token_is_revoked_too(connected, way):
    if way == "expired here":
        connected.clock.passes(3601)
    elif way == "expired there":
        connected.server.ahead = 3700
        connected.call()
        connected.server.ahead = 0
    else:
        connected.server.ends_tokens()
        connected.call()
    assert connected.revoke()["revoked"] is True
    assert len(connected.heard("revoke")) == 1 and not connected.stage.tokens()


@pytest.mark.parametrize("answer", [
    error("TOKEN_INVALID"), error("INTERNAL_ERROR"), error("AGENT_NOT_REGISTERED"), says(503, b""), says(302, b"", [(
        "Location", "https://x/")]), lambda exchange, heard: exchange.connection.reset()],
    ids=["invalid", "internal", "unregistered", "503", "redirect", "reset"])
def test_whatever_the_server_says_the_token_is_gone_here(connected, answer):
    connected.server.answers("revoke", answer)
    told = connected.revoke()
    assert told.pop("detail") and told == {"subject": "default", "revoked": False}
    problem(connected.call(), "not_connected", "r")
    assert not connected.heard("call") and not connected.stage.tokens()
    assert "revoke" in connected.stage.log_line("handshake failed")
    connected.stage.restart()
    problem(connected.call(), "not_connected", "r")


def test_a_revocation_that_nobody_answers(settle, kind):
    place = settle(kind, timeouts={"first_byte": "300ms"}).ready()
    place.connect()
    with place.server.silent("revoke"):
        assert place.revoke()["revoked"] is False
    problem(place.call(), "not_connected", "r")


def test_a_revocation_of_who_is_down(connected):
    with connected.stage.upstream.away():
        told = connected.revoke()
    assert told["revoked"] is False and connected.authority in told["detail"]
    problem(connected.call(), "not_connected", "r")


def test_a_revocation_without_the_routes_header(settle, kind):
    """What the route's other requests wait for keeps no token here."""
    place = settle(kind, headers={"X-ATH-User-Token": {"secret": "ath/user"}})
    place.stage.run_well("secret", "set", "ath/user", input="canary-user-session-6a")
    place.ready()
    place.connect()
    place.stage.run_well("secret", "rm", "ath/user")
    assert place.revoke()["revoked"] is False
    assert not place.stage.tokens() and not place.heard("revoke")


# What is told


def test_scopes_in_status(place):
    place.server.denied_scopes = {"mail:send"}
    place.discover()
    scopes = ["mail:read", "mail:send"]
    place.register(providers=[{"provider_id": place.provider, "scopes": scopes}])
    place.connect("alice")
    status = place.status()
    assert status["agent_id"] == place.agent_id and status["has_key"] is True and status["discovered"] is True
    registration = status["registration"]
    assert registration["asked"] == [{"provider_id": place.provider, "scopes": scopes}]
    assert [(each["approved_scopes"], each["denied_scopes"]) for each in registration["approved"]] == [
        (["mail:read"], ["mail:send"])]
    assert status["sessions"] == [{
        "subject": "alice", "state": "fresh", "asked": ["mail:read"], "approved": ["mail:read"], "consented": ["mail:read"],
        "effective": ["mail:read"]}]
    text = place.stage.run_well("status").out
    assert re.search(r"AGENT +REGISTERED +SUBJECT +STATE +ASKED +APPROVED +EFFECTIVE\n"
                     r"r +approved +alice +fresh +mail:read +mail:read +mail:read\n", text), text


def test_a_user_who_agrees_to_less(place):
    scopes = ["mail:read", "mail:send"]
    place.discover()
    place.register(providers=[{"provider_id": place.provider, "scopes": scopes}])
    place.server.consents_to = {"mail:read"}
    told = place.connect(scopes=scopes)
    assert told["effective_scopes"] == ["mail:read"] and told["scope_intersection"]["agent_approved"] == scopes
    session = place.status()["sessions"][0]
    assert (session["asked"], session["approved"], session["consented"], session["effective"]) == (
        scopes, scopes, ["mail:read"], ["mail:read"])
    place.stage.restart()
    assert place.status()["sessions"][0] == session


def test_a_server_whose_answer_says_less(place):
    """Neither scopes nor an end are told by every server."""
    members = place.before("exchange")
    token = "canary-ath-token-plain-0123456789"
    place.server.canaries.append(token)
    place.server.answers("exchange", says(200, {"access_token": token, "token_type": "Bearer"}))
    assert place.take("exchange", members).json() == {"subject": "default", "token_type": "Bearer"}
    assert place.status()["sessions"] == [{"subject": "default", "state": "fresh", "asked": ["mail:read"]}]


@in_one_mode
def test_the_token_list(connected):
    connected.connect("alice")
    rows = connected.stage.tokens()
    assert sorted(rows) == [("r", "alice"), ("r", "default")]
    assert {row["state"] for row in rows.values()} == {"fresh"}
    text = connected.stage.run_well("token", "list").out
    assert "alice" in text and "fresh" in text
    assert "alice" in connected.stage.run_well("token", "drop", "r", "--subject", "alice").out
    problem(connected.call(subject="alice"), "not_connected", "r")
    assert connected.token_of() == 1 and not connected.heard("revoke"), "the server is not told"


@in_one_mode
def test_a_dropped_token_is_over_with_its_session(connected):
    connected.stage.run_well("token", "drop", "r")
    members = problem(connected.call(), "not_connected", "r")
    assert members["hint"] == "chatelaine ath authorize r"
    connected.connect()
    assert connected.token_of() == 2


@in_one_mode
def test_metrics_and_the_log_say_nothing_more(connected):
    connected.call("/v1/messages?q=canary-query")
    log = connected.house.log()
    assert "canary-query" not in log and connected.server.sessions[0].id not in log
    lines = [json.loads(line) for line in connected.house.log_lines() if '"handshake"' in line]
    assert [(line["step"], line["route"]) for line in lines] == [
        (step, "r") for step in ("discover", "register", "authorize", "exchange")]
