"""The decisions of an ATH server (protocol 0.1): what it asks of each request, and what it then knows. No socket is opened."""

import base64
import datetime
import re
import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

from .ath_agent import s256
from .ath_attestation import Attestations, Refused, are_texts, is_developer, is_text

SESSION_LIFETIME = 600
STATE_BITS = 128


class Registration:
    """An agent that is known: `approved` is the scopes by provider."""

    def __init__(self, body, number, status, expires):
        self.client_id = f"ath-client-{number}-{secrets.token_hex(6)}"
        self.client_secret = f"canary-ath-secret-{secrets.token_urlsafe(24)}"
        self.agent_id, self.developer, self.purpose = body["agent_id"], body["developer"], body["purpose"]
        self.redirect_uris = body["redirect_uris"]
        self.requested = {each["provider_id"]: each["scopes"] for each in body["requested_providers"]}
        self.status, self.expires = status, expires


class Session:
    """An authorization that was begun; `consented` is what the user agreed to, `denied` that they did not."""

    def __init__(self, registration, body, number, expires):
        self.id = f"ath-session-{number}-{secrets.token_hex(8)}"
        self.own_state, self.verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        self.registration, self.provider, self.scopes = registration, body["provider_id"], body["scopes"]
        self.redirect_uri, self.state, self.resource = body["user_redirect_uri"], body["state"], body.get("resource")
        self.expires = expires
        self.consented = self.code = None
        self.denied = self.used = False


class Token:
    def __init__(self, session, scopes, number, expires):
        self.number, self.access = number, f"canary-ath-token-{number}-{secrets.token_urlsafe(24)}"
        self.session, self.registration, self.provider = session, session.registration, session.provider
        self.scopes, self.expires, self.revoked, self.uses = scopes, expires, False, 0


