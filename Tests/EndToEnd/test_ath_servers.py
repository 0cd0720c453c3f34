"""The ATH servers of the harness take what is right, remember it, and answer as a test wants them to."""

import json
import ssl
import threading

import pytest

from harness.ath_client import REDIRECT_URI, a_client, api_of, came_back, refused
from harness.ath_handshake import differences, handshake_of
from harness.ath_rules import bits_of
from harness.ath_servers import Gateway, NativeService, error
from harness.vendors import says
from harness.waiting import until

@pytest.fixture(params=[Gateway, NativeService])
def server(request):
    with request.param().open() as server:
        server.stops_the_clock()
        yield server


@pytest.fixture
def gateway():
    with Gateway().open() as gateway:
        gateway.stops_the_clock()
        yield gateway


@pytest.fixture
def client(request, identities):
    """A client of the server that the test has."""
    server = request.getfixturevalue("server" if "server" in request.fixturenames else "gateway")
    return a_client(server, identities.agent())


# What is right


def test_the_right_way_to_a_token_and_its_end(server, client, identities):
    assert client.ask("GET", server.url + server.discovery_path).json()["ath_version"] == "0.1"
    registered = client.register()
    assert registered.status == 201
    assert set(registered.json()) == {
        "client_id", "client_secret", "agent_status", "approved_providers", "approval_expires"}
    assert registered.json()["approved_providers"] == [
        {"provider_id": client.provider, "approved_scopes": ["mail:read"], "denied_scopes": []}]
    begun = client.authorize(resource="https://mail.example.com/")
    assert set(begun.json()) == {"authorization_url", "ath_session_id"}
    visited = client.ask("GET", begun.json()["authorization_url"])
    assert visited.status == 302
    back = came_back(visited.fields["location"])
    assert visited.fields["location"].startswith(REDIRECT_URI + "&")
    assert back["state"] == server.heard[2].json["state"] and back["ath_session_id"] == begun.json()["ath_session_id"]
    assert client.exchange(back["code"], back["ath_session_id"]).json() == {
        "access_token": server.tokens[0].access, "token_type": "Bearer", "expires_in": 3600, "effective_scopes": ["mail:read"],
        "provider_id": client.provider, "agent_id": client.agent.agent_id, "scope_intersection": {
            "agent_approved": ["mail:read"], "user_consented": ["mail:read"], "effective": ["mail:read"]}}
    called = client.call(api_of(server) + "/v1/messages?q=a%20b", "POST", b'{"to":"x"}')
    assert called.status == 200
    assert (called.json()["method"], called.json()["target"]) == ("POST", "/v1/messages?q=a%20b")
    assert client.access_token.encode() not in called.body
    assert client.revoke().status == 200
    assert not server.refusals
    assert [heard.step for heard in server.heard] == [
        "discover", "register", "authorize", "consent", "exchange", "call", "revoke"]
    assert len(identities.asked) == 1, "the document is kept"
    refused(client.call(api_of(server) + "/v1/messages"), "TOKEN_REVOKED")


def test_what_was_heard_is_kept(server, client):
    client.fields = {"X-Other": "kept"}
    client.register()
    heard = server.steps("register")[0]
    assert (heard.method, heard.path, heard.status, heard.field("X-Other")) == ("POST", "/ath/agents/register", 201, "kept")
    assert heard.json == json.loads(heard.body) and heard.json["purpose"] == "tests"


def test_discovery_takes_no_body(server, client):
    refused(client.ask("GET", server.url + server.discovery_path, b"{}"), "OAUTH_ERROR")


def test_tls_and_a_base_path(identities, authority):
    with Gateway(base="/v2/gate").open(authority.server_context()) as gateway:
        client = a_client(gateway, identities.agent())
        client.context = ssl.create_default_context(cafile=authority.path)
        client.connect()
        assert client.call(f"{gateway.url}/ath/proxy/mail/x").json()["target"] == "/x"
        assert gateway.url.endswith("/v2/gate") and not gateway.refusals
        refused(client.ask("GET", gateway.origin + "/.well-known/ath.json"), "INTERNAL_ERROR", 404)


def test_an_api_may_be_elsewhere(identities):
    with NativeService(api_path="/v3").open() as service, service.api_elsewhere():
        client = a_client(service, identities.agent())
        client.connect()
        assert service.api_base == client.ask("GET", service.url + service.discovery_path).json()["api_base"]
        assert not service.api_base.startswith(service.url)
        assert client.call(service.api_base + "/x?y=1").json()["target"] == "/x?y=1"
        refused(client.call(service.url + "/v3/x"), "INTERNAL_ERROR", 404)
        refused(client.call(service.api_origin + "/x"), "INTERNAL_ERROR", 404)


