"""`chatelaine ath …`: the handshake by hand, as a person walks it at a terminal or in a script."""

import json
import re

import pytest

from harness.ath_client import REDIRECT_URI
from harness.ath_servers import error
from harness.ath_stage import SCOPES, in_one_mode
from harness.problems import problem
from harness.terminal import Terminal
from harness.vendors import says

DEVELOPER = '{"name": "Example Ltd", "id": "dev-7"}'
REGISTER = ("--purpose", "tests", "--scope", "mail:read mail:send", "--redirect-uri", REDIRECT_URI, "--developer", DEVELOPER)
STEPS = ["discover", "register", "authorize", "exchange", "revoke"]


@pytest.fixture
def run(place):
    """`run("discover")` is `chatelaine ath discover r`, which has to go well."""
    return lambda verb, *arguments, **more: place.stage.run_well("ath", verb, "r", *arguments, **more)


@pytest.fixture
def registered(run):
    run("discover")
    run("register", *REGISTER)


def begins(run, *arguments):
    """Authorizes: the address to go to, and the session."""
    done = run("authorize", "--scope", "mail:read", *arguments)
    url = re.search(r"https://\S+", done.out).group()
    return url, re.search(r"--session (\S+)", done.err).group(1)


# The whole way


def test_the_whole_handshake_by_hand(settle, kind):
    place = settle(kind, key=None)

    def run(verb, *arguments, **more):
        return place.stage.run_well("ath", verb, "r", *arguments, **more)

    made = run("keygen")
    assert "chatelaine ath identity r" in made.err
    assert json.loads(run("identity").out)["agent_id"] == place.agent_id
    discovered = run("discover")
    assert ("gateway.test" if kind == "gateway" else "com.example.mail") in discovered.out
    assert "mail:read mail:send" in discovered.out and "chatelaine ath register r" in discovered.err
    registered = run("register", *REGISTER)
    client = place.server.registrations[0].client_id
    assert client in registered.out and "approved mail:read mail:send" in registered.out
    assert "chatelaine ath authorize r" in registered.err
    url, session = begins(run)
    address = place.server.goes_to(url)
    exchanged = run("exchange", "--session", session, input=address + "\n")
    assert re.search(r"default of r: allowed mail:read, for (60|59) minutes", exchanged.out), exchanged.out
    assert place.token_of() == 1
    assert "revoked: default of r" in run("revoke").out
    problem(place.call(), "not_connected", "r")
    assert not place.server.refusals
    assert [heard.json["redirect_uris"] for heard in place.heard("register")] == [[REDIRECT_URI]]


def test_all_of_it_in_json(place, run):
    assert json.loads(run("discover", "--json").out) == place.server.discovery()
    registered = json.loads(run("register", *REGISTER, "--json").out)
    assert registered["agent_status"] == "approved" and "client_secret" not in registered
    begun = json.loads(run("authorize", "--scope", "mail:read", "--json").out)
    assert sorted(begun) == ["ath_session_id", "authorization_url"]
    address = place.server.goes_to(begun["authorization_url"])
    told = json.loads(run("exchange", "--json", input=address).out)
    assert told["effective_scopes"] == SCOPES and told["subject"] == "default" and "access_token" not in told
    assert json.loads(run("revoke", "--json").out) == {"subject": "default", "revoked": True}


def test_programs_and_people_share_a_session(place, run, registered):
    """What one began, the other may finish: both are the daemon's own user."""
    url, session = begins(run)
    assert place.take("exchange", {"code": code_of(place.server.goes_to(url)), "session_id": session}).status == 200
    begun = place.authorize()
    run("exchange", "--session", begun["ath_session_id"], input=place.back(begun)["code"])
    assert place.token_of() == 2


def code_of(address):
    return re.search(r"[?&]code=([^&]*)", address).group(1)


def test_discover_is_always_anew(place, run):
    for _ in range(3):
        run("discover")
    assert len(place.heard("discover")) == 3


