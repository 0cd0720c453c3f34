"""Where an agent's requests go: what a discovery document may say of that, how long it is kept, and where no caller gets."""

import json

import pytest

from harness.ath_servers import NativeService
from harness.ath_stage import in_one_mode, refused
from harness.problems import problem
from harness.vendors import says

ELSEWHERE = "api.here.test"

in_native_mode = pytest.mark.parametrize("kind", ["native"], indirect=True)


def rooted():
    """A service whose calls go to its root, beside the handshake."""
    server = NativeService(api_path="")
    server.is_call = lambda path: path.startswith("/v1/")
    return server


# Discovery


def test_a_document_is_kept_for_five_minutes(place):
    first = place.discover()
    place.clock.passes(280)
    assert place.discover() == first and len(place.heard("discover")) == 1
    place.clock.passes(25)
    assert place.discover() == first and len(place.heard("discover")) == 2
    place.discover()
    assert len(place.heard("discover")) == 2


def test_it_is_kept_over_a_restart(place):
    place.discover()
    place.stage.restart()
    place.discover()
    assert len(place.heard("discover")) == 1


def test_a_clock_that_is_set_back_does_not_keep_it_for_longer(place):
    place.clock.is_set(3600)
    place.discover()
    place.clock.is_set(-3600)
    place.discover()
    assert len(place.heard("discover")) == 2


@pytest.mark.parametrize("answer", [says(503, b"down"), lambda exchange, heard: exchange.connection.reset()], ids=["503", "reset"])
def test_what_it_said_before_holds_while_the_server_is_down(place, answer):
    first = place.discover()
    place.clock.passes(301)
    place.server.answers("discover", answer, times=2)
    assert place.discover() == first
    assert "discover" in place.stage.log_line("handshake failed")
    assert place.discover() == first
    assert len(place.heard("discover")) == 3, "the server is asked each time, until it answers"
    place.discover(), place.discover()
    assert len(place.heard("discover")) == 4


def test_what_it_says_wrongly_does_not_take_the_place_of_what_it_said(place):
    """It is up, and somebody should look at it."""
    place.ready()
    place.clock.passes(301)
    for answer in says(200, {}), says(404, b"no"), says(302, b"", [("Location", "https://x/")]):
        place.server.answers("discover", answer)
        refused(place.ask("GET", "discover"), "authorization_failed", None)
    place.connect()
    assert place.token_of() == 1, "calls go where they went"


@in_one_mode
@pytest.mark.parametrize("change", [
    {"ath_version": None}, {"gateway_id": 7}, {"gateway_id": ""}, {"supported_providers": [{}]}, {"supported_providers": [1]}])
def test_a_gateways_document_that_is_none(place, change):
    place.server.answers("discover", says(200, {**place.server.discovery(), **change}))
    members = refused(place.ask("GET", "discover"), "authorization_failed", None)
    assert "cannot be used: " in members["detail"] and members["hint"] == "chatelaine ath discover r"
    assert place.status()["discovered"] is False


@in_native_mode
@pytest.mark.parametrize("change", [
    {"ath_version": None}, {"app_id": 7}, {"name": ""}, {"auth": None}, {"auth": []}, {"api_base": None}, {"api_base": {}}])
def test_a_services_document_that_is_none(place, change):
    place.server.answers("discover", says(200, {**place.server.discovery(), **change}))
    members = refused(place.ask("GET", "discover"), "authorization_failed", None)
    assert "cannot be used: " in members["detail"] and members["hint"] == "chatelaine ath discover r"
    assert place.status()["discovered"] is False


# What the service says of where its calls go


def says_api_base(place, base):
    place.server.answers("discover", says(200, {**place.server.discovery(), "api_base": base}))
    place.clock.passes(301)
    place.discover()


def is_refused(place, *words):
    members = refused(place.call(), "not_connected", None)
    assert all(word in members["detail"] + members["hint"] for word in words), members
    assert not place.heard("call")
    return members


