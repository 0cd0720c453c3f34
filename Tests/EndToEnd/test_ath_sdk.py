"""ATH: the protocol's own client goes the whole way with both servers, in all its forms, and what it says is written down."""

import contextlib

import pytest
from ath import ATHError, AgentStatus, DeveloperInfo, ProviderScopeRequest

from harness.ath_client import REDIRECT_URI
from harness.ath_handshake import differences, handshake_of
from harness.ath_sdk import KINDS, Sdk, handshake_of_sdk, whole_way
from harness.ath_servers import NativeService, error
from harness.vendors import says

CALLS = (("GET", "/v1/messages?q=a%20b&c=ü", None), ("POST", "v1/messages", {"to": "é", "n": 1}), ("DELETE", "/", None))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def server(kind):
    with KINDS[kind][0]().open() as server:
        yield server


@pytest.fixture
def agent(identities):
    return identities.agent(capabilities=["mail"])


@pytest.fixture
def sdk(kind, server, agent):
    with Sdk(kind, server, agent) as sdk:
        yield sdk


def attestation(agent, audience="<server>"):
    """What the SDK attests; it knows of no capabilities."""
    return {"header": {"alg": "ES256", "typ": "JWT", "kid": "default"}, "claims": {
        "iss": agent.agent_id, "sub": agent.agent_id, "aud": audience, "iat": "<iat>", "exp": "<iat + 3600>", "jti": "<jti>",
        "capabilities": []}}


def test_the_client_goes_the_whole_way(server, sdk, agent):
    answers = whole_way(sdk, CALLS, redirect_uri=REDIRECT_URI, resource="https://mail.example.com/")
    assert not server.refusals
    assert [(answer["method"], answer["target"]) for answer in answers] == [
        ("GET", "/v1/messages?q=a%20b&c=%C3%BC"), ("POST", "/v1/messages"), ("DELETE", "/")]
    assert server.tokens[0].uses == 3 and server.tokens[0].revoked
    assert sdk.access_token is None
    said = handshake_of(server)
    assert [(each["step"], each["method"], each["framing"]) for each in said] == [
        ("discover", "GET", "none"), ("register", "POST", "length"), ("authorize", "POST", "length"),
        ("exchange", "POST", "length"), ("call", "GET", "none"), ("call", "POST", "length"), ("call", "DELETE", "none"),
        ("revoke", "POST", "length")]
    discover, register, authorize, exchange, call, post, _, revoke = said
    assert discover["target"] == server.discovery_path and discover["fields"] == {} and discover["body"] is None
    assert (register["target"], register["body"]) == ("/ath/agents/register", {
        "agent_id": agent.agent_id, "agent_attestation": attestation(agent),
        "developer": {"name": "Example Ltd", "id": "dev-7"}, "purpose": "tests", "redirect_uris": [REDIRECT_URI],
        "requested_providers": [{"provider_id": sdk.provider, "scopes": ["mail:read"]}]})
    assert (authorize["target"], authorize["body"]) == ("/ath/authorize", {
        "client_id": "<client id 1>", "agent_attestation": attestation(agent), "provider_id": sdk.provider,
        "scopes": ["mail:read"], "user_redirect_uri": REDIRECT_URI, "state": "<state>",
        "resource": "https://mail.example.com/"})
    assert (exchange["target"], exchange["body"]) == ("/ath/token", {
        "grant_type": "authorization_code", "client_id": "<client id 1>", "client_secret": "<client secret 1>",
        "agent_attestation": attestation(agent, "<server>/ath/token"), "code": "<code 1>", "ath_session_id": "<session 1>"})
    assert (revoke["target"], revoke["body"]) == ("/ath/revoke", {
        "client_id": "<client id 1>", "client_secret": "<client secret 1>", "token": "<token 1>"})
    for each in register, authorize, exchange, revoke:
        assert each["fields"] == {"content-type": "application/json"}
    below = "/api/v1" if isinstance(server, NativeService) else "/ath/proxy/mail"
    assert call["target"] == below + "/v1/messages?q=a%20b&c=%C3%BC"
    assert call["fields"] == {"authorization": "Bearer <token 1>", "x-ath-agent-id": agent.agent_id}
    assert post["fields"] == {**call["fields"], "content-type": "application/json"} and post["body"] == {"to": "é", "n": 1}
    assert {each["host"] for each in said} == {"<server's authority>"}


@pytest.mark.parametrize("mode", ["gateway", "native"])
def test_both_forms_of_a_client_say_the_same(agent, mode):
    said = [handshake_of_sdk(kind, agent, calls=CALLS) for kind in (mode, f"async {mode}")]
    assert differences(*said) == []


def test_modes_differ_in_where_calls_go(agent):
    said = [handshake_of_sdk(mode, agent) for mode in ("gateway", "native")]
    assert {line.partition(":")[0] for line in differences(*said)} == {
        "discover.target", "register.body.requested_providers", "authorize.body.provider_id", "call.target"}


def test_without_a_redirect_uri_the_servers_own_is_registered(server, sdk):
    whole_way(sdk)
    _, register, authorize, *_ = handshake_of(server)
    assert register["body"]["redirect_uris"] == ["<server>/ath/callback"]
    assert authorize["body"]["user_redirect_uri"] == "<server>/ath/callback"
    assert "resource" not in authorize["body"]


