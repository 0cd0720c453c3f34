"""Tokens outlive the daemon, encrypted; and what is told of them, never their value."""

import json
import re
from email.utils import formatdate

import pytest

from harness.problems import problem
from harness.vendors import OAuth, says, unavailable
from harness.waiting import until
from secrets_used import CLIENT, NAMES, SECRET, SECRETS, leaks_of


@pytest.fixture
def vendor():
    return OAuth(CLIENT, SECRET)


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, "oauth2-client-credentials", secrets=NAMES)


# Restart


def test_a_restart_fetches_nothing_that_is_still_good(stage, vendor):
    assert stage.get() == 1
    for _ in range(3):
        stage.restart()
        assert stage.get() == 1
    assert len(vendor.asked) == 1


def test_a_killed_daemon_has_kept_what_it_used(stage, vendor):
    assert stage.get() == 1
    stage.house.process.kill()
    stage.house.process.wait()
    stage.start()
    assert stage.get() == 1
    assert len(vendor.asked) == 1


def test_a_reload_keeps_tokens(stage, vendor):
    assert stage.get() == 1
    stage.house.settings["log"] = {"level": "debug"}
    stage.house.write()
    stage.run_well("reload")
    assert stage.get() == 1
    assert len(vendor.asked) == 1


def test_a_reload_during_a_fetch_disturbs_nobody(stage, vendor):
    with vendor.silent(), stage.house.wire() as wire:
        wire.request("GET", "/r/x")
        vendor.wait_for_asked(1)
        stage.house.settings["routes"]["r"]["headers"] = {"X-Tenant": "t1"}
        stage.house.write()
        stage.run_well("reload")
        vendor.speaks()
        assert wire.response().status == 200
    assert stage.get() == 1
    assert vendor.calls[-1].exchange.value("X-Tenant") == "t1"
    assert len(vendor.asked) == 1


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_token_of_other_credentials_is_not_used(stage, vendor, running):
    """Another client is another identity: what was fetched with the old one is void."""
    assert stage.get() == 1
    if not running:
        stage.house.stop()
    vendor.client_id = "canary-another-client"
    stage.run_well("secret", "set", "oauth/client_id", input="canary-another-client")
    if not running:
        stage.start()
    assert stage.get() == 2


def test_a_route_that_is_gone_and_comes_back_has_no_wrong_token(stage, vendor):
    assert stage.get() == 1
    routes = stage.house.settings["routes"]
    route = routes.pop("r")
    routes["other"] = {"connector": "bearer", "upstream": stage.upstream.origin, "secrets": {"token": "shared/token"}}
    stage.house.write()
    stage.run_well("reload")
    routes["r"] = {**route, "secrets": {"client_id": "authing/access_key_id", "client_secret": "authing/access_key_secret"}}
    vendor.client_id, vendor.client_secret = SECRETS["authing/access_key_id"], SECRETS["authing/access_key_secret"]
    stage.house.write()
    stage.run_well("reload")
    assert stage.get() == 2


def test_tokens_are_encrypted_at_rest(stage, vendor):
    """The control is that the search finds what is stored in the clear: the route's name."""
    assert stage.get() == 1
    for state in "running", "stopped":
        stored = b"".join(file.read_bytes() for file in stage.house.store.parent.iterdir() if file.is_file())
        assert not leaks_of([vendor.grants[0].access, SECRET], stored)
        assert b"oauth/client_secret" in stored and b"default" in stored
        if state == "running":
            stage.house.stop()


def test_a_rotated_master_key_keeps_tokens(stage, vendor):
    assert stage.get() == 1
    stage.house.stop()
    stage.run_well("key", "rotate")
    stage.start()
    assert stage.get() == 1
    assert len(vendor.asked) == 1


# What is told


@pytest.fixture
def pair(staged, vendor):
    """Two routes with a token each, and one that has none."""
    return staged(vendor, routes={
        **{name: {"connector": "oauth2-client-credentials", "secrets": NAMES} for name in ("a", "b")},
        "static": {"connector": "bearer", "secrets": {"token": "shared/token"}},
    })


