"""ATH: what happens while a server takes its time, and what of its answers is told."""

import gzip
import json
import threading

import pytest

from harness.ath_servers import error
from harness.ath_stage import in_one_mode, refused
from harness.vendors import says
from harness.waiting import until


class Asked(threading.Thread):
    """A request on its way."""

    def __init__(self, ask):
        super().__init__()
        self.ask = ask
        self.start()

    def run(self):
        self.response = self.ask()

    def answer(self):
        self.join(30)
        assert not self.is_alive()
        return self.response


@in_one_mode
def test_a_token_that_comes_while_another_is_revoked_stays(place):
    place.ready()
    place.connect()
    with place.server.silent("revoke"):
        ending = Asked(lambda: place.ask("POST", "revoke", {}))
        until(lambda: place.heard("revoke"), "the server to be told")
        assert place.call().status == 424, "the one that goes is not sent any more"
        place.connect()
    assert ending.answer().json()["revoked"] is True
    assert place.token_of() == 2
    assert [token.revoked for token in place.server.tokens] == [True, False]


@in_one_mode
@pytest.mark.parametrize("step", ["authorize", "exchange"])
def test_an_answer_for_a_route_that_was_pointed_elsewhere_meanwhile(place, step):
    members = place.before(step)
    options = place.house.settings["routes"]["r"]["options"]
    with place.server.silent(step):
        asked = Asked(lambda: place.take(step, members))
        until(lambda: place.heard(step), "the server to be asked")
        place.set_route(options={**options, "provider": "files"})
    refused(asked.answer(), "authorization_failed", None)
    assert not place.stage.tokens()
    place.set_route(options=options)
    place.connect()


@in_one_mode
def test_a_registration_that_was_approved_since(place):
    place.server.verdict = "pending"
    assert place.ready().status()["registration"]["agent_status"] == "pending"
    place.server.decides("approved")
    assert place.register()["agent_status"] == "approved"
    assert place.status()["registration"]["agent_status"] == "approved"
    place.connect()


@in_one_mode
@pytest.mark.parametrize("step", ["discover", "register", "authorize", "exchange"])
def test_a_server_that_repeats_what_it_was_shown(place, step):
    """A header of the route, and the attestation."""
    secret = "canary-user-session-5f8e"
    place.server.user_token = secret
    place.stage.run_well("secret", "set", "r/user", input=secret)
    place.set_route(headers={"X-ATH-User-Token": {"secret": "r/user"}})
    members = place.before(step)
    shown = []

    def repeats(exchange, heard):
        shown.append((heard.json or {}).get("agent_attestation", "none"))
        exchange.answer(400, [("Content-Type", "application/json")], json.dumps({
            "code": "OAUTH_ERROR", "message": f"not with {secret}, nor with {shown[0]}"}).encode())

    place.server.answers(step, repeats)
    detail = refused(place.take(step, members), "authorization_failed", "OAUTH_ERROR")["detail"]
    assert secret not in detail
    assert shown == ["none"] or shown[0][-40:] not in detail


@in_one_mode
def test_only_what_the_protocol_has_is_told(place):
    place.discover()
    place.server.answers("register", says(201, {
        "client_id": "ath-client-x", "client_secret": "canary-secret-0123456789", "agent_status": "approved",
        "approval_expires": "2030-01-01T00:00:00Z", "registration_access_token": "canary-rat-0123456789",
        "approved_providers": [{"provider_id": "mail", "approved_scopes": ["mail:read"], "key": "canary-key-0123456789"}]}))
    answer = place.register()
    assert set(answer) == {"client_id", "agent_status", "approval_expires", "approved_providers"}
    assert answer["approved_providers"] == [{"provider_id": "mail", "approved_scopes": ["mail:read"]}]
    assert "canary" not in json.dumps(place.status())


@in_one_mode
def test_of_a_token_only_what_the_protocol_has_is_told(place):
    members = place.before("exchange")
    place.server.answers("exchange", says(200, {
        "access_token": "canary-access-0123456789", "token_type": "Bearer", "expires_in": 60, "effective_scopes": ["mail:read"],
        "token": "canary-access-0123456789", "api_key": "canary-api-0123456789", "provider_id": "mail",
        "agent_id": place.agent_id, "scope_intersection": {"effective": ["mail:read"], "id_token": "canary-id-0123456789"}}))
    told = place.take("exchange", members)
    assert told.status == 200 and "canary" not in told.body.decode()
    assert set(told.json()) == {
        "subject", "token_type", "expires_in", "effective_scopes", "provider_id", "agent_id", "scope_intersection"}


@in_one_mode
def test_a_compressed_refusal_is_one_as_well(place):
    """Callers ask for compressed answers; those that tell of the token must come as they are."""
    place.ready()
    place.connect()
    asked = []

    def compresses(exchange, heard):
        asked.append(heard.field("Accept-Encoding"))
        body = json.dumps({"code": "TOKEN_REVOKED", "message": "x"}).encode()
        is_wanted = "gzip" in (asked[-1] or "")
        exchange.answer(401, [("Content-Type", "application/json"), *([("Content-Encoding", "gzip")] if is_wanted else [])],
                        gzip.compress(body) if is_wanted else body)

    place.server.answers("call", compresses)
    assert place.call(fields=[("Accept-Encoding", "gzip, br")]).status == 401
    assert asked == ["identity"]
    refused(place.call(), "reauthorization_required")
    assert len(place.heard("call")) == 1


@in_one_mode
def test_a_token_that_is_revoked_soon_after_another_expired(place):
    place.ready()
    place.connect()
    place.server.answers("call", error("TOKEN_EXPIRED"))
    refused(place.call(), "reauthorization_required")
    place.connect()
    place.server.answers("call", error("TOKEN_REVOKED"))
    assert place.call().status == 401
    refused(place.call(), "reauthorization_required")
