"""What the ATH servers of the harness ask of a request beside its attestation: each rule bites, and what keeps it passes."""

import base64

import pytest

from harness.ath_client import REDIRECT_URI, a_client, api_of, came_back, refused
from harness.ath_servers import Gateway, NativeService


@pytest.fixture(params=[Gateway, NativeService])
def server(request):
    with request.param().open() as server:
        server.stops_the_clock()
        yield server


@pytest.fixture
def client(server, identities):
    return a_client(server, identities.agent())


@pytest.fixture
def other(server, identities):
    """Another agent, and its client."""
    return a_client(server, identities.agent("/other/agent.json"))


# Registering


MALFORMED = [
    {"purpose": ...}, {"purpose": None}, {"redirect_uris": ...}, {"redirect_uris": []}, {"redirect_uris": ["/back"]},
    {"redirect_uris": ["https://app.example.com/#back"]}, {"redirect_uris": ["ftp://app.example.com/back"]},
    {"redirect_uris": ["https:///back"]}, {"redirect_uris": REDIRECT_URI}, {"redirect_uris": [REDIRECT_URI, 7]},
    {"developer": {"name": "x"}}, {"developer": "x"}, {"developer": {"name": "x", "id": "y", "contact": 7}},
    {"requested_providers": []}, {"requested_providers": {"mail": []}},
    {"requested_providers": [{"provider_id": "mail"}]}, {"requested_providers": [{"provider_id": "", "scopes": []}]},
    {"requested_providers": [{"provider_id": "mail", "scopes": "mail:read"}]}, {"agent_id": ""}, {"more": 1},
]


@pytest.mark.parametrize("wrong", MALFORMED, ids=str)
def test_a_malformed_registration_is_refused(client, wrong):
    refused(client.register(**wrong), "OAUTH_ERROR")
    assert client.register().status == 201


@pytest.mark.parametrize("fields, body", [
    ({"Content-Type": "application/x-www-form-urlencoded"}, b"agent_id=x"), ({"Content-Type": ...}, b"{}"),
    ({}, b"{"), ({}, b'{"a":1,"a":2}'), ({}, b"[]"), ({}, b"\xff"),
])
def test_a_body_is_json(server, client, fields, body):
    for path in "/ath/agents/register", "/ath/authorize", "/ath/token", "/ath/revoke":
        refused(client.ask("POST", server.url + path, body, fields), "OAUTH_ERROR")


def test_what_looks_like_json_has_to_say_so(client):
    client.fields = {"Content-Type": "text/plain"}
    refused(client.register(), "OAUTH_ERROR")
    client.fields = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.register().status == 201


def test_an_attestation_is_of_the_agent_that_registers(client, other):
    refused(client.register(agent_id=other.agent.agent_id), "INVALID_ATTESTATION")


def test_an_agent_registers_once(server, client, other):
    first = client.register().json()
    again = client.register()
    assert (again.status, again.json()["client_id"]) == (409, first["client_id"])
    assert "client_secret" not in again.json()
    assert other.register().status == 201
    assert len(server.registrations) == 2


def test_a_registration_may_be_granted_in_part(server, client):
    server.denied_scopes = {"mail:send"}
    answer = client.register(requested_providers=[
        {"provider_id": client.provider, "scopes": ["mail:read", "mail:send"]}, {"provider_id": "unknown", "scopes": ["x"]}])
    assert answer.json()["approved_providers"] == [
        {"provider_id": client.provider, "approved_scopes": ["mail:read"], "denied_scopes": ["mail:send"],
         "denial_reason": "not for agents"},
        {"provider_id": "unknown", "approved_scopes": [], "denied_scopes": ["x"], "denial_reason": "not for agents"}]
    refused(client.authorize(scopes=["mail:read", "mail:send"]), "SCOPE_NOT_APPROVED")
    assert client.authorize(scopes=["mail:read"]).status == 200


@pytest.mark.parametrize("verdict", ["pending", "denied"])
def test_an_agent_has_to_be_approved(server, client, verdict):
    server.verdict = verdict
    assert client.register().json()["agent_status"] == verdict
    refused(client.authorize(), "AGENT_UNAPPROVED")
    server.decides("approved", client.client_id)
    assert client.authorize().status == 200


