"""A gateway and a native service of the Agent Trust Handshake (protocol 0.1), as scripts of a recording upstream.

They are as strict as the protocol: whatever is not exactly right is refused with its code, and stands in `refusals`.
`with Gateway().open() as gateway:` listens on loopback; `staged(gateway, …)` puts a daemon before it.
"""

import contextlib
import json
import re
import threading

from . import DEADLINE
from .ath_attestation import Refused, read_json
from .ath_rules import Rules
from .upstream import Upstream
from .vendors import says


class Heard:
    """One request as it arrived: `step` is what it was for, `json` its body if that is JSON, `status` how it was answered.

    `elsewhere` says that it came to the port of an API that has one of its own, `refused` is the code of the refusal.
    """

    def __init__(self, exchange, step, at, elsewhere):
        self.exchange, self.step, self.at, self.elsewhere = exchange, step, at, elsewhere
        self.method, self.target = exchange.method.decode(), exchange.target.decode()
        self.path = self.target.partition("?")[0]
        self.body = exchange.body
        self.status = self.refused = None
        try:
            self.json = read_json(self.body)
        except ValueError:
            self.json = None

    def field(self, name):
        return self.exchange.value(name)

    def __repr__(self):
        return f"<{self.step} {self.method} {self.target} {self.status}>"


class AthServer(Rules):
    """Hears, records and answers. `heard` has every request, `refusals` the step, code and message of every refusal.

    Attestations go by `attestations`, whose `wants_typ` and `documents.clear()` are switches, too.
    """

    discovery_path = None
    endpoints = {
        ("POST", "/ath/agents/register"): "register", ("POST", "/ath/authorize"): "authorize",
        ("POST", "/ath/token"): "exchange", ("POST", "/ath/revoke"): "revoke", ("GET", "/ath/consent"): "consent",
    }

    def __init__(self, providers, base=""):
        super().__init__(providers, base)
        self.heard, self.refusals = [], []
        self.canaries = []  # further secrets, such as an agent's key
        self.lock = threading.RLock()
        self._forced, self._lost = {}, {}
        self._mute, self._speaks = set(), threading.Event()

    # Listening.

    @contextlib.contextmanager
    def open(self, context=None, name="127.0.0.1"):
        """Listens on a port of its own, with TLS if there is a `context`."""
        upstream = Upstream(context, name="localhost" if context else name)
        self.origin = upstream.origin
        try:
            with upstream.answering(self):
                yield self
        finally:
            upstream.close()

    def __call__(self, exchange, elsewhere=False):
        path = exchange.target.decode().partition("?")[0]
        heard = Heard(exchange, self.step_of(exchange.method.decode(), path, elsewhere), self.clock(), elsewhere)
        with self.lock:
            self.heard.append(heard)
            forced = self._take(self._forced, heard.step)
            is_lost = self._take(self._lost, heard.step)
        if heard.step in self._mute:
            assert self._speaks.wait(3 * DEADLINE)
        if forced:
            return forced(exchange, heard)
        try:
            with self.lock:
                status, fields, members = self.decide(heard)
        except Refused as refusal:
            status, fields, members = refusal.status, [], refusal.members
            heard.refused = refusal.code
            with self.lock:
                self.refusals.append((heard.step, refusal.code, refusal.message))
        heard.status = status
        if is_lost:
            return exchange.connection.reset()
        exchange.answer(status, [("Content-Type", "application/json"), *fields], json.dumps(members).encode())

    # Answers that a test wants.

    def answers(self, step, answer, times=1):
        """The next `times` requests of `step` are not looked at: `answer(exchange, heard)` is their answer."""
        self._forced.setdefault(step, []).extend([answer] * times)

    def loses(self, step, times=1):
        """The next `times` requests of `step` are done, and the connection is reset in place of an answer."""
        self._lost.setdefault(step, []).extend([True] * times)

    @contextlib.contextmanager
    def silent(self, *steps):
        """Requests of `steps` are heard, and neither done nor answered until this is over."""
        self._speaks.clear()
        self._mute = set(steps)
        try:
            yield
        finally:
            self._mute = set()
            self._speaks.set()

    @staticmethod
    def _take(queues, step):
        return queues[step].pop(0) if queues.get(step) else None

    def decides(self, status, client_id=None):
        """The operator decides about an agent, or about all, after it registered."""
        for registration in self.registrations:
            if client_id in (None, registration.client_id):
                registration.status = status

    def ends_tokens(self):
        """Every token that was given out is revoked, by somebody else."""
        for token in self.tokens:
            token.revoked = True

    # Looking at it.

    def steps(self, step=None):
        """What was heard, or what of it was for `step`."""
        return [heard for heard in self.heard if step in (None, heard.step)]

    def every_secret(self):
        return [*(each.client_secret for each in self.registrations), *(each.access for each in self.tokens),
                *(each.code for each in self.sessions if each.code), *(each.state for each in self.sessions),
                *([self.user_token] if self.user_token else []), *self.canaries]

    # Deciding.

    def step_of(self, method, path, elsewhere):
        path = path.removeprefix(self.base) if path.startswith(self.base + "/") else ""
        if elsewhere or self.is_call(path):
            return "call"
        if (method, path) == ("GET", self.discovery_path):
            return "discover"
        if method == "GET" and re.fullmatch("/ath/agents/[^/]+", path):
            return "agent"
        return self.endpoints.get((method, path), "unknown")

    def decide(self, heard):
        """Status, fields and members of the answer."""
        own = [name for name, _ in heard.exchange.fields if name.lower().startswith(b"x-chatelaine")]
        assert not own, heard.exchange.head
        if self.user_token is not None and heard.step != "consent" and heard.field("X-ATH-User-Token") != self.user_token:
            raise Refused(401, "TOKEN_INVALID", "no user is signed in")
        answer = getattr(self, f"on_{heard.step}")(heard)
        return answer if len(answer) == 3 else (answer[0], [], answer[1])

    def on_unknown(self, heard):
        raise Refused(404, "INTERNAL_ERROR", f"no {heard.method} {heard.path}")


