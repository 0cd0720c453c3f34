"""The secrets that the tests plant. Each is a canary: test_canary.py looks for every one of them in all that comes out."""

import json

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
}