def test_an_approval_ends(server, client):
    server.approval_lifetime = 1000
    client.register()
    server.ahead = 1001
    refused(client.authorize(), "AGENT_UNAPPROVED")


def test_only_who_is_concerned_may_look_at_a_registration(server, client, other):
    client.connect()
    other.connect()
    url = f"{server.url}/ath/agents/{client.client_id}"

    def basic(client_id, client_secret, scheme="Basic"):
        return {"Authorization": f"{scheme} {base64.b64encode(f'{client_id}:{client_secret}'.encode()).decode()}"}

    refused(client.ask("GET", url), "AGENT_NOT_REGISTERED", 401)
    refused(client.ask("GET", url, fields=basic(client.client_id, "wrong")), "AGENT_NOT_REGISTERED", 401)
    refused(client.ask("GET", url, fields=basic(other.client_id, other.client_secret)), "AGENT_NOT_REGISTERED", 401)
    digest = basic(client.client_id, client.client_secret, scheme="Digest")
    refused(client.ask("GET", url, fields=digest), "AGENT_NOT_REGISTERED", 401)
    refused(other.call(url), "AGENT_NOT_REGISTERED", 401)
    refused(client.call(url + "x"), "AGENT_NOT_REGISTERED", 404)
    for answer in client.ask("GET", url, fields=basic(client.client_id, client.client_secret)), client.call(url):
        assert answer.status == 200 and "client_secret" not in answer.json()
        assert (answer.json()["agent_id"], answer.json()["agent_status"]) == (client.agent.agent_id, "approved")


# Authorizing


UNAUTHORIZED = {
    "another client": ({"client_id": "ath-client-9"}, "AGENT_NOT_REGISTERED"),
    "another provider": ({"provider_id": "bank"}, "PROVIDER_NOT_APPROVED"),
    "another scope": ({"scopes": ["mail:read", "mail:delete"]}, "SCOPE_NOT_APPROVED"),
    "a scope that was not asked for": ({"scopes": ["mail:send"]}, "SCOPE_NOT_APPROVED"),
    "no scope": ({"scopes": []}, "OAUTH_ERROR"),
    "scopes as text": ({"scopes": "mail:read"}, "OAUTH_ERROR"),
    "another redirect URI": ({"user_redirect_uri": "https://app.example.com/other"}, "OAUTH_ERROR"),
    "a longer redirect URI": ({"user_redirect_uri": REDIRECT_URI + "/x"}, "OAUTH_ERROR"),
    "a redirect URI in other case": ({"user_redirect_uri": REDIRECT_URI.replace("app.", "APP.")}, "OAUTH_ERROR"),
    "no redirect URI": ({"user_redirect_uri": ...}, "OAUTH_ERROR"),
    "a resource that is no address": ({"resource": "mail"}, "OAUTH_ERROR"),
    "a short state": ({"state": "0123456789abcdef"}, "STATE_MISMATCH"),
    "no state": ({"state": ...}, "OAUTH_ERROR"),
    "PKCE, which is the server's": ({"code_challenge": "x" * 43}, "OAUTH_ERROR"),
}


@pytest.mark.parametrize("wrong, code", UNAUTHORIZED.values(), ids=UNAUTHORIZED)
def test_a_wrong_authorization_is_refused(server, client, wrong, code):
    client.register()
    refused(client.authorize(**wrong), code)
    assert not server.sessions
    assert client.authorize().status == 200


def test_a_state_is_used_once(client):
    client.register()
    state = "0f" * 8 + "1357924680acebd0"
    assert client.authorize(state=state).status == 200
    refused(client.authorize(state=state), "STATE_MISMATCH")


def test_each_attestation_is_of_the_client_that_asks(client, other):
    client.register()
    other.register()
    client.agent, own = other.agent, client.agent
    refused(client.authorize(), "INVALID_ATTESTATION")
    client.agent = own
    assert client.authorize().status == 200


