"""Vendors that hand out tokens: a token endpoint and the API behind it, as scripts of a recording upstream.

Each is as strict as its description: a request that it would not understand is a failed test, a token that it did not give out,
or that is no longer good, is refused and remembered. Time is the clock's that it is given.
"""

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from urllib.parse import parse_qsl, unquote_plus

from . import DEADLINE
from .waiting import until


class Grant:
    """What the endpoint once gave: an access token, and the refresh token beside it."""

    def __init__(self, number, access, expires, refresh=None, refresh_expires=None):
        self.number, self.access, self.expires = number, access, expires
        self.refresh, self.refresh_expires = refresh, refresh_expires
        self.spent = False  # the refresh token was used
        self.revoked = False  # the access token is refused though its time is not over
        self.uses = 0


class Asked:
    """One request to the token endpoint: `kind` is "fetch" or "refresh", `values` what it said."""

    def __init__(self, exchange, kind, values):
        self.exchange, self.kind, self.values = exchange, kind, values
        self.at = time.monotonic()

    def __repr__(self):
        return f"<{self.kind} {self.exchange.target!r}>"


class Call:
    """One request to the API: `grant` is the one whose token it carried, or None."""

    def __init__(self, exchange, token, grant, now):
        self.exchange, self.token, self.grant = exchange, token, grant
        self.is_dead = grant is None or now >= grant.expires
        self.good = not self.is_dead and not grant.revoked


