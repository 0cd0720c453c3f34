"""CodeGate: what the daemon puts on the wire is what the vendor's own client would have."""

import base64
import json
import re

import pytest
import requests
from codegate_sdk import CodeGateClient

from harness.codegate import assert_signed, signature
from harness.daemon import TOP
from harness.upstream import Exchange
from secrets_used import API_KEY, VECTOR_SECRETS

CASES = json.loads((TOP / "Tests/Vectors/codegate.json").read_text())["cases"]
SECRET = next(iter(VECTOR_SECRETS))
PROJECT = "550e8400e29b41d4a716446655440000"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_vector_arrives_signed(house, seen, case):
    body = base64.b64decode(case["body_base64"])
    # The judge first: what computes the expected signature below gives the vector's own at the vector's own time.
    assert signature(case["method"], case["target"], body, case["timestamp"], case["secret"]) == case["signature"]

    route = VECTOR_SECRETS[case["secret"]]
    fields = [("Content-Type", "application/json")] if body else []
    response = house.exchange(case["method"], f"/{route}{case['target']}", fields, body or None)

    assert response.status == 200
    arrived = seen.only()
    assert arrived.method.decode() == case["method"]
    assert arrived.target.decode() == case["target"], "the target goes upstream byte for byte"
    assert arrived.body == body
    assert_signed(arrived, API_KEY, case["secret"])


def test_a_signature_that_is_off_by_one_byte_is_noticed(house, seen):
    """The control of the test above: its judge refuses a body, a path, a query and a time that were not signed."""
    house.exchange("POST", f"/codegate/api/v1/projects/{PROJECT}/codes/verify?b=2&a=1", body=b'{"code":"X"}')
    arrived = seen.only()
    assert_signed(arrived, API_KEY, SECRET)
    for old, new in [(b"POST /api", b"POST /Api"), (b"b=2", b"b=3"), (b"X-Timestamp: 1", b"X-Timestamp: 2")]:
        assert old in arrived.head
        changed = Exchange(arrived.connection, arrived.head.replace(old, new))
        changed._body = arrived.body
        with pytest.raises(AssertionError):
            assert_signed(changed, API_KEY, SECRET)
    arrived._body += b" "
    with pytest.raises(AssertionError):
        assert_signed(arrived, API_KEY, SECRET)


# The seven calls of the vendor's client, and what a program sends instead when the daemon signs.
CALLS = [
    ("get_project", {}, "GET", "", None),
    ("list_codes", {"page": 2, "page_size": 50, "status": "unused", "search": "summer sale/促销"}, "GET",
     "/codes?page=2&page_size=50&status=unused&search=summer+sale%2F%E4%BF%83%E9%94%80", None),
    ("get_code", {"code_id": "0f8fad5bd9cb469fa16570867728950e"}, "GET", "/codes/0f8fad5bd9cb469fa16570867728950e", None),
    ("get_code_by_code", {"code": "AB/12 C?#é"}, "GET", "/codes/by-code/AB%2F12%20C%3F%23%C3%A9", None),
    ("verify_code", {"code": "ABC12345", "verified_by": "用户123"}, "POST", "/codes/verify",
     {"code": "ABC12345", "verified_by": "用户123"}),
    ("reactivate_code", {"code": "ABC12345", "reactivated_by": "ops", "reason": "refund"}, "POST", "/codes/reactivate",
     {"code": "ABC12345", "reactivated_by": "ops", "reason": "refund"}),
    ("get_statistics", {}, "GET", "/statistics", None),
]


