"""`chatelaine login` and `logout`: what a person sees, at a desktop and over ssh."""

import json
import os
import re
import signal
import termios

import pytest

from harness import DEADLINE
from harness.logins import come_back, log_in, refusals, sessions, user_of
from harness.providers import Provider
from harness.terminal import Terminal
from harness.waiting import until
from secrets_used import CLIENT, NAMES, SECRET


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, routes={
        "r": {"connector": "oauth2", "secrets": NAMES}, "static": {"connector": "bearer", "secrets": {"token": "shared/token"}}})


class Login(Terminal):
    """`chatelaine login`, as it runs."""

    def __init__(self, stage, *arguments, terminal=False, env=None):
        super().__init__(stage, "login", *arguments, terminal=terminal, env=env)

    @property
    def url(self):
        """The address that it prints."""

        def printed():
            assert self.process.poll() is None, f"{self.process.returncode}: {self.err}"
            return re.search(r"https://\S+(?=\s)", self.out + self.err)

        url = until(printed, f"an address from login: {self.err}").group()
        self.stage.vendor.states.add(re.search("[?&]state=([^&]*)", url).group(1))
        return url

    def ends(self, status=0):
        """Waits for its end. What it said is searched for secrets with all the rest, but for the address that it has to show."""
        assert self.process.wait(DEADLINE) == status, (self.process.returncode, self.out, self.err)
        self.stage.texts.append(re.sub(r"https://\S+/oauth/authorize\S*", "", self.out + self.err).encode())
        return self


def test_a_login(stage, vendor):
    with Login(stage, "r", "--no-browser") as login:
        address = vendor.goes_to(login.url)
        assert login.process.poll() is None, "it waits"
        assert come_back(stage, address).status == 200
        login.ends()
    assert re.search(r"\bdefault\b", login.out) and re.search(r"\br\b", login.out), login.out
    assert re.search(r"\b(60|59) minutes\b", login.out), "for how long"
    assert "Log in" in login.err or "Log in" in login.out
    assert user_of(stage) == "alice"


@pytest.mark.parametrize("lifetime, text", [
    (90, r"(90|8\d) seconds"), (7200, "(120|119) minutes|2 hours"), (8 * 3600, "(8|7) hours"), (30 * 86400, "(30|29) days")])
def test_it_says_for_how_long(stage, vendor, lifetime, text):
    vendor.lifetime = lifetime
    with Login(stage, "r", "--no-browser") as login:
        come_back(stage, vendor.goes_to(login.url))
        assert re.search(text, login.ends().out), login.out


def test_a_login_of_a_subject_for_a_scope(stage, vendor):
    with Login(stage, "r", "--subject", "bob", "--scope", "orders:read x", "--no-browser") as login:
        vendor.user = "bob"
        come_back(stage, vendor.goes_to(login.url))
        login.ends()
    assert "bob" in login.out and "orders:read x" in login.out
    assert vendor.visits[-1]["scope"] == "orders:read x"
    assert user_of(stage, "bob") == "bob"
    assert list(sessions(stage)) == ["bob"]


def test_the_answer_in_json(stage, vendor):
    with Login(stage, "r", "--json", "--no-browser") as login:
        come_back(stage, vendor.goes_to(login.url))
        login.ends()
    said = json.loads(login.out)
    assert 3500 < said.pop("expires_in") <= 3600
    assert said == {"subject": "default", "token_type": "Bearer"}
    assert "https://" in login.err and "https://" not in login.out


@pytest.mark.parametrize("fault", ["denied", "refused", "issuer"])
def test_a_login_that_fails(stage, vendor, fault):
    if fault == "denied":
        vendor.error = "access_denied"
    elif fault == "refused":
        said = {"error": "invalid_grant", "error_description": "too late"}
        vendor.answer = lambda exchange, asked: vendor.say(exchange, 400, said)
    else:
        stage.house.settings["routes"]["r"]["options"]["issuer"] = "https://accounts.example.com"
        stage.house.write()
        stage.run_well("reload")
    with Login(stage, "r", "--no-browser") as login:
        assert come_back(stage, vendor.goes_to(login.url)).status == 424
        login.ends(69)
    assert not login.out
    assert "chatelaine login r" in login.err
    assert fault != "refused" or "too late" in login.err
    assert not sessions(stage)


def test_somebody_elses_guess_does_not_end_it(stage, vendor):
    with Login(stage, "r", "--no-browser") as login:
        address = vendor.goes_to(login.url)
        assert come_back(stage, "/-/oauth/r/callback?code=x&state=guessed").status == 400
        assert come_back(stage, address.replace("state=", "state=x")).status == 400
        assert login.process.poll() is None
        come_back(stage, address)
        login.ends()
    assert refusals(stage, 2) == ["unknown"] * 2


# The browser


@pytest.fixture
def desktop(stage):
    """A desktop whose browser writes down where it was sent."""
    programs = stage.house.home / "programs"
    programs.mkdir()
    opened = stage.house.home / "opened"
    for name in "xdg-open", "sensible-browser", "x-www-browser", "open", "gio":
        program = programs / name
        program.write_text(f'#!/bin/sh\necho "$#" "$@" >> {opened}\n')
        program.chmod(0o755)
    return opened, {"PATH": f"{programs}:{os.environ['PATH']}", "DISPLAY": ":99"}


def test_it_opens_the_browser(stage, vendor, desktop):
    opened, env = desktop
    with Login(stage, "r", env=env) as login:
        url = login.url
        until(lambda: opened.exists() and opened.read_text().endswith("\n"), "the browser to be opened")
        assert opened.read_text() == f"1 {url}\n"
        come_back(stage, vendor.goes_to(url))
        login.ends()


