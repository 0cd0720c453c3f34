"""The generic connector `oauth2` against Authlib's authorization server, which others wrote, and against a stricter one."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from harness.logins import ask_to_begin, begin, call, come_back, exchange, log_in, refusals, sessions, user_of
from harness.oauth_server import OAuthServer
from harness.problems import problem
from harness.providers import Provider
from secrets_used import CLIENT, NAMES, SECRET, SECRETS


# Authlib takes no space written as `+` in the header of Basic, so its client has none.
SERVICE, SERVICE_SECRET = "orders-service", SECRETS["authing/access_key_secret"]
ISSUER = "https://accounts.example.com/tenant/1"
LIFETIME = 864000  # of Authlib's tokens


class Served:
    """A daemon before Authlib's server, and the browser of a user of both."""

    def __init__(self, stage, server, trust):
        self.stage, self.server, self.trust = stage, server, trust
        server.client.redirect_uri = f"{stage.house.url}/-/oauth/r/callback"

    def visit(self, url):
        """Where the server sends a browser that comes to `url`."""
        response = requests.get(url, verify=self.trust, allow_redirects=False, timeout=20)
        assert response.status_code == 302, response.text
        return response.headers["Location"]

    def log_in(self, **wish):
        return come_back(self.stage, self.visit(begin(self.stage, **wish).url))

    def me(self, subject=None):
        return call(self.stage, subject, "/me")

    def kinds(self):
        return [form["grant_type"] for form, _ in self.server.asked]


@pytest.fixture
def serve(staged, authority):
    made = []

    def make(client_auth="basic", issuer=None, **options):
        server = OAuthServer(authority.server_context(), SERVICE, SERVICE_SECRET, client_auth, issuer=issuer)
        secrets = {"client_id": "authlib/client_id", "client_secret": "authing/access_key_secret"}
        stage = staged(Provider(CLIENT, SECRET), "oauth2", start=False, options={
            "authorize_url": server.authorize_url, "token_url": server.token_url, "client_auth": client_auth,
            "scope": "orders:read", **options}, secrets=secrets if client_auth != "none" else {"client_id": "authlib/client_id"})
        stage.house.settings["routes"]["r"]["upstream"] = server.origin
        stage.house.write()
        stage.run_well("secret", "set", "authlib/client_id", input=SERVICE)
        stage.start()
        made.append(Served(stage, server, str(authority.path)))
        return made[-1]

    yield make
    for served in made:
        # For the search for secrets that `staged` makes at the end.
        server, secret = served.server, served.stage.vendor.verifiers
        secret |= {each for token in server.tokens for each in (token.access_token, token.refresh_token)}
        secret |= {code.code for code in server.codes}
        secret |= {form["code_verifier"] for form, _ in server.asked if "code_verifier" in form}
        served.stage.house.stop()
        served.server.close()


# The whole flow


@pytest.mark.parametrize("client_auth", ["basic", "post", "none"])
def test_a_user_logs_in(serve, client_auth):
    served = serve(client_auth)
    assert served.log_in().status == 200
    assert served.me().json() == {"user": "alice"}
    assert call(served.stage, None, "/orders").json()["orders"] == []
    (form, has_header), = served.server.asked
    assert has_header == (client_auth == "basic")
    assert ("client_secret" in form) == (client_auth == "post")
    code, = served.server.codes
    assert code.code_challenge_method == "S256" and len(code.code_challenge) == 43
    assert sessions(served.stage)["default"]["state"] == "fresh"


def test_an_application_hands_over_the_code(serve):
    served = serve()
    begun = begin(served.stage, subject="bob")
    served.server.user = "bob"
    code, = parse_qs(urlsplit(served.visit(begun.url)).query)["code"]
    said = exchange(served.stage, begun.state, code).json()
    assert LIFETIME - 30 <= said.pop("expires_in") <= LIFETIME
    assert said == {"subject": "bob", "token_type": "Bearer", "scope": "orders:read"}
    assert served.me("bob").json() == {"user": "bob"}