def test_what_register_takes_from_the_route(settle, kind):
    place = settle(kind, options={"developer": {"name": "Route Ltd", "id": "dev-1"}})
    place.stage.run_well("ath", "register", "r", "--purpose", "p", "--scope", "mail:read,mail:send")
    said = place.heard("register")[0].json
    assert said["developer"] == {"name": "Route Ltd", "id": "dev-1"} and said["purpose"] == "p"
    assert said["requested_providers"] == [{"provider_id": place.provider, "scopes": ["mail:read", "mail:send"]}]
    assert said["redirect_uris"] == [f"{place.server.url}/ath/callback"]


def test_register_again(place, run, registered):
    again = run("register", *REGISTER)
    assert place.server.registrations[0].client_id in again.out and len(place.server.registrations) == 1


@in_one_mode
@pytest.mark.parametrize("verdict, said", [("pending", "operator has to approve"), ("denied", "operator has refused")])
def test_register_says_what_the_operator_says(place, run, verdict, said):
    place.server.verdict = verdict
    done = run("register", *REGISTER)
    assert f": {verdict}" in done.out and said in done.err


@in_one_mode
def test_register_says_what_was_not_approved(place, run):
    place.server.denied_scopes = {"mail:send"}
    assert "approved mail:read, denied mail:send (not for agents)" in run("register", *REGISTER).out


def test_subjects(place, run, registered):
    for number, name in enumerate(("alice", "bob o'hara"), 1):
        done = run("authorize", "--scope", "mail:read", "--subject", name)
        assert ("--subject alice" if number == 1 else r"--subject 'bob o'\''hara'") in done.err
        address = place.server.goes_to(re.search(r"https://\S+", done.out).group())
        assert name in run("exchange", "--subject", name, input=address).out
        assert place.token_of(name) == number
    assert "alice" in run("revoke", "--subject", "alice").out
    assert place.token_of("bob o'hara") == 2


# What comes back


def test_a_pasted_address(place, run, registered):
    """At the terminal: it has a code in it, and is not shown."""
    url, _ = begins(run)
    address = place.server.goes_to(url)
    with Terminal(place.stage, "ath", "exchange", "r") as terminal:
        terminal.asks("browser ended at").types(address + "\n").ends()
    assert "default of r: allowed mail:read" in terminal.out
    assert terminal.echoed.strip() == b"" and place.token_of() == 1


@in_one_mode
@pytest.mark.parametrize("change", [
    lambda address: "  " + address + "  ", lambda address: address + "#fragment", lambda address: address + "&more=1",
    lambda address: address.replace("ath_session_id=", "session_id=")])
def test_an_address_as_people_paste_it(place, run, registered, change):
    url, _ = begins(run)
    with Terminal(place.stage, "ath", "exchange", "r") as terminal:
        terminal.asks("browser ended at").types(change(place.server.goes_to(url)) + "\n").ends()
    assert place.token_of() == 1


@in_one_mode
def test_a_typed_code(place, run, registered):
    url, session = begins(run)
    code = code_of(place.server.goes_to(url))
    with Terminal(place.stage, "ath", "exchange", "r", "--session", session) as terminal:
        terminal.asks("code").types(code + "\n").ends()
    assert place.token_of() == 1


@in_one_mode
def test_the_protocols_own_servers_way_back(place, run, registered):
    place.server.returns_as = "reference"
    url, _ = begins(run)
    run("exchange", input=place.server.goes_to(url))
    assert place.token_of() == 1


@in_one_mode
def test_a_code_as_an_argument(place, run, registered):
    url, session = begins(run)
    run("exchange", "--session", session, "--code", code_of(place.server.goes_to(url)))
    assert place.token_of() == 1


@in_one_mode
def test_an_address_with_another_state(place, run, registered):
    url, _ = begins(run)
    address = place.server.goes_to(url).replace("state=", "state=x")
    done = place.stage.run("ath", "exchange", "r", input=address)
    assert done.returncode == 69 and "chatelaine ath authorize r" in done.err and not done.out
    assert place.refusals(1) == ["state_mismatch"] and not place.heard("exchange")