def test_it_does_not_when_it_is_told_not_to(stage, vendor, desktop):
    opened, env = desktop
    with Login(stage, "r", "--no-browser", env=env) as login:
        come_back(stage, vendor.goes_to(login.url))
        login.ends()
    assert not opened.exists()


def test_it_goes_on_where_there_is_no_browser(stage, vendor):
    """As over ssh, or in a container: neither a desktop nor a program for it."""
    for env in {}, {"DISPLAY": ":99", "PATH": "/nonexistent"}:
        with Login(stage, "r", env=env) as login:
            come_back(stage, vendor.goes_to(login.url))
            login.ends()


# Over ssh


@pytest.mark.parametrize("extra", ["", "#", "#fragment"])
def test_the_address_can_be_pasted(stage, vendor, extra):
    """The browser cannot reach this machine: the address that it ends at, pasted back, does as well."""
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        address = vendor.goes_to(login.url)
        until(lambda: "paste" in login.err, "to be told so")
        login.types(address + extra + "\n")
        login.ends()
    assert "logged in" in login.out
    assert user_of(stage) == "alice"
    assert len(vendor.asked) == 1


def test_what_is_pasted_wrongly_can_be_pasted_again(stage, vendor):
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        address = vendor.goes_to(login.url)
        login.types("nonsense\n")
        until(lambda: "no address" in login.err, "to be told so")
        login.types("\n   \n" + address + "\n")
        login.ends()
    assert "nonsense" not in login.err
    assert user_of(stage) == "alice"


def test_an_address_with_another_state(stage, vendor):
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        address = vendor.goes_to(login.url)
        login.types(address.replace("state=", "state=x") + "\n")
        login.ends(69)
    assert "canary-code" not in login.err
    assert not vendor.asked and not sessions(stage)


def test_a_pasted_denial(stage, vendor):
    vendor.error = "access_denied"
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        login.types(vendor.goes_to(login.url) + "\n")
        login.ends(69)
    assert "canary-desc" not in login.err and not sessions(stage)


def test_the_browsers_own_return_counts_at_a_terminal_too(stage, vendor):
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        address = vendor.goes_to(login.url)
        login.types(address[:20])
        come_back(stage, address)
        login.ends()
    assert "logged in" in login.out


def test_a_terminal_is_as_it_was(stage, vendor):
    with Login(stage, "r", "--no-browser", terminal=True) as login:
        before = termios.tcgetattr(login.keyboard)
        come_back(stage, vendor.goes_to(login.url))
        login.ends()
        assert termios.tcgetattr(login.keyboard) == before


# Nobody comes


def test_nobody_comes(stage, vendor):
    with Login(stage, "r", "--no-browser") as login:
        address = vendor.goes_to(login.url)
        stage.clock.passes(301)
        login.ends(69)
    assert "chatelaine login r" in login.err and not login.out
    assert come_back(stage, address).status == 400, "too late"
    assert not vendor.asked


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_interrupted(stage, vendor, number):
    """Nothing is left waiting; who comes back after all is logged in, for the login was begun."""
    with Login(stage, "r", "--no-browser") as login:
        address = vendor.goes_to(login.url)
        login.process.send_signal(number)
        assert login.process.wait(DEADLINE) in (-number, 128 + number)
    assert come_back(stage, address).status == 200


def test_the_daemon_goes_away(stage, vendor):
    with Login(stage, "r", "--no-browser") as login:
        assert login.url
        stage.house.stop()
        login.ends(69)
        assert login.err.strip().splitlines()[-1]
    stage.start()


# What cannot be


def test_without_a_daemon(stage):
    stage.house.stop()
    for arguments in ("login", "r"), ("logout", "r"):
        done = stage.run(*arguments)
        assert done.returncode == 69, done.err
        assert "chatelaine serve" in done.err
        assert not done.out


@pytest.mark.parametrize("arguments, status", [
    (("login",), 64), (("login", "r", "s"), 64), (("login", "r", "--subject"), 64), (("login", "r", "--nothing"), 64),
    (("logout",), 64),
    (("login", "nowhere"), 65), (("login", "static"), 65), (("login", "r", "--subject", "a\tb"), 65), (("logout", "nowhere"), 65)])
def test_what_cannot_be_done(stage, arguments, status):
    done = stage.run(*arguments)
    assert done.returncode == status, (done.returncode, done.err)
    assert done.err and not done.out


def test_a_route_without_logins_says_so(stage):
    assert "static" in stage.run("login", "static").err


def test_a_client_that_is_not_stored_yet(staged):
    stage = staged(Provider(CLIENT, SECRET), "oauth2", secrets={name: f"nobody/{name}" for name in NAMES})
    done = stage.run("login", "r", "--no-browser")
    assert done.returncode == 65, done
    assert "chatelaine secret set nobody/client_id" in done.err


def test_help(stage):
    for verb in "login", "logout":
        assert verb in stage.run_well("help").out
        assert "--subject" in stage.run_well("help", verb).out


# The end


def test_logout(stage, vendor):
    for user in "alice", "bob":
        log_in(stage, user)
    done = stage.run_well("logout", "r", "--subject", "alice")
    assert "alice" in done.out
    assert list(sessions(stage)) == ["bob"] and user_of(stage, "bob") == "bob"
    response = stage.ask(fields=[("X-Chatelaine-Subject", "alice")])
    assert response.status == 424 and response.json()["code"] == "not_connected"
    again = stage.run("logout", "r", "--subject", "alice")
    assert again.returncode == 65 and "alice" not in again.out


def test_logout_of_the_only_one(stage):
    log_in(stage)
    assert stage.run_well("logout", "r").out
    assert not sessions(stage)
