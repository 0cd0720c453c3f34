"""The state of a login: good once, for its route, its caller and 300 s. Whatever else comes back costs no token request.

T8.1, T8.4, T2.6. Outside all refusals look alike; the log tells them apart.
"""

import contextlib
import json
import os
import re
import shutil
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from harness import DEADLINE
from harness.logins import NAVIGATION, ask_to_begin, begin, come_back, exchange, log_in, refusals, sessions, target_of, user_of
from harness.problems import problem
from harness.stranger import NOBODY, as_root, stranger
from harness.wire import Wire
from secrets_used import NAMES

APP = "https://app.example.com"


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, routes={name: {"connector": "oauth2", "secrets": NAMES} for name in ("r", "s")})


def with_state(address, state, route="r"):
    """What the provider sent back, with another state, or for another route."""
    code = parse_qs(urlsplit(address).query)["code"][0]
    return f"/-/oauth/{route}/callback?{urlencode({'code': code, 'state': state})}"


def returns(stage, address, state, way, route="r"):
    """Brings a state back, as a browser or as a program, and asserts that it is refused like any other."""
    if way == "callback":
        response = come_back(stage, with_state(address, state, route))
        assert response.status == 400, response
        assert response.value("Content-Type") == "text/html; charset=utf-8"
    else:
        response = exchange(stage, state, parse_qs(urlsplit(address).query)["code"][0], route)
        problem(response, "state_unknown", route)
    return response


WAYS = pytest.mark.parametrize("way", ["callback", "exchange"])


def begun_and_granted(stage, **wish):
    begun = begin(stage, **wish)
    return begun, stage.vendor.goes_to(begun.url)


# Good once


@WAYS
@pytest.mark.parametrize("state", ["A" * 43, "x", "../../etc/passwd", "é", "' OR 1=1 --", "\x00", "a" * 3000])
def test_a_state_that_was_never_issued(stage, vendor, way, state):
    begun, address = begun_and_granted(stage)
    returns(stage, address, state, way)
    assert refusals(stage, 1) == ["unknown"]
    assert not vendor.asked
    assert come_back(stage, address).status == 200, "the one that was issued is as good as before"


@WAYS
@pytest.mark.parametrize("tamper", [
    lambda state: state[:-1], lambda state: state + "A", lambda state: state + "=", lambda state: state.swapcase(),
    lambda state: ("B" if state[0] == "A" else "A") + state[1:], lambda state: state[::-1], lambda state: " " + state,
    lambda state: state[:20] + ("B" if state[20] == "A" else "A") + state[21:]],
    ids=["cut", "longer", "padded", "case", "first", "reversed", "space", "middle"])
def test_a_state_that_was_tampered_with(stage, vendor, way, tamper):
    begun, address = begun_and_granted(stage)
    returns(stage, address, tamper(begun.state), way)
    assert refusals(stage, 1) == ["unknown"]
    assert not vendor.asked
    assert come_back(stage, address).status == 200


@WAYS
def test_an_expired_state(stage, vendor, way):
    begun, address = begun_and_granted(stage)
    stage.clock.passes(301)
    returns(stage, address, begun.state, way)
    assert refusals(stage, 1) == ["expired"]
    assert not vendor.asked


@WAYS
def test_a_state_is_good_for_300_s(stage, vendor, way):
    begun = begin(stage)
    stage.clock.passes(280)
    address = vendor.goes_to(begun.url)
    assert come_back(stage, address).status == 200
    returns(stage, address, begun.state, way)
    assert refusals(stage, 1) == ["used"]


@WAYS
def test_an_expired_state_is_remembered_for_an_hour(stage, vendor, way):
    """The log tells who comes late from who guesses, also when others have begun since; and not for ever."""
    begun, address = begun_and_granted(stage)
    stage.clock.passes(301)
    begin(stage)
    returns(stage, address, begun.state, way)
    stage.clock.passes(3600)
    begin(stage)
    returns(stage, address, begun.state, way)
    assert refusals(stage, 2) == ["expired", "unknown"]
    assert not vendor.asked


@WAYS
def test_who_begins_again_and_again_ends_the_last(stage, vendor, way):
    """Twenty logins of a subject are under way at most: the oldest makes room. Others' stay, and so does all that the route has."""
    others, others_address = begun_and_granted(stage, subject="bob")
    oldest, address = begun_and_granted(stage, subject="alice")
    vendor.user = "alice"
    last = [begun_and_granted(stage, subject="alice") for _ in range(20)][-1]
    returns(stage, address, oldest.state, way)
    assert refusals(stage, 1) == ["displaced"]
    for good in last[1], others_address:
        assert come_back(stage, good).status == 200
    assert sorted(sessions(stage)) == ["alice", "bob"]


