"""An agent's key: made or imported, shown by its public half alone, and replaced."""

import base64
import json

import pytest

from harness.ath_agent import encoded
from harness.ath_stage import refused
from harness.daemon import TOP
from harness.problems import problem
from harness.stranger import as_root, stranger

PEMS = TOP / "Tests/Vectors/es256"
GATEWAY = "gateway"  # what is here does not depend on the mode


@pytest.fixture
def keyless(settle):
    return settle(GATEWAY, key=None)


@pytest.fixture
def keyed(settle):
    return settle(GATEWAY, key="generated")


def thumbprint(document):
    return document["public_key"]["x"], document["public_key"]["y"]


def stored(place):
    return [row["name"] for row in json.loads(place.stage.run_well("secret", "list", "--json").out)]


# The document


def test_the_identity_document(keyed):
    response = keyed.ask("GET", "agent.json")
    assert response.status == 200
    assert response.value("Content-Type") == "application/json"
    assert response.value("Cache-Control") == "max-age=300"
    document = response.json()
    assert sorted(document) == ["agent_id", "ath_version", "capabilities", "developer", "name", "public_key"]
    assert document["ath_version"] == "0.1" and document["agent_id"] == keyed.agent_id
    key = document["public_key"]
    assert {name: value for name, value in key.items() if name not in "xy"} == {
        "kty": "EC", "crv": "P-256", "kid": "default", "alg": "ES256", "use": "sig"}
    assert {len(base64.urlsafe_b64decode(key[name] + "=")) for name in "xy"} == {32}
    assert "d" not in key
    head = keyed.ask("HEAD", "agent.json")
    assert head.status == 200 and not head.body
    assert head.value("Content-Length") == response.value("Content-Length")


def test_the_verb_prints_what_the_daemon_serves(keyed):
    served = keyed.well("GET", "agent.json")
    assert json.loads(keyed.stage.run_well("ath", "identity", "r").out) == served
    keyed.house.stop()
    assert json.loads(keyed.stage.run_well("ath", "identity", "r").out) == served, "without a daemon, too"
    keyed.stage.start()
    assert keyed.well("GET", "agent.json") == served


def test_who_registered_it_is_in_the_document(keyed):
    keyed.ready()
    assert keyed.well("GET", "agent.json")["developer"] == {"name": "Example Ltd", "id": "dev-7"}


@as_root
def test_everybody_may_read_who_an_agent_is_and_nothing_else(keyed):
    """The servers that it goes to ask for it, through whatever stands before the daemon."""
    with stranger():
        response = keyed.ask("GET", "agent.json")
        assert response.status == 200 and response.json()["agent_id"] == keyed.agent_id
        for method, step in ("GET", "discover"), ("POST", "register"), ("POST", "authorize"), ("POST", "exchange"), (
                "POST", "revoke"), ("GET", "nothing"):
            problem(keyed.ask(method, step), "caller_unknown")
        problem(keyed.ask("GET", "agent.json", route="nowhere"), "caller_unknown")
        problem(keyed.call(), "caller_unknown")
    assert not keyed.heard()


@as_root
def test_a_document_that_only_strangers_fetch_is_enough(settle, kind, monkeypatch):
    """As another user's web server passes it on."""
    place = settle(kind, key="generated")
    inner = place.server.attestations.documents._fetch

    def fetch(agent_id):
        with stranger():
            return inner(agent_id)

    monkeypatch.setattr(place.server.attestations.documents, "_fetch", fetch)
    place.ready()
    place.connect()
    assert place.token_of() == 1 and not place.server.refusals


def test_without_a_key(keyless):
    for method, step in ("GET", "agent.json"), ("POST", "register"):
        members = refused(keyless.ask(method, step, keyless.wish("register") if step == "register" else None), "secret_missing")
        assert members["hint"] == "chatelaine ath keygen r"
    assert not keyless.heard()
    assert keyless.discover()["gateway_id"] == "gateway.test", "nothing is proved there"
    done = keyless.stage.run("ath", "identity", "r")
    assert done.returncode == 65 and "chatelaine ath keygen r" in done.err and not done.out


def test_what_is_stored_and_no_key(keyless):
    keyless.stage.run_well("secret", "set", "r/private_key", input="no key at all")
    members = refused(keyless.ask("POST", "register", keyless.wish("register")), "secret_missing")
    assert members["hint"] == "chatelaine ath keygen r"
    assert not keyless.heard()


# Making one


def test_keygen(keyless):
    done = keyless.stage.run_well("ath", "keygen", "r")
    assert "r/private_key" in done.out and "chatelaine ath identity r" in done.err
    document = keyless.well("GET", "agent.json")
    assert thumbprint(document)[0]
    again = keyless.stage.run("ath", "keygen", "r")
    assert again.returncode == 65 and "--replace" in again.err and not again.out
    assert keyless.well("GET", "agent.json") == document, "nothing was changed"


def test_keys_differ(keyless):
    seen = set()
    for _ in range(8):
        keyless.stage.run_well("ath", "keygen", "r", "--replace")
        seen.add(thumbprint(keyless.well("GET", "agent.json")))
    assert len(seen) == 8


def test_keygen_without_a_daemon(keyless):
    keyless.house.stop()
    keyless.stage.run_well("ath", "keygen", "r")
    document = json.loads(keyless.stage.run_well("ath", "identity", "r").out)
    keyless.stage.start()
    assert keyless.well("GET", "agent.json") == document
    keyless.ready()


# Importing one


