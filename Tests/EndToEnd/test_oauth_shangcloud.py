"""ShangCloud: the vendor's own client and plain requests through the daemon say the same, to one recording server."""

import json
import re
import urllib.request
from urllib.parse import parse_qsl, urlsplit

import pytest
from shangcloud import Client
from shangcloud.exceptions import AuthError, StateNotFoundError

from harness.logins import begin, call, come_back, exchange, log_in, sessions
from harness.problems import problem
from harness.providers import ShangCloud
from harness.waiting import until
from secrets_used import CLIENT, NAMES, SECRET

JSON = [("Content-Type", "application/json")]


@pytest.fixture
def vendor():
    return ShangCloud(CLIENT, SECRET)


@pytest.fixture
def make(staged, vendor):
    return lambda **options: staged(vendor, "shangcloud", options=options, secrets=NAMES)


@pytest.fixture
def stage(make):
    return make()


@pytest.fixture
def sdk(authority, monkeypatch):
    """Makes the vendor's client for what the daemon is configured with; only its base URL is changed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.setattr(urllib.request, "_opener", None)

    def make(stage, redirect_uri, scope=None):
        client = Client.init_client(CLIENT, SECRET, redirect_uri)
        client.base_url = stage.upstream.origin
        if scope:
            client.set_scope(scope)
        return client

    return make


def parameters(url):
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


def without(url, value):
    """A URL with the one value taken out that is random."""
    quoted = dict(pair.split("=") for pair in urlsplit(url).query.split("&"))[value]
    assert url.count(f"{value}={quoted}") == 1
    return url.replace(f"{value}={quoted}", f"{value}=")


def own_callback(stage, route="r"):
    return f"{stage.house.url}/-/oauth/{route}/callback"


# Logging in


@pytest.mark.parametrize("scope", [None, "user:basic mmo var:io", "a+b/c?&=é"])
@pytest.mark.parametrize("redirect_uri", [None, "https://app.example.com/back?from=shang&x=~a*b%20c"], ids=["ours", "theirs"])
def test_the_authorization_url_is_the_vendors(make, sdk, scope, redirect_uri):
    options = {"scope": scope, "redirect_uri": redirect_uri}
    stage = make(**{name: value for name, value in options.items() if value})
    begun = begin(stage)
    client = sdk(stage, redirect_uri or own_callback(stage), scope)
    judge = client.generate_oauth_url()
    assert without(begun.url, "state") == without(judge, "state"), "byte for byte but for the state"
    assert parameters(begun.url)["state"] == begun.state
    assert re.fullmatch("[A-Za-z0-9_-]{43}", begun.state), "256 bits"
    assert begun.lasts == 300
    stage.vendor.goes_to(begun.url)  # which is strict


def test_a_login_may_ask_for_another_scope(stage, sdk):
    begun = begin(stage, scope="user:basic mmo")
    judge = sdk(stage, own_callback(stage), "user:basic mmo").generate_oauth_url()
    assert without(begun.url, "state") == without(judge, "state")


def test_each_login_has_a_state_of_its_own(stage):
    assert len({begin(stage).state for _ in range(50)}) == 50


def test_the_token_request_is_the_vendors(stage, vendor, sdk):
    client = sdk(stage, own_callback(stage))
    back = parameters(vendor.goes_to(client.generate_oauth_url()))
    client.generate_user_instance(back["code"], back["state"])
    log_in(stage)
    theirs, ours = [asked.exchange for asked in vendor.asked]
    assert [asked.kind for asked in vendor.asked] == ["exchange", "exchange"]
    for part in "method", "target", "version", "framing":
        assert getattr(ours, part) == getattr(theirs, part), part
    for field in "Host", "Authorization", "Content-Type", "Content-Length":
        assert ours.value(field) == theirs.value(field), field
    bodies = []
    for exchanged, consent in zip((theirs, ours), vendor.consents):
        pairs = parse_qsl(exchanged.body.decode())
        assert ("code", consent.code) in pairs
        bodies.append(re.sub(rb"(?<=\bcode=)[^&]*", b"", exchanged.body))
    assert bodies[0] == bodies[1]


def test_an_application_may_own_the_redirect_uri(make, vendor):
    """It hands over what came back to it, and is told everything but the token."""
    stage = make(redirect_uri="https://app.example.com/back", scope="user:basic mmo")
    begun = begin(stage, subject="alice")
    back = parameters(vendor.goes_to(begun.url))
    response = exchange(stage, back["state"], back["code"])
    assert response.status == 200, response
    assert response.value("Content-Type") == "application/json"
    said = response.json()
    assert 3500 < said.pop("expires_in") <= 3600
    assert said == {"subject": "alice", "token_type": "Shang", "scope": "user:basic mmo"}
    assert call(stage, "alice", "/api/user/info", method="POST", body=b"{}", fields=JSON).json()["nickname"] == "alice"
    assert vendor.exchanges()[0].values["redirect_uri"] == "https://app.example.com/back"


@pytest.mark.parametrize("status", [201, 204, 302, 400, 401, 403, 500, 503])
def test_any_status_but_200_is_a_failure_for_both(stage, vendor, sdk, status):
    """The vendor's client takes any 2xx for success, and falls over what it finds in them: no difference that a user sees."""
    client = sdk(stage, own_callback(stage))
    back = parameters(vendor.goes_to(client.generate_oauth_url()))
    vendor.answer = lambda exchange, asked: exchange.answer(status, JSON, b'{"error":"no"}' if status != 204 else b"")
    with pytest.raises((AuthError, KeyError, ValueError)):
        client.generate_user_instance(back["code"], back["state"])
    begun = begin(stage)
    back = parameters(vendor.goes_to(begun.url))
    problem(exchange(stage, begun.state, back["code"]), "authorization_failed", "r")
    assert not sessions(stage)
    assert len(vendor.asked) == 2, "a code is sent once, whatever comes of it"