# The switches


def test_answers_that_a_test_wants_come_once(gateway, client):
    client.connect()
    url = api_of(gateway) + "/x"
    for code in "TOKEN_EXPIRED", "TOKEN_REVOKED", "PROVIDER_MISMATCH":
        gateway.answers("call", error(code))
        refused(client.call(url), code)
        assert client.call(url).status == 200
    gateway.answers("call", says(503, b"no"), times=2)
    gateway.answers("discover", says(200, b'{"ath_version": '))
    assert [client.call(url).status for _ in range(3)] == [503, 503, 200]
    assert client.ask("GET", gateway.url + gateway.discovery_path).body == b'{"ath_version": '
    assert not gateway.refusals


def test_an_answer_may_be_lost(gateway, client):
    """What was asked for is done all the same."""
    gateway.loses("register")
    with pytest.raises(OSError):
        client.register()
    answer = client.register()
    assert (answer.status, answer.json()["client_id"]) == (409, gateway.registrations[0].client_id)


def test_a_server_may_be_silent(gateway, client):
    client.register()
    answers = []
    with gateway.silent("authorize"):
        thread = threading.Thread(target=lambda: answers.append(client.authorize()))
        thread.start()
        until(lambda: gateway.steps("authorize"), "the request")
        assert client.ask("GET", gateway.url + gateway.discovery_path).status == 200
        assert not answers and not gateway.sessions
    thread.join()
    assert answers[0].status == 200


def test_a_users_session_may_be_wanted_everywhere(gateway, client):
    gateway.user_token = "canary-user-session"
    discovery = gateway.url + gateway.discovery_path
    refused(client.ask("GET", discovery), "TOKEN_INVALID")
    refused(client.register(), "TOKEN_INVALID")
    client.fields = {"X-ATH-User-Token": "another"}
    refused(client.register(), "TOKEN_INVALID")
    client.fields = {"X-ATH-User-Token": gateway.user_token}
    client.connect()
    called = client.call(api_of(gateway) + "/x")
    assert called.status == 200 and b"canary" not in called.body
    client.fields = {}
    refused(client.call(api_of(gateway) + "/x"), "TOKEN_INVALID")
    refused(client.revoke(), "TOKEN_INVALID")


def test_handshakes_are_told_apart_by_what_matters(identities):
    """Two that say the same are the same, whatever is random; one that says something else is not."""
    said = []
    for purpose, kid in ("tests", "default"), ("tests", "default"), ("others", "second"):
        with Gateway().open() as gateway:
            client = a_client(gateway, identities.agent(key_id=kid))
            assert client.register(purpose=purpose).status == 201
            client.exchange(*client.consent())
            client.call(f"{gateway.url}/ath/proxy/mail/x")
            client.revoke()
            said.append(handshake_of(gateway))
    assert differences(said[0], said[1]) == []
    assert differences(said[0], said[2]) == [
        'register.body.agent_attestation.header.kid: "default", "second"', 'register.body.purpose: "tests", "others"',
        'authorize.body.agent_attestation.header.kid: "default", "second"',
        'exchange.body.agent_attestation.header.kid: "default", "second"']
    assert differences(said[0], said[1][:-1]) and differences(said[0], said[1][1:])
    exchange = said[0][2]
    assert exchange["body"]["agent_attestation"]["claims"] == {
        "iss": identities.url(), "sub": identities.url(), "aud": "<server>/ath/token", "iat": "<iat>", "exp": "<iat + 3600>",
        "jti": "<jti>", "capabilities": []}
    assert (exchange["body"]["client_secret"], exchange["body"]["code"]) == ("<client secret 1>", "<code 1>")
    assert said[0][3]["fields"] == {"authorization": "Bearer <token 1>", "x-ath-agent-id": identities.url()}


@pytest.mark.parametrize("state, bits", [
    ("0123456789abcdef0123456789abcdef", 128), ("0123456789abcdef0123456789abcde", 124),
    ("0123456789abcdefghijkl", 132), ("123e4567-e89b-42d3-a456-426614174000", 122), ("a" * 64, 0), ("", 0), (None, 0),
])
def test_the_size_of_a_state_is_told_by_its_alphabet(state, bits):
    assert bits_of(state) == bits