def test_two_users_of_one_server(serve):
    served = serve()
    for user in "alice", "bob":
        served.server.user = user
        assert served.log_in(subject=user).status == 200
    assert [served.me(user).json()["user"] for user in ("alice", "bob", "alice")] == ["alice", "bob", "alice"]


def test_without_pkce_where_the_route_says_so(serve):
    served = serve(pkce="none")
    begun = begin(served.stage)
    assert "code_challenge" not in begun.url
    assert come_back(served.stage, served.visit(begun.url)).status == 200
    assert "code_verifier" not in served.server.asked[0][0]
    assert served.me().json() == {"user": "alice"}


def test_the_server_checks_the_verifier(serve):
    """The control: with another challenge on record, Authlib refuses what the daemon sends."""
    served = serve()
    address = served.visit(begin(served.stage).url)
    served.server.codes[0].code_challenge = "A" * 43
    assert come_back(served.stage, address).status == 424
    assert not sessions(served.stage)


def test_a_denial(serve):
    served = serve()
    served.server.user = None
    address = served.visit(begin(served.stage).url)
    assert "error=access_denied" in address
    response = come_back(served.stage, address)
    assert response.status == 424
    assert b"access_denied" not in response.body and b"resource owner" not in response.body
    assert refusals(served.stage, 1) == ["denied"]
    assert not served.server.asked and not sessions(served.stage)
    problem(served.me(), "not_connected", "r")


def test_a_program_may_report_a_denial(serve):
    served = serve()
    served.server.user = None
    begun = begin(served.stage)
    served.visit(begun.url)
    problem(exchange(served.stage, begun.state, error="access_denied"), "authorization_failed", "r")
    assert refusals(served.stage, 1) == ["denied"]
    problem(exchange(served.stage, begun.state, "a-code"), "state_unknown", "r")
    assert not served.server.asked


def test_an_expired_code(serve):
    served = serve()
    begun = begin(served.stage)
    code, = parse_qs(urlsplit(served.visit(begun.url)).query)["code"]
    served.server.codes[0].expires = 0
    members = problem(exchange(served.stage, begun.state, code), "authorization_failed", "r")
    assert "Invalid 'code' in request" in members["detail"], "the server's own words"
    assert served.kinds() == ["authorization_code"] and not sessions(served.stage)


def test_a_rotation(serve):
    served = serve()
    served.log_in()
    for turn in range(1, 4):
        served.stage.clock.passes(LIFETIME + 1)
        assert served.me().json() == {"user": "alice"}
        assert served.kinds() == ["authorization_code"] + ["refresh_token"] * turn
        assert [token.revoked for token in served.server.tokens] == [True] * turn + [False]
    assert sessions(served.stage)["default"]["generation"] == 4


def test_a_revoked_access_token_is_replaced(serve):
    served = serve()
    served.log_in()
    token, = served.server.tokens
    token.expires = 0
    assert served.me().json() == {"user": "alice"}
    assert served.kinds() == ["authorization_code", "refresh_token"]


def test_a_revocation(serve):
    """RFC 7009, by somebody else: the session is over, and the next request says so."""
    served = serve()
    served.log_in()
    assert served.me().status == 200
    token, = served.server.tokens
    response = requests.post(
        served.server.revoke_url, {"token": token.refresh_token}, auth=(SERVICE, SERVICE_SECRET), verify=served.trust)
    assert response.status_code == 200 and token.revoked
    for _ in range(2):
        members = problem(served.me(), "reauthorization_required", "r")
        assert "chatelaine login r" in members["hint"]
    assert served.kinds() == ["authorization_code", "refresh_token"]
    served.log_in()
    assert served.me().json() == {"user": "alice"}


