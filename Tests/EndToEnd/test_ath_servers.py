"""The ATH servers of the harness take what is right, and each of their checks bites: who passes has spoken the protocol."""

import json
import ssl
import threading

import pytest
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.ath_agent import der_signature
from harness.ath_attestation import parts_of
from harness.ath_client import REDIRECT_URI, a_client, api_of, came_back, refused
from harness.ath_handshake import differences, handshake_of
from harness.ath_rules import bits_of
from harness.ath_servers import Gateway, NativeService, error
from harness.vendors import says
from harness.waiting import until

@pytest.fixture(params=[Gateway, NativeService])
def server(request):
    with request.param().open() as server:
        yield server


@pytest.fixture
def gateway():
    with Gateway().open() as gateway:
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


# Attestations


def signed_by_the_public_key(key, data):
    """HS256 with what everybody knows as the secret."""
    mac = hmac.HMAC(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), SHA256())
    mac.update(data)
    return mac.finalize()


OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
WRONG = {
    "alg none": {"header": {"alg": "none"}, "sign": lambda key, data: b""},
    "alg none, signed": {"header": {"alg": "none"}},
    "alg HS256 with the public key": {"header": {"alg": "HS256"}, "sign": signed_by_the_public_key},
    "alg ES384": {"header": {"alg": "ES384"}},
    "alg in lower case": {"header": {"alg": "es256"}},
    "no alg": {"header": {"alg": ...}},
    "typ at+jwt": {"header": {"typ": "at+jwt"}},
    "no typ": {"header": {"typ": ...}},
    "no kid": {"header": {"kid": ...}},
    "a key of its own in the header": {"header": {"jwk": {"kty": "EC"}}},
    "a DER signature": {"sign": der_signature},
    "no signature": {"sign": lambda key, data: b""},
    "zeros for a signature": {"sign": lambda key, data: bytes(64)},
    "another key": {"key": OTHER_KEY},
    "another audience": {"claims": {"aud": "https://elsewhere.example.com"}},
    "a list of audiences": {"claims": {"aud": ["https://elsewhere.example.com"]}},
    "no audience": {"claims": {"aud": ...}},
    "another issuer": {"claims": {"iss": "https://agent.example.com"}},
    "another subject": {"claims": {"sub": "https://agent.example.com"}},
    "no subject": {"claims": {"sub": ...}},
    "no iat": {"claims": {"iat": ...}},
    "iat as text": {"claims": {"iat": "1700000000"}},
    "no exp": {"claims": {"exp": ...}},
    "no jti": {"claims": {"jti": ...}},
    "an empty jti": {"claims": {"jti": ""}},
    "no capabilities": {"claims": {"capabilities": ...}},
    "capabilities as text": {"claims": {"capabilities": "mail"}},
    "two parts": "e30.e30",
    "padding": "e30=.e30=.e30=",
    "no JSON": "AAAA.AAAA.AAAA",
    "no objects": "W10.W10." + "A" * 86,
    "nothing": "",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("step", ["register", "authorize", "exchange"])
def test_a_wrong_attestation_is_refused(gateway, client, step, wrong):
    attempt = prepared(client, step)
    refused(attempt(wrong), "INVALID_ATTESTATION")
    assert attempt({}).status in (200, 201), "the same, but for that"


def prepared(client, step):
    """A request of `step`, which waits for its attestation; a session is not used up by a wrong one."""
    if step == "register":
        return lambda attest: client.register(attest)
    client.register()
    if step == "authorize":
        return lambda attest: client.authorize(attest)
    code, session = client.consent()
    return lambda attest: client.exchange(code, session, attest)


def test_a_signature_is_written_in_one_way(gateway, client):
    """The last letter of 64 bytes has four bits that mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    attestation = client.agent.attestation(gateway.url)
    stray = attestation[:-1] + letters[letters.index(attestation[-1]) + 1]
    refused(client.register(stray), "INVALID_ATTESTATION")
    refused(client.register(attestation + "="), "INVALID_ATTESTATION")
    assert client.register(attestation).status == 201


@pytest.mark.parametrize("claims, is_right", [
    ({"iat": -299}, True), ({"iat": -302}, False), ({"iat": 299}, True), ({"iat": 302}, False),
    ({"iat": -200, "exp": -200 + 3600}, True), ({"exp": 3601}, False), ({"iat": -200, "exp": 3600}, False),
    ({"iat": -200, "exp": -1}, False), ({"iat": -200, "exp": 0}, False), ({"exp": 30}, True),
], ids=str)
def test_times_are_held_to(gateway, client, claims, is_right):
    at = 1_800_000_000
    gateway.now = lambda: at
    answer = client.register({"claims": {name: at + offset for name, offset in claims.items()}})
    assert answer.status == 201 if is_right else answer.code == "INVALID_ATTESTATION", answer


def test_a_clock_may_be_ahead(gateway, client):
    gateway.ahead = 301
    refused(client.register({"now": gateway.now()}), "INVALID_ATTESTATION")
    assert client.register().status == 201


def test_an_attestation_is_good_once(gateway, client):
    attestation = client.agent.attestation(gateway.url)
    assert client.register(attestation).status == 201
    refused(client.authorize(attestation), "INVALID_ATTESTATION")
    jti = parts_of(attestation)[1]["jti"]
    refused(client.authorize({"claims": {"jti": jti}}), "INVALID_ATTESTATION")
    gateway.ahead = 4000
    refused(client.authorize({"claims": {"jti": jti}}), "INVALID_ATTESTATION")
    assert client.authorize().status == 200


def test_the_audience_is_the_requests(gateway, client):
    refused(client.register({"audience": gateway.url + "/ath/token"}), "INVALID_ATTESTATION")
    refused(client.register({"audience": gateway.url + "/"}), "INVALID_ATTESTATION")
    client.register()
    code, session = client.consent()
    refused(client.exchange(code, session, {"audience": gateway.url}), "INVALID_ATTESTATION")
    assert client.exchange(code, session).status == 200


def test_typ_may_be_left_out_where_that_is_wanted(gateway, client):
    gateway.attestations.wants_typ = False
    refused(client.register({"header": {"typ": "JOSE"}}), "INVALID_ATTESTATION")
    assert client.register({"header": {"typ": ...}}).status == 201


# Identity documents


DOCUMENTS = {
    "another agent's": {"agent_id": "https://agent.example.com"},
    "another version": {"ath_version": "0.2"},
    "without a name": {"name": ""},
    "without capabilities": {"capabilities": None},
    "a developer without an id": {"developer": {"name": "Example Ltd"}},
    "a PEM for a key": {"public_key": "-----BEGIN PUBLIC KEY-----"},
    "an RSA key": {"public_key": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}},
    "a point that is none": {"public_key": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}},
    "a member that is none": {"private_key": "oh"},
}


@pytest.mark.parametrize("wrong", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_wrong_identity_document_is_no_proof(gateway, client, wrong):
    right = dict(client.agent.document)
    client.agent.document.update(wrong)
    refused(client.register(), "INVALID_ATTESTATION")
    client.agent.document = right
    assert client.register().status == 201


def test_a_document_that_shows_the_private_key_is_no_proof(gateway, client):
    client.agent.document["public_key"]["d"] = "A" * 43
    refused(client.register(), "INVALID_ATTESTATION")


@pytest.mark.parametrize("answer", [(404, b""), (302, b""), (200, b"{"), (200, b'{"a":1,"a":1}'), (200, b"[]")])
def test_no_document_is_no_proof(gateway, client, identities, answer):
    identities.documents["/.well-known/agent.json"] = answer
    refused(client.register(), "INVALID_ATTESTATION")


def test_a_key_id_in_the_document_is_held_to(gateway, client):
    client.agent.document["public_key"]["kid"] = "key-2"
    refused(client.register(), "INVALID_ATTESTATION")
    client.agent.key_id = "key-2"
    assert client.register().status == 201


def test_a_document_is_kept_for_five_minutes(gateway, client, identities):
    client.register()
    gateway.ahead = 299
    client.authorize()
    assert len(identities.asked) == 1
    gateway.ahead = 301
    client.authorize()
    assert len(identities.asked) == 2
    gateway.attestations.documents.clear()
    client.authorize()
    assert len(identities.asked) == 3 and not gateway.refusals


def test_a_new_key_is_looked_for_at_once(gateway, client, identities):
    client.register()
    client.agent.renew()
    assert client.authorize().status == 200
    refused(client.authorize({"key": OTHER_KEY}), "INVALID_ATTESTATION")
    assert len(identities.asked) == 3


def test_a_document_may_come_from_elsewhere(gateway, identities):
    """As a daemon's does, which stands behind the address that is its agent's id."""
    agent = identities.agent("/other.json")
    agent.agent_id = identities.relay(identities.url("/other.json"))
    agent.document["agent_id"] = agent.agent_id
    assert a_client(gateway, agent).register().status == 201
    assert gateway.attestations.documents.fetched[0][1]["cache-control"] == "max-age=300"


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