def test_a_user_decides_once(server, client):
    client.register()
    url = client.authorize().json()["authorization_url"]
    server.approves(url)
    refused(client.ask("GET", url), "STATE_MISMATCH")
    refused(client.ask("GET", f"{server.url}/ath/consent?state=none"), "STATE_MISMATCH")


# Exchanging


WRONG_EXCHANGES = {
    "another grant type": ({"grant_type": "client_credentials"}, "OAUTH_ERROR", 400),
    "another client": ({"client_id": "ath-client-9"}, "AGENT_NOT_REGISTERED", 403),
    "a wrong secret": ({"client_secret": "wrong"}, "AGENT_NOT_REGISTERED", 401),
    "an empty secret": ({"client_secret": ""}, "AGENT_NOT_REGISTERED", 401),
    "a number for a secret": ({"client_secret": 7}, "AGENT_NOT_REGISTERED", 401),
    "no secret": ({"client_secret": ...}, "OAUTH_ERROR", 400),
    "no attestation": ({"agent_attestation": ...}, "OAUTH_ERROR", 400),
    "another session": ({"ath_session_id": "ath-session-9"}, "SESSION_NOT_FOUND", 400),
}


@pytest.mark.parametrize("wrong, code, status", WRONG_EXCHANGES.values(), ids=WRONG_EXCHANGES)
def test_a_wrong_exchange_is_refused(server, client, wrong, code, status):
    client.register()
    code_of_consent, session = client.consent()
    refused(client.exchange(code_of_consent, session, **wrong), code, status)
    assert not server.tokens
    assert client.exchange(code_of_consent, session).status == 200


def test_a_session_and_its_code_are_used_once(client):
    client.register()
    code, session = client.consent()
    assert client.exchange(code, session).status == 200
    refused(client.exchange(code, session), "SESSION_NOT_FOUND")


def test_a_wrong_code_uses_its_session_up(client):
    client.register()
    first, session = client.consent()
    second, other_session = client.consent()
    refused(client.exchange(second, session), "OAUTH_ERROR")
    refused(client.exchange(first, session), "SESSION_NOT_FOUND")
    assert client.exchange(second, other_session).status == 200


def test_a_session_is_its_clients(client, other):
    client.register()
    other.register()
    code, session = client.consent()
    refused(other.exchange(code, session), "AGENT_IDENTITY_MISMATCH")
    assert client.exchange(code, session).status == 200


def test_a_session_lives_for_ten_minutes(server, client):
    client.register()
    code, session = client.consent()
    later, other_session = client.consent()
    never = client.authorize().json()["authorization_url"]
    server.ahead = 599
    assert client.exchange(code, session).status == 200
    server.ahead = 601
    refused(client.exchange(later, other_session), "SESSION_EXPIRED")
    with pytest.raises(AssertionError):
        server.approves(never)


def test_a_user_has_to_have_decided(client):
    client.register()
    session = client.authorize().json()["ath_session_id"]
    refused(client.exchange("guessed", session), "SESSION_NOT_FOUND")


def test_a_user_may_say_no(server, client):
    client.register()
    begun = client.authorize().json()
    back = came_back(server.denies(begun["authorization_url"]))
    assert back["error"] == "access_denied" and "code" not in back
    assert back["state"] == server.steps("authorize")[0].json["state"]
    refused(client.ask("GET", begun["authorization_url"]), "STATE_MISMATCH")
    refused(client.exchange("", begun["ath_session_id"]), "USER_DENIED")
    refused(client.exchange("", begun["ath_session_id"]), "SESSION_NOT_FOUND")


@pytest.mark.parametrize("consented, effective", [({"mail:send", "x"}, ["mail:send"]), (set(), None)])
def test_a_token_is_for_what_all_agree_to(server, client, consented, effective):
    client.scopes, server.consents_to = ["mail:read", "mail:send"], consented
    client.register()
    answer = client.exchange(*client.consent())
    if effective is None:
        return refused(answer, "SCOPE_NOT_APPROVED")
    assert answer.json()["effective_scopes"] == answer.json()["scope_intersection"]["effective"] == effective
    assert answer.json()["scope_intersection"]["agent_approved"] == ["mail:read", "mail:send"]