@in_one_mode
def test_a_pasted_denial(place, run, registered):
    place.server.agrees = False
    url, _ = begins(run)
    with Terminal(place.stage, "ath", "exchange", "r") as terminal:
        terminal.asks("browser ended at").types(place.server.goes_to(url) + "\n").ends(69)
    assert "said no" in terminal.err and "chatelaine ath authorize" in terminal.err
    assert not place.heard("exchange")


@in_one_mode
@pytest.mark.parametrize("typed, status", [
    ("\n", 65), ("https://app.example.com/back\n", 65), ("https://app.example.com/back?state=x\n", 65),
    ("https://app.example.com/back?error=server_error\n", 69), ("\x03", 65), ("\x04", 65)])
def test_what_has_no_code_in_it(place, run, registered, typed, status):
    _, session = begins(run)
    with Terminal(place.stage, "ath", "exchange", "r", "--session", session) as terminal:
        terminal.asks("browser ended at").types(typed).ends(status)
    assert terminal.err.strip().splitlines()[-1] and not terminal.out
    assert not place.heard("exchange") and place.refusals(0) == []


@in_one_mode
def test_a_code_without_its_session(place, run, registered):
    done = place.stage.run("ath", "exchange", "r", input="a-code")
    assert done.returncode == 64 and "--session" in done.err and not place.heard("exchange")


# The end


@pytest.mark.parametrize("answer", [error("INTERNAL_ERROR"), error("TOKEN_INVALID"), says(503, b"no")])
def test_a_revocation_that_the_server_refuses(place, run, registered, answer):
    place.connect()
    place.server.answers("revoke", answer)
    done = place.stage.run("ath", "revoke", "r")
    assert done.returncode == 69 and not done.out
    assert "default of r is forgotten here" in done.err and "may still take it" in done.err
    problem(place.call(), "not_connected", "r")


def test_a_revocation_that_nobody_hears(place, run, registered):
    place.connect()
    with place.stage.upstream.away():
        done = place.stage.run("ath", "revoke", "r")
    assert done.returncode == 69 and "is forgotten here" in done.err and place.authority in done.err
    problem(place.call(), "not_connected", "r")


def test_a_revocation_that_nobody_answers(settle, kind):
    place = settle(kind, timeouts={"first_byte": "300ms"}).ready()
    place.connect()
    with place.server.silent("revoke"):
        done = place.stage.run("ath", "revoke", "r", "--json")
    assert done.returncode == 69
    told = json.loads(done.out)
    assert told["revoked"] is False and "in time" in told["detail"]
    assert not place.stage.tokens()


def test_what_is_not_there_cannot_be_revoked(place, run, registered):
    done = place.stage.run("ath", "revoke", "r")
    assert done.returncode == 65 and "chatelaine ath authorize r" in done.err and not place.heard("revoke")


# What goes wrong


@in_one_mode
@pytest.mark.parametrize("step", ["discover", "register", "authorize", "exchange"])
def test_a_refusal_is_told_by_name(place, run, step):
    arguments = {"discover": (), "register": REGISTER, "authorize": ("--scope", "mail:read"), "exchange": ()}[step]
    if step in ("authorize", "exchange"):
        run("register", *REGISTER)
    address = place.server.goes_to(begins(run)[0]) if step == "exchange" else None
    place.server.answers(step, error("INVALID_ATTESTATION"))
    done = place.stage.run("ath", step, "r", *arguments, input=address)
    assert done.returncode in (65, 69) and not done.out
    assert "INVALID_ATTESTATION" in done.err and "chatelaine ath identity r" in done.err


@in_one_mode
def test_what_comes_first_is_said(settle, kind):
    place = settle(kind, key=None)

    def said(*arguments):
        done = place.stage.run("ath", *arguments)
        assert done.returncode == 65 and not done.out, (done.returncode, done.err)
        return done.err

    assert "chatelaine ath keygen r" in said("identity", "r")
    assert "chatelaine ath keygen r" in said("register", "r", *REGISTER)
    assert "chatelaine ath register r" in said("authorize", "r", "--scope", "mail:read")
    assert "chatelaine ath register r" in said("exchange", "r", "--session", "x", "--code", "y")
    assert "chatelaine ath register r" in said("revoke", "r")