@WAYS
def test_a_used_state(stage, vendor, way):
    begun, address = begun_and_granted(stage)
    assert come_back(stage, address).status == 200
    asked = len(vendor.asked)
    for count in 1, 2, 3:
        returns(stage, address, begun.state, way)
        assert refusals(stage, count) == ["used"] * count
    assert len(vendor.asked) == asked == 1
    assert user_of(stage) == "alice", "a replay ends nothing"


@WAYS
def test_a_state_is_used_up_by_a_failure(stage, vendor, way):
    """Else a code could be tried against one state until it fits."""
    vendor.error = "access_denied"
    begun, address = begun_and_granted(stage)
    assert come_back(stage, address).status == 424
    vendor.error = None
    returns(stage, begun_and_granted(stage)[1], begun.state, way)
    assert refusals(stage, 2) == ["denied", "used"]
    begun, address = begun_and_granted(stage)
    vendor.answer = lambda exchanged, asked: vendor.say(exchanged, 400, {"error": "invalid_grant"})
    assert come_back(stage, address).status == 424
    vendor.answer = None
    returns(stage, address, begun.state, way)
    assert refusals(stage, 3)[-1] == "used"
    assert len(vendor.asked) == 1


@WAYS
def test_a_used_state_is_used_after_a_restart(stage, vendor, way):
    begun, address = begun_and_granted(stage)
    assert come_back(stage, address).status == 200
    stage.restart()
    returns(stage, address, begun.state, way)
    assert refusals(stage, 1) == ["used"]
    assert len(vendor.asked) == 1


# Whose it is


@WAYS
def test_another_routes_state(stage, vendor, way):
    begun, address = begun_and_granted(stage)
    returns(stage, address, begun.state, way, route="s")
    assert refusals(stage, 1) == ["other_route"]
    assert not vendor.asked and not sessions(stage, "s")


@WAYS
@pytest.mark.parametrize("changed", ["client", "provider"])
def test_a_state_of_another_client(stage, vendor, way, changed):
    """The route was pointed elsewhere while its user was away: the code is not for whom it would be shown to now."""
    begun, address = begun_and_granted(stage)
    if changed == "client":
        stage.run_well("secret", "set", "oauth/client_id", input="another-client")
    else:
        stage.house.settings["routes"]["r"]["options"]["token_url"] = stage.upstream.origin + "/elsewhere/token"
        stage.house.write()
        stage.run_well("reload")
    returns(stage, address, begun.state, way)
    assert refusals(stage, 1) == ["other_client"]
    assert not vendor.asked and not sessions(stage)
    # It is used up as well: changing the route back helps nobody.
    returns(stage, address, begun.state, way)
    assert refusals(stage, 2)[1] == "used"


@WAYS
def test_a_code_of_another_login(stage, vendor, way):
    """Mixed up: the state is good, the code belongs to another verifier, so the provider says no and nobody is logged in."""
    _, first = begun_and_granted(stage, subject="alice")
    mallory, _ = begun_and_granted(stage, subject="mallory")
    code = parse_qs(urlsplit(first).query)["code"][0]
    if way == "callback":
        assert come_back(stage, with_state(first, mallory.state)).status == 424
    else:
        problem(exchange(stage, mallory.state, code), "authorization_failed", "r")
    assert not sessions(stage)


@as_root
def test_another_callers_state(staged, vendor):
    """The daemon runs as somebody else after the login was begun: what its predecessor's caller has, no other may bring."""
    stage = staged(vendor, "oauth2", secrets=NAMES)
    begun, address = begun_and_granted(stage)
    browsers, browsers_address = begun_and_granted(stage)
    stage.house.stop()
    trust = shutil.copy(stage.house.settings["routes"]["r"]["tls"]["ca"], stage.house.home)  # where the other may read it
    os.chmod(trust, 0o644)
    stage.house.settings["routes"]["r"]["tls"]["ca"] = trust
    stage.house.write()
    for place in stage.house.home, *stage.house.home.rglob("*"):
        os.chown(place, NOBODY, -1)
    stage.house.start(under=("setpriv", "--reuid", str(NOBODY), "--clear-groups"))
    try:
        code = parse_qs(urlsplit(address).query)["code"][0]
        with stranger():
            problem(exchange(stage, begun.state, code), "state_unknown", "r")
        assert refusals(stage, 1) == ["other_caller"]
        assert not vendor.asked
        # A browser is nobody's caller: who holds the state was given it.
        assert come_back(stage, browsers_address).status == 200
    finally:
        stage.house.stop()