def test_token_list_tells_all_but_the_value(pair, vendor):
    for route in "a", "b":
        pair.get(route=route)
    for running in True, False:
        if not running:
            pair.house.stop()
        rows = pair.tokens()
        assert set(rows) == {("a", "default"), ("b", "default")}
        for grant, row in zip(vendor.grants, rows.values()):
            assert row["state"] == ("fresh" if running else "stored")
            assert row["generation"] == 1
            assert abs(row["expires"] - grant.expires) <= 1
            assert row.get("last_error") is None
        text = pair.run_well("token", "list")
        for word in "a", "b", "default", "fresh" if running else "stored":
            assert re.search(rf"\b{word}\b", text.out), text.out
        assert not leaks_of(vendor.every_secret(), text.out + text.err)
    assert len(vendor.asked) == 2, "to list is not to fetch"


def test_token_list_without_a_token(pair):
    for running in True, False:
        if not running:
            pair.house.stop()
        assert not pair.tokens()
        assert pair.run_well("token", "list").err


def test_token_list_knows_an_expired_token_without_a_daemon(stage, vendor):
    stage.get()
    stage.house.stop()
    stage.clock.passes(3601)
    assert stage.tokens()["r", "default"]["state"] == "expired"


def test_generations_count_up(stage, vendor):
    for generation in 1, 2, 3:
        stage.get()
        assert stage.tokens()["r", "default"]["generation"] == generation
        stage.clock.passes(3601)
    stage.restart()
    stage.get()
    assert stage.tokens()["r", "default"]["generation"] == 4


def test_token_list_tells_of_failures(stage, vendor):
    vendor.answer = says(400, {"error": "invalid_client", "error_description": "the account is closed"})
    problem(stage.ask(), "token_refused", "r")
    row = stage.tokens()["r", "default"]
    assert row["state"] == "refused"
    assert "the account is closed" in row["last_error"]
    assert "the account is closed" in stage.run_well("token", "list").out
    vendor.answer = unavailable(503)
    stage.clock.passes(310)
    problem(stage.ask(), "token_unavailable", "r")
    row = stage.tokens()["r", "default"]
    assert row["state"] == "backing_off" and "503" in row["last_error"]
    vendor.answer = None
    stage.clock.passes(310)
    stage.get()
    row = stage.tokens()["r", "default"]
    assert row["state"] == "fresh" and row.get("last_error") is None


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_token_drop_forgets(pair, vendor, running):
    pair.get(route="a"), pair.get(route="b")
    if not running:
        pair.house.stop()
    pair.run_well("token", "drop", "a")
    if not running:
        assert ("a", "default") not in pair.tokens()
        pair.start()
    assert (pair.get(route="a"), pair.get(route="b")) == (3, 2)


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_token_drop_of_what_is_not_there(pair, running):
    if not running:
        pair.house.stop()
    assert pair.run("token", "drop", "a").returncode in (0, 65)
    done = pair.run("token", "drop", "no-such-route")
    assert done.returncode == 65 and done.err, done
    assert pair.run("token", "drop").returncode == 64
    assert pair.run("token", "drop", "a", "--subject", "nobody").returncode in (0, 65)


def test_token_drop_of_one_subject(pair, vendor):
    pair.get(route="a")
    pair.run("token", "drop", "a", "--subject", "alice")
    assert pair.get(route="a") == 1
    pair.run_well("token", "drop", "a", "--subject", "default")
    assert pair.get(route="a") == 2


def test_metrics_count_refreshes_and_show_expiry(stage, vendor):
    assert stage.get() == 1

    def outcomes():
        text = stage.house.exchange("GET", "/-/metrics").body.decode()
        found = re.findall(r'^chatelaine_token_refreshes_total\{route="r",outcome="(\w+)"\} (\d+)$', text, re.MULTILINE)
        return {outcome: int(count) for outcome, count in found if count != "0"}

    assert outcomes() == {"granted": 1}
    assert abs(stage.metric("chatelaine_token_expires_seconds", route="r") - vendor.grants[0].expires) <= 1
    stage.clock.passes(3601)
    vendor.answer = unavailable(503)
    stage.ask()
    assert outcomes() == {"granted": 1, "unavailable": 1}
    vendor.answer = says(400, {"error": "invalid_client"})
    stage.clock.passes(310)
    stage.ask()
    assert outcomes() == {"granted": 1, "unavailable": 1, "refused": 1}
    vendor.answer = None
    stage.clock.passes(310)
    stage.get()
    assert abs(stage.metric("chatelaine_token_expires_seconds", route="r") - vendor.grants[-1].expires) <= 1


