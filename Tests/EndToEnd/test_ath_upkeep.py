"""What verbs that are not the handshake's say of an agent's route: check, explain, status, secret list, login."""

import re

from harness.ath_stage import in_one_mode
from harness.problems import problem


def test_status_on_the_way(settle, kind):
    place = settle(kind, key=None)

    def row():
        return re.search(r"(?m)^AGENT.*\n(r .*)$", place.stage.run_well("status").out).group(1).split()

    assert row()[1:3] == ["no", "key"]
    place.stage.run_well("ath", "keygen", "r")
    assert row()[1] == "no"
    place.server.verdict = "pending"
    place.ready()
    assert row()[1] == "pending"
    place.server.decides("approved")
    place.connect("alice")
    assert row()[2:4] == ["alice", "fresh"]
    place.clock.passes(3601)
    place.stage.turn()
    assert row()[2] == "alice" and row()[3] != "fresh"


def test_check(settle, kind):
    place = settle(kind, key=None)
    done = place.stage.run_well("check")
    assert "missing: chatelaine ath keygen r" in done.err and "secret set" not in done.err
    assert "needs r/private_key" in done.out
    place.stage.run_well("ath", "keygen", "r")
    for arguments in ("check",), ("check", "--connect"):
        done = place.stage.run_well(*arguments)
        assert ("connects" if len(arguments) == 2 else "fine") in done.out and "missing" not in done.err
    place.ready()
    place.connect()
    assert "connects" in place.stage.run_well("check", "--connect").out
    place.house.stop()
    for arguments in ("check",), ("check", "--connect"):
        place.stage.run_well(*arguments)


def test_explain_on_the_way(settle, kind):
    place = settle(kind, key=None)

    def explains():
        return place.stage.run("explain", "r", "GET", "/v1/x?a=b")

    assert "chatelaine ath keygen r" in explains().err
    place.stage.run_well("ath", "keygen", "r")
    if kind == "native":
        done = explains()
        assert done.returncode == 64 and "chatelaine ath discover r" in done.err
    place.ready()
    done = explains()
    where = f"{place.server.url}/ath/proxy/mail/v1/x?a=b" if kind == "gateway" else f"{place.server.api_base}/v1/x?a=b"
    place.connect()
    done = explains()
    assert done.returncode == 0 and f"GET {where}" in done.out, done.out
    assert place.agent_id in done.out and "Bearer •••" in done.out
    assert not place.heard("call")


@in_one_mode
def test_what_secrets_are_listed(place):
    place.ready()
    text = place.stage.run_well("secret", "list").out
    for name in "private_key", "registration", "discovery":
        assert re.search(rf"r/{name} .* r\n", text), text


def test_a_route_that_is_pointed_elsewhere(place):
    """What another server said of another agent is not used here; it comes back with the route."""
    place.ready()
    place.connect()
    agent = place.house.settings["routes"]["r"]["options"]
    before = dict(agent)
    place.set_route(options={**agent, "agent_id": "https://other.example/agent.json"})
    assert "registration" not in place.status()
    problem(place.call(), "not_connected", "r")
    place.set_route(options=before)
    assert place.token_of() == 1 and place.status()["registration"]["agent_status"] == "approved"


def test_logins_are_another_thing(place):
    done = place.stage.run("login", "r", "--no-browser")
    assert done.returncode == 65 and "chatelaine ath" in done.err
