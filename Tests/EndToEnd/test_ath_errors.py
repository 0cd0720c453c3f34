"""What ATH servers refuse, and answers that are none: at every step, by name, and with what to do next."""

import json

import pytest

from harness.ath_servers import STATUSES, error
from harness.ath_stage import in_one_mode, refused
from harness.vendors import says
from harness.waiting import until

STEPS = ["discover", "register", "authorize", "exchange"]
ENDS = ["SESSION_NOT_FOUND", "SESSION_EXPIRED", "STATE_MISMATCH", "USER_DENIED", "OAUTH_ERROR"]

each_step = pytest.mark.parametrize("step", STEPS)


@pytest.fixture
def at(place):
    """Goes up to a step, has the server answer it with `answer`, and takes it; gives what came back."""
    gone = {}

    def take(step, answer):
        members = gone[step] if step in gone and step != "exchange" else (
            place.back(place.authorize()) if step in gone else place.before(step))
        gone[step] = members
        place.server.answers(step, answer)
        return place.take(step, members)

    return take


# By name


@each_step
def test_every_code_comes_through_by_name(place, at, step):
    for code in STATUSES:
        comes_through(place, step, code, at(step, error(code)))
    assert len(place.heard(step)) == len(STATUSES), "none is tried again"


def comes_through(place, step, code, response):
    transient = STATUSES[code] >= 500 and step != "exchange"
    members = refused(response, "token_unavailable" if transient else "authorization_failed", code)
    assert f"said on purpose: {code}" in members["detail"] and place.authority in members["detail"]
    assert members["retryable"] is transient
    assert str(STATUSES[code]) in members["detail"]
    hint = members["hint"]
    if code in ENDS or step == "exchange" and code in ("INTERNAL_ERROR", "TOKEN_INVALID"):
        assert hint == "chatelaine ath authorize r"
    elif code in ("INVALID_ATTESTATION", "AGENT_IDENTITY_MISMATCH"):
        assert "chatelaine ath identity r" in hint
    elif code == "AGENT_NOT_REGISTERED":
        assert hint == "chatelaine ath register r"
    elif code == "AGENT_UNAPPROVED":
        assert "operator" in hint
    line = json.loads(place.stage.log_line("handshake failed", code))
    assert line["step"] == step and line["route"] == "r"


@in_one_mode
def test_what_is_no_code_is_not_shown_as_one(at):
    for code in "lower", "", "A B", "A\u001b[31m", "X" * 65, 7, None, ["A"], "É":
        answer = says(403, {"code": code, "message": "said on purpose"})
        members = refused(at("register", answer), "authorization_failed", None)
        assert "said on purpose" in members["detail"] and "\u001b" not in members["detail"]


@in_one_mode
def test_a_message_is_one_line_of_ours(at):
    said = "line one\r\nline two\u202e\u001b[2Jand " + "x" * 1000
    members = refused(at("register", says(403, {"code": "OAUTH_ERROR", "message": said})), "authorization_failed", "OAUTH_ERROR")
    assert "line one line two" in members["detail"] and len(members["detail"]) < 600
    assert not [character for character in members["detail"] if ord(character) < 32 or character == "\u202e"]


def test_a_server_that_says_our_secrets_back(place):
    """Its client secret, the code, the state: not even as the name of an error."""
    begun = place.ready().authorize()
    members = place.back(begun)
    session = place.server.sessions[0]
    secrets = [place.server.registrations[0].client_secret, session.code, session.state]
    place.server.answers("exchange", says(400, {"code": "OAUTH_ERROR", "message": " ".join(secrets)}))
    detail = refused(place.take("exchange", members), "authorization_failed", "OAUTH_ERROR")["detail"]
    assert not [secret for secret in secrets if secret in detail]


@in_one_mode
def test_a_client_secret_that_looks_like_a_code(place):
    secret = "CANARY_ATH_SECRET_0123456789"
    place.server.canaries.append(secret)
    place.discover()
    place.server.answers("register", says(201, {
        "client_id": "ath-client-x", "client_secret": secret, "agent_status": "approved", "approved_providers": []}))
    place.register()
    for code in secret, "X" + secret:
        place.server.answers("authorize", says(403, {"code": code, "message": "no"}))
        refused(place.take("authorize", place.wish("authorize")), "authorization_failed", None)


@in_one_mode
@pytest.mark.parametrize("extra", [
    {"again": "SECRET"}, {"nested": {"secret": ["x", "SECRET"]}}, {"url": "https://x/?s=SECRET"}, {"SECRET": 1}])
def test_a_registration_that_has_its_secret_twice(place, extra):
    secret = "canary-ath-secret-0123456789abc"
    place.server.canaries.append(secret)
    place.discover()
    extra = json.loads(json.dumps(extra).replace("SECRET", secret))
    place.server.answers("register", says(201, {
        "client_id": "ath-client-x", "client_secret": secret, "agent_status": "approved", "approved_providers": [], **extra}))
    answer = place.register()
    assert answer["client_id"] == "ath-client-x" and secret not in json.dumps(answer)
    assert secret not in json.dumps(place.status())