@as_root
def test_a_stranger_with_a_state(stage, vendor):
    """Who may not call may not exchange; their browser's return is a return like any other."""
    begun, address = begun_and_granted(stage)
    with stranger():
        problem(exchange(stage, begun.state, parse_qs(urlsplit(address).query)["code"][0]), "caller_unknown")
        assert not vendor.asked
        assert come_back(stage, address).status == 200
    assert user_of(stage) == "alice"


# All at once, and all alike


@pytest.mark.parametrize("way", ["callback", "exchange"])
def test_a_hundred_returns_with_one_state_are_one_token_request(stage, vendor, way):
    begun, address = begun_and_granted(stage)
    code = parse_qs(urlsplit(address).query)["code"][0]
    with vendor.silent(), contextlib.ExitStack() as stack:
        wires = [stack.enter_context(Wire(stage.house.address, deadline=3 * DEADLINE)) for _ in range(100)]
        for wire in wires:
            if way == "callback":
                wire.request("GET", target_of(address), NAVIGATION)
            else:
                wire.request("POST", "/-/oauth/r/exchange", (), json.dumps({"code": code, "state": begun.state}).encode())
        vendor.wait_for_asked(1)
        refusals(stage, 99)
        vendor.speaks()
        statuses = sorted(wire.response().status for wire in wires)
    assert statuses == [200] + [400] * 99
    assert refusals(stage, 99) == ["used"] * 99
    assert len(vendor.asked) == 1 and len(vendor.grants) == 1


def test_refusals_look_alike(stage, vendor):
    """Whoever guesses learns nothing: not even which states there are."""
    used, address = begun_and_granted(stage)
    assert come_back(stage, address).status == 200
    late, _ = begun_and_granted(stage)

    def fixed(response):
        changing = (b"x-request-id", b"date")
        body = re.sub(rb'"instance":"[^"]*"', b"", response.body)
        return response.status, [field for field in response.fields if field[0].lower() not in changing], body

    looks = {"callback": [], "exchange": []}

    def look(state, route="r"):
        for way, seen in looks.items():
            status, fields, body = fixed(returns(stage, address, state, way, route))
            seen.append((status, fields, re.sub(rb"\b[rs]\b", b"", body)))  # the route that was asked is named

    look("A" * 43), look(used.state), look(late.state, "s")
    stage.clock.passes(301)
    look(late.state)
    for seen in looks.values():
        assert len(seen) == 4 and all(each == seen[0] for each in seen)
    assert refusals(stage, 8) == [reason for reason in ("unknown", "used", "other_route", "expired") for _ in looks]
    assert len(vendor.asked) == 1


def test_logins_that_nobody_finishes_are_bounded(stage, vendor):
    """Neither the store nor a login that is under way suffers from a program that begins one after another."""
    first, address = begun_and_granted(stage, subject="alice")
    for _ in range(150):
        response = ask_to_begin(stage, subject="bob")
        if response.status != 200:
            assert response.status in (429, 503), response
            break
        vendor.states.add(response.json()["state"])
    assert come_back(stage, address).status == 200
    assert list(sessions(stage)) == ["alice"]


# return_to


@pytest.fixture
def returning(staged, vendor):
    return staged(vendor, "oauth2", secrets=NAMES, more={"return_to": [APP, "http://localhost:8080"]})


@pytest.mark.parametrize("return_to", [
    APP, APP + "/", APP + "/done?tab=1&x=%2F%20", APP + "?a=b", "http://localhost:8080/x", APP + "//evil.example/",
    APP + "/x#part"])
def test_the_browser_goes_where_the_route_allows(returning, return_to):
    begun, address = begun_and_granted(returning, return_to=return_to)
    response = come_back(returning, address)
    assert response.status == 302, response
    assert response.value("Location") == return_to
    assert response.value("Referrer-Policy") == "no-referrer"
    assert response.value("Cache-Control") == "no-store"
    assert not response.body
    assert user_of(returning) == "alice"