@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
def test_a_plain_request_is_the_vendor_clients_request(house, upstream, authority, call):
    name, arguments, method, path, body = call
    client = CodeGateClient(api_key=API_KEY, secret=SECRET, project_id=PROJECT, base_url=upstream.origin)
    client.session.verify = str(authority.path)
    with upstream.answering() as seen:
        getattr(client, name)(**arguments)
        direct = seen.only()
    with upstream.answering() as seen:
        requests.request(
            method, f"{house.url}/codegate/api/v1/projects/{PROJECT}{path}",
            data=json.dumps(body, ensure_ascii=False).encode() if body else None,
            headers={"Content-Type": "application/json"},
        ).raise_for_status()
        brokered = seen.only()

    for part in "method", "target", "body":
        assert getattr(brokered, part) == getattr(direct, part)
    for field in "Host", "X-API-Key", "Content-Type", "Content-Length":
        assert brokered.value(field) == direct.value(field)
    # The times may differ by the second in between; each signature has to be right for its own.
    assert_signed(direct, API_KEY, SECRET)
    assert_signed(brokered, API_KEY, SECRET)


@pytest.mark.parametrize("call", CALLS, ids=[call[0] for call in CALLS])
def test_the_vendor_client_itself_works_through_the_daemon_without_knowing_a_secret(house, seen, call):
    name, arguments, _, path, _ = call
    client = CodeGateClient(api_key="none", secret="none", project_id=PROJECT, base_url=f"{house.url}/codegate")
    answer = getattr(client, name)(**arguments)
    arrived = seen.only()
    assert arrived.target.decode() == f"/api/v1/projects/{PROJECT}{path}" == answer["target"]
    assert_signed(arrived, API_KEY, SECRET)


def test_a_business_failure_passes_untouched(house, upstream):
    said = b'{"success": false, "error_code": "CODE_ALREADY_USED"}'

    def refuse(exchange):
        exchange.answer(200, [("Content-Type", "application/json"), ("X-Vendor", "yes")], said)

    with upstream.answering(refuse):
        response = house.exchange("POST", "/codegate/api/v1/projects/p/codes/verify", body=b'{"code": "A"}')
    assert (response.status, response.body) == (200, said)
    assert response.value("X-Vendor") == "yes"
    assert response.value("Proxy-Status") is None


def test_an_upstreams_own_error_passes_unchanged_and_is_told_apart(house, upstream):
    with upstream.answering(lambda exchange: exchange.answer(401, [("Content-Type", "text/plain")], b"authentication failed")):
        response = house.exchange("GET", "/codegate/api/v1/projects/p")
    assert (response.status, response.body) == (401, b"authentication failed")
    assert response.value("Content-Type") == "text/plain"
    assert response.value("Proxy-Status") is None
    assert response.value("X-Request-Id")


def test_what_the_caller_sends_under_the_connectors_names_is_replaced(house, seen):
    house.exchange(
        "GET", "/codegate/api/v1/projects/p",
        [("x-api-key", "mine"), ("X-SIGNATURE", "0" * 64), ("X-Timestamp", "1")],
    )
    assert_signed(seen.only(), API_KEY, SECRET)


def test_explain_shows_every_step_and_sends_nothing(house, seen):
    body = house.home / "body.json"
    body.write_bytes(b'{"code":"X"}')
    done = house.run_well("explain", "codegate", "POST", "/api/v1/projects/p/codes/verify?b=2&a=1+%c3%a9", "--body", body)
    assert "a=1+%C3%A9&b=2" in done.out, "the canonical query"
    assert "canonical_query" in done.out and "string_to_sign" in done.out
    assert "•••" in done.out, "the API key is masked"
    times = set(re.findall(r"\b1[0-9]{9}\b|\b[2-9][0-9]{9}\b", done.out))
    computed = {signature("POST", "/api/v1/projects/p/codes/verify?b=2&a=1+%c3%a9", b'{"code":"X"}', int(time), SECRET)
                for time in times}
    assert computed & set(re.findall(r"\b[0-9a-f]{64}\b", done.out)), f"no right signature in {done.out}"
    for secret in API_KEY, SECRET:
        assert secret not in done.out + done.err
    seen.none()


def test_explain_speaks_json_too(house):
    done = house.run_well("explain", "codegate", "GET", "/api/v1/projects/p?b=2&a=1", "--json")
    assert "a=1&b=2" in json.dumps(json.loads(done.out))
    assert API_KEY not in done.out