class Vendor:
    """What vendors have in common. As a script: `with upstream.answering(vendor)`."""

    paths = {}  # of the endpoint: path → kind

    def __init__(self, lifetime=3600, refresh_lifetime=None, now=time.time):
        self.now = now
        self.lifetime, self.refresh_lifetime = lifetime, refresh_lifetime
        self.grants = []
        self.asked = []
        self.calls = []
        self.fields = []  # of every answer
        self.answer = None  # in place of the endpoint's answer: called with the exchange and what was asked; None: the usual
        self.serve = None  # in place of the API's
        self.lock = threading.RLock()
        self._open = threading.Event()
        self._open.set()

    def __call__(self, exchange):
        path = exchange.target.partition(b"?")[0].decode()
        if path in self.paths:
            self.at_endpoint(exchange, path)
        else:
            self.at_api(exchange)

    # The endpoint.

    def at_endpoint(self, exchange, path):
        asked = Asked(exchange, *self.read(exchange, path))
        with self.lock:
            self.asked.append(asked)
        assert self._open.wait(3 * DEADLINE)
        if self.answer is not None:
            self.answer(exchange, asked)
        else:
            self.give(exchange, asked)

    def give(self, exchange, asked):
        """The usual answer."""
        with self.lock:
            said = self.decide(asked)
        self.say(exchange, *said)

    @contextlib.contextmanager
    def silent(self):
        """The endpoint takes requests and answers none of them until `speaks()`, or until this is over."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def speaks(self):
        self._open.set()

    def new(self, refreshes=True, spent=None):
        """Another grant. With `spent`, the one whose refresh token was used for it."""
        number = len(self.grants) + 1
        now = self.now()
        refresh = f"canary-refresh-{number}-{secrets.token_urlsafe(18)}" if refreshes else None
        grant = Grant(number, self.access_token(number), int(now + self.lifetime), refresh,
                      int(now + self.refresh_lifetime) if self.refresh_lifetime else None)
        if spent is not None:
            spent.spent = True
        self.grants.append(grant)
        return grant

    def access_token(self, number):
        return f"canary-access-{number}-{secrets.token_urlsafe(18)}"

    def say(self, exchange, status, members):
        body = members if isinstance(members, bytes) else json.dumps(members).encode()
        exchange.answer(status, [("Content-Type", "application/json"), *self.fields], body)

    def kinds(self):
        return [asked.kind for asked in self.asked]

    def wait_for_asked(self, count, deadline=DEADLINE):
        until(lambda: len(self.asked) >= count, f"{count} requests at the endpoint, saw {self.kinds()}", deadline)
        assert len(self.asked) == count, self.kinds()

    # The API.

    def at_api(self, exchange):
        token = self.credential(exchange)
        with self.lock:
            grant = next((grant for grant in self.grants if grant.access == token), None)
            call = Call(exchange, token, grant, self.now())
            self.calls.append(call)
            if call.good:
                grant.uses += 1
        _ = exchange.body
        if self.serve is not None:
            self.serve(exchange, call)
        elif call.good:
            self.welcome(exchange, call)
        else:
            self.reject(exchange)

    def welcome(self, exchange, call):
        self.say(exchange, 200, {"grant": call.grant.number, "target": exchange.target.decode(), "bytes": len(exchange.body)})

    def reject(self, exchange):
        self.say(exchange, 401, {"error": "invalid_token"})

    def dead(self):
        """Calls with a token that was not given out here, or whose time was over."""
        return [call for call in self.calls if call.is_dead]

    def every_secret(self):
        """Whatever it gave out."""
        return [token for grant in self.grants for token in (grant.access, grant.refresh) if token]


class OAuth(Vendor):
    """RFC 6749 §4.4 and §6: client credentials, and refresh tokens that are good for one use where `rotates`."""

    paths = {"/oauth/token": "fetch"}

    def __init__(self, client_id, client_secret, client_auth="basic", rotates=True, **more):
        super().__init__(**more)
        self.client_id, self.client_secret, self.client_auth, self.rotates = client_id, client_secret, client_auth, rotates
        self.spoken = "The client is not known here"

    def read(self, exchange, path):
        assert exchange.method == b"POST", exchange.head
        assert exchange.value("Content-Type").partition(";")[0] == "application/x-www-form-urlencoded"
        pairs = parse_qsl(exchange.body.decode("ascii"), keep_blank_values=True, strict_parsing=True)
        values = dict(pairs)
        assert len(values) == len(pairs), f"parameters twice: {sorted(name for name, _ in pairs)}"
        return {"client_credentials": "fetch", "refresh_token": "refresh"}[values["grant_type"]], values

    def authenticated(self, asked):
        """RFC 6749 §2.3.1: one way only, and the one that was agreed on."""
        header = asked.exchange.value("Authorization")
        if self.client_auth == "basic":
            assert header is not None and "client_secret" not in asked.values
            scheme, _, encoded = header.partition(" ")
            assert scheme == "Basic"
            given = tuple(unquote_plus(part) for part in base64.b64decode(encoded, validate=True).decode().split(":"))
        else:
            assert header is None, "two ways to authenticate"
            given = (asked.values.get("client_id"), asked.values.get("client_secret"))
        return given == (self.client_id, self.client_secret if self.client_auth != "none" else None)

    def decide(self, asked):
        if not self.authenticated(asked):
            return 401, {"error": "invalid_client", "error_description": self.spoken}
        spent = None
        if asked.kind == "refresh":
            spent = next((grant for grant in self.grants if grant.refresh == asked.values["refresh_token"]), None)
            if spent is None or spent.spent:
                return 400, {"error": "invalid_grant", "error_description": "The refresh token is not good any more"}
        rotates = asked.kind == "refresh" and self.rotates
        grant = self.new(refreshes=rotates, spent=spent if rotates else None)
        said = {"access_token": grant.access, "token_type": "Bearer", "expires_in": self.lifetime}
        if rotates:
            said["refresh_token"] = grant.refresh
        if asked.values.get("scope"):
            said["scope"] = asked.values["scope"]
        return 200, said

    def first(self, refresh):
        """Takes `refresh` for the refresh token of a login that happened elsewhere."""
        with self.lock:
            grant = self.new()
            grant.refresh, grant.revoked = refresh, True
            return grant

    def credential(self, exchange):
        scheme, _, token = (exchange.value("Authorization") or "").partition(" ")
        assert scheme == "Bearer", exchange.head
        return token


class FastMoss(Vendor):
    """systems/fastmoss.md: two endpoints, failures inside HTTP 200, a signature and the token in the query."""

    paths = {"/v1/token": "fetch", "/v1/refreshToken": "refresh"}

    def __init__(self, client_id, client_secret, lifetime=7200, refresh_lifetime=30 * 86400, **more):
        super().__init__(lifetime=lifetime, refresh_lifetime=refresh_lifetime, **more)
        self.client_id, self.client_secret = client_id, client_secret
        self.refuses_refresh = False

    def read(self, exchange, path):
        assert exchange.method == b"POST" and b"?" not in exchange.target, exchange.head
        assert exchange.value("Content-Type").partition(";")[0] == "application/json"
        values = json.loads(exchange.body)
        kind = self.paths[path]
        assert set(values) == {"client_id", "client_secret" if kind == "fetch" else "refresh_token"}, sorted(values)
        return kind, values

    def decide(self, asked):
        values, spent = asked.values, None
        if values["client_id"] != self.client_id or values.get("client_secret", self.client_secret) != self.client_secret:
            return 200, {"code": 10001, "msg": "client is unknown", "data": None}
        if asked.kind == "refresh":
            spent = next((grant for grant in self.grants if grant.refresh == values["refresh_token"]), None)
            if spent is None or spent.spent or self.refuses_refresh or self.now() >= spent.refresh_expires:
                return 200, {"code": 30001, "message": "refresh token is invalid", "data": {}}
        grant = self.new(spent=spent)
        return 200, {"code": 0, "msg": "success", "data": {
            "access_token": grant.access, "expire_at": grant.expires,
            "refresh_token": grant.refresh, "refresh_expire_at": grant.refresh_expires}}

    NAMES = ("access_token", "sign", "client_id", "timestamp", "signature_version")

    def sign(self, path, body):
        secret = self.client_secret.encode()
        return hashlib.sha256(b"|".join((secret, path, body, secret))).hexdigest()

    def credential(self, exchange):
        assert exchange.method == b"POST", exchange.head
        path, _, query = exchange.target.partition(b"?")
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True)
        for name in self.NAMES:
            assert [key for key, _ in pairs].count(name) == 1, f"{name} in {exchange.target}"
        values = dict(pairs)
        assert values["client_id"] == self.client_id and values["signature_version"] == "2"
        assert abs(int(values["timestamp"]) - self.now()) < 30
        assert values["sign"] == self.sign(path, exchange.body)
        assert exchange.value("Content-Type") == "application/json; charset=utf-8"
        assert exchange.value("Content-Length") == str(len(exchange.body))
        return values["access_token"]

    def welcome(self, exchange, call):
        self.say(exchange, 200, {"code": 0, "msg": "success", "data": {"grant": call.grant.number}})


class Authing(Vendor):
    """systems/authing.md: a JWT whose claim names the user pool."""

    paths = {"/api/v3/get-management-token": "fetch"}

    def __init__(self, key_id, key_secret, pool="64f0000000000000000000aa", lifetime=7200, **more):
        super().__init__(lifetime=lifetime, **more)
        self.key_id, self.key_secret, self.pool, self.name = key_id, key_secret, pool, "admin"

    def access_token(self, number):
        claims = {"sub": self.key_id, "jti": secrets.token_urlsafe(12), "n": number, "name": self.name}
        if self.pool is not None:
            claims["scoped_userpool_id"] = self.pool
        parts = {"alg": "HS256", "typ": "JWT"}, claims
        return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (
            *(json.dumps(part, ensure_ascii=False).encode() for part in parts), secrets.token_bytes(32)))

    def read(self, exchange, path):
        assert exchange.method == b"POST", exchange.head
        assert exchange.value("Content-Type").partition(";")[0] == "application/json"
        values = json.loads(exchange.body)
        assert set(values) == {"accessKeyId", "accessKeySecret"}, sorted(values)
        return "fetch", values

    def decide(self, asked):
        if asked.values != {"accessKeyId": self.key_id, "accessKeySecret": self.key_secret}:
            return 200, {"statusCode": 401, "apiCode": 1000, "message": "accessKey is wrong", "data": None}
        grant = self.new(refreshes=False)
        return 200, {"statusCode": 200, "apiCode": 20001, "message": "ok",
                     "data": {"access_token": grant.access, "expires_in": self.lifetime}}

    def credential(self, exchange):
        scheme, _, token = (exchange.value("Authorization") or "").partition(" ")
        assert scheme == "Bearer", exchange.head
        return token

    def welcome(self, exchange, call):
        self.say(exchange, 200, {"statusCode": 200, "apiCode": 20001, "message": "ok", "data": {"list": [], "totalCount": 0}})


def refuses_connections(exchange, asked):
    """An endpoint that is down: the connection is reset without a byte."""
    exchange.connection.reset()


def unavailable(status=503, fields=()):
    """An endpoint that says that it is down."""
    return lambda exchange, asked: exchange.answer(status, [("Content-Type", "text/plain"), *fields], b"come back later")


def says(status, members, fields=()):
    """An endpoint that answers just this."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    return lambda exchange, asked: exchange.answer(status, [("Content-Type", "application/json"), *fields], body)