def test_the_clients_own_types_say_null_for_no_contact(server, sdk):
    sdk.registers(developer=DeveloperInfo(name="Example Ltd", id="dev-7"), providers=[
        ProviderScopeRequest(provider_id=sdk.provider, scopes=["mail:read"])])
    assert handshake_of(server)[0]["body"]["developer"] == {"name": "Example Ltd", "id": "dev-7", "contact": None}


def test_another_key_id_is_in_every_attestation(identities, kind):
    said = handshake_of_sdk(kind, identities.agent(key_id="2025-k"))
    kids = [each["body"]["agent_attestation"]["header"]["kid"] for each in said if each["step"] in (
        "register", "authorize", "exchange")]
    assert kids == ["2025-k"] * 3


def test_over_tls(authority, monkeypatch, agent, kind):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    said = handshake_of_sdk(kind, agent, context=authority.server_context(), calls=CALLS)
    assert differences(said, handshake_of_sdk(kind, agent, calls=CALLS)) == []


def test_an_api_may_be_elsewhere(agent):
    with contextlib.ExitStack() as open_ones:
        said = handshake_of_sdk("native", agent, prepare=lambda service: open_ones.enter_context(service.api_elsewhere()))
    call = next(each for each in said if each["step"] == "call")
    assert (call["at"], call["host"], call["target"]) == ("api", "<api's authority>", "/api/v1/v1/messages")


def test_a_users_session_goes_along(agent, kind):
    """The client sends it because it is told to behind its back."""
    def prepare(server):
        server.user_token = "canary-user-session"

    said = handshake_of_sdk(kind, agent, fields={"X-ATH-User-Token": "canary-user-session"}, prepare=prepare)
    assert [each["fields"]["x-ath-user-token"] for each in said] == ["canary-user-session"] * 6


def test_the_reference_servers_way_back_is_enough(server, sdk):
    """No code comes back, and none is asked for."""
    server.returns_as = "reference"
    sdk.registers()
    assert sdk.logs_in().effective_scopes == ["mail:read"]


# What goes wrong


def code_of(act, *given, **more):
    with pytest.raises(ATHError) as caught:
        act(*given, **more)
    return caught.value.status, caught.value.code


def test_what_is_missing_is_said_before_any_request(server, sdk):
    assert code_of(sdk.authorize, sdk.provider, ["mail:read"]) == (None, "NOT_REGISTERED")
    assert code_of(sdk.exchange_token, "code", "session") == (None, "NOT_REGISTERED")
    discovered = "NOT_DISCOVERED" if isinstance(server, NativeService) else "NO_TOKEN"
    assert code_of(sdk.call, "GET", "/x") == (None, discovered)
    sdk.discover()
    assert code_of(sdk.call, "GET", "/x") == (None, "NO_TOKEN")
    sdk.revoke()
    assert [heard.step for heard in server.heard] == ["discover"]


def test_a_second_registration_is_a_conflict_that_names_the_client(server, sdk):
    """The client makes nothing of it; whoever kept the credentials goes on with them."""
    first = sdk.registers()
    with pytest.raises(ATHError) as caught:
        sdk.registers()
    assert (caught.value.status, caught.value.details["client_id"]) == (409, first.client_id)
    sdk.set_credentials(first.client_id, first.client_secret)
    assert sdk.logs_in().agent_id == sdk.agent_id


@pytest.mark.parametrize("verdict", ["pending", "denied"])
def test_an_agent_that_is_not_approved_cannot_authorize(server, sdk, verdict):
    server.verdict = verdict
    assert sdk.registers().agent_status == AgentStatus(verdict)
    assert code_of(sdk.authorize, sdk.provider, ["mail:read"]) == (403, "AGENT_UNAPPROVED")


def test_a_user_who_says_no(server, sdk):
    server.agrees = False
    sdk.registers()
    assert code_of(sdk.logs_in) == (400, "USER_DENIED")


def test_tokens_end(server, sdk):
    sdk.discover()
    sdk.registers()
    sdk.logs_in()
    server.ahead = 3601
    assert code_of(sdk.call, "GET", "/x") == (401, "TOKEN_EXPIRED")
    server.ahead = 0
    server.ends_tokens()
    assert code_of(sdk.call, "GET", "/x") == (401, "TOKEN_REVOKED")
    sdk.set_token("made up")
    assert code_of(sdk.call, "GET", "/x") == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("answer, said", [
    (error("INTERNAL_ERROR"), (500, "INTERNAL_ERROR")), (says(503, b"no"), (503, "UNKNOWN")),
    (says(200, b"[]"), (None, "INVALID_RESPONSE")),
])
def test_a_revocation_that_failed_leaves_the_client_its_token(server, sdk, answer, said):
    """It may try again."""
    sdk.registers()
    sdk.logs_in()
    server.answers("revoke", answer)
    assert code_of(sdk.revoke) == said
    assert sdk.access_token == server.tokens[0].access
    sdk.revoke()
    assert server.tokens[0].revoked