@in_one_mode
def test_a_route_that_is_no_agent(settle, kind):
    place = settle(kind, others={"plain": {"connector": "bearer", "secrets": {"token": "shared/token"}}})
    for verb in ["keygen", "identity", *STEPS]:
        more = {"register": REGISTER, "authorize": ("--scope", "x"), "exchange": ("--code", "a", "--session", "b")}.get(verb, ())
        for route, words in ("plain", ('"handshake"', '"connector": "ath"')), ("nowhere", ("no such route", "r, plain")):
            done = place.stage.run("ath", verb, route, *more)
            assert done.returncode in (65, 78) and not done.out, (verb, route, done.returncode, done.err)
            assert all(word in done.err for word in words), done.err
    assert not place.heard()


@in_one_mode
def test_without_a_daemon(place, run, registered):
    place.house.stop()
    for verb in STEPS:
        more = {"register": REGISTER, "authorize": ("--scope", "x"), "exchange": ("--code", "a", "--session", "b")}.get(verb, ())
        done = place.stage.run("ath", verb, "r", *more)
        assert done.returncode == 69 and "chatelaine serve" in done.err and not done.out
    assert json.loads(run("identity").out)["agent_id"] == place.agent_id, "it needs none"


@in_one_mode
@pytest.mark.parametrize("arguments", [
    ("ath",), ("ath", "nothing"), ("ath", "nothing", "r"), ("ath", "keygen"), ("ath", "discover", "r", "s"), ("ath", "register", "r"),
    ("ath", "register", "r", "--purpose", "p"), ("ath", "register", "r", "--scope", "s"), ("ath", "authorize", "r"),
    ("ath", "register", "r", "--purpose", "p", "--scope", "s", "--developer", "nobody"), ("ath", "revoke", "r", "--subject"),
    ("ath", "keygen", "r", "--nothing")])
def test_usage(place, arguments):
    done = place.stage.run(*arguments)
    assert done.returncode == 64 and done.err and not done.out
    assert not place.heard()


@in_one_mode
def test_help(place):
    listed = place.stage.run_well("help").out
    for verb in ["keygen", "identity", *STEPS]:
        assert f"ath {verb}" in listed
        assert "ROUTE" in place.stage.run_well("help", "ath", verb).out


# What servers say at a terminal


@in_one_mode
def test_a_server_cannot_steer_the_terminal(place, run):
    evil = "\u001b]0;x\u0007\u001b[2J\u009b31m\r\nnext: rm -rf /\u202e"
    document = place.server.discovery()
    document["supported_providers"][0].update(display_name=evil, available_scopes=["a" + evil])
    place.server.answers("discover", says(200, {**document, "gateway_id": "g" + evil}))
    place.server.answers("register", says(201, {
        "client_id": "c" + evil, "client_secret": "canary-secret-of-evil", "agent_status": "approved", "approved_providers": [{
            "provider_id": "p" + evil, "approved_scopes": ["a" + evil], "denied_scopes": ["b" + evil], "denial_reason": evil}]}))
    place.server.canaries.append("canary-secret-of-evil")
    place.server.answers("authorize", says(200, {"authorization_url": "https://x/", "ath_session_id": "s" + evil + "; rm -rf /"}))
    place.server.answers("authorize", error("OAUTH_ERROR", 400))
    texts = [run("discover"), run("register", *REGISTER), place.stage.run("ath", "authorize", "r", "--scope", "x"),
             place.stage.run("ath", "authorize", "r", "--scope", "x"), place.stage.run_well("status")]
    for done in texts:
        said = done.out + done.err
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said), said
        assert not re.search("(?m)^next: rm", said)


@in_one_mode
def test_a_session_that_a_shell_would_take_apart(place, run):
    run("register", *REGISTER)
    place.server.answers("authorize", says(200, {"authorization_url": "https://x/", "ath_session_id": "a; rm -rf 'x' $(y)"}))
    assert r"""--session 'a; rm -rf '\''x'\'' $(y)'""" in run("authorize", "--scope", "mail:read").err
