"""OAuth 2.0 without a user: client credentials and refresh tokens, against Authlib and against a stricter server."""

import pytest

from harness.oauth_server import OAuthServer
from harness.problems import problem
from harness.upstream import Upstream
from harness.vendors import OAuth, says
from secrets_used import SECRETS

CLIENT, SECRET, REFRESH = (SECRETS[f"oauth/{name}"] for name in ("client_id", "client_secret", "refresh_token"))
NAMES = {"client_id": "oauth/client_id", "client_secret": "oauth/client_secret"}
REFRESH_NAMES = {**NAMES, "refresh_token": "oauth/refresh_token"}


def credentials(staged, vendor=None, **options):
    vendor = vendor or OAuth(CLIENT, SECRET, options.get("client_auth", "basic"))
    return staged(vendor, "oauth2-client-credentials", options=options, secrets=NAMES)


def refreshing(staged, rotates=True, **options):
    vendor = OAuth(CLIENT, SECRET, options.get("client_auth", "basic"), rotates)
    vendor.first(REFRESH)
    names = {name: value for name, value in REFRESH_NAMES.items() if name != "client_secret"} \
        if options.get("client_auth") == "none" else REFRESH_NAMES
    return staged(vendor, "oauth2-refresh-token", options=options, secrets=names)


# Client credentials


@pytest.mark.parametrize("client_auth", [None, "basic", "post"])
def test_client_credentials(staged, client_auth):
    """The vendor checks how the client authenticates to the letter; id and secret have every character that needs encoding."""
    stage = credentials(staged, **({"client_auth": client_auth} if client_auth else {}))
    assert [stage.get() for _ in range(3)] == [1] * 3
    asked = stage.vendor.asked[0]
    assert asked.values["grant_type"] == "client_credentials"
    names = {"grant_type"} if client_auth != "post" else {"grant_type", "client_id", "client_secret"}
    assert set(asked.values) == names, "what has no value is not sent"
    assert asked.exchange.value("Host") == stage.upstream.authority
    assert asked.exchange.value("Accept") in ("application/json", None)
    assert len(stage.vendor.asked) == 1


@pytest.mark.parametrize("client_auth", ["basic", "post"])
@pytest.mark.parametrize("options", [{"scope": "orders:read orders:write"}, {"audience": "https://api.example.com/ä?b=1&c"},
                                     {"scope": "a+b", "audience": "x"}], ids=["scope", "audience", "both"])
def test_scope_and_audience_arrive_as_they_were_written(staged, client_auth, options):
    stage = credentials(staged, client_auth=client_auth, **options)
    assert stage.get() == 1
    values = stage.vendor.asked[0].values
    assert {name: value for name, value in values.items() if name in ("scope", "audience")} == options


def test_the_caller_sees_and_sets_nothing_of_it(staged):
    stage = credentials(staged)
    response = stage.ask(fields=[("Authorization", "Bearer mine")])
    assert response.status == 200
    call, = stage.vendor.calls
    assert call.exchange.value("Authorization") == f"Bearer {stage.vendor.grants[0].access}"


def test_no_caller_reaches_the_token_endpoint(staged):
    stage = credentials(staged)
    body = b"grant_type=client_credentials"
    problem(stage.ask("POST", "/oauth/token", [("Content-Type", "application/x-www-form-urlencoded")], body), "unknown_route", "r")
    assert not stage.vendor.asked and not stage.vendor.calls
    assert stage.get() == 1


def test_the_token_endpoint_may_be_elsewhere(staged, authority):
    """An issuer of its own, as most have it: the API never sees the client secret, the issuer no call."""
    api = Upstream(authority.server_context())
    stage = staged(OAuth(CLIENT, SECRET), "oauth2-client-credentials", secrets=NAMES, start=False)
    try:
        stage.house.settings["routes"]["r"]["upstream"] = api.origin
        stage.house.write()
        with api.answering() as seen:
            stage.start()
            response = stage.house.exchange("GET", "/r/x")
            assert response.status == 200
            arrived = seen.only()
            stage.house.stop()
        assert arrived.value("Authorization") == f"Bearer {stage.vendor.grants[0].access}"
        assert (len(stage.vendor.asked), len(stage.vendor.calls)) == (1, 0)
    finally:
        api.close()


