"""What an ATH server asks of an attestation, and of the identity document with the key that it is checked against."""

import base64
import http.client
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .ath_agent import fetch

CACHED_FOR = 300
SKEW = 300
LONGEST = 3600


class Refused(Exception):
    """An answer in the protocol's form of errors."""

    def __init__(self, status, code, message, details=None, **more):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.members = {"code": code, "message": message, **({"details": details} if details else {}), **more}


def wrong(message):
    return Refused(401, "INVALID_ATTESTATION", message)


def decoded(text):
    """The bytes of base64url that is exactly as RFC 7515 §2 wants it: no padding, no stray bits."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise ValueError("not base64url, or with stray bits")
    return data


def read_json(data):
    """JSON in which no name stands twice."""

    def members(pairs):
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"a name twice: {[name for name, _ in pairs]}")
        return dict(pairs)

    return json.loads(data.decode("utf-8"), object_pairs_hook=members)


def parts_of(attestation):
    """Header and claims, unchecked."""
    return [read_json(decoded(part)) for part in attestation.split(".")[:2]]


def is_text(value):
    return isinstance(value, str) and value != ""


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def are_texts(value):
    return isinstance(value, list) and all(is_text(each) for each in value)


def is_developer(value):
    return isinstance(value, dict) and {"name", "id"} <= set(value) <= {"name", "id", "contact"} and (
        is_text(value["name"]) and is_text(value["id"]) and isinstance(value.get("contact"), (str, type(None))))


class Documents:
    """Identity documents, fetched at the agent's id and kept for five minutes. `context` verifies the host under TLS."""

    def __init__(self, now):
        self.now, self.context = now, None
        self.fetched = []  # agent id and fields of each answer
        self._kept = {}

    def clear(self):
        self._kept.clear()

    def of(self, agent_id, anew=False):
        """The document, and whether it was fetched just now."""
        kept = self._kept.get(agent_id)
        if kept and not anew and self.now() - kept[1] < CACHED_FOR:
            return kept[0], False
        document = self._fetch(agent_id)
        self._kept[agent_id] = document, self.now()
        return document, True

    def _fetch(self, agent_id):
        try:
            status, fields, body = fetch(agent_id, self.context)
        except (OSError, http.client.HTTPException, KeyError) as error:
            raise wrong(f"no identity document: {error!r}") from None
        fields = {name.lower(): value for name, value in fields}
        self.fetched.append((agent_id, fields))
        if status != 200 or fields.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise wrong(f"no identity document: {status} {fields.get('content-type')}")
        try:
            document = read_json(body)
            self._check(document, agent_id)
        except (ValueError, TypeError, KeyError) as error:
            raise wrong(f"the identity document: {error!r}") from None
        return document

    def _check(self, document, agent_id):
        if not isinstance(document, dict) or set(document) != {
                "ath_version", "agent_id", "name", "developer", "capabilities", "public_key"}:
            raise ValueError("members")
        if document["ath_version"] != "0.1" or document["agent_id"] != agent_id:
            raise ValueError("of another version or agent")
        if not (is_text(document["name"]) and is_developer(document["developer"]) and are_texts(document["capabilities"])):
            raise ValueError("name, developer or capabilities")
        public_key_of(document)


def public_key_of(document):
    """The key of a JWK (RFC 7518 §6.2.1) that shows its public half only."""
    jwk = document["public_key"]
    if jwk["kty"] != "EC" or jwk["crv"] != "P-256" or "d" in jwk:
        raise ValueError("not a public P-256 key")
    if jwk.get("alg", "ES256") != "ES256" or jwk.get("use", "sig") != "sig":
        raise ValueError("a key for something else")
    x, y = decoded(jwk["x"]), decoded(jwk["y"])
    if len(x) != 32 or len(y) != 32:
        raise ValueError("coordinates that are not 32 bytes")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()).public_key()


class Attestations:
    """Checks attestations, each of which is good once. `wants_typ` False lets a header go without `typ`."""

    def __init__(self, now):
        self.now = now
        self.documents = Documents(now)
        self.wants_typ = True
        self.spent = set()  # every jti

    def check(self, text, agent_id, audience):
        """The claims of an attestation of `agent_id` for `audience`.

        - Throws: `Refused`, 401 INVALID_ATTESTATION.
        """
        if not isinstance(text, str) or text.count(".") != 2:
            raise wrong("not three parts")
        signed, _, signature = text.rpartition(".")
        try:
            header, claims = parts_of(text)
            signature = decoded(signature)
        except ValueError as error:
            raise wrong(f"unreadable: {error}") from None
        if not isinstance(header, dict) or not isinstance(claims, dict):
            raise wrong("not objects")
        self._check_header(header)
        self._check_signature(agent_id, header, signed.encode(), signature)
        self._check_claims(claims, agent_id, audience)
        self.spent.add(claims["jti"])
        return claims

    def _check_header(self, header):
        if header.get("alg") != "ES256":
            raise wrong(f"alg is {header.get('alg')}")
        if header.get("typ") != "JWT" and (self.wants_typ or "typ" in header):
            raise wrong(f"typ is {header.get('typ')}")
        if not is_text(header.get("kid")):
            raise wrong("no kid")
        if set(header) - {"alg", "typ", "kid"}:
            raise wrong(f"a header with {sorted(header)}")

    def _check_signature(self, agent_id, header, signed, signature):
        if len(signature) != 64:
            raise wrong(f"a signature of {len(signature)} bytes")
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        document, is_fresh = self.documents.of(agent_id)
        # The key may have changed: a document that was kept is not the last word.
        for attempt in [document] if is_fresh else [document, None]:
            document = attempt or self.documents.of(agent_id, anew=True)[0]
            if document["public_key"].get("kid", header["kid"]) != header["kid"]:
                continue
            try:
                return public_key_of(document).verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
            except InvalidSignature:
                pass
        raise wrong("not signed with the agent's key")

    def _check_claims(self, claims, agent_id, audience):
        now = self.now()
        if claims.get("iss") != agent_id or claims.get("sub") != agent_id:
            raise wrong("iss and sub are not the agent")
        if claims.get("aud") != audience:
            raise wrong(f"aud is {claims.get('aud')}, not {audience}")
        issued, expires = claims.get("iat"), claims.get("exp")
        if not is_whole(issued) or abs(now - issued) > SKEW:
            raise wrong(f"iat is {issued} at {now}")
        if not is_whole(expires) or not now < expires <= issued + LONGEST:
            raise wrong(f"exp is {expires}, iat {issued}, at {now}")
        if not is_text(claims.get("jti")):
            raise wrong("no jti")
        if not are_texts(claims.get("capabilities")):
            raise wrong("capabilities are not an array of texts")
        if claims["jti"] in self.spent:
            raise wrong("seen before")
