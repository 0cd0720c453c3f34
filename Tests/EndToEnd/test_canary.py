"""No secret in anything that comes out: every flow and every error is driven, then all of it is searched.

The control is at the end: an upstream that gives back what it received is caught by the same search.
"""

import json
import os
import signal

import pytest

from harness.daemon import free_port
from harness.upstream import echo
from harness.wire import Truncated
from secrets_used import SECRETS, forms, leaks_of

# The API key travels as it is, and so do some others; what is searched for is every form that could be read back.
CANARIES = {name: value for name, value in SECRETS.items() if len(value) >= 12}


def leaks(text):
    """Which secrets `text` holds, in which form."""
    return [f"{name} as {form}" for name, secret in CANARIES.items() for form in leaks_of([secret], text)]


@pytest.fixture(scope="module")
def told(build, safe, upstream):
    """Everything that a daemon and its command line say while all flows and errors are driven: {where: text}."""

    def route(connector, origin=upstream.origin, **more):
        return {"connector": connector, "upstream": origin, **more}

    routes = {
        "codegate": route("codegate"),
        "bearer": route("bearer"),
        "basic": route("basic"),
        "header": route("header", options={"name": "X-Vendor-Key"}),
        "query": route("query", options={"name": "key"}),
        "tenant": route("bearer", headers={"X-User-Token": {"secret": "tenant/user"}}),
        "based": route("bearer", f"https://127.0.0.1:{free_port()}"),
        "eager": route("bearer", "https://no-such-name.invalid"),
        "hasty": route("bearer", timeouts={"first_byte": "50ms"}),
        "shared": route("bearer", tls={"ca": None}),
    }
    house = build(routes, log={"level": "debug", "format": "json"})
    house.settings["listen"].append({"unix": str(house.socket)})
    house.write()
    told = {}

    def keep(where, text):
        told[f"{len(told)} {where}"] = text

    def ask(method, target, fields=(), body=None):
        with house.wire() as wire:
            try:
                wire.request(method, target, fields, body)
                response = wire.response(method)
                keep(f"answer to {method} {target[:60]}", response.head + response.body)
            except (Truncated, OSError):
                pass

    def verb(*arguments, input=None, status=None):
        done = house.run(*arguments, input=input)
        assert status is None or done.returncode == status, (arguments, done.returncode, done.err)
        keep(f"chatelaine {' '.join(map(str, arguments))}", done.stdout + done.stderr)

    try:
        verb("check", status=0)
        house.start()
        with upstream.answering(_is_fine):
            for name in routes:
                for target in "/api/v1/x?b=2&a=1", "/a%2Fb", "//", "/../x", "/x y":
                    ask("GET", f"/{name}{target}")
                ask("POST", f"/{name}/x", body=b"{}")
                ask("POST", f"/{name}/x", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")], b"0\r\n\r\n")
                ask("GET", f"/{name}/x", [("Origin", "https://evil.example")])
                ask("GET", f"/{name}/x", [("Connection", "X-Signature, Authorization")])
                ask("CONNECT", "api.example.com:443")
            ask("POST", "/codegate/x", [("Content-Length", str(1 << 40))])
        for script in _refuses, _breaks, _speaks_nonsense, _never_answers:
            with upstream.answering(script):
                for name in routes:
                    ask("GET", f"/{name}/x")
        for endpoint in "livez", "readyz", "metrics", "oauth", "nothing":
            ask("GET", f"/-/{endpoint}")
        body = house.home / "body"
        body.write_text('{"code":"X"}')
        for name in routes:
            verb("explain", name, "GET", "/api/v1/x?b=2&a=1", status=0)
            verb("explain", name, "POST", "/x", "--body", body, "--json", status=0)
        for arguments in [("secret", "list"), ("secret", "list", "--json"), ("status",), ("status", "--json"), ("check",),
                          ("check", "--connect"), ("healthcheck",), ("version",), ("help",), ("help", "secret"),
                          ("secret", "rm", "nothing"), ("secret", "set", "bearer/token", SECRETS["bearer/token"]),
                          ("explain", "nothing", "GET", "/x")]:
            if SECRETS["bearer/token"] in arguments:
                done = house.run(*arguments)
                assert done.returncode == 64, "a secret is never an argument"
                keep("a secret as an argument", done.stdout + done.stderr)
            else:
                verb(*arguments)
        house.write(json.dumps({**house.settings, "routes": {"x": {"connector": "bearer", "token": SECRETS["bearer/token"]}}}))
        verb("reload", status=78)
        verb("check", status=78)
        house.write()
        verb("secret", "set", "bearer/token", input=SECRETS["bearer/token"], status=0)
        verb("reload", status=0)
        house.signal(signal.SIGHUP)
        with upstream.answering(_is_fine):
            ask("GET", "/bearer/x")
        house.stop()
        verb("secret", "list", status=0)
        keep("the log", house.log())
        assert len(house.log_lines()) > 50, "the log was written"
        keep("the store", b"".join(file.read_bytes() for file in house.store.parent.iterdir() if file.is_file()))
        keep("the configuration", house.config.read_bytes())
    finally:
        house.remove()
    return told


def _is_fine(exchange):
    exchange.answer(200, [("X-Vendor", "v")], b"fine")


def _refuses(exchange):
    exchange.answer(401, [("WWW-Authenticate", "x")], b"no")


def _breaks(exchange):
    exchange.start(200, [("Content-Length", "10")])
    exchange.connection.reset()


def _speaks_nonsense(exchange):
    exchange.send(b"nonsense\r\n\r\n")
    exchange.connection.close()


def _never_answers(exchange):
    exchange.connection.sock.settimeout(0.06)
    exchange.connection.more()  # until the daemon gives up, or this does


def test_no_secret_comes_out(told):
    assert len(told) > 100
    found = {where: leaks(text) for where, text in told.items()}
    assert not {where: names for where, names in found.items() if names}


def test_a_secret_that_is_set_leaves_no_trace_in_the_process(build, upstream):
    """T9: neither in the arguments nor in the environment of the daemon."""
    with build({"bearer": {"connector": "bearer", "upstream": upstream.origin}}) as house:
        with upstream.answering():
            house.exchange("GET", "/bearer/x")
        for file in "cmdline", "environ":
            try:
                assert not leaks(open(f"/proc/{house.pid}/{file}", "rb").read())
            except PermissionError:
                assert os.getuid() != 0  # T1.7: not even its own user may look


@pytest.mark.parametrize("name", sorted(CANARIES))
def test_the_search_finds_each_secret_in_each_form(name):
    """The control: what the search above is worth."""
    for form in forms(CANARIES[name]):
        assert leaks(f"… {form} …"), form
    assert not leaks("an innocent line: status=200 route=bearer 0123456789")


@pytest.mark.parametrize("route", ["bearer", "basic", "header", "query", "tenant", "codegate"])
def test_an_upstream_that_gives_back_what_it_got_is_caught(house, upstream, route):
    """The control, through a running daemon: the same search finds the injected secret in the answer."""
    with upstream.answering(echo) as seen:
        response = house.exchange("GET", f"/{route}/x")
        sent = seen.only()
    assert leaks(sent.head)
    assert leaks(response.body)