@pytest.mark.parametrize("said, lasts", [
    ({"expires_in": 7200}, 7200), ({"expires_in": "7200"}, 7200), ({}, None), ({"expires_in": 0}, None),
    ({"expires_in": -5}, None), ({"expires_in": 10**12}, None), ({"expires_in": None}, None)],
    ids=["seconds", "text", "absent", "zero", "negative", "absurd", "null"])
def test_an_expiry_that_says_nothing_is_bounded(staged, said, lasts):
    """What is absent or absurd becomes a bounded lifetime; the token works, once fetched, and `token list` tells until when."""
    stage = credentials(staged)
    vendor = stage.vendor
    vendor.lifetime = 10**9
    grant = vendor.new(refreshes=False)
    vendor.answer = says(200, {"access_token": grant.access, "token_type": "Bearer", **said})
    assert [stage.get() for _ in range(3)] == [1] * 3
    assert len(vendor.asked) == 1
    remaining = stage.tokens()["r", "default"]["expires"] - stage.clock.now()
    assert remaining > 25
    assert remaining <= 10 * 366 * 86400
    if lasts:
        assert lasts - 30 < remaining <= lasts + 1


@pytest.mark.parametrize("client_auth", ["basic", "post"])
def test_authlib_gives_client_credentials(staged, authority, client_auth):
    """Authlib takes no space written as `+` in the header of Basic, so its client has none."""
    server = OAuthServer(authority.server_context(), "orders-service", SECRETS["authing/access_key_secret"], client_auth)
    stage = staged(OAuth(CLIENT, SECRET), "oauth2-client-credentials", start=False, options={
        "token_url": server.token_url, "client_auth": client_auth, "scope": "orders:read"},
        secrets={"client_id": "authlib/client_id", "client_secret": "authing/access_key_secret"})
    try:
        stage.house.settings["routes"]["r"]["upstream"] = server.origin
        stage.house.write()
        stage.run_well("secret", "set", "authlib/client_id", input="orders-service")
        stage.start()
        for _ in range(3):
            assert stage.ask(target="/orders").json() == {"orders": [], "token": 0}
        assert len(server.asked) == 1
        form, has_header = server.asked[0]
        assert has_header == (client_auth == "basic")
        assert form["scope"] == "orders:read"
        # Revoked behind our back: the API says so, and one new token is fetched.
        server.tokens[0].revoked = True
        assert stage.ask(target="/orders").json() == {"orders": [], "token": 1}
        assert len(server.asked) == 2
        stage.house.stop()
    finally:
        server.close()


def test_authlib_refuses_in_its_own_words(staged, authority):
    server = OAuthServer(authority.server_context(), "orders-service", "not what is stored", "basic")
    stage = staged(OAuth(CLIENT, SECRET), "oauth2-client-credentials", start=False, options={"token_url": server.token_url},
                   secrets={"client_id": "authlib/client_id", "client_secret": "authing/access_key_secret"})
    try:
        stage.house.settings["routes"]["r"]["upstream"] = server.origin
        stage.house.write()
        stage.run_well("secret", "set", "authlib/client_id", input="orders-service")
        stage.start()
        members = problem(stage.ask(target="/orders"), "token_refused", "r")
        assert "The client cannot authenticate with methods" in members["detail"]
        assert not server.calls
        stage.house.stop()
    finally:
        server.close()


# Refresh tokens


@pytest.mark.parametrize("client_auth", ["basic", "post", "none"])
def test_a_rotating_refresh_token(staged, client_auth):
    """The vendor takes each refresh token once: the second refresh works only with what the first one gave."""
    stage = refreshing(staged, client_auth=client_auth)
    vendor = stage.vendor
    assert stage.get() == 2
    used = [REFRESH]
    for number in range(3, 6):
        used.append(vendor.grants[-1].refresh)
        stage.clock.passes(3601)
        assert stage.get() == number
    assert [asked.values["refresh_token"] for asked in vendor.asked] == used
    assert all(grant.spent for grant in vendor.grants[:-1])
    assert not vendor.dead()