def test_a_redirect_uri_that_is_not_registered(serve):
    """The server says so to the user, not to us; nothing is left but a login that nobody finishes."""
    served = serve(redirect_uri="https://app.example.com/back")
    url = begin(served.stage).url
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["https://app.example.com/back"]
    assert requests.get(url, verify=served.trust, allow_redirects=False).status_code == 400


# Who answers (RFC 9207)


def test_the_right_issuer(serve):
    served = serve(issuer=ISSUER)
    served.stage.house.settings["routes"]["r"]["options"]["issuer"] = ISSUER
    served.stage.house.write()
    served.stage.run_well("reload")
    address = served.visit(begin(served.stage).url)
    assert parse_qs(urlsplit(address).query)["iss"] == [ISSUER]
    assert come_back(served.stage, address).status == 200
    assert served.me().json() == {"user": "alice"}


@pytest.fixture
def issued(staged):
    """A daemon that knows its provider's issuer."""
    return staged(Provider(CLIENT, SECRET, issuer=ISSUER), "oauth2", {"issuer": ISSUER}, NAMES)


@pytest.mark.parametrize("way", ["callback", "exchange"])
@pytest.mark.parametrize("iss", [
    None, "", ISSUER + "/", ISSUER[:-1], ISSUER.upper(), "https://evil.example", ISSUER + "\x00", " " + ISSUER,
    ISSUER.replace("https", "http")],
    ids=["missing", "empty", "slash", "cut", "case", "other", "zero", "space", "scheme"])
def test_a_wrong_issuer(issued, iss, way):
    """Mix-up: the code is another server's, and must not be shown to this one's token endpoint."""
    vendor = issued.vendor
    begun = begin(issued)
    code, = parse_qs(urlsplit(vendor.goes_to(begun.url)).query)["code"]
    said = {} if iss is None else {"iss": iss}
    if way == "callback":
        assert come_back(issued, f"/-/oauth/r/callback?{urlencode({'code': code, 'state': begun.state, **said})}").status == 424
    else:
        problem(exchange(issued, begun.state, code, **said), "authorization_failed", "r")
    assert refusals(issued, 1) == ["issuer"]
    assert not vendor.asked
    # The state is used up, and the right issuer is let in with the next.
    assert exchange(issued, begun.state, code, iss=ISSUER).status == 400
    log_in(issued)
    assert user_of(issued) == "alice"


def test_a_wrong_issuers_denial_is_not_believed(issued):
    issued.vendor.error, issued.vendor.issuer = "access_denied", "https://evil.example"
    assert come_back(issued, issued.vendor.goes_to(begin(issued).url)).status == 424
    assert refusals(issued, 1) == ["issuer"]


def test_an_issuer_that_nobody_asked_for_is_ignored(staged):
    stage = staged(Provider(CLIENT, SECRET, issuer=ISSUER), "oauth2", secrets=NAMES)
    log_in(stage)
    assert user_of(stage) == "alice"


# How the client says who it is, to the letter


@pytest.mark.parametrize("client_auth", [None, "basic", "post", "none"])
def test_client_authentication(staged, client_auth):
    """Id and secret have every character that needs encoding: RFC 6749 §2.3.1 has them form-encoded first."""
    vendor = Provider(CLIENT, SECRET, client_auth or "basic")
    names = NAMES if client_auth != "none" else {"client_id": "oauth/client_id"}
    stage = staged(vendor, "oauth2", {"client_auth": client_auth} if client_auth else {}, names)
    log_in(stage)
    stage.clock.passes(3601)
    assert user_of(stage) == "alice"
    assert vendor.kinds() == ["exchange", "refresh"]


