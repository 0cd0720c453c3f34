"""A daemon with an agent before an ATH server, and the way through its handshake by the daemon's endpoints."""

import base64
import json

import pytest

from .ath_client import REDIRECT_URI, came_back
from .ath_servers import Gateway, NativeService
from .problems import problem
from .waiting import until

SERVERS = {"gateway": Gateway, "native": NativeService}
DEVELOPER = {"name": "Example Ltd", "id": "dev-7"}
SCOPES = ["mail:read"]

# For tests of what does not depend on the mode.
in_one_mode = pytest.mark.parametrize("kind", ["gateway"], indirect=True)


def secrets_of(agent):
    """What a private key must not show of itself: the lines of its PEM, and its number."""
    number = agent.key.private_numbers().private_value.to_bytes(32, "big")
    lines = [line for line in agent.pem.splitlines() if not line.startswith("-----")]
    return [*lines, number.hex(), base64.urlsafe_b64encode(number).decode().rstrip("=")]


class AgentStage:
    """A route `r` with an agent; `agent` is None where the daemon made the key."""

    def __init__(self, stage, server, agent_id, agent=None):
        self.stage, self.server, self.agent_id, self.agent = stage, server, agent_id, agent
        self.house, self.clock = stage.house, stage.clock
        self.provider = server.app_id if isinstance(server, NativeService) else "mail"
        self.authority = stage.upstream.authority

    def ask(self, method, action, members=None, subject=None, fields=(), body=None, route="r"):
        """One request to an endpoint; `members` are sent as JSON, `body` as it is."""
        fields = [*fields, *([("Content-Type", "application/json")] if members is not None else []),
                  *([("X-Chatelaine-Subject", subject)] if subject else [])]
        body = json.dumps(members).encode() if members is not None else body
        response = self.house.exchange(method, f"/-/ath/{route}/{action}", fields, body)
        self.stage.texts.append(response.head + response.body)
        return response

    def well(self, method, action, members=None, subject=None):
        response = self.ask(method, action, members, subject)
        assert response.status == 200, response
        return response.json()

    # The steps: what is asked, and then that it went well.

    def wish(self, step, **more):
        """The usual body of a step."""
        usual = {
            "register": {"developer": DEVELOPER, "providers": [{"provider_id": self.provider, "scopes": SCOPES}],
                         "purpose": "tests", "redirect_uris": [REDIRECT_URI]},
            "authorize": {"scopes": SCOPES}, "revoke": {},
        }[step]
        return {name: value for name, value in {**usual, **more}.items() if value is not ...}

    def discover(self):
        return self.well("GET", "discover")

    def register(self, **more):
        return self.well("POST", "register", self.wish("register", **more))

    def authorize(self, subject=None, **more):
        return self.well("POST", "authorize", self.wish("authorize", **more), subject)

    def back(self, begun):
        """The user decides, and comes back: the body of an exchange."""
        back = came_back(self.server.goes_to(begun["authorization_url"]))
        return {"code": back.get("code", ""), "session_id": begun["ath_session_id"]}

    def exchange(self, begun, subject=None):
        return self.well("POST", "exchange", self.back(begun), subject)

    def revoke(self, subject=None):
        return self.well("POST", "revoke", {}, subject)

    def ready(self):
        """Discovered and registered."""
        self.discover()
        self.register()
        return self

    def connect(self, subject=None, **more):
        return self.exchange(self.authorize(subject, **more), subject)

    def call(self, target="/v1/messages", method="GET", subject=None, body=None, fields=()):
        named = [("X-Chatelaine-Subject", subject)] if subject else []
        return self.stage.ask(method, target, [*named, *fields], body)

    def token_of(self, subject=None):
        """The number of the token that a call for `subject` goes out with."""
        response = self.call(subject=subject)
        assert response.status == 200, response
        return response.json()["token"]

    # One step by its name, on a stage that is ready for it.

    def before(self, step):
        """Goes all the way up to `step`; the body that it wants."""
        if step == "discover":
            return None
        self.discover()
        if step == "register":
            return self.wish("register")
        self.register()
        if step == "authorize":
            return self.wish("authorize")
        if step == "exchange":
            return self.back(self.authorize())
        self.connect()
        return {}

    def take(self, step, members):
        return self.ask("GET" if step == "discover" else "POST", step, members)

    # Looking at it.

    def refusals(self, count):
        """Why sessions were refused so far, by the log; there are `count`."""

        def reasons():
            lines = [json.loads(line) for line in self.house.log_lines() if '"session refused"' in line]
            return [line["reason"] for line in lines] if len(lines) >= count else None

        found = until(reasons, f"{count} refusals in the log: {self.house.log()[-3000:]}") if count else reasons()
        assert len(found) == count, found
        return found

    def heard(self, step=None):
        return self.server.steps(step)

    def status(self):
        """What `status` tells of the agent."""
        routes = json.loads(self.stage.run_well("status", "--json").out)["routes"]
        return next(route["agent"] for route in routes if route["name"] == "r")

    def set_route(self, **settings):
        """Changes the route, and has the daemon take it up."""
        self.house.settings["routes"]["r"].update(settings)
        self.house.write()
        self.stage.run_well("reload")


def refused(response, code, upstream_code=..., route="r"):
    """Asserts that an endpoint answered with this problem, and returns its members. `upstream_code` None: it has none."""
    members = problem(response, code, route)
    if upstream_code is not ...:
        assert members.get("upstream_code") == upstream_code, members
        assert upstream_code is None or upstream_code in members["detail"], members
    assert "chatelaine" in members["hint"] or code in ("malformed_request", "authorization_failed"), members
    assert "ROUTE" not in members["hint"], members
    return members
