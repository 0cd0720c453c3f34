"""Providers that users log in to: beside what a vendor has, an authorization endpoint, and codes that are good for one use."""

import base64
import hashlib
import re
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit

from .vendors import OAuth

CODE_LIFETIME = 60


class Consent:
    """A user who agreed: what the code that they were given stands for."""

    def __init__(self, code, user, asked, expires):
        self.code, self.user, self.expires = code, user, expires
        self.redirect_uri, self.challenge, self.scope = asked["redirect_uri"], asked.get("code_challenge"), asked.get("scope")
        self.spent = False


class Provider(OAuth):
    """RFC 6749 §4.1, with PKCE (RFC 7636) where `pkce`, and `iss` in what it sends back (RFC 9207) where `issuer`.

    `user` is who sits at the browser, `error` what they, or the provider, answer in place of a code.
    """

    authorize_path = "/oauth/authorize"
    token_type = "Bearer"

    def __init__(self, client_id, client_secret, client_auth="basic", pkce=True, issuer=None, user="alice", **more):
        super().__init__(client_id, client_secret, client_auth, **more)
        self.pkce, self.issuer, self.user, self.error = pkce, issuer, user, None
        self.consents = []
        self.visits = []  # the parameters of every visit
        self.states, self.verifiers = set(), set()

    # The browser.

    def __call__(self, exchange):
        path, _, query = exchange.target.partition(b"?")
        if path.decode() != self.authorize_path:
            return super().__call__(exchange)
        assert exchange.method == b"GET"
        address = self.visit(query.decode("ascii"))
        exchange.answer(302, [("Location", address), ("Referrer-Policy", "no-referrer")])

    def goes_to(self, url):
        """The user's browser goes to `url`: the address that it is sent back to."""
        parts = urlsplit(url)
        assert parts.path == self.authorize_path and not parts.fragment, url
        return self.visit(parts.query)

    def visit(self, query):
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
        asked = dict(pairs)
        assert len(asked) == len(pairs), f"parameters twice: {query}"
        self.visits.append(asked)
        self.states.add(asked["state"])
        assert asked["response_type"] == "code" and asked["client_id"] == self.client_id
        assert set(asked) - {"scope"} == {"response_type", "state", "client_id", "redirect_uri"} | (
            {"code_challenge", "code_challenge_method"} if self.pkce else set()), query
        if self.pkce:
            assert asked["code_challenge_method"] == "S256"
            assert re.fullmatch("[A-Za-z0-9_-]{43}", asked["code_challenge"]), query
        if self.error is not None:
            said = {"error": self.error, "error_description": "canary-description-<b>", "state": asked["state"]}
        else:
            consent = Consent(f"canary-code-{secrets.token_urlsafe(18)}+/=&", self.user, asked, self.now() + CODE_LIFETIME)
            self.consents.append(consent)
            said = {"code": consent.code, "state": asked["state"]}
        if self.issuer is not None:
            said["iss"] = self.issuer
        return f"{asked['redirect_uri']}?{urlencode(said)}"

    # The token endpoint.

    def read(self, exchange, path):
        if b"grant_type=authorization_code" not in exchange.body:
            return super().read(exchange, path)
        assert exchange.method == b"POST", exchange.head
        assert exchange.value("Content-Type").partition(";")[0] == "application/x-www-form-urlencoded"
        pairs = parse_qsl(exchange.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        values = dict(pairs)
        assert len(values) == len(pairs), f"parameters twice: {sorted(name for name, _ in pairs)}"
        expected = {"grant_type", "code", "redirect_uri"} | ({"code_verifier"} if self.pkce else set()) | {
            "basic": set(), "post": {"client_id", "client_secret"}, "none": {"client_id"}}[self.client_auth]
        assert set(values) == expected, sorted(values)
        if self.pkce:
            self.verifiers.add(values["code_verifier"])
        return "exchange", values

    def decide(self, asked):
        if asked.kind == "exchange":
            return self.redeem(asked)
        status, said = super().decide(asked)
        if status == 200:
            said["token_type"] = self.token_type
        return status, said

    def redeem(self, asked):
        if not self.authenticated(asked):
            return 401, {"error": "invalid_client", "error_description": self.spoken}
        consent = next((consent for consent in self.consents if consent.code == asked.values["code"]), None)
        if consent is None or consent.spent or self.now() >= consent.expires:
            return 400, {"error": "invalid_grant", "error_description": "The code is not good any more"}
        consent.spent = True
        if consent.redirect_uri != asked.values["redirect_uri"] or self.pkce and consent.challenge != s256(
                asked.values["code_verifier"]):
            return 400, {"error": "invalid_grant", "error_description": "The code is somebody else's"}
        grant = self.new(user=consent.user)
        said = {"access_token": grant.access, "token_type": self.token_type, "expires_in": self.lifetime,
                "refresh_token": grant.refresh}
        if consent.scope:
            said["scope"] = consent.scope
        return 200, said

    def new(self, refreshes=True, spent=None, user=None):
        grant = super().new(refreshes, spent)
        grant.user = user if spent is None else spent.user
        return grant

    def ends(self, user):
        """The provider ends a user's session: nothing that it gave out for them is good any more."""
        for grant in self.grants:
            if grant.user == user:
                grant.spent = grant.revoked = True

    def exchanges(self):
        return [asked for asked in self.asked if asked.kind == "exchange"]

    # The API.

    def at_api(self, exchange):
        assert not [name for name, _ in exchange.fields if name.lower().startswith(b"x-chatelaine")], exchange.head
        super().at_api(exchange)

    def credential(self, exchange):
        scheme, _, token = (exchange.value("Authorization") or "").partition(" ")
        assert scheme == self.token_type, exchange.head
        return token

    def welcome(self, exchange, call):
        self.say(exchange, 200, {"grant": call.grant.number, "user": call.grant.user, "target": exchange.target.decode()})

    def every_secret(self):
        return [*super().every_secret(), *(consent.code for consent in self.consents), *self.states, *self.verifiers]


class ShangCloud(Provider):
    """systems/shangcloud.md: no PKCE, Basic with id and secret as they are, POST with JSON, a token type of its own."""

    token_type = "Shang"

    def __init__(self, client_id, client_secret, **more):
        super().__init__(client_id, client_secret, pkce=False, **more)

    def authenticated(self, asked):
        assert set(asked.values) - {"code", "redirect_uri", "refresh_token"} == {"grant_type"}, sorted(asked.values)
        scheme, _, encoded = asked.exchange.value("Authorization").partition(" ")
        assert scheme == "Basic"
        return base64.b64decode(encoded, validate=True).decode() == f"{self.client_id}:{self.client_secret}"

    def welcome(self, exchange, call):
        assert exchange.method == b"POST" and exchange.value("Content-Type") == "application/json", exchange.head
        user = call.grant.user
        self.say(exchange, 200, {
            "/api/user/info": {"uid": 7, "nickname": user, "mail": f"{user}@example.com", "avatar": "https://example.com/a.png"},
            "/api/varibles": {"value": f"kept for {user}"},
            "/api/mmo/room/data/set": {},
            "/api/mmo/room/new": {"connect_key": "k", "edge_url": "wss://e", "room_id": "room-1", "protocol": "json"},
        }[exchange.target.decode()])


def s256(verifier):
    assert re.fullmatch("[A-Za-z0-9._~-]{43,128}", verifier), "RFC 7636 §4.1"
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