@pytest.mark.parametrize("return_to", [
    "https://app.example.com.evil.example/", "https://app.example.com.evil", "https://app.example.comevil",
    "https://app.example.com@evil.example/", "https://app.example.com:443@evil.example/", "https://user@app.example.com/",
    "https://user:pw@app.example.com/", "https://app.example.com:8443/", "https://app.example.com:443/",
    "https://app.example.com:/",
    "http://app.example.com/", "//app.example.com/", "//evil.example/", "/\\evil.example", "\\\\app.example.com/", "/done",
    "done", "",
    "https:\\\\app.example.com\\", "https:/app.example.com/", "https:app.example.com", "https:///app.example.com/",
    "https://app.example.com\\@evil.example/", "https://app.example.com\\.evil.example/", "https://app.example.com%2eevil.example/",
    "https://app.example.com%40evil.example/", "https://evil.example/https://app.example.com/",
    "https://evil.example/?https://app.example.com",
    "https://evil.example#https://app.example.com/", "https://sub.app.example.com/", "https://app.example.com./",
    "https://APP.EXAMPLE.COM.evil/", " https://app.example.com/", "https://app.example.com /", "https://app.example.com\t/",
    "https://app.example.com\r\nSet-Cookie: a=b", "https://app.example.com/\r\nLocation: https://evil.example/",
    "https://app.example.com/\nX: y", "https://app.example.com/\x00", "https://app.example.com/ä", "javascript:alert(1)",
    "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "https://localhost:8080/", "http://localhost:80801/",
    "http://localhost/",
    "http://127.0.0.1:8080/", "null", "*", APP + "/" + "x" * 5000])
def test_the_browser_goes_nowhere_else(returning, vendor, return_to):
    response = ask_to_begin(returning, return_to=return_to)
    assert response.status == 400, response
    problem(response, "malformed_request")
    for word in b"evil", b"app.example", b"javascript":
        assert word not in response.body
    begun, address = begun_and_granted(returning)
    assert come_back(returning, address).status == 200, "a page of ours, and nothing was left behind"


def test_a_return_to_that_is_not_listed_is_told(returning, stage):
    ask_to_begin(returning, return_to="https://evil.example/")
    assert refusals(returning, 1) == ["return_to"]
    ask_to_begin(stage, return_to=APP)
    assert refusals(stage, 1) == ["return_to"], "where none is listed, none is allowed"


@pytest.mark.parametrize("fault", ["denied", "used", "refused"])
def test_only_a_login_that_succeeded_sends_the_browser_on(returning, vendor, fault):
    vendor.error = "access_denied" if fault == "denied" else None
    begun, address = begun_and_granted(returning, return_to=APP)
    if fault == "used":
        assert come_back(returning, address).status == 302
    elif fault == "refused":
        vendor.answer = lambda exchanged, asked: vendor.say(exchanged, 400, {"error": "invalid_grant"})
    response = come_back(returning, address)
    assert response.status in (400, 424) and response.value("Location") is None


# What a return may look like


def test_duplicates_are_refused_and_use_nothing_up(stage, vendor):
    begun, address = begun_and_granted(stage)
    target = target_of(address)
    for extra in (f"&state={begun.state}", "&state=x", "&code=x", "&code=", "&st%61te=x", "&x=1&x=1", "&error=a&error=a",
                  "&iss=a&iss=a"):
        response = come_back(stage, target + extra)
        assert response.status == 400, response
    assert not vendor.asked
    assert come_back(stage, address).status == 200


def test_more_than_4_kib_is_refused_and_uses_nothing_up(stage, vendor):
    _, address = begun_and_granted(stage)
    path, _, query = target_of(address).partition("?")
    for length in 4097, 6000:
        assert come_back(stage, f"{path}?{query}&x={'y' * (length - len(query) - 3)}").status == 400
    assert not vendor.asked
    assert come_back(stage, f"{path}?{query}&x={'y' * (4096 - len(query) - 3)}").status == 200


@pytest.mark.parametrize("query", [
    "", "?", "?code=a", "?state=a", "?state=&code=a", "?state=%zz&code=a", "?state=%ff&code=a", "?state=a&code=%", "?=&=",
    "?code&state",
    "?state=a&code=a&%zz=1"])
def test_what_is_no_return_is_refused(stage, vendor, query):
    response = come_back(stage, f"/-/oauth/r/callback{query}")
    assert response.status == 400, response
    assert not vendor.asked


def test_further_parameters_are_the_providers_business(stage, vendor):
    _, address = begun_and_granted(stage)
    assert come_back(stage, address + "&scope=user%3Abasic&session_state=1&empty=").status == 200


@pytest.mark.parametrize("body", [
    b"", b"[]", b"{}", b'{"state": "a"}', b'{"code": "a"}', b'{"code": "a", "state": 1}', b"code=a&state=b",
    b'{"code": "a", "state": "b", "redirect_uri": "https://evil.example"}', b'{"state":"a","state":"b","code":"c"}'])