@pytest.mark.parametrize("options", [{"scope": "a+b c:d/é"}, {"audience": "https://api.example.com/?a=1&b=ä"}, {}])
def test_scope_and_audience(staged, options):
    """Where they are asked for is the authorization endpoint; what is not set is not sent."""
    vendor = Provider(CLIENT, SECRET)
    visits, plain = [], vendor.visit

    def visit(query):
        visits.append(parse_qs(query))
        return plain("&".join(pair for pair in query.split("&") if not pair.startswith("audience=")))

    vendor.visit = visit
    stage = staged(vendor, "oauth2", options, NAMES)
    log_in(stage)
    assert {name: visits[0].get(name) for name in ("scope", "audience")} == {
        name: [options[name]] if name in options else None for name in ("scope", "audience")}
    assert user_of(stage) == "alice"


def test_a_login_names_its_own_scope(staged):
    vendor = Provider(CLIENT, SECRET)
    stage = staged(vendor, "oauth2", {"scope": "a"}, NAMES)
    begun = begin(stage, scope="b c")
    code, = parse_qs(urlsplit(vendor.goes_to(begun.url)).query)["code"]
    assert vendor.visits[-1]["scope"] == "b c"
    assert exchange(stage, begun.state, code).json()["scope"] == "b c"


@pytest.mark.parametrize("said", [
    {"token_type": "Bearer"}, {"access_token": ""}, {"access_token": "a b"}, {"access_token": "a\r\nX: y"}, {"access_token": 7},
    [], "x"],
    ids=["absent", "empty", "space", "line", "number", "list", "text"])
def test_an_answer_that_is_no_token_logs_nobody_in(staged, said):
    vendor = Provider(CLIENT, SECRET)
    stage = staged(vendor, "oauth2", secrets=NAMES)
    vendor.answer = lambda exchanged, asked: vendor.say(exchanged, 200, said)
    begun = begin(stage)
    code, = parse_qs(urlsplit(vendor.goes_to(begun.url)).query)["code"]
    problem(exchange(stage, begun.state, code), "authorization_failed", "r")
    assert not sessions(stage)
    assert len(vendor.asked) == 1


def test_a_provider_that_is_down(staged):
    vendor = Provider(CLIENT, SECRET)
    stage = staged(vendor, "oauth2", secrets=NAMES)
    vendor.answer = lambda exchanged, asked: exchanged.connection.reset()
    assert come_back(stage, vendor.goes_to(begin(stage).url)).status in (424, 503)
    assert len(vendor.asked) == 1, "a code is good for one try"
    vendor.answer = None
    log_in(stage)


def test_a_session_without_a_refresh_token_ends(staged):
    """Many providers give none: when the token's time is over, the user has to come again."""
    vendor = Provider(CLIENT, SECRET)
    stage = staged(vendor, "oauth2", secrets=NAMES)
    plain = vendor.redeem

    def redeem(asked):
        status, said = plain(asked)
        del said["refresh_token"]
        return status, said

    vendor.redeem = redeem
    log_in(stage)
    assert user_of(stage) == "alice"
    stage.clock.passes(3601)
    members = problem(call(stage), "reauthorization_required", "r")
    assert "chatelaine login r" in members["hint"]
    assert vendor.kinds() == ["exchange"]


@pytest.mark.parametrize("options", [
    {"pkce": "plain"}, {"pkce": "s256"}, {"client_auth": "jwt"}, {"authorize_url": "http://accounts.example.com/authorize"},
    {"authorize_url": "javascript:alert(1)"}, {"redirect_uri": "/back"}, {"redirect_uri": "https://app.example.com/#x"},
    {"issuer": "accounts.example.com"}])
def test_options_that_cannot_be_are_refused_with_the_configuration(staged, options):
    stage = staged(Provider(CLIENT, SECRET), "oauth2", options, NAMES, start=False)
    done = stage.run("check")
    assert done.returncode == 78, done.err
    assert next(iter(options)) in done.err


def test_no_login_without_a_client(staged):
    names = {name: f"nobody/{name}" for name in NAMES}
    stage = staged(Provider(CLIENT, SECRET), "oauth2", secrets=names)
    members = problem(ask_to_begin(stage), "secret_missing", "r")
    assert members["hint"] == "chatelaine secret set nobody/client_id"