def test_a_scope_may_be_withdrawn_before_the_exchange(server, client):
    client.scopes = ["mail:read", "mail:send"]
    client.register()
    first, second = client.consent(), client.consent()
    server.denied_scopes = {"mail:send"}
    assert client.exchange(*first).json()["effective_scopes"] == ["mail:read"]
    server.denied_scopes = {"mail:send", "mail:read"}
    refused(client.exchange(*second), "SCOPE_NOT_APPROVED")


def test_the_way_back_may_be_the_reference_servers(server, client):
    """It names neither code nor state, and then minds no code."""
    server.returns_as = "reference"
    client.register()
    begun = client.authorize().json()
    back = came_back(server.approves(begun["authorization_url"]))
    assert back == {"from": "ath", "session_id": begun["ath_session_id"], "success": "true"}
    assert client.exchange("any", begun["ath_session_id"]).status == 200
    again = client.authorize().json()
    back = came_back(server.denies(again["authorization_url"]))
    assert back == {"from": "ath", "error": "access_denied", "ath_session_id": again["ath_session_id"]}


# Calling and revoking


def test_a_call_carries_a_live_token_of_its_agent(server, client, other):
    client.connect()
    other.connect()
    url = api_of(server) + "/x"
    assert client.call(url).json()["token"] == 1
    refused(client.call(url, fields={"Authorization": ...}), "TOKEN_INVALID")
    refused(client.call(url, fields={"Authorization": "Bearer wrong"}), "TOKEN_INVALID")
    refused(client.call(url, fields={"Authorization": f"ATH {client.access_token}"}), "TOKEN_INVALID")
    refused(client.call(url, fields={"X-ATH-Agent-ID": ...}), "AGENT_IDENTITY_MISMATCH")
    refused(client.call(url, fields={"X-ATH-Agent-ID": other.agent.agent_id}), "AGENT_IDENTITY_MISMATCH")
    refused(client.call(url, fields={"Authorization": f"Bearer {other.access_token}"}), "AGENT_IDENTITY_MISMATCH")
    server.ahead = 3599
    assert client.call(url).status == 200
    server.ahead = 3601
    refused(client.call(url), "TOKEN_EXPIRED")


def test_a_token_is_for_one_provider(identities):
    with Gateway().open() as gateway:
        client = a_client(gateway, identities.agent())
        client.connect()
        refused(client.call(f"{gateway.url}/ath/proxy/files/x"), "PROVIDER_MISMATCH")
        refused(client.call(f"{gateway.url}/ath/proxy/mailbox/x"), "PROVIDER_MISMATCH")


def test_tokens_may_live_shortly_and_be_ended(server, client):
    server.lifetime = 5
    assert client.connect().json()["expires_in"] == 5
    server.ahead = 6
    refused(client.call(api_of(server) + "/x"), "TOKEN_EXPIRED")
    client.exchange(*client.consent())
    assert client.call(api_of(server) + "/x").status == 200
    server.ends_tokens()
    refused(client.call(api_of(server) + "/x"), "TOKEN_REVOKED")


def test_only_its_client_revokes_a_token(server, client, other):
    client.connect()
    other.connect()
    refused(client.revoke(client_secret="wrong"), "AGENT_NOT_REGISTERED", 401)
    refused(client.revoke(client_secret=...), "OAUTH_ERROR")
    refused(client.revoke(client_id=other.client_id), "AGENT_NOT_REGISTERED", 401)
    refused(client.revoke(token=other.access_token), "AGENT_IDENTITY_MISMATCH")
    refused(client.revoke(token="unknown"), "TOKEN_INVALID", 400)
    assert client.call(api_of(server) + "/x").status == 200
    assert client.revoke().status == client.revoke().status == 200
    refused(client.call(api_of(server) + "/x"), "TOKEN_REVOKED")
    assert other.call(api_of(server) + "/x").status == 200


def test_there_is_nothing_else(server, client):
    for method, path in ("GET", "/"), ("GET", "/ath/token"), ("PUT", "/ath/agents/register"), ("POST", "/ath/agents/x"):
        refused(client.ask(method, server.url + path), "INTERNAL_ERROR", 404)
