"""A client of the ATH protocol that does it right, or wrong in just the way that it is told."""

import http.client
import json
import secrets
import ssl
from urllib.parse import parse_qsl, urlsplit

from . import DEADLINE
from .ath_servers import STATUSES, NativeService

REDIRECT_URI = "https://app.example.com/back?from=ath"


class Answer:
    def __init__(self, response):
        self.status, self.body = response.status, response.read()
        self.fields = {name.lower(): value for name, value in response.getheaders()}

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json().get("code")

    def __repr__(self):
        return f"<{self.status} {self.body[:500]!r}>"


class AthClient:
    """`client.register(purpose="x", developer=...)`: members of a request are overridden, `...` leaves one out.

    `attest` is what `Agent.attestation` takes, or the whole attestation.
    """

    def __init__(self, server, agent, provider, scopes, context=None):
        self.server, self.agent, self.provider, self.scopes, self.context = server, agent, provider, list(scopes), context
        self.client_id = self.client_secret = self.access_token = None
        self.fields = {}  # on every request

    def ask(self, method, url, members=None, fields=()):
        """One request on a connection of its own; `members` are sent as JSON, bytes as they are."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE) if parts.scheme == "http" else (
            http.client.HTTPSConnection(parts.netloc, timeout=DEADLINE, context=self.context or ssl.create_default_context()))
        body = members if members is None or isinstance(members, bytes) else json.dumps(members).encode()
        sent = {**({"Content-Type": "application/json"} if body is not None else {}), **self.fields, **dict(fields)}
        try:
            connection.request(method, url.partition(parts.netloc)[2], body, {
                name: value for name, value in sent.items() if value is not ...})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, members, more):
        said = {name: value for name, value in {**members, **more}.items() if value is not ...}
        return self.ask("POST", self.server.url + path, said)

    def attested(self, audience, attest):
        if isinstance(attest, str):
            return attest
        return self.agent.attestation(**{"audience": audience, "now": self.server.clock(), **(attest or {})})

    def register(self, attest=None, **more):
        answer = self.post("/ath/agents/register", {
            "agent_id": self.agent.agent_id, "agent_attestation": self.attested(self.server.url, attest),
            "developer": self.agent.developer, "requested_providers": [{"provider_id": self.provider, "scopes": self.scopes}],
            "purpose": "tests", "redirect_uris": [REDIRECT_URI],
        }, more)
        if answer.status == 201:
            self.client_id, self.client_secret = answer.json()["client_id"], answer.json()["client_secret"]
        return answer

    def authorize(self, attest=None, **more):
        return self.post("/ath/authorize", {
            "client_id": self.client_id, "agent_attestation": self.attested(self.server.url, attest),
            "provider_id": self.provider, "scopes": self.scopes, "user_redirect_uri": REDIRECT_URI,
            "state": secrets.token_urlsafe(16),
        }, more)

    def consent(self, **more):
        """Authorizes, and the user agrees: the code and the session."""
        begun = self.authorize(**more)
        assert begun.status == 200, begun
        back = came_back(self.server.goes_to(begun.json()["authorization_url"]))
        return back.get("code"), begun.json()["ath_session_id"]

    def exchange(self, code, session, attest=None, **more):
        answer = self.post("/ath/token", {
            "grant_type": "authorization_code", "client_id": self.client_id, "client_secret": self.client_secret,
            "agent_attestation": self.attested(f"{self.server.url}/ath/token", attest), "code": code, "ath_session_id": session,
        }, more)
        if answer.status == 200:
            self.access_token = answer.json()["access_token"]
        return answer

    def connect(self):
        """The whole way to a token."""
        assert self.register().status == 201
        answer = self.exchange(*self.consent())
        assert answer.status == 200, answer
        return answer

    def call(self, url, method="GET", body=None, fields=()):
        return self.ask(method, url, body, {
            "Authorization": f"Bearer {self.access_token}", "X-ATH-Agent-ID": self.agent.agent_id, **dict(fields)})

    def revoke(self, **more):
        return self.post("/ath/revoke", {
            "client_id": self.client_id, "client_secret": self.client_secret, "token": self.access_token}, more)


def came_back(address):
    """The parameters with which a user came back."""
    pairs = parse_qsl(urlsplit(address).query, keep_blank_values=True, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs), address
    return dict(pairs)


def a_client(server, agent):
    """A client that asks for the scope mail:read."""
    provider = server.app_id if isinstance(server, NativeService) else "mail"
    return AthClient(server, agent, provider, ["mail:read"])


def api_of(server):
    """What the paths of calls are put behind."""
    return server.api_base if isinstance(server, NativeService) else f"{server.url}/ath/proxy/mail"


def refused(answer, code, status=None):
    """Asserts that an answer is just this error of the protocol."""
    assert (answer.status, answer.code) == (status or STATUSES[code], code), answer
    assert set(answer.json()) <= {"code", "message", "details"} and answer.json()["message"]
    assert answer.fields["content-type"] == "application/json"
