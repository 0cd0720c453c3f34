"""Which route a request means, and that nothing in it can mean another upstream (DESIGN §3, SECURITY T3.1)."""

import pytest

from harness.problems import ours, problem
from harness.wire import Wire


def test_an_unknown_route_is_404(house, seen):
    for target in "/nowhere/x", "/", "/codegatex/y", "/CODEGATE/x":
        problem(house.exchange("GET", target), "unknown_route", None)
    seen.none()


def test_the_hint_of_an_unknown_route_says_what_to_do_next(house, seen):
    assert "chatelaine" in problem(house.exchange("GET", "/nowhere/x"), "unknown_route")["hint"]


@pytest.mark.parametrize("host", [
    "evil.example", "evil.example:{port}", "localhost", "127.0.0.1:1", "0.0.0.0:{port}",
    "nowhere.localhost:{port}", "codegate.localhost:1", "127.0.0.1.evil.example:{port}", "api.codegate.test.evil:80",
])
def test_a_foreign_host_is_421_before_anything_else(house, seen, host):
    """T2.1: exact bytes, port included; no caller, route or secret was looked at."""
    host = host.format(port=house.port)
    problem(house.exchange("GET", "/codegate/x", host=host), "misdirected")
    problem(house.exchange("GET", "/nowhere/x", host=host), "misdirected")
    seen.none()


@pytest.mark.parametrize("host", ["localhost.:{port}", "user@127.0.0.1:{port}", "127.0.0.1:x", "127.0.0.1:{port}/", ""])
def test_a_host_that_is_none_is_malformed(house, seen, host):
    """Rows 29, 45 and 46."""
    problem(house.exchange("GET", "/codegate/x", [("Host", host.format(port=house.port))]), "malformed_request")
    seen.none()


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
def test_our_own_hosts_are_accepted(house, seen, host):
    assert house.exchange("GET", "/bearer/x", host=host.format(port=house.port)).status == 200
    seen.only()


@pytest.mark.parametrize("elsewhere", ["evil.example", "api.codegate.test:8443", "127.0.0.1:1"])
def test_row_028_absolute_form_reaches_only_a_routes_authority(house, seen, elsewhere):
    """Row 28."""
    problem(house.exchange("GET", f"http://{elsewhere}/codegate/x", host=elsewhere), "misdirected")
    seen.none()


def test_row_026_absolute_form_to_the_listener_itself_is_the_path_prefix(house, seen):
    """Row 26."""
    assert house.exchange("GET", f"{house.url}/codegate/x?y=z").status == 200
    assert seen.only().target == b"/x?y=z"


def test_row_027_in_absolute_form_the_target_wins_over_host(house, upstream, seen):
    """Row 27: and neither of them decides where the request goes."""
    response = house.exchange("GET", "http://api.codegate.test/x", host="evil.example")
    assert response.status == 200
    assert seen.only().value("Host") == upstream.authority


def test_https_in_absolute_form_is_accepted(house, seen):
    assert house.exchange("GET", "https://api.codegate.test/x", host="api.codegate.test").status == 200
    assert seen.only().target == b"/x"


def test_another_scheme_in_absolute_form_is_malformed(house, seen):
    problem(house.exchange("GET", "ftp://api.codegate.test/x", host="api.codegate.test"), "malformed_request")
    seen.none()


def test_row_022_connect_is_refused_and_says_why(house, seen):
    """Row 22: what comes after it is discarded."""
    with house.wire() as wire:
        wire.send(b"CONNECT api.codegate.test:443 HTTP/1.1\r\nHost: api.codegate.test:443\r\n\r\n"
                  b"GET /bearer/smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        members = problem(wire.response(), "method_not_supported")
        assert "http://" in members["detail"] + members["hint"], "says what to use instead"
        assert wire.ended()
    seen.none()


def test_trace_is_refused(house, seen):
    """Row 21."""
    problem(house.exchange("TRACE", "/bearer/x"), "method_not_supported")
    seen.none()


def test_options_asterisk_is_answered_here(house, seen):
    """Row 24."""
    response = house.exchange("OPTIONS", "*")
    assert response.status == 204
    assert response.value("Allow")
    seen.none()


def test_a_routes_own_listener_has_no_prefix(house, seen):
    """A program whose SDK drops the base URL's path: every path is the upstream's."""
    with Wire(("127.0.0.1", house.own_port)) as wire:
        assert wire.exchange("GET", "/codegate/x").status == 200
        assert wire.exchange("GET", "/-/livez").status == 200, "/-/ is ours on every listener"
    assert seen.only().target == b"/codegate/x"


def test_what_is_under_dash_is_never_a_route(house, seen):
    for target in "/-/", "/-/nothing", "/-":
        response = house.exchange("GET", target)
        assert response.status == 404
        ours(response)
    seen.none()


def test_nothing_in_a_request_changes_where_it_goes(house, upstream, seen):
    """T3.1: the authority is the configuration's, whatever the request says."""
    house.exchange("GET", "/bearer/http://evil.example/x".replace("//", "/%2F"), [
        ("X-Forwarded-Host", "evil.example"), ("Forwarded", "host=evil.example"), ("X-Original-URL", "http://evil.example/"),
    ])
    arrived = seen.only()
    assert arrived.value("Host") == upstream.authority
    assert b"evil" not in b"".join(value for _, value in arrived.fields)