@pytest.mark.parametrize("name", ["pkcs8", "sec1", "sec1-no-public", "sec1-compressed", "ecparam", "ecparam-pkcs8"])
def test_a_key_of_openssls(keyless, name):
    """In every form that OpenSSL writes a P-256 key in."""
    keyless.stage.run_well("ath", "keygen", "r", "--from-file", str(PEMS / f"{name}.pem"))
    keyless.register()
    assert not keyless.server.refusals


def stored_key(place):
    return "r/private_key" in stored(place)


def test_the_key_that_is_imported_is_the_one_that_signs(place):
    document = place.well("GET", "agent.json")
    numbers = place.agent.key.public_key().public_numbers()
    assert thumbprint(document) == tuple(encoded(getattr(numbers, name).to_bytes(32, "big")) for name in "xy")


@pytest.mark.parametrize("name, said", [
    ("rsa", "another kind"), ("rsa-traditional", "another kind"), ("ed25519", "another kind"), ("p384", "another curve"),
    ("secp256k1", "another curve"), ("public", "public key"), ("certificate", "certificate"),
    ("pkcs8-encrypted", "passphrase"), ("sec1-encrypted", "passphrase"), ("cut", "no private key"),
    ("mislabelled", "no private key"), ("explicit", "another curve"), ("mismatch", "do not belong together"), ("off-curve", "no private key"),
    ("out-of-range", "do not belong together"), ("trailing", "no private key")])
def test_what_is_no_p256_key(keyless, name, said):
    pem = (PEMS / f"{name}.pem").read_bytes()
    done = keyless.stage.run("ath", "keygen", "r", "--from-file", str(PEMS / f"{name}.pem"))
    assert done.returncode == 65, (done.returncode, done.err)
    assert said in done.err and f"{name}.pem" in done.err and "openssl genpkey" in done.err
    assert not done.out and not stored_key(keyless)
    lines = [line for line in pem.decode().splitlines() if len(line) > 20 and "-----" not in line]
    assert not [line for line in lines if line in done.err]
    refused(keyless.ask("GET", "agent.json"), "secret_missing")


@pytest.mark.parametrize("content", [b"", b"\n", b"garbage", b"\x00" * 100, b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 70_000],
                         ids=["empty", "line", "garbage", "zeros", "begun", "long"])
def test_garbage_is_no_key(keyless, content, tmp_path):
    file = tmp_path / "file.pem"
    file.write_bytes(content)
    done = keyless.stage.run("ath", "keygen", "r", "--from-file", str(file))
    assert done.returncode == 65 and not done.out, (done.returncode, done.err)
    assert not stored_key(keyless)


def test_a_file_that_is_not_there(keyless, tmp_path):
    done = keyless.stage.run("ath", "keygen", "r", "--from-file", str(tmp_path / "nowhere.pem"))
    assert done.returncode == 74 and "nowhere.pem" in done.err and not stored_key(keyless)


def test_a_wrong_import_leaves_the_key_that_is_there(keyed):
    before = keyed.well("GET", "agent.json")
    for name in "rsa", "public":
        assert keyed.stage.run("ath", "keygen", "r", "--replace", "--from-file", str(PEMS / f"{name}.pem")).returncode == 65
    assert keyed.well("GET", "agent.json") == before


# Replacing it


def test_a_new_key(settle, kind):
    place = settle(kind, key="generated").ready()
    place.connect("alice")
    before = place.well("GET", "agent.json")
    done = place.stage.run_well("ath", "keygen", "r", "--replace")
    assert place.agent_id in done.err and "five minutes" in done.err, "what has to be done"
    after = place.well("GET", "agent.json")
    assert thumbprint(after) != thumbprint(before)
    assert {**after, "public_key": 0} == {**before, "public_key": 0}
    # The server looks again when a signature does not fit, finds the new key, and the registration holds.
    place.connect("bob")
    assert {place.token_of("alice"), place.token_of("bob")} == {1, 2}
    assert not place.server.refusals


def test_the_old_key_is_worth_nothing_then(place, identities):
    """What somebody kept of it signs for nobody, as soon as the server has read the new document."""
    place.ready()
    old = place.agent.attestation(place.server.url, now=place.clock.now())
    place.stage.run_well("ath", "keygen", "r", "--replace")
    # The agent's document still has the old key: what the new one signs is refused, with the next step.
    members = refused(place.ask("POST", "authorize", place.wish("authorize")), "authorization_failed", "INVALID_ATTESTATION")
    assert "chatelaine ath identity r" in members["hint"] and place.agent_id in members["hint"]
    identities.relay(f"{place.house.url}/-/ath/r/agent.json")
    place.server.attestations.documents.clear()
    place.connect()
    with pytest.raises(Exception, match="INVALID_ATTESTATION"):
        place.server.attestations.check(old, place.agent_id, place.server.url)


def test_a_new_key_without_a_daemon(keyed):
    keyed.ready()
    keyed.connect()
    keyed.house.stop()
    keyed.stage.run_well("ath", "keygen", "r", "--replace")
    keyed.stage.start()
    assert keyed.token_of() == 1, "the session stays"
    keyed.connect()
    assert keyed.token_of() == 2


def test_no_private_key_comes_out(keyed):
    """Also of one that nobody but the daemon has seen: there is no text in which it could stand."""
    keyed.ready()
    keyed.connect()
    keyed.stage.run_well("status", "--json")
    keyed.stage.run_well("secret", "list")
    keyed.stage.run_well("explain", "r", "GET", "/x")
    for word in b"PRIVATE KEY", b'"d":':
        assert word not in keyed.stage.came_out()
