"""Authing: the vendor's own client beside plain requests through the daemon."""

import base64
import json

import pytest
import requests
from authing import ManagementClient

from harness.problems import problem
from harness.vendors import Authing, says
from secrets_used import SECRETS

KEY, SECRET = SECRETS["authing/access_key_id"], SECRETS["authing/access_key_secret"]
NAMES = {"access_key_id": "authing/access_key_id", "access_key_secret": "authing/access_key_secret"}
# What concerns one connection, and the token, whose freshness is the only difference there may be.
DIFFERING = {b"connection", b"authorization"}

# Operation of the vendor's client, and what a program sends instead.
CALLS = {
    "list_users": ({"page": 1, "limit": 10}, "GET", "/api/v3/list-users?page=1&limit=10", None),
    "create_role": ({"code": "admin", "namespace": "default", "description": "管理员"}, "POST", "/api/v3/create-role",
                    {"code": "admin", "namespace": "default", "description": "管理员"}),
}


@pytest.fixture
def vendor():
    return Authing(KEY, SECRET)


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


@pytest.mark.parametrize("lang", [None, "zh-CN", "en-US"])
@pytest.mark.parametrize("name", CALLS)
def test_a_plain_request_is_the_vendor_clients_request(staged, vendor, authority, monkeypatch, name, lang):
    arguments, method, target, body = CALLS[name]
    stage = staged(vendor, "authing", options={"lang": lang} if lang else {}, secrets=NAMES)
    # Its token request knows no other way. (Its other requests verify nothing: `FALSE` of pickle is no False.)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.path))
    client = ManagementClient(access_key_id=KEY, access_key_secret=SECRET, host=stage.upstream.origin, lang=lang)
    answered = getattr(client, name)(**arguments)
    brokered = requests.request(method, f"{stage.house.url}/r{target}", json=body)

    assert brokered.json() == answered
    direct_token, brokered_token = (asked.exchange for asked in vendor.asked)
    assert direct_token.target == brokered_token.target
    assert json.loads(direct_token.body) == json.loads(brokered_token.body)

    direct, brokered = (call.exchange for call in vendor.calls)
    for part in "method", "target", "body":
        assert getattr(brokered, part) == getattr(direct, part)
    fields = [{name.lower(): value for name, value in exchange.fields if name.lower() not in DIFFERING}
              for exchange in (direct, brokered)]
    assert fields[1] == fields[0]
    assert len({name for name, _ in direct.fields}) == len(direct.fields)
    assert fields[1][b"x-authing-userpool-id"].decode() == vendor.pool
    assert fields[1][b"x-authing-lang"].decode() == (lang or "")
    tokens = [exchange.value("Authorization").removeprefix("Bearer ") for exchange in (direct, brokered)]
    assert tokens == [grant.access for grant in vendor.grants]
    assert claims(tokens[0]).keys() == claims(tokens[1]).keys()


def test_the_user_pool_is_that_of_the_token_in_use(staged, vendor):
    stage = staged(vendor, "authing", secrets=NAMES)
    assert stage.ask(target="/api/v3/list-users").status == 200
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") == vendor.pool
    vendor.pool = "64f0000000000000000000bb"
    assert stage.ask(target="/api/v3/list-users").status == 200
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") == "64f0000000000000000000aa"
    stage.clock.passes(7201)
    assert stage.ask(target="/api/v3/list-users").status == 200
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") == vendor.pool
    assert len(vendor.asked) == 2


def test_the_user_pool_survives_a_restart(staged, vendor):
    stage = staged(vendor, "authing", secrets=NAMES)
    stage.ask(target="/api/v3/list-users")
    stage.restart()
    assert stage.ask(target="/api/v3/list-users").status == 200
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") == vendor.pool
    assert len(vendor.asked) == 1


def test_without_the_claim_there_is_no_header(staged, vendor):
    vendor.pool = None
    stage = staged(vendor, "authing", secrets=NAMES)
    response = stage.ask(target="/api/v3/list-users", fields=[("X-Authing-UserPool-Id", "mine")])
    assert response.status == 200
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") is None
    assert vendor.calls[-1].exchange.value("x-authing-request-from") == "sdk"


def test_claims_are_base64url(staged, vendor):
    """The vendor's client decodes plain base64, and stumbles over a token whose payload has the two other characters."""
    vendor.name = "管理员~~~~~~??????"
    stage = staged(vendor, "authing", secrets=NAMES)
    assert stage.ask(target="/api/v3/list-users").status == 200
    payload = vendor.grants[0].access.split(".")[1]
    assert "-" in payload and "_" in payload
    assert vendor.calls[-1].exchange.value("x-authing-userpool-id") == vendor.pool


def test_what_the_caller_sends_under_these_names_is_replaced(staged, vendor):
    stage = staged(vendor, "authing", secrets=NAMES)
    response = stage.ask(target="/api/v3/list-users", fields=[
        ("authorization", "Bearer mine"), ("X-AUTHING-USERPOOL-ID", "mine"), ("x-authing-request-from", "mine")])
    assert response.status == 200
    arrived = vendor.calls[-1].exchange
    assert b"mine" not in arrived.head
    assert arrived.value("Authorization") == f"Bearer {vendor.grants[0].access}"


def test_a_failure_inside_http_200_is_a_failure(staged):
    stage = staged(Authing(KEY, "another secret"), "authing", secrets=NAMES)
    members = problem(stage.ask(target="/api/v3/list-users"), "token_refused", "r")
    assert "accessKey is wrong" in members["detail"]
    assert not stage.vendor.calls


@pytest.mark.parametrize("data", [{}, {"access_token": ""}, {"access_token": None, "expires_in": 1}, None])
def test_an_answer_without_a_token_is_a_failure(staged, vendor, data):
    stage = staged(vendor, "authing", secrets=NAMES)
    vendor.answer = says(200, {"statusCode": 200, "message": "ok", "data": data})
    response = stage.ask(target="/api/v3/list-users")
    assert response.status in (424, 503) and response.json()["code"].startswith("token_"), response
    assert not vendor.calls


def test_a_private_deployment_under_a_path(staged, vendor):
    """The host of a private deployment is the upstream, and the token is asked for below its base path too."""
    vendor.paths = {"/authing/api/v3/get-management-token": "fetch"}
    stage = staged(vendor, "authing", secrets=NAMES, start=False)
    stage.house.settings["routes"]["r"]["upstream"] += "/authing"
    stage.house.write()
    stage.start()
    assert stage.ask(target="/api/v3/list-users").status == 200
    assert vendor.calls[-1].exchange.target == b"/authing/api/v3/list-users"
    assert vendor.kinds() == ["fetch"]
