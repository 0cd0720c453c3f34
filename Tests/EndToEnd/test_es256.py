"""A connector that signs a JSON Web Token for each request with the route's P-256 key. The judge is another library than the
daemon's own: `cryptography` checks what arrived upstream."""

import base64
import json
import threading

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from secrets_used import leaks_of

CONNECTOR = r"""{
  "connector": "attested", "title": "An attestation for each request",
  "secrets": { "client": { "about": "client id" }, "key": { "about": "P-256 private key, PEM" } },
  "values": {
    "head": "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
    "claims": "{\"iss\":${json_string(secret.client)},\"aud\":${json_string(host)},\"iat\":${now},\"exp\":${add(now, 60)},\"jti\":\"${uuid}\"}",
    "input": "${base64url(head)}.${base64url(claims)}",
  },
  "set": { "headers": { "Authorization": "Bearer ${input}.${base64url(es256(secret.key, input))}" } },
}
"""
CLIENT = 'canary "client" \\ é'
REQUESTS, CLIENTS = 1000, 4


def pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture(scope="module")
def key():
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def attested(build, upstream, key):
    """A daemon with the connector as a file, and both its secrets."""
    house = build({"attested": {"connector": "attested", "upstream": upstream.origin}})
    directory = house.home / "connectors"
    directory.mkdir(mode=0o755)
    (directory / "attested.jsonc").write_text(CONNECTOR)
    house.settings["connectors"] = [str(directory)]
    house.write()
    house.run_well("secret", "set", "attested/client", input=CLIENT)
    house.run_well("secret", "set", "attested/key", input=pem(key))
    with house:
        yield house


def decoded(text):
    assert "=" not in text and "+" not in text and "/" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(exchange, public_key):
    """The claims and the 64 bytes of the signature of the token that arrived; the signature is the key's."""
    scheme, token = exchange.value("Authorization").split(" ")
    head, claims, signature = token.split(".")
    assert scheme == "Bearer" and json.loads(decoded(head)) == {"alg": "ES256", "typ": "JWT"}
    raw = decoded(signature)
    assert len(raw) == 64, "r and s are 32 bytes each, whatever they begin with"
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    public_key.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))
    return json.loads(decoded(claims)), raw


def ask_many(house, count):
    """`count` requests from each of some clients at once, on a connection each."""
    failures = []

    def client():
        try:
            with house.wire() as wire:
                for _ in range(count):
                    assert wire.exchange("GET", "/attested/api/v1/x").status == 200
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_a_thousand_requests_carry_a_thousand_tokens_and_all_verify(attested, upstream, key):
    ids, signatures = set(), []
    # About one signature in 128 has a number that begins with a zero byte: a thousand almost always suffice.
    while len(signatures) < REQUESTS or not any(raw[0] == 0 or raw[32] == 0 for raw in signatures):
        assert len(signatures) < 5 * REQUESTS, "no r or s that begins with a zero byte"
        with upstream.answering(lambda exchange: exchange.answer()) as seen:
            ask_many(attested, REQUESTS // CLIENTS)
        assert len(seen.all) == REQUESTS
        for exchange in seen.all:
            claims, raw = verified(exchange, key.public_key())
            assert claims["iss"] == CLIENT and claims["aud"] == upstream.authority
            assert claims["exp"] == claims["iat"] + 60
            ids.add(claims["jti"])
            signatures.append(raw)
    assert len(ids) == len(signatures) == len(set(signatures))


def test_a_changed_token_does_not_verify(attested, upstream, key):
    """The control of the test above."""
    with upstream.answering() as seen:
        assert attested.exchange("GET", "/attested/x").status == 200
    exchange = seen.only()
    verified(exchange, key.public_key())
    with pytest.raises(InvalidSignature):
        verified(exchange, ec.generate_private_key(ec.SECP256R1()).public_key())
    name, value = next(field for field in exchange.fields if field[0] == b"Authorization")
    head, claims, signature = value.split(b".")
    other = base64.urlsafe_b64encode(decoded(claims.decode()).replace(b'"iat":1', b'"iat":2')).rstrip(b"=")
    exchange.fields = [(name, b".".join((head, other, signature)))]
    with pytest.raises(InvalidSignature):
        verified(exchange, key.public_key())


def test_a_stored_key_of_another_kind_is_told_by_name_and_never_shown(attested, upstream, key):
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    wrong = {
        "it is no PEM of a private key (PKCS #8 or SEC 1)": "canary-no-key-0123456789",
        "it is a key of another kind than elliptic curve": pem(rsa.generate_private_key(65537, 2048)),
        "it is on another curve than P-256, or spells its curve out": pem(ec.generate_private_key(ec.SECP384R1())),
        "it is a public key or a certificate": public.decode(),
        "it is encrypted under a passphrase": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"canary-passphrase")).decode(),
    }
    wrong_too = pem(ed25519.Ed25519PrivateKey.generate())
    told = []
    try:
        for reason, stored in [*wrong.items(), ("it is a key of another kind than elliptic curve", wrong_too)]:
            told.append(attested.run_well("secret", "set", "attested/key", input=stored).out)
            with upstream.answering() as seen:
                response = attested.exchange("GET", "/attested/x")
                seen.none()
            problem = response.json()
            assert (response.status, problem["code"]) == (424, "secret_missing")
            assert problem["detail"] == f"The route cannot sign: the secret key cannot sign with ES256: {reason}."
            explained = attested.run("explain", "attested", "GET", "/x")
            assert explained.returncode == 78 and reason in explained.err
            told += [response.body.decode(), explained.out + explained.err]
        # SEC 1 is as good as PKCS #8, and takes effect at once.
        told.append(attested.run_well(
            "secret", "set", "attested/key", input=pem(key, serialization.PrivateFormat.TraditionalOpenSSL)).out)
        with upstream.answering() as seen:
            assert attested.exchange("GET", "/attested/x").status == 200
        verified(seen.only(), key.public_key())
    finally:
        attested.run_well("secret", "set", "attested/key", input=pem(key))
    told.append(attested.log())
    stored = [*wrong.values(), wrong_too, pem(key), pem(key, serialization.PrivateFormat.TraditionalOpenSSL)]
    lines = [line for text in stored for line in text.splitlines() if not line.startswith("-----")]
    assert not [leak for text in told for leak in leaks_of(lines, text)]


def test_explain_shows_what_is_signed_and_nothing_of_the_key(attested, key):
    text = attested.run_well("explain", "attested", "GET", "/x").out
    assert '{"alg":"ES256","typ":"JWT"}' in text and '{"iss":•••,"aud":"' in text
    number = key.private_numbers().private_value.to_bytes(32, "big")
    secrets = [line for line in pem(key).splitlines() if not line.startswith("-----")] + [CLIENT]
    assert not leaks_of(secrets, text) and number.hex() not in text