@in_native_mode
def test_an_api_elsewhere(place, authority):
    """The token is for the service: whoever can change its document could have it sent anywhere."""
    with place.server.api_elsewhere(authority.server_context((ELSEWHERE,)), ELSEWHERE):
        place.ready()
        place.connect()
        name = place.server.api_origin.partition("://")[2]
        is_refused(place, name, '"hosts"')
        place.set_route(hosts=[name])
        assert place.token_of() == 1
        call = place.heard("call")[0]
        assert call.elsewhere and call.field("Host") == name and call.target == "/api/v1/v1/messages"
        place.set_route(hosts=[])
        assert refused(place.call(), "not_connected", None)
        assert len(place.heard("call")) == 1
        # The handshake's own calls stay where the route's upstream is.
        assert place.revoke()["revoked"] is True and not place.heard("revoke")[0].elsewhere


@in_native_mode
@pytest.mark.parametrize("base", [
    "https://evil.example/api", "https://localhost.evil.example/", "https://localhost/", "https://AUTHORITY.evil.example/",
    "https://AUTHORITY@evil.example/", "https://evil.example:PORT/", "https://127.0.0.1:PORT/api/v1",
    "http://AUTHORITY/api/v1", "//AUTHORITY/", "/api/v1", "ftp://AUTHORITY/", "https://AUTHORITY/api?x=1",
    "https://AUTHORITY/api#x", "https://AUTHORITY/a/../b", "https://AUTHORITY/a\r\nX: y", "https://AUTHORITY/a b",
    "https://user:pw@AUTHORITY/", "https:/AUTHORITY/", "AUTHORITY", "unix:/run/x", "https://", "https://[::1]:PORT/",
    "https://169.254.169.254/"])
def test_a_base_that_calls_do_not_go_to(place, base):
    place.ready()
    place.connect()
    base = base.replace("AUTHORITY", place.authority).replace("PORT", place.authority.rpartition(":")[2])
    place.server.answers("discover", says(200, {**place.server.discovery(), "api_base": base}))
    place.clock.passes(301)
    response = place.ask("GET", "discover")
    assert response.status in (200, 424), response
    if response.status == 424:  # then what it said before holds
        assert place.token_of() == 1
    else:
        is_refused(place, "discovery document")
    assert not [seen for seen in place.stage.seen.all if b"evil" in seen.head]


@in_native_mode
def test_a_listed_host_without_tls(place):
    """A downgrade is none that "hosts" allows: the token would be read on its way."""
    with place.server.api_elsewhere(None, ELSEWHERE):
        place.set_route(hosts=[place.server.api_origin.partition("://")[2]])
        place.ready()
        place.connect()
        is_refused(place, "http://")


@in_native_mode
def test_a_base_that_changes_moves_the_calls(place):
    place.ready()
    place.connect()
    assert place.token_of() == 1
    place.server.api_path = "/api/v2/deeper"
    assert place.call().status == 404, "until it is read again"
    place.clock.passes(301)
    place.discover()
    assert place.token_of() == 1, "with the same session"
    assert [heard.path for heard in place.heard("call")][-1] == "/api/v2/deeper/v1/messages"
    place.stage.restart()
    assert place.token_of() == 1


@in_native_mode
def test_the_services_own_root(settle, kind):
    place = settle(kind, server=rooted()).ready()
    place.connect()
    assert place.token_of() == 1 and place.heard("call")[0].target == "/v1/messages"


# Where no caller gets

ENDPOINTS = [("POST", "/ath/token"), ("POST", "/ath/agents/register"), ("POST", "/ath/authorize"), ("POST", "/ath/revoke"),
             ("GET", "/ath/agents/CLIENT"), ("GET", "/ath/token"), ("POST", "/ath/token/"), ("POST", "/ATH/Token"),
             ("POST", "/ath%2Ftoken"), ("POST", "/ath/%74oken"), ("POST", "/ath/token;x=1"), ("POST", "/ath/token?x=1"),
             ("DELETE", "/ath/agents/CLIENT"), ("POST", "/ath/agents")]