@in_one_mode
@pytest.mark.parametrize("extra", [
    {"refresh_token": "TOKEN"}, {"id_token": "canary-id-token-0123456789"}, {"data": {"token": "TOKEN"}}, {"all": ["TOKEN"]},
    {"header": "Bearer TOKEN"}])
def test_a_grant_that_has_its_token_twice(place, extra):
    token = "canary-ath-token-x-0123456789abc"
    place.server.canaries += [token, "canary-id-token-0123456789"]
    members = place.before("exchange")
    extra = json.loads(json.dumps(extra).replace("TOKEN", token))
    place.server.answers("exchange", says(200, {
        "access_token": token, "token_type": "Bearer", "expires_in": 60, "effective_scopes": ["mail:read"],
        "provider_id": place.provider, "agent_id": place.agent_id, **extra}))
    response = place.take("exchange", members)
    assert response.status == 200 and response.json()["effective_scopes"] == ["mail:read"]
    assert token.encode() not in response.body and b"id-token" not in response.body


# What cannot be read

BIG = b'{"a":"' + b"x" * 70_000 + b'"}'
GARBAGE = {
    "empty": says(200, b""), "text": says(200, b"<html>hello</html>"), "array": says(200, b"[]"), "null": says(200, b"null"),
    "nothing": says(200, {}), "long": says(200, BIG), "cut": says(200, b'{"client_id": "x'), "latin-1": says(200, b'{"a":"\xe9"}'),
    "deep": says(200, b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
    "twice": says(200, b'{"client_id":"a","client_id":"b","client_secret":"c","agent_status":"approved","access_token":"t",'
                       b'"access_token":"u","authorization_url":"https://x/","ath_session_id":"s","ath_session_id":"t"}'),
    "bom": says(200, b"\xef\xbb\xbf{}"), "wrong types": says(200, {
        "client_id": 1, "client_secret": [], "agent_status": {}, "authorization_url": 7, "ath_session_id": None,
        "access_token": {}, "ath_version": 1, "api_base": 2}),
    "other success": says(204, b""), "no content type": lambda exchange, heard: exchange.answer(200, [], b"{}"),
}


@each_step
def test_garbage(place, at, step):
    for answer in GARBAGE.values():
        members = refused(at(step, answer), "authorization_failed", None)
        assert not members["retryable"]
    assert len(place.heard(step)) == len(GARBAGE)
    if step == "register":
        assert "registration" not in place.status()
    if step == "exchange":
        assert not place.stage.tokens()


@each_step
def test_redirects_are_not_followed(place, at, step):
    fields = [("Location", f"{place.server.origin}/elsewhere")]
    for status in 301, 302, 303, 307, 308:
        members = refused(at(step, says(status, b"", fields)), "authorization_failed", None)
        assert "redirect" in members["detail"] and "/elsewhere" not in members["detail"]
    assert not place.heard("unknown")


@each_step
def test_a_server_that_is_down(place, at, step):
    response = at(step, says(503, b"come back later", [("Retry-After", "7")]))
    members = refused(response, "token_unavailable", None)
    assert response.value("Retry-After") == "7" and "503" in members["detail"]
    assert place.take(step, place.wish(step) if step in ("register", "authorize") else None if step == "discover" else {
        "code": place.server.sessions[0].code, "session_id": place.server.sessions[0].id}).status == 200, "later it works"


@each_step
def test_a_server_that_failed(at, step):
    """Whether it has used the session up is not known: then to say that it may be tried again would be wrong."""
    for status in 500, 502, 504:
        response = at(step, says(status, b"oops"))
        members = refused(response, "authorization_failed" if step == "exchange" else "token_unavailable", None)
        assert str(status) in members["detail"]


def resets(exchange, heard):
    exchange.connection.reset()


def ends(exchange, heard):
    exchange.start(200, [("Content-Length", "100")])
    exchange.send(b'{"a":')
    exchange.connection.close()


def is_no_http(exchange, heard):
    exchange.send(b"SSH-2.0-OpenSSH_9.0\r\n\r\n")
    exchange.connection.close()


@each_step
def test_no_answer(place, at, step):
    for answer in resets, ends, is_no_http:
        members = refused(at(step, answer), "authorization_failed" if step == "exchange" else "token_unavailable", None)
        assert place.authority in members["detail"] and step in members["detail"]
        if step == "exchange":
            assert members["hint"] == "chatelaine ath authorize r"
    assert len(place.heard(step)) == 3, "none is sent again by itself"


@each_step
def test_a_server_that_says_nothing(settle, kind, step):
    place = settle(kind, timeouts={"first_byte": "300ms"})
    members = place.before(step)
    with place.server.silent(step):
        said = refused(place.take(step, members), "authorization_failed" if step == "exchange" else "token_unavailable", None)
    assert "in time" in said["detail"]


@each_step
def test_a_server_that_nobody_reaches(place, step):
    """Nothing was sent: a session is as good as before."""
    members = place.before(step)
    with place.stage.upstream.away():
        for _ in range(2):
            said = refused(place.take(step, members), "token_unavailable", None)
            assert place.authority in said["detail"]
    assert place.take(step, members).status == 200
    assert len(place.heard(step)) == 1 and not place.refusals(0)


@each_step
def test_a_clock_that_is_off_is_said(place, step):
    """Attestations are refused for it, and nobody thinks of that."""
    members = place.before(step)
    fields = [("Date", "Thu, 01 Jan 2026 00:00:00 GMT")]
    place.server.answers(step, says(401, {"code": "INVALID_ATTESTATION", "message": "iat"}, fields))
    place.clock.now()
    said = refused(place.take(step, members), "authorization_failed", "INVALID_ATTESTATION")
    assert " s behind ours" in said["detail"]


# Registration


def test_to_register_again_changes_nothing(place):
    place.discover()
    first = place.register()
    said = refused(place.take("register", place.wish("register", purpose="something else")), "authorization_failed", "CONFLICT")
    assert "for other things" in said["detail"]
    assert place.register() == first
    assert [heard.status for heard in place.heard("register")] == [201, 409, 409]
    place.connect()
    assert place.token_of() == 1


def test_another_client_has_the_registration(place):
    """A 409 that names another client than the stored one: what is stored is worth nothing there."""
    place.ready()
    place.server.answers("register", says(409, {"code": "CONFLICT", "message": "x", "client_id": "ath-client-other"}))
    members = refused(place.take("register", place.wish("register")), "authorization_failed", "CONFLICT")
    assert "client secret" in members["detail"]


def test_a_conflict_may_name_the_client_among_its_details(place):
    place.ready()
    client = place.server.registrations[0].client_id
    place.server.answers("register", error("CONFLICT", 409, client_id=client))
    assert place.register()["client_id"] == client


def test_a_registration_that_was_lost(place):
    """The server did it, and its answer never came: without the secret that was in it nobody can go on."""
    place.discover()
    place.server.loses("register")
    refused(place.take("register", place.wish("register")), "token_unavailable", None)
    assert len(place.server.registrations) == 1 and "registration" not in place.status()
    members = refused(place.take("register", place.wish("register")), "authorization_failed", "CONFLICT")
    assert "not in this store" in members["detail"] and "operator" in members["hint"]
    # The operator removes it.
    place.server.registrations.clear()
    place.register()
    place.connect()


@pytest.mark.parametrize("verdict", ["pending", "denied"])
def test_an_agent_that_is_not_approved(place, verdict):
    place.server.verdict = verdict
    place.discover()
    assert place.register()["agent_status"] == verdict
    assert place.status()["registration"]["agent_status"] == verdict
    refused(place.take("authorize", place.wish("authorize")), "authorization_failed", "AGENT_UNAPPROVED")
    assert not place.server.sessions
    place.server.decides("approved")
    place.connect()
    assert place.token_of() == 1


def test_scopes_that_were_not_approved(place):
    place.server.denied_scopes = {"mail:send"}
    place.discover()
    answer = place.register(providers=[{"provider_id": place.provider, "scopes": ["mail:read", "mail:send"]}])
    assert answer["approved_providers"] == [{
        "provider_id": place.provider, "approved_scopes": ["mail:read"], "denied_scopes": ["mail:send"],
        "denial_reason": "not for agents"}]
    response = place.take("authorize", place.wish("authorize", scopes=["mail:read", "mail:send"]))
    members = refused(response, "authorization_failed", "SCOPE_NOT_APPROVED")
    assert "chatelaine ath register r" in members["hint"]


def test_a_user_who_says_no(place):
    place.ready()
    place.server.agrees = False
    begun = place.authorize()
    members = refused(place.take("exchange", place.back(begun)), "authorization_failed", "USER_DENIED")
    assert members["hint"] == "chatelaine ath authorize r"
    refused(place.take("exchange", {"code": "", "session_id": begun["ath_session_id"]}), "state_unknown")
    assert not place.stage.tokens()


@in_one_mode
def test_two_registrations_at_once(place):
    """The second would get the first one's place, or lose it."""
    place.discover()
    with place.server.silent("register"), place.house.wire() as wire:
        wire.request("POST", "/-/ath/r/register", (), json.dumps(place.wish("register")).encode())
        until(lambda: place.heard("register"), "the first to arrive")
        refused(place.take("register", place.wish("register")), "overloaded")
        place.server._speaks.set()
        assert wire.response().status == 200
    assert len(place.heard("register")) == 1
