"""What the ATH servers of the harness ask of an attestation and of an identity document: each check bites, alone."""

import json

import pytest
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from harness.ath_agent import Agent, der_signature, encoded, raw_signature
from harness.ath_attestation import decoded, parts_of
from harness.ath_client import a_client, refused
from harness.ath_servers import Gateway
from harness.daemon import free_port


@pytest.fixture
def gateway():
    with Gateway().open() as gateway:
        gateway.stops_the_clock()
        yield gateway


@pytest.fixture
def client(gateway, identities):
    return a_client(gateway, identities.agent())


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
    "capabilities that are no texts": {"claims": {"capabilities": [1]}},
    "two parts": "e30.e30",
    "padding": "e30=.e30=.e30=",
    "no JSON": "AAAA.AAAA.AAAA",
    "five parts": "e30.e30.e30.e30.e30",
    "a header that is no object": "W10.e30." + "A" * 86,
    "nothing": "",
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("step", ["register", "authorize", "exchange"])
def test_a_wrong_attestation_is_refused(gateway, client, step, wrong):
    attempt = prepared(client, step)
    refused(attempt(wrong), "INVALID_ATTESTATION")
    assert attempt({}).status in (200, 201), "the same, but for that"


def of_parts(agent, *parts):
    """Signed as it should be, whatever it is."""
    signed = ".".join(part if isinstance(part, str) else encoded(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{encoded(raw_signature(agent.key, signed.encode()))}"


def test_a_signed_something_else_is_refused(gateway, client):
    header, claims = ({"alg": "ES256", "typ": "JWT", "kid": "default"}, client.agent.attestation(gateway.url).split(".")[1])
    for parts in (header, []), (header, "claims"), (header, claims, claims), (header,):
        refused(client.register(of_parts(client.agent, *parts)), "INVALID_ATTESTATION")
    refused(client.register(agent_attestation=7), "INVALID_ATTESTATION")
    assert client.register(of_parts(client.agent, header, claims)).status == 201


def short_signature(key, data):
    """One whose s begins with a zero, without that."""
    while True:
        signature = raw_signature(key, data)
        if signature[32] == 0:
            return signature[:32] + signature[33:]


def test_a_signature_has_64_bytes(gateway, client):
    refused(client.register({"sign": short_signature}), "INVALID_ATTESTATION")


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
    "capabilities that are no texts": {"capabilities": [1]},
    "a developer as text": {"developer": "name and id"},
    "a developer without a name": {"developer": {"name": "", "id": "dev-7"}},
    "a developer with an empty id": {"developer": {"name": "Example Ltd", "id": ""}},
}


@pytest.mark.parametrize("wrong", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_wrong_identity_document_is_no_proof(gateway, client, wrong):
    right = dict(client.agent.document)
    client.agent.document.update(wrong)
    refused(client.register(), "INVALID_ATTESTATION")
    client.agent.document = right
    assert client.register().status == 201


def longer(jwk):
    """The same numbers, written with a byte more."""
    return {name: encoded(b"\0" + decoded(jwk[name])) for name in ("x", "y")}


@pytest.mark.parametrize("wrong", [
    {"d": "A" * 43}, {"kty": "OKP"}, {"crv": "P-384"}, {"alg": "ES384"}, {"use": "enc"},
    lambda jwk: {"x": longer(jwk)["x"]}, lambda jwk: {"y": longer(jwk)["y"]},
], ids=str)
def test_a_wrong_key_is_no_proof(gateway, client, wrong):
    """Though its coordinates are right; the first of them shows the private half."""
    client.agent.document["public_key"].update(wrong(client.agent.jwk) if callable(wrong) else wrong)
    refused(client.register(), "INVALID_ATTESTATION")
    client.agent.document["public_key"] = {**client.agent.jwk, "alg": "ES256", "use": "sig"}
    assert client.register().status == 201


def test_a_document_is_served_as_one(gateway, client, identities):
    """The right body is not enough."""
    path, agent = "/.well-known/agent.json", client.agent
    body = json.dumps(agent.document).encode()
    twice = body[:-1] + b', "name": "Test agent"}'
    for answer in ((404, body), (203, body), (302, body), (200, body, "text/html"), (200, twice), (200, b"{"), (200, b"[]"),
                   (200, json.dumps(list(agent.document)).encode())):
        identities.documents[path] = answer
        refused(client.register(), "INVALID_ATTESTATION")
    identities.documents[path] = (200, body, "application/json; charset=utf-8")
    assert client.register().status == 201


def test_a_document_that_cannot_be_had_is_no_proof(gateway):
    for agent_id in f"http://127.0.0.1:{free_port()}/agent.json", "urn:example:agent", "file:///etc/hostname":
        refused(a_client(gateway, Agent(agent_id)).register(), "INVALID_ATTESTATION")


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