def test_the_log_tells_of_a_token_and_of_a_failure(stage, vendor):
    stage.get()
    line = json.loads(stage.log_line("token", '"r"', "fetch"))
    assert line["route"] == "r"
    vendor.answer = says(400, {"error": "invalid_client", "error_description": "closed"})
    stage.clock.passes(3601)
    response = stage.ask()
    assert "token_refused" in stage.log_line(response.value("X-Request-Id"))


# The clock


@pytest.mark.parametrize("off", [-3600, 3600, 61 + 30])
def test_a_clock_that_is_off_is_told(stage, vendor, off):
    vendor.fields = [("Date", formatdate(stage.clock.now() + off, usegmt=True))]
    stage.get()
    line = json.loads(stage.log_line("clock"))
    assert line["route"] == "r"
    skew = until(lambda: stage.metric("chatelaine_clock_skew_seconds", route="r"), "the skew")
    assert abs(abs(skew) - abs(off)) <= 3
    # Named where it may be the reason.
    stage.clock.passes(3601)
    said = {"error": "invalid_client", "error_description": "assertion is not yet valid"}
    vendor.answer = says(401, said, [("Date", formatdate(stage.clock.now() + off, usegmt=True))])
    detail = problem(stage.ask(), "token_refused", "r")["detail"]
    assert "assertion is not yet valid" in detail
    assert "clock" in detail, detail


@pytest.mark.parametrize("off", [-50, 0, 50])
def test_a_clock_that_is_nearly_right_is_not_told(stage, vendor, off):
    vendor.fields = [("Date", formatdate(stage.clock.now() + off, usegmt=True))]
    stage.get()
    vendor.answer = says(401, {"error": "invalid_client"}, vendor.fields)
    stage.run_well("token", "drop", "r")
    assert "clock" not in problem(stage.ask(), "token_refused", "r")["detail"]
    assert not [line for line in stage.house.log_lines() if "clock" in line]


@pytest.mark.parametrize("date", ["yesterday", "", "Sun, 06 Nov 1994 08:49:37", "0", "Thu, 01 Jan 1970 00:00:00 GMT" * 40])
def test_a_date_that_is_none_is_not_read(stage, vendor, date):
    vendor.fields = [("Date", date)]
    assert stage.get() == 1
    assert not [line for line in stage.house.log_lines() if "clock" in line]


# check and explain


def test_check_connect_tries_the_token(stage, vendor):
    stage.house.stop()
    done = stage.run_well("check", "--connect")
    assert len(vendor.asked) == 1
    assert not vendor.calls, "it sends no request of its own to the API"
    vendor.client_secret = "another"
    stage.run("token", "drop", "r")
    done = stage.run("check", "--connect")
    assert done.returncode == 69
    assert "The client is not known here" in done.out + done.err
    vendor.answer = unavailable(503)
    done = stage.run("check", "--connect")
    assert done.returncode == 69
    assert "r" in done.out


def test_check_alone_asks_nobody(stage, vendor):
    stage.house.stop()
    stage.run_well("check")
    assert not vendor.asked


def test_check_connect_beside_a_running_daemon(stage, vendor):
    assert stage.get() == 1
    stage.run_well("check", "--connect")
    assert stage.get() == 1


@pytest.mark.parametrize("warm", [True, False])
def test_explain_masks_the_token_and_sends_nothing(stage, vendor, warm):
    if warm:
        stage.get()
    before = len(vendor.asked), len(vendor.calls)
    for more in (), ("--json",):
        shown = stage.run_well("explain", "r", "GET", "/x?a=1", *more)
        assert "Authorization" in shown.out or "authorization" in shown.out
        assert "•••" in shown.out or not warm
        if not warm:
            assert "no token" in shown.out
    assert (len(vendor.asked), len(vendor.calls)) == before
