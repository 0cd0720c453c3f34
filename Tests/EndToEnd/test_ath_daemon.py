"""ATH through the daemon: the same servers that the protocol's own client went the whole way with, asked for the same."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.ath_client import REDIRECT_URI, came_back
from harness.ath_handshake import differences, handshake_of
from harness.ath_sdk import handshake_of_sdk
from harness.ath_servers import Gateway, NativeService

SERVERS = {"gateway": Gateway, "native": NativeService}
DEVELOPER = {"name": "Example Ltd", "id": "dev-7"}
SCOPES = ["mail:read"]
CALLS = (("GET", "/v1/messages?q=a%20b", None), ("POST", "/v1/messages", {"to": "x", "n": 1}), ("DELETE", "/", None))


class AgentStage:
    """A route `r` with an agent, and the way through its handshake by the daemon's endpoints."""

    def __init__(self, stage, server, agent):
        self.stage, self.server, self.agent = stage, server, agent
        self.provider = server.app_id if isinstance(server, NativeService) else "mail"

    def ask(self, method, action, members=None, subject=None):
        fields = [("Content-Type", "application/json")] if members is not None else []
        fields += [("X-Chatelaine-Subject", subject)] if subject else []
        body = json.dumps(members).encode() if members is not None else None
        response = self.stage.house.exchange(method, f"/-/ath/r/{action}", fields, body)
        self.stage.texts.append(response.head + response.body)
        return response

    def well(self, method, action, members=None, subject=None):
        response = self.ask(method, action, members, subject)
        assert response.status == 200, response
        return response.json()

    def register(self, **more):
        return self.well("POST", "register", {
            "developer": DEVELOPER, "providers": [{"provider_id": self.provider, "scopes": SCOPES}], "purpose": "tests",
            "redirect_uris": [REDIRECT_URI], **more})

    def authorize(self, subject=None, **more):
        return self.well("POST", "authorize", {"scopes": SCOPES, **more}, subject)

    def exchange(self, begun, subject=None):
        back = came_back(self.server.goes_to(begun["authorization_url"]))
        return self.well(
            "POST", "exchange", {"code": back.get("code", ""), "session_id": begun["ath_session_id"]}, subject)

    def connect(self, subject=None):
        return self.exchange(self.authorize(subject), subject)


@pytest.fixture(params=SERVERS)
def kind(request):
    return request.param


@pytest.fixture
def place(staged, identities, kind, tmp_path):
    """An agent whose key was imported, and whose document stands still."""
    agent = identities.agent()
    server = SERVERS[kind]()
    options = {"mode": kind, "agent_id": agent.agent_id, **({"provider": "mail"} if kind == "gateway" else {})}
    stage = staged(server, "ath", options=options)
    file = tmp_path / "agent.pem"
    file.write_text(agent.pem)
    stage.run_well("ath", "keygen", "r", "--from-file", str(file))
    return AgentStage(stage, server, agent)


def test_the_daemon_says_what_the_protocols_own_client_says(place, kind):
    place.well("GET", "discover")
    answer = place.register()
    assert answer["agent_status"] == "approved" and "client_secret" not in answer
    told = place.exchange(place.authorize(redirect_uri=REDIRECT_URI, resource="https://mail.example.com/"))
    assert told["effective_scopes"] == SCOPES and "access_token" not in told
    for method, target, members in CALLS:
        fields = [("Content-Type", "application/json")] if members is not None else []
        body = json.dumps(members).encode() if members is not None else None
        assert place.stage.ask(method, target, fields, body).status == 200
    assert place.well("POST", "revoke", {})["revoked"] is True
    assert not place.server.refusals
    theirs = handshake_of_sdk(
        kind, place.agent, calls=CALLS, redirect_uri=REDIRECT_URI, resource="https://mail.example.com/")
    said = differences(theirs, handshake_of(place.server))
    # Its attestations are good for an hour; ours for five minutes, which is what servers' clocks may be off (T8.5).
    assert all(line.endswith('.exp: "<iat + 3600>", "<iat + 300>"') for line in said) and len(said) == 3, said