# With which status each code is answered.
STATUSES = {
    "INVALID_ATTESTATION": 401, "AGENT_NOT_REGISTERED": 403, "AGENT_UNAPPROVED": 403, "PROVIDER_NOT_APPROVED": 403,
    "SCOPE_NOT_APPROVED": 403, "SESSION_NOT_FOUND": 400, "SESSION_EXPIRED": 400, "STATE_MISMATCH": 400, "TOKEN_INVALID": 401,
    "TOKEN_EXPIRED": 401, "TOKEN_REVOKED": 401, "AGENT_IDENTITY_MISMATCH": 403, "PROVIDER_MISMATCH": 403, "USER_DENIED": 400,
    "OAUTH_ERROR": 400, "INTERNAL_ERROR": 500,
}


def error(code, status=None, **details):
    """For `answers()`: an error of the protocol."""
    members = {"code": code, "message": f"said on purpose: {code}", **({"details": details} if details else {})}
    return says(status or STATUSES[code], members)


class Gateway(AthServer):
    """Calls providers for agents, at `/ath/proxy/<provider>/<path>`."""

    discovery_path = "/.well-known/ath.json"

    def __init__(self, providers=None, **more):
        super().__init__(providers or {"mail": ["mail:read", "mail:send"], "files": ["files:read"]}, **more)

    def discovery(self):
        return {
            "ath_version": "0.1", "gateway_id": "gateway.test",
            "agent_registration_endpoint": f"{self.url}/ath/agents/register",
            "supported_providers": [
                {"provider_id": provider, "display_name": provider.title(), "categories": ["test"],
                 "available_scopes": scopes, "auth_mode": "OAUTH2", "agent_approval_required": True}
                for provider, scopes in self.providers.items()]}

    def is_call(self, path):
        return path.startswith("/ath/proxy/")

    def on_call(self, heard):
        provider, slash, rest = heard.target.removeprefix(f"{self.base}/ath/proxy/").partition("/")
        return self.serve(heard, provider, slash + rest)


class NativeService(AthServer):
    """A service that agents call themselves, at `api_base`: `api_path` below its own URL, or elsewhere."""

    discovery_path = "/.well-known/ath-app.json"

    def __init__(self, app_id="com.example.mail", scopes=("mail:read", "mail:send"), api_path="/api/v1", **more):
        super().__init__({app_id: list(scopes)}, **more)
        self.app_id, self.api_path, self.api_origin = app_id, api_path, None

    @property
    def api_base(self):
        return (self.api_origin or self.url) + self.api_path

    @contextlib.contextmanager
    def api_elsewhere(self, context=None, name=None):
        """The API is at another port, perhaps by another name, and no more below its own URL."""
        upstream = Upstream(context, name=name or ("localhost" if context else "127.0.0.1"))
        self.api_origin = upstream.origin
        try:
            with upstream.answering(lambda exchange: self(exchange, elsewhere=True)):
                yield self
        finally:
            self.api_origin = None
            upstream.close()

    def discovery(self):
        return {
            "ath_version": "0.1", "app_id": self.app_id, "name": "Test mail", "api_base": self.api_base, "auth": {
                "type": "oauth2", "authorization_endpoint": f"{self.url}/ath/authorize",
                "token_endpoint": f"{self.url}/ath/token",
                "registration_endpoint": f"{self.url}/ath/agents/register", "scopes_supported": self.providers[self.app_id],
                "agent_attestation_required": True}}

    def is_call(self, path):
        return self.api_origin is None and path.startswith(self.api_path + "/")

    def on_call(self, heard):
        below = ("" if heard.elsewhere else self.base) + self.api_path
        if not heard.path.startswith(below + "/"):
            raise Refused(404, "INTERNAL_ERROR", "nothing here")
        return self.serve(heard, self.app_id, heard.target.removeprefix(below))