def test_what_is_no_exchange_is_refused(stage, vendor, body):
    response = stage.house.exchange("POST", "/-/oauth/r/exchange", body=body)
    problem(response, "malformed_request")
    assert b"evil" not in response.body
    assert not vendor.asked


# Who may come back, and how


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_the_callback_is_for_get(stage, vendor, method):
    """T8.4: not even HEAD, which a previewer or a scanner sends, uses a state up."""
    _, address = begun_and_granted(stage)
    response = come_back(stage, address, (), method)
    assert response.status == 405, response
    assert response.value("Allow") == "GET"
    assert not vendor.asked
    assert come_back(stage, address).status == 200


@pytest.mark.parametrize("field", [
    ("Origin", "https://evil.example"), ("Origin", "null"), ("Origin", "http://127.0.0.1"), ("Access-Control-Request-Method",
    "GET"),
    ("Access-Control-Request-Private-Network", "true")])
@pytest.mark.parametrize("site", [None, "cross-site", "same-origin"])
def test_a_pages_request_is_refused(stage, vendor, field, site):
    """T2.2: a navigation has no Origin; a script's request has."""
    _, address = begun_and_granted(stage)
    response = come_back(stage, address, [field, *([("Sec-Fetch-Site", site)] if site else [])])
    problem(response, "browser_refused")
    assert not vendor.asked
    assert come_back(stage, address).status == 200


@pytest.mark.parametrize("site", [None, "cross-site", "same-site", "same-origin", "none"])
def test_a_navigation_passes(stage, vendor, site):
    _, address = begun_and_granted(stage)
    assert come_back(stage, address, [("Sec-Fetch-Site", site)] if site else []).status == 200


@pytest.mark.parametrize("host", [
    "evil.example", "app.example.com", "127.0.0.1", "localhost", "127.0.0.1:80", "127.0.0.1.evil.example:{port}",
    "evil.example:{port}", "0.0.0.0:{port}"])
def test_the_callback_has_the_listeners_own_names_only(stage, vendor, host):
    """T2.1: a page that was rebound to us has its own name."""
    _, address = begun_and_granted(stage)
    response = stage.house.exchange("GET", target_of(address), NAVIGATION, host=host.format(port=stage.house.port))
    problem(response, "misdirected")
    assert not vendor.asked
    assert stage.house.exchange("GET", target_of(address), NAVIGATION, host=f"localhost:{stage.house.port}").status == 200


@pytest.mark.parametrize("path", [
    "/-/oauth/r/callback/", "/-/oauth/r/callbackx", "/-/oauth/r/%63allback", "/-/oauth/%72/callback",
    "/-/oauth/r/callback/x", "/-/oauth/r", "/-/oauth/", "/-/oauth/r/Callback", "/-//oauth/r/callback"])
def test_the_callback_has_one_path(stage, vendor, path):
    _, address = begun_and_granted(stage)
    response = come_back(stage, path + "?" + urlsplit(address).query)
    assert response.status in (400, 403, 404), response
    assert not vendor.asked


@pytest.mark.parametrize("method, path", [
    ("POST", "authorize"), ("POST", "exchange"), ("GET", "sessions"), ("DELETE", "sessions/alice")])
@pytest.mark.parametrize("field", [("Origin", "http://127.0.0.1"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "none")])
def test_the_other_endpoints_are_for_no_browser(stage, vendor, method, path, field):
    """T2.6"""
    log_in(stage, "alice")
    response = stage.house.exchange(method, f"/-/oauth/r/{path}", [field], b"{}" if method == "POST" else None)
    problem(response, "browser_refused")
    assert user_of(stage, "alice") == "alice"


@pytest.mark.parametrize("method, path, allow", [
    ("GET", "authorize", "POST"), ("GET", "exchange", "POST"), ("POST", "sessions", "GET"), ("GET", "sessions/alice", "DELETE")])
def test_each_endpoint_has_one_method(stage, method, path, allow):
    response = stage.house.exchange(method, f"/-/oauth/r/{path}", body=b"{}" if method == "POST" else None)
    problem(response, "method_not_supported")
    assert response.value("Allow") == allow


def test_a_state_does_not_travel_on(stage, vendor):
    """What came back goes to the token endpoint and nowhere else: neither to the API nor onto a route's path."""
    _, address = begun_and_granted(stage)
    assert come_back(stage, address).status == 200
    user_of(stage)
    for seen in vendor.calls:
        assert b"state" not in seen.exchange.head and b"code" not in seen.exchange.head
    asked, = vendor.asked
    assert b"state" not in asked.exchange.head + asked.exchange.body