class Rules:
    """What a gateway and a native service have in common. `heard` is a request; a wrong one throws `Refused`.

    Switches: `providers`, scopes by provider; `denied_scopes`; `verdict` on agents that register; `agrees`, and `consents_to`,
    the scopes that the user agrees to (None: all); `lifetime` of tokens; `user_token`, wanted in X-ATH-User-Token on every
    request; `ahead`, seconds that the clock is ahead; `returns_as`, "protocol", or "reference" for the way back to the
    redirect URI that the protocol's own server takes, which names the session and neither code nor state.
    """

    def __init__(self, providers, base):
        self.providers, self.base = providers, base
        self.origin = None  # is set by whoever puts it on a port
        self.now, self.ahead = time.time, 0
        self.denied_scopes, self.verdict, self.agrees, self.consents_to = set(), "approved", True, None
        self.lifetime, self.approval_lifetime, self.user_token, self.returns_as = 3600, 365 * 86400, None, "protocol"
        self.attestations = Attestations(self.clock)
        self.registrations, self.sessions, self.tokens, self.states = [], [], [], set()

    @property
    def url(self):
        return self.origin + self.base

    def clock(self):
        return self.now() + self.ahead

    def stops_the_clock(self):
        """Time passes only by `ahead`, so that a test may look at the last second of something."""
        at = int(time.time())
        self.now = lambda: at

    # The handshake.

    def on_discover(self, heard):
        if heard.body:
            raise Refused(400, "OAUTH_ERROR", "a body")
        return 200, self.discovery()

    def on_register(self, heard):
        body = body_of(heard, "agent_id", "agent_attestation", "developer", "requested_providers", "purpose", "redirect_uris")
        providers = body["requested_providers"]
        if not (is_text(body["agent_id"]) and is_developer(body["developer"]) and isinstance(body["purpose"], str)):
            raise malformed("agent_id, developer or purpose")
        if not isinstance(providers, list) or not providers or not all(
                isinstance(each, dict) and set(each) == {"provider_id", "scopes"} and is_text(each["provider_id"])
                and are_texts(each["scopes"]) for each in providers):
            raise malformed("requested_providers")
        if not are_texts(body["redirect_uris"]) or not body["redirect_uris"] or not all(map(is_address, body["redirect_uris"])):
            raise malformed("redirect_uris")
        self.attestations.check(body["agent_attestation"], body["agent_id"], self.url)
        for known in self.registrations:
            if known.agent_id == body["agent_id"]:
                raise Refused(409, "CONFLICT", "the agent is registered already", client_id=known.client_id)
        registration = Registration(body, len(self.registrations) + 1, self.verdict, self.clock() + self.approval_lifetime)
        self.registrations.append(registration)
        return 201, {"client_id": registration.client_id, "client_secret": registration.client_secret,
                     **self.status_of(registration)}

    def on_agent(self, heard):
        """Whoever is the client, or holds one of its tokens, may look."""
        registration = self.client(heard.path.rpartition("/")[2], status=404)
        scheme, _, credential = (heard.field("Authorization") or "").partition(" ")
        known = f"{registration.client_id}:{registration.client_secret}".encode()
        is_client = scheme == "Basic" and secrets.compare_digest(credential.encode(), base64.b64encode(known))
        if not is_client and (scheme != "Bearer" or self.token_of(heard).registration is not registration):
            raise Refused(401, "AGENT_NOT_REGISTERED", "that is somebody else's to know")
        return 200, {"client_id": registration.client_id, "agent_id": registration.agent_id, **self.status_of(registration)}

    def on_authorize(self, heard):
        body = body_of(heard, "client_id", "agent_attestation", "provider_id", "scopes", "user_redirect_uri", "state",
                       optional=("resource",))
        registration = self.client(body["client_id"])
        self.attestations.check(body["agent_attestation"], registration.agent_id, self.url)
        if registration.status != "approved" or self.clock() >= registration.expires:
            raise Refused(403, "AGENT_UNAPPROVED", f"the agent is {registration.status}")
        approved = self.approved(registration).get(body["provider_id"])
        if not approved:
            raise Refused(403, "PROVIDER_NOT_APPROVED", f"not approved for {body['provider_id']}")
        if not are_texts(body["scopes"]) or not body["scopes"]:
            raise malformed("scopes")
        if not set(body["scopes"]) <= set(approved):
            raise Refused(403, "SCOPE_NOT_APPROVED", "not approved", {"scopes": sorted(set(body["scopes"]) - set(approved))})
        if body["user_redirect_uri"] not in registration.redirect_uris:
            raise Refused(400, "OAUTH_ERROR", "user_redirect_uri was not registered")
        if "resource" in body and not is_address(body["resource"]):
            raise malformed("resource")
        if bits_of(body["state"]) < STATE_BITS or body["state"] in self.states:
            raise Refused(400, "STATE_MISMATCH", "state is too short, or was used before")
        self.states.add(body["state"])
        session = Session(registration, body, len(self.sessions) + 1, self.clock() + SESSION_LIFETIME)
        self.sessions.append(session)
        query = urlencode({
            "response_type": "code", "client_id": "gateway", "redirect_uri": f"{self.url}/ath/callback",
            "scope": " ".join(session.scopes), "state": session.own_state, "code_challenge": s256(session.verifier),
            "code_challenge_method": "S256"})
        return 200, {"authorization_url": f"{self.url}/ath/consent?{query}", "ath_session_id": session.id}

    def on_exchange(self, heard):
        body = body_of(heard, "grant_type", "client_id", "client_secret", "agent_attestation", "code", "ath_session_id")
        if body["grant_type"] != "authorization_code":
            raise malformed("grant_type")
        registration = self.authenticated(body)
        self.attestations.check(body["agent_attestation"], registration.agent_id, f"{self.url}/ath/token")
        session = next((each for each in self.sessions if each.id == body["ath_session_id"]), None)
        if session is None:
            raise Refused(400, "SESSION_NOT_FOUND", "no such session")
        if session.registration is not registration:
            raise Refused(403, "AGENT_IDENTITY_MISMATCH", "the session of another client")
        if session.used:
            raise Refused(400, "SESSION_NOT_FOUND", "the session was used")
        if self.clock() >= session.expires:
            raise Refused(400, "SESSION_EXPIRED", "the session's ten minutes are over")
        if session.consented is None and not session.denied:
            raise Refused(400, "SESSION_NOT_FOUND", "the user has not decided yet")
        session.used = True  # whatever comes of it
        if session.denied:
            raise Refused(400, "USER_DENIED", "the user said no")
        if self.returns_as == "protocol" and body["code"] != session.code:
            raise Refused(400, "OAUTH_ERROR", "not the code of this session")
        approved = self.approved(registration).get(session.provider, [])
        effective = [scope for scope in session.scopes if scope in approved and scope in session.consented]
        if not effective:
            raise Refused(403, "SCOPE_NOT_APPROVED", "nothing is left of the scopes")
        token = Token(session, effective, len(self.tokens) + 1, int(self.clock() + self.lifetime))
        self.tokens.append(token)
        return 200, {
            "access_token": token.access, "token_type": "Bearer", "expires_in": self.lifetime, "effective_scopes": effective,
            "provider_id": session.provider, "agent_id": registration.agent_id, "scope_intersection": {
                "agent_approved": approved, "user_consented": session.consented, "effective": effective}}

    def on_revoke(self, heard):
        body = body_of(heard, "client_id", "client_secret", "token")
        registration = self.authenticated(body)
        token = next((each for each in self.tokens if each.access == body["token"]), None)
        if token is None:
            raise Refused(400, "TOKEN_INVALID", "no such token")
        if token.registration is not registration:
            raise Refused(403, "AGENT_IDENTITY_MISMATCH", "the token of another client")
        token.revoked = True
        return 200, {"message": "revoked"}

    def serve(self, heard, provider, target):
        """A call that came with a token: what the service behind got to see, without the token."""
        token = self.token_of(heard)
        if token.provider != provider:
            raise Refused(403, "PROVIDER_MISMATCH", f"the token is for {token.provider}")
        token.uses += 1
        return 200, {
            "method": heard.method, "target": target, "token": token.number, "scopes": token.scopes,
            "fields": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in heard.exchange.fields
                       if name.lower() not in (b"authorization", b"x-ath-user-token")],
            "body_base64": base64.b64encode(heard.body).decode()}

    # The user.

    def on_consent(self, heard):
        try:
            return 302, [("Location", self.goes_to(self.origin + heard.target))], {}
        except AssertionError as error:
            raise Refused(400, "STATE_MISMATCH", str(error)) from None

    def goes_to(self, url):
        """The user's browser goes to the authorization URL, and they decide: the address that it is sent back to."""
        return self.approves(url) if self.agrees else self.denies(url)

    def approves(self, url):
        session = self._asked(url)
        session.consented = [scope for scope in session.scopes if self.consents_to is None or scope in self.consents_to]
        session.code = f"canary-ath-code-{secrets.token_urlsafe(18)}"
        return self._back(session, {
            "protocol": {"code": session.code, "state": session.state, "ath_session_id": session.id},
            "reference": {"session_id": session.id, "success": "true"}}[self.returns_as])

    def denies(self, url):
        session = self._asked(url)
        session.denied = True
        return self._back(session, {"error": "access_denied", "ath_session_id": session.id, **(
            {"state": session.state} if self.returns_as == "protocol" else {})})

    def _asked(self, url):
        parts = urlsplit(url)
        assert url.startswith(f"{self.url}/ath/consent?"), url
        state = parse_qs(parts.query).get("state", [None])[0]
        session = next((each for each in self.sessions if each.own_state == state), None)
        assert session is not None, "nobody asked for this"
        assert session.consented is None and not session.denied, "the user has decided already"
        assert self.clock() < session.expires, "the session's ten minutes are over"
        return session

    @staticmethod
    def _back(session, said):
        return f"{session.redirect_uri}{'&' if '?' in session.redirect_uri else '?'}{urlencode(said)}"

    # Who asks, and what they may.

    def client(self, client_id, status=403):
        for registration in self.registrations:
            if registration.client_id == client_id:
                return registration
        raise Refused(status, "AGENT_NOT_REGISTERED", "no such client")

    def authenticated(self, body):
        registration = self.client(body["client_id"])
        given = body["client_secret"]
        if not is_text(given) or not secrets.compare_digest(given.encode(), registration.client_secret.encode()):
            raise Refused(401, "AGENT_NOT_REGISTERED", "not the client's secret")
        return registration

    def token_of(self, heard):
        scheme, _, given = (heard.field("Authorization") or "").partition(" ")
        token = next((each for each in self.tokens if each.access == given), None)
        if scheme != "Bearer" or token is None:
            raise Refused(401, "TOKEN_INVALID", "no token, or none of ours")
        if token.revoked:
            raise Refused(401, "TOKEN_REVOKED", "the token was revoked")
        if self.clock() >= token.expires:
            raise Refused(401, "TOKEN_EXPIRED", "the token has expired")
        if heard.field("X-ATH-Agent-ID") != token.registration.agent_id:
            raise Refused(403, "AGENT_IDENTITY_MISMATCH", "the token of another agent")
        return token

    def approved(self, registration):
        """Scopes by provider, in the order in which they were asked for."""
        return {provider: [scope for scope in scopes if scope in self.providers.get(provider, ())
                           and scope not in self.denied_scopes] for provider, scopes in registration.requested.items()}

    def status_of(self, registration):
        approved = self.approved(registration) if registration.status == "approved" else {}
        rows = []
        for provider, scopes in registration.requested.items() if registration.status != "pending" else ():
            denied = [scope for scope in scopes if scope not in approved.get(provider, [])]
            rows.append({"provider_id": provider, "approved_scopes": approved.get(provider, []), "denied_scopes": denied,
                         **({"denial_reason": "not for agents"} if denied else {})})
        expires = datetime.datetime.fromtimestamp(int(registration.expires), datetime.timezone.utc)
        return {"agent_status": registration.status, "approved_providers": rows,
                "approval_expires": expires.isoformat().replace("+00:00", "Z")}


def malformed(what):
    """The protocol has no code for a body that is not what it should be."""
    return Refused(400, "OAUTH_ERROR", f"malformed: {what}")


def body_of(heard, *names, optional=()):
    if (heard.field("Content-Type") or "").partition(";")[0].strip().lower() != "application/json":
        raise malformed(f"Content-Type is {heard.field('Content-Type')}")
    if not isinstance(heard.json, dict) or not set(names) <= set(heard.json) <= {*names, *optional}:
        raise malformed(f"not an object of {names}")
    return heard.json


def is_address(text):
    parts = urlsplit(text) if is_text(text) else None
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.netloc) and "#" not in text


def bits_of(state):
    """How many random bits a state can hold, by the alphabet that it is written in; too few letters hold none."""
    if not is_text(state) or len(set(state)) < 6:
        return 0
    if re.fullmatch("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", state):
        return 122
    if re.fullmatch("[0-9a-f]+|[0-9A-F]+", state):
        return 4 * len(state)
    return 6 * len(state) if re.fullmatch("[A-Za-z0-9_-]+", state) else 0