SPELLINGS_NOBODY_TAKES = [("POST", "//ath/token"), ("POST", "/x/../ath/token"), ("POST", "/./ath/token"), ("POST", "/%2e/ath/token"),
                          ("POST", "/x/%2e%2e/ath/token")]


@in_native_mode
def test_no_caller_reaches_the_handshake_by_the_route(settle, kind):
    """T3.9, where the service's calls go to its root: these would carry the token, and answer with more of it."""
    place = settle(kind, server=rooted()).ready()
    place.connect()
    heard = len(place.heard())
    client = place.server.registrations[0].client_id
    for method, target in ENDPOINTS:
        body = b"{}" if method == "POST" else None
        members = problem(place.call(target.replace("CLIENT", client), method, body=body), "unknown_route", "r")
        assert "handshake" in members["detail"]
    for method, target in SPELLINGS_NOBODY_TAKES:
        assert place.call(target, method, body=b"{}").status == 400
    assert len(place.heard()) == heard
    assert place.token_of() == 1


def test_nor_by_another_route(settle, kind):
    """A route of another kind with the same upstream could bring its own secrets, or none."""
    place = settle(kind, others={"plain": {"connector": "bearer", "secrets": {"token": "shared/token"}}}).ready()
    heard = len(place.heard())
    for method, target in ENDPOINTS:
        body = b"{}" if method == "POST" else None
        response = place.stage.ask(method, target.replace("CLIENT", "x"), body=body, route="plain")
        problem(response, "unknown_route", "plain")
    assert len(place.heard()) == heard
    assert place.stage.ask("GET", "/ath/proxy/mail", route="plain").status in (401, 404), "what lies beside is reached"


@in_one_mode
def test_nor_through_the_gateways_proxy(place):
    place.ready()
    place.connect()
    heard = len(place.heard())
    for target in "/../../ath/token", "/%2e%2e/%2e%2e/token", "/..%2f..%2ftoken", "/../files/v1/x", "/%2E%2E/files/v1":
        response = place.call(target, "POST", body=b"{}")
        assert response.status == 400 or response.json()["target"].startswith("/..%2f"), response
    for each in place.heard()[heard:]:
        assert each.target.startswith("/ath/proxy/mail/")


# Methods, and what is not there


@in_one_mode
def test_methods(place):
    allowed = {"discover": "GET", "agent.json": "GET", "register": "POST", "authorize": "POST", "exchange": "POST",
               "revoke": "POST"}
    for step, method in allowed.items():
        for wrong in "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD":
            if wrong == method or wrong == "HEAD" and method == "GET":
                continue
            response = place.ask(wrong, step)
            assert response.status == 405, (wrong, step, response)
            assert method in response.value("Allow").split(", ") and wrong not in response.value("Allow").split(", ")
    assert not place.heard()
    head = place.ask("HEAD", "discover")
    assert head.status == 200 and not head.body


@in_one_mode
def test_what_is_not_there(settle, kind):
    place = settle(kind, others={"plain": {"connector": "bearer", "secrets": {"token": "shared/token"}}})
    for route in "plain", "nowhere":
        for method, step in ("GET", "discover"), ("GET", "agent.json"), ("POST", "register"):
            problem(place.ask(method, step, route=route), "unknown_route")
    for step in "", "nothing", "discover/", "agent.json/x", "Discover", "token", "callback", "r/discover":
        problem(place.ask("GET", step), "unknown_route")
    assert place.house.exchange("POST", "/-/oauth/r/authorize", (), b"{}").status == 404, "there is one way to log in"


@in_one_mode
def test_pages_reach_nothing(place):
    """T2: no web page makes an agent act, or learns who it is."""
    fields = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "cors")]
    for method, step in ("GET", "discover"), ("POST", "register"), ("POST", "authorize"), ("POST", "revoke"):
        problem(place.ask(method, step, fields=fields, body=b"{}" if method == "POST" else None), "browser_refused")
    assert not place.heard()


@in_one_mode
def test_requests_before_anything_was_done_leave_no_trace(place):
    assert place.call().status == 424
    assert place.stage.tokens() == {} and json.loads(place.stage.run_well("token", "list", "--json").out) == []
