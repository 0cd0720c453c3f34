"""The secrets that the tests plant. Each is a canary: test_canary.py looks for every one of them in all that comes out."""

import base64
import binascii
import json
import re
from urllib.parse import quote, quote_plus

from harness.daemon import TOP

API_KEY = "0123456789abcdef0123456789abcdef"


def _vector_secrets():
    """Secret → name of the route that holds it, from the vectors: the first is `codegate`, further ones are numbered."""
    cases = json.loads((TOP / "Tests/Vectors/codegate.json").read_text())["cases"]
    distinct = list(dict.fromkeys(case["secret"] for case in cases))
    return {secret: "codegate" if not number else f"codegate-{number + 1}" for number, secret in enumerate(distinct)}


VECTOR_SECRETS = _vector_secrets()

SECRETS = {
    **{f"{route}/secret": secret for secret, route in VECTOR_SECRETS.items()},
    **{f"{route}/api_key": API_KEY for route in VECTOR_SECRETS.values()},
    "bearer/token": "canary-bearer-1c0ffee5",
    "basic/username": "canary-user-2b",
    "basic/password": "canary-password-3:with:colons",
    "header/value": "canary-header-4d",
    "query/value": "canary query+5/e&=%",
    "based/token": "canary-based-6f",
    "tenant/token": "canary-tenant-70",
    "tenant/user": "canary-tenant-user-81",
    "eager/token": "canary-eager-92",
    "hasty/token": "canary-hasty-a3",
    "shared/token": "canary-shared-b4",
    # Of connectors that fetch tokens. The client secret has every character that some encoding has to change.
    "fastmoss/client_id": "canary-fastmoss-client-c5",
    "fastmoss/client_secret": "fm_secret_5f3c",
    "fastmoss-2/client_secret": "s3cr3t/with+chars=|",
    "authing/access_key_id": "64f0canaryauthingkeyid00",
    "authing/access_key_secret": "canary-authing-d6+/=",
    "oauth/client_id": "canary-oauth-client e7:%",
    "oauth/client_secret": "canary-oauth f8+/=&:%~\"é€",
    "oauth/refresh_token": "canary-oauth-refresh-09",
}

# The client of most OAuth tests, and where a route finds it.
CLIENT, SECRET = SECRETS["oauth/client_id"], SECRETS["oauth/client_secret"]
NAMES = {"client_id": "oauth/client_id", "client_secret": "oauth/client_secret"}


def forms(secret):
    """A secret as it is and as encodings show it: base64 at each of its three alignments, hex, percent, JSON."""
    raw = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield binascii.hexlify(raw).decode()
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
        yield encoded[4 if shift else 0:-2]


def leaks_of(secrets, text):
    """Which of `secrets` `text` holds, in which form."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    lowered = text.lower()
    return sorted({form for secret in secrets for form in forms(secret)
                   if form in text or (re.fullmatch("[0-9a-f]{24,}", form) and form in lowered)})
