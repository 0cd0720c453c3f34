"""Users who log in to a staged daemon: what a program asks for, and what the user's browser does."""

import json

from .waiting import until

# What a browser sends when a provider's page sends it to another site.
NAVIGATION = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"),
              ("Upgrade-Insecure-Requests", "1"), ("Accept", "text/html"))


class Begun:
    """A login that was begun: `url` is where the user has to go."""

    def __init__(self, answer):
        assert set(answer) == {"authorization_url", "state", "expires_in"}, sorted(answer)
        self.url, self.state, self.lasts = answer["authorization_url"], answer["state"], answer["expires_in"]


def ask_to_begin(stage, route="r", **wish):
    return stage.house.exchange("POST", f"/-/oauth/{route}/authorize", [("Content-Type", "application/json")],
                                json.dumps(wish).encode())


def begin(stage, route="r", **wish):
    """A program begins a login. The answer is not kept for the search for secrets: the state is its business."""
    response = ask_to_begin(stage, route, **wish)
    assert response.status == 200, response
    begun = Begun(response.json())
    stage.vendor.states.add(begun.state)
    return begun


def target_of(address):
    """The target of a request for `address`, which has to lead to a daemon's callback."""
    scheme, _, rest = address.partition("://")
    assert scheme == "http"
    return "/" + rest.partition("/")[2]


def come_back(stage, address, fields=NAVIGATION, method="GET"):
    """The user's browser goes to the address that the provider sent it to, or to a target."""
    response = stage.house.exchange(method, address if address.startswith("/") else target_of(address), fields)
    stage.texts.append(response.head + response.body)
    return response


def exchange(stage, state, code=None, route="r", **more):
    """A program hands over what came back to it."""
    body = {"state": state, **({"code": code} if code is not None else {}), **more}
    response = stage.house.exchange("POST", f"/-/oauth/{route}/exchange", [("Content-Type", "application/json")],
                                    json.dumps(body).encode())
    stage.texts.append(response.head + response.body)
    return response


def log_in(stage, subject=None, user=None, route="r", **wish):
    """A whole login, by a browser. The session is `subject`'s; `user` is who the provider takes them for."""
    stage.vendor.user = user or subject or "alice"
    begun = begin(stage, route, **({"subject": subject} if subject else {}), **wish)
    response = come_back(stage, stage.vendor.goes_to(begun.url))
    assert response.status == 200, response
    return begun


def call(stage, subject=None, target="/x", route="r", method="GET", body=None, fields=()):
    """A request for `subject`."""
    named = [("X-Chatelaine-Subject", subject)] if subject else []
    return stage.ask(method, target, [*named, *fields], body, route=route)


def user_of(stage, subject=None, **more):
    """Whose token a request for `subject` carried."""
    response = call(stage, subject, **more)
    assert response.status == 200, response
    return response.json()["user"]


def sessions(stage, route="r"):
    response = stage.house.exchange("GET", f"/-/oauth/{route}/sessions")
    assert response.status == 200, response
    stage.texts.append(response.head + response.body)
    return {row["subject"]: row for row in response.json()}


def refusals(stage, count):
    """The reasons of the refused logins so far, of which there are `count`."""

    def reasons():
        lines = [json.loads(line) for line in stage.house.log_lines() if '"login refused"' in line]
        return [line["reason"] for line in lines] if len(lines) >= count else None

    found = until(reasons, f"{count} refusals in the log: {stage.house.log()[-3000:]}") if count else reasons()
    assert len(found) == count, found
    return found
