"""ATH through the daemon: the same servers that the protocol's own client went the whole way with, asked for the same."""

import json

import pytest

from harness.ath_attestation import parts_of
from harness.ath_client import REDIRECT_URI
from harness.ath_handshake import differences, handshake_of
from harness.ath_sdk import handshake_of_sdk
from harness.ath_stage import SCOPES, SERVERS, in_one_mode

CALLS = (("GET", "/v1/messages?q=a%20b", None), ("POST", "/v1/messages", {"to": "x", "n": 1}), ("DELETE", "/", None))


def goes_the_whole_way(place, authorize=None):
    place.discover()
    answer = place.register()
    assert answer["agent_status"] == "approved" and "client_secret" not in answer
    told = place.connect(**(authorize or {}))
    assert told["subject"] == "default" and told["effective_scopes"] == SCOPES and "access_token" not in told
    for method, target, members in CALLS:
        fields = [("Content-Type", "application/json")] if members is not None else []
        body = json.dumps(members).encode() if members is not None else None
        assert place.call(target, method, body=body, fields=fields).status == 200
    assert place.revoke() == {"subject": "default", "revoked": True}
    assert not place.server.refusals


@pytest.mark.parametrize("form", ["", "async "], ids=["sync", "async"])
def test_the_daemon_says_what_the_protocols_own_client_says(place, kind, form):
    way = {"redirect_uri": REDIRECT_URI, "resource": "https://mail.example.com/"}
    goes_the_whole_way(place, way)
    theirs = handshake_of_sdk(form + kind, place.agent, calls=CALLS, **way)
    said = differences(theirs, handshake_of(place.server))
    # Its attestations are good for an hour; ours for five minutes, which is what servers' clocks may be off (T8.5).
    assert all(line.endswith('.exp: "<iat + 3600>", "<iat + 300>"') for line in said) and len(said) == 3, said


def test_an_agent_whose_key_and_document_are_the_daemons_own(settle, kind):
    place = settle(kind, key="generated")
    goes_the_whole_way(place)
    documents = place.server.attestations.documents.fetched
    assert {agent_id for agent_id, _ in documents} == {place.agent_id}
    assert {fields["cache-control"] for _, fields in documents} == {"max-age=300"}


def test_a_server_below_a_path_of_its_own(settle, kind):
    server = SERVERS[kind](base="/below/it")
    goes_the_whole_way(settle(kind, server=server))


def test_over_plain_http_on_loopback(settle, kind):
    """For servers on this machine: without TLS, by the same rules."""
    with SERVERS[kind]().open() as server:
        origin = server.origin
        place = settle(kind, server=server, upstream=origin)
        server.origin = origin  # instead of the stage's own
        goes_the_whole_way(place)


def test_attestations_are_fresh(place, kind):
    """One for each request, never kept: the same step twice has two. The server checks all the rest of them."""
    place.register()
    if kind == "native":
        place.discover()
    for _ in range(3):
        place.connect()
    said = [(heard.step, *parts_of(heard.json["agent_attestation"])) for heard in place.heard()
            if heard.step in ("register", "authorize", "exchange")]
    assert [step for step, _, _ in said] == ["register"] + ["authorize", "exchange"] * 3
    assert len({claims["jti"] for _, _, claims in said}) == 7
    url = place.server.url
    for step, header, claims in said:
        assert header == {"alg": "ES256", "typ": "JWT", "kid": "default"}
        assert claims["iss"] == claims["sub"] == place.agent_id and claims["capabilities"] == []
        assert claims["aud"] == (f"{url}/ath/token" if step == "exchange" else url)
        assert abs(claims["iat"] - place.clock.now()) < 30 and claims["exp"] == claims["iat"] + 300
        assert len(claims["jti"]) >= 22, "128 bits"
    assert not [heard for heard in place.heard() if heard.step in ("discover", "revoke") and b"attestation" in heard.body]