def test_a_state_is_used_up_for_both(stage, vendor, sdk):
    client = sdk(stage, own_callback(stage))
    back = parameters(vendor.goes_to(client.generate_oauth_url()))
    client.generate_user_instance(back["code"], back["state"])
    with pytest.raises(StateNotFoundError):
        client.generate_user_instance(back["code"], back["state"])
    begun = begin(stage)
    address = vendor.goes_to(begun.url)
    assert come_back(stage, address).status == 200
    assert come_back(stage, address).status == 400
    assert len(vendor.asked) == 2


# Calling


CALLS = {
    "/api/user/info": (lambda user: user.get_basic_info(), {}, {}),
    "/api/varibles": (lambda user: user.set_variable("score", "12 ü"), {"key": "score", "action": "write", "value": "12 ü"}, {}),
    "/api/mmo/room/data/set": (
        lambda user: user.set_room_data("room-1", "map", {"size": 3}, "object"),
        {"key": "map", "value": {"size": 3}, "type": "object"}, {"X-MMO-Room": "room-1"}),
    "/api/mmo/room/new": (lambda user: user.new_room("json"), {}, {"X-MMO-Protoctl": "json"}),
}


@pytest.mark.parametrize("path", CALLS)
def test_a_plain_request_is_the_vendors_on_the_wire(stage, vendor, sdk, path):
    """`varibles` and `Protoctl` are the vendor's spelling."""
    theirs_calls, body, fields = CALLS[path]
    client = sdk(stage, own_callback(stage), "user:basic mmo var:io")
    back = parameters(vendor.goes_to(client.generate_oauth_url()))
    theirs_calls(client.generate_user_instance(back["code"], back["state"]))
    log_in(stage, scope="user:basic mmo var:io")
    answer = call(stage, None, path, method="POST", body=json.dumps(body).encode(), fields=[*JSON, *fields.items()])
    assert answer.status == 200
    theirs, ours = vendor.calls
    assert (theirs.exchange.method, theirs.exchange.target) == (ours.exchange.method, ours.exchange.target) == (
        b"POST", path.encode())
    assert theirs.exchange.body == ours.exchange.body
    for field in "Host", "Content-Type", "Content-Length", "X-MMO-Room", "X-MMO-Protoctl":
        assert theirs.exchange.value(field) == ours.exchange.value(field), field
    for each in theirs, ours:
        assert each.exchange.value("Authorization") == f"Shang {each.grant.access}"
    assert theirs.grant is not ours.grant


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "MAC", "x-shang.2"])
def test_the_token_type_is_the_servers_own(stage, vendor, token_type):
    """As the vendor's client, which sends back whatever word came with the token."""
    vendor.token_type = token_type
    begun = begin(stage)
    back = parameters(vendor.goes_to(begun.url))
    assert exchange(stage, begun.state, back["code"]).json()["token_type"] == token_type
    assert call(stage, None, "/api/user/info", method="POST", body=b"{}", fields=JSON).status == 200
    assert vendor.calls[0].exchange.value("Authorization") == f"{token_type} {vendor.grants[0].access}"


def test_the_token_type_may_change_with_a_refresh(stage, vendor):
    log_in(stage)
    vendor.token_type = "Later"
    stage.clock.passes(3601)
    assert call(stage, None, "/api/user/info", method="POST", body=b"{}", fields=JSON).status == 200
    assert vendor.calls[-1].exchange.value("Authorization") == f"Later {vendor.grants[1].access}"


def test_a_refresh_is_as_the_platform_documents(stage, vendor):
    """Its client never does it. The request is read by `ShangCloud`, which knows nothing else."""
    log_in(stage)
    stage.clock.passes(3601)
    assert call(stage, None, "/api/user/info", method="POST", body=b"{}", fields=JSON).status == 200
    assert vendor.asked[1].kind == "refresh"
    assert vendor.asked[1].values == {"grant_type": "refresh_token", "refresh_token": vendor.grants[0].refresh}
    assert vendor.asked[1].exchange.target == b"/oauth/token"


def test_a_token_is_refreshed_60_s_early_once(stage, vendor):
    """As long as the vendor's client takes its token for good, and no longer."""

    def answered():
        assert call(stage, None, "/api/user/info", method="POST", body=b"{}", fields=JSON).status == 200
        stage.turn()

    log_in(stage)
    stage.clock.passes(3600 - 60 - 15)
    answered()
    assert vendor.kinds() == ["exchange"], "with 75 s left"
    stage.clock.passes(16)
    answered()
    until(lambda: len(vendor.grants) == 2, "a refresh with 59 s left")
    for _ in range(20):
        answered()
    assert vendor.kinds() == ["exchange", "refresh"]
    assert vendor.calls[-1].grant is vendor.grants[1]
    assert not vendor.dead()
