"""Agents of the ATH protocol: a key, the identity document that shows its public half, and the host that serves it."""

import base64
import contextlib
import hashlib
import http.client
import json
import secrets
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from . import DEADLINE
from .upstream import Upstream


def encoded(data):
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def der_signature(key, data):
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def raw_signature(key, data):
    """The 64 bytes of `r || s` (RFC 7518 §3.4)."""
    return b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(der_signature(key, data)))


class Agent:
    """Who an attestation is about. `document` is what stands at `agent_id`; a test may change it."""

    def __init__(self, agent_id, name="Test agent", key_id="default", capabilities=(), key=None):
        self.agent_id, self.name, self.key_id, self.capabilities = agent_id, name, key_id, list(capabilities)
        self.developer = {"name": "Example Ltd", "id": "dev-7"}
        self.renew(key)

    def renew(self, key=None):
        """Takes a key, or another new one, and shows it in the document."""
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.document = {
            "ath_version": "0.1", "agent_id": self.agent_id, "name": self.name, "developer": self.developer,
            "capabilities": self.capabilities, "public_key": self.jwk,
        }

    @property
    def jwk(self):
        numbers = self.key.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", **{
            name: encoded(getattr(numbers, name).to_bytes(32, "big")) for name in ("x", "y")}}

    @property
    def pem(self):
        """The private key as the vendor's client takes it."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()

    @property
    def public_pem(self):
        return self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def attestation(self, audience, now=None, header=(), claims=(), sign=raw_signature, key=None):
        """A right one, but for what `header` and `claims` say otherwise: `...` leaves a member out."""
        header = {"alg": "ES256", "typ": "JWT", "kid": self.key_id, **dict(header)}
        claims = {"iat": int(time.time() if now is None else now), **dict(claims)}
        claims = {
            "iss": self.agent_id, "sub": self.agent_id, "aud": audience, "jti": secrets.token_urlsafe(24),
            "capabilities": self.capabilities,
            **({"exp": claims["iat"] + 3600} if isinstance(claims["iat"], int) else {}), **claims,
        }
        said = [{name: value for name, value in part.items() if value is not ...} for part in (header, claims)]
        signed = ".".join(encoded(json.dumps(part).encode()) for part in said)
        return f"{signed}.{encoded(sign(key or self.key, signed.encode()))}"


class IdentityHost:
    """Serves identity documents over HTTP; an agent's id is where its document stands.

    `documents` has an agent, or status, body and perhaps type, or the URL that answers instead, for each path; `asked` is
    what came.
    """

    def __init__(self):
        self.documents, self.asked = {}, []
        self.cache_control = "max-age=300"
        self.upstream = Upstream(name="127.0.0.1")
        self._answering = self.upstream.answering(self)
        self.seen = self._answering.__enter__()

    def close(self):
        try:
            self._answering.__exit__(None, None, None)
        finally:
            self.upstream.close()

    def url(self, path="/.well-known/agent.json"):
        return self.upstream.origin + path

    def agent(self, path="/.well-known/agent.json", **more):
        """A new agent, whose document is served."""
        agent = Agent(self.url(path), **more)
        self.documents[path] = agent
        return agent

    def relay(self, url, path="/.well-known/agent.json"):
        """Has `url`, a daemon's `agent.json`, answer for the document at `path`; the agent's id."""
        self.documents[path] = url
        return self.url(path)

    def __call__(self, exchange):
        path = exchange.target.decode()
        self.asked.append(path)
        document = self.documents.get(path)
        if document is None:
            exchange.answer(404)
        elif isinstance(document, str):
            status, fields, body = fetch(document)
            kept = [(name, value) for name, value in fields if name.lower() in ("content-type", "cache-control")]
            exchange.answer(status, kept, body)
        else:
            status, body, *kind = document if isinstance(document, tuple) else (200, json.dumps(document.document).encode())
            exchange.answer(status, [
                ("Content-Type", *(kind or ["application/json"])), ("Cache-Control", self.cache_control)], body)


def fetch(url, context=None):
    """GET without redirects or proxies: status, fields and body."""
    parts = urlsplit(url)
    kind, more = {"http": (http.client.HTTPConnection, {}), "https": (http.client.HTTPSConnection, {"context": context})}[
        parts.scheme]
    with contextlib.closing(kind(parts.netloc, timeout=DEADLINE, **more)) as connection:
        connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
        response = connection.getresponse()
        return response.status, response.getheaders(), response.read()


def s256(verifier):
    """The challenge of a PKCE verifier (RFC 7636 §4.2)."""
    return encoded(hashlib.sha256(verifier.encode()).digest())