def test_attestations_go_by_the_clock_of_now(place):
    place.ready()
    place.clock.passes(7200)
    place.connect()
    assert not place.server.refusals
    claims = [parts_of(heard.json["agent_attestation"])[1] for heard in place.heard("exchange")]
    assert abs(claims[0]["iat"] - place.clock.now()) < 30


def test_options_of_the_agent_are_in_what_it_says(settle, kind):
    developer = {"name": "Other Ltd", "id": "dev-9", "contact": "dev@example.com"}
    place = settle(kind, key="generated", options={
        "key_id": "2025-k", "developer": developer, "capabilities": ["mail", "büro"]})
    place.discover()
    place.register(developer=...)
    place.connect()
    register, authorize, exchange = (place.heard(step)[0] for step in ("register", "authorize", "exchange"))
    assert register.json["developer"] == developer
    for heard in register, authorize, exchange:
        header, claims = parts_of(heard.json["agent_attestation"])
        assert header["kid"] == "2025-k" and claims["capabilities"] == ["mail", "büro"]
    document = place.well("GET", "agent.json")
    assert document["developer"] == developer and document["capabilities"] == ["mail", "büro"]
    assert document["public_key"]["kid"] == "2025-k"


# What goes with every request


def test_the_users_own_session_goes_along_on_every_request(settle, kind):
    server = SERVERS[kind]()
    server.user_token = "canary-user-session-5f"
    place = settle(kind, server=server, headers={"X-ATH-User-Token": {"secret": "ath/user"}, "X-Tenant": "t1"})
    place.stage.run_well("secret", "set", "ath/user", input=server.user_token)
    goes_the_whole_way(place)
    assert {heard.field("X-ATH-User-Token") for heard in place.heard()} == {server.user_token}
    assert {heard.field("X-Tenant") for heard in place.heard()} == {"t1"}


def test_a_handshake_waits_for_a_header_that_is_not_stored(settle, kind):
    """Sending the request without it would be another request."""
    place = settle(kind, headers={"X-ATH-User-Token": {"secret": "ath/user"}})
    response = place.ask("GET", "discover")
    assert response.status == 424 and response.json()["code"] == "secret_missing", response
    assert response.json()["hint"] == "chatelaine secret set ath/user"
    assert not place.heard()


def test_what_is_ours_never_goes_upstream(place):
    """The server refuses to answer any of it; here is that it was asked with it."""
    place.discover()
    place.ask("POST", "register", place.wish("register"), "alice")
    place.connect("alice")
    response = place.call(subject="alice", fields=[("X-Chatelaine-Token", "x"), ("X-ATH-Agent-ID", "https://other/"), (
        "Authorization", "Bearer mine"), ("X-ATH-User-Token", "passes")])
    assert response.status == 200, response
    call = place.heard("call")[0]
    assert call.field("X-ATH-Agent-ID") == place.agent_id
    assert call.field("Authorization") == f"Bearer {place.server.tokens[0].access}"
    heads = b"".join(heard.exchange.head for heard in place.heard()).lower()
    assert b"chatelaine" in heads and b"x-chatelaine" not in heads, "the User-Agent names it, no field of ours"


def test_headers_of_the_route_are_there_once(settle, kind):
    """Also where they have the name of one that the handshake has by itself; its body is JSON, whatever the route says."""
    place = settle(kind, headers={"User-Agent": "mine/1", "Accept": "text/x", "X-Tenant": "t1"})
    goes_the_whole_way(place)
    for heard in place.heard():
        assert [heard.field(name) for name in ("User-Agent", "Accept", "X-Tenant")] == ["mine/1", "text/x", "t1"]


@in_one_mode
@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\nb", "a\x00b", "a\x7fb", "a "])
def test_a_stored_header_that_would_be_two(settle, kind, value):
    place = settle(kind, headers={"X-ATH-User-Token": {"secret": "ath/user"}})
    place.stage.run_well("secret", "set", "ath/user", input=value)
    response = place.ask("GET", "discover")
    assert response.status == 424 and response.json()["code"] == "secret_missing", response
    assert not place.heard()
