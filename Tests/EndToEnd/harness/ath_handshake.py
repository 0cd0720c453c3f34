"""What an ATH client said, in a form in which two clients can be compared field by field."""

import json

from .ath_attestation import parts_of, read_json

# What of a request's head an ATH server goes by.
FIELDS = ("Content-Type", "Authorization", "X-ATH-Agent-ID", "X-ATH-User-Token")


def handshake_of(server, steps=None, replacing=()):
    """What `server` heard, but for the user's browser. A step is a dictionary: step, at, method, target, host, framing, fields
    and body.

    An attestation in a body is replaced by its header and claims. What is random, or differs between two servers, is
    replaced by what it stands for, such as `<token 1>`, and only where it is just what the server gave out or may expect:
    jti, state, iat, the server's and its API's address, client ids and secrets, sessions, codes and tokens. `replacing` has
    more of that: (value, name) pairs. `steps` are those of interest.
    """
    names = [*replacing, *names_of(server)]
    return [
        {
            "step": heard.step, "at": "api" if heard.elsewhere else "server", "method": heard.method,
            "target": named(heard.target, names), "host": named(heard.field("Host"), names), "framing": heard.exchange.framing,
            "fields": {name.lower(): field_of(heard, name, names) for name in FIELDS if heard.field(name) is not None},
            "body": body_of(heard, names),
        }
        for heard in server.heard if heard.step != "consent" and (steps is None or heard.step in steps)
    ]


def names_of(server):
    """Every value that the server has, or gave out, with its name; longer ones first, for one may be in another."""
    names = [(server.url, "<server>"), (server.origin.partition("://")[2], "<server's authority>")]
    if getattr(server, "api_origin", None):
        names += [(server.api_origin, "<api>"), (server.api_origin.partition("://")[2], "<api's authority>")]
    for number, each in enumerate(server.registrations, 1):
        names += [(each.client_id, f"<client id {number}>"), (each.client_secret, f"<client secret {number}>")]
    for number, each in enumerate(server.sessions, 1):
        names += [(each.id, f"<session {number}>"), *([(each.code, f"<code {number}>")] if each.code else [])]
    names += [(each.access, f"<token {each.number}>") for each in server.tokens]
    return sorted(names, key=lambda pair: -len(pair[0]))


def named(value, names):
    """`value` with every text in it that has a name replaced by that."""
    if isinstance(value, dict):
        return {name: named(each, names) for name, each in value.items()}
    if isinstance(value, list):
        return [named(each, names) for each in value]
    if isinstance(value, str):
        for text, name in names:
            value = value.replace(text, name)
    return value


def field_of(heard, name, names):
    value = named(heard.field(name), names)
    return value.lower().replace(" ", "") if name == "Content-Type" else value


def body_of(heard, names):
    """The body as JSON where it is that, else as text."""
    if heard.json is None:
        return named(heard.body.decode("utf-8", "backslashreplace"), names) if heard.body else None
    body = read_json(heard.body)
    if heard.step != "call" and isinstance(body, dict):
        if isinstance(body.get("agent_attestation"), str):
            body["agent_attestation"] = attestation_of(body["agent_attestation"], names)
        if isinstance(body.get("state"), str):
            body["state"] = "<state>"
    return named(body, names)


def attestation_of(text, names):
    header, claims = parts_of(text)
    issued, expires = claims.get("iat"), claims.get("exp")
    if isinstance(issued, int):
        claims["iat"] = "<iat>"
        if isinstance(expires, int):
            claims["exp"] = f"<iat + {expires - issued}>"
    if isinstance(claims.get("jti"), str):
        claims["jti"] = "<jti>"
    return {"header": header, "claims": named(claims, names)}


def differences(left, right):
    """Where two handshakes differ: a line for each, none if they say the same."""
    said = [f"steps: {[each['step'] for each in left]}, {[each['step'] for each in right]}"] if (
        [each["step"] for each in left] != [each["step"] for each in right]) else []
    for one, other in zip(left, right):
        said += compared(one["step"], one, other)
    return said


def compared(place, one, other):
    if isinstance(one, dict) and isinstance(other, dict):
        return [line for name in sorted({*one, *other})
                for line in compared(f"{place}.{name}", one.get(name, ...), other.get(name, ...))]
    shown = [json.dumps(value) if value is not ... else "nothing" for value in (one, other)]
    return [] if one == other and type(one) is type(other) else [f"{place}: {shown[0]}, {shown[1]}"]