def test_a_refresh_token_that_is_not_replaced_stays(staged):
    stage = refreshing(staged, rotates=False)
    vendor = stage.vendor
    for number in range(2, 5):
        assert stage.get() == number
        stage.clock.passes(3601)
    assert [asked.values["refresh_token"] for asked in vendor.asked] == [REFRESH] * 3
    stage.restart()
    assert stage.get() == 5
    assert vendor.asked[-1].values["refresh_token"] == REFRESH


def test_a_rotation_survives_a_restart(staged):
    stage = refreshing(staged)
    assert stage.get() == 2
    stage.restart()
    assert stage.get() == 2
    stage.clock.passes(3601)
    assert stage.get() == 3
    stage.clock.passes(3601)
    stage.restart()
    assert stage.get() == 4
    assert len(stage.vendor.asked) == 3


def test_a_refused_refresh_token_needs_a_new_login(staged):
    stage = refreshing(staged)
    vendor = stage.vendor
    assert stage.get() == 2
    vendor.grants[-1].spent = True
    stage.clock.passes(3601)
    members = problem(stage.ask(), "reauthorization_required", "r")
    assert "chatelaine secret set" in members["hint"]
    assert len(vendor.asked) == 2
    for _ in range(5):
        problem(stage.ask(), "reauthorization_required", "r")
    stage.clock.passes(86400)
    problem(stage.ask(), "reauthorization_required", "r")
    assert len(vendor.asked) == 2, "nobody is asked again for what was refused for good"
    # A new login: its refresh token, once stored, is used at once, and the other one never again.
    vendor.first("canary-second-login")
    stage.run_well("secret", "set", "oauth/refresh_token", input="canary-second-login")
    assert stage.get() == 4
    assert [asked.values["refresh_token"] for asked in vendor.asked[2:]] == ["canary-second-login"]


def test_a_new_client_secret_keeps_the_session(staged):
    """The rotated refresh token stays in use; only the client authenticates with the new secret."""
    stage = refreshing(staged)
    vendor = stage.vendor
    assert stage.get() == 2
    vendor.client_secret = "canary-new-client-secret"
    stage.run_well("secret", "set", "oauth/client_secret", input="canary-new-client-secret")
    assert stage.get() == 2
    stage.clock.passes(3601)
    assert stage.get() == 3
    assert [asked.values["refresh_token"] for asked in vendor.asked] == [REFRESH, vendor.grants[1].refresh]


@pytest.mark.parametrize("rotates", [True, False])
def test_authlib_refreshes(staged, authority, rotates):
    server = OAuthServer(authority.server_context(), "orders-service", SECRETS["authing/access_key_secret"], "basic", rotates)
    first = server.login()
    stage = staged(OAuth(CLIENT, SECRET), "oauth2-refresh-token", start=False, options={"token_url": server.token_url}, secrets={
        "client_id": "authlib/client_id", "client_secret": "authing/access_key_secret", "refresh_token": "authlib/refresh_token"})
    try:
        stage.house.settings["routes"]["r"]["upstream"] = server.origin
        stage.house.write()
        stage.run_well("secret", "set", "authlib/client_id", input="orders-service")
        stage.run_well("secret", "set", "authlib/refresh_token", input=first)
        stage.start()
        assert stage.ask(target="/orders").json()["token"] == 1
        for number in range(2, 5):
            stage.clock.passes(10 * 86400 + 1)
            server.tokens[-1].expires = 0  # its clock is not the daemon's
            assert stage.ask(target="/orders").json()["token"] == number
        used = [form["refresh_token"] for form, _ in server.asked]
        assert used == ([first, *(token.refresh_token for token in server.tokens[1:4])] if rotates else [first] * 4)
        stage.house.stop()
    finally:
        server.close()
