"""FastMoss: a token and a signature on every call, in the vendor's own arithmetic. systems/fastmoss.md is the vendor here."""

import base64
import json
from urllib.parse import parse_qsl

import pytest

from harness.daemon import TOP
from harness.problems import problem
from harness.vendors import FastMoss, says
from secrets_used import SECRETS

CASES = json.loads((TOP / "Tests/Vectors/fastmoss.json").read_text())["cases"]
CLIENT, SECRET = SECRETS["fastmoss/client_id"], SECRETS["fastmoss/client_secret"]
STORED = {secret: name for name, secret in SECRETS.items() if name.startswith("fastmoss") and name.endswith("client_secret")}
NAMES = {"client_id": "fastmoss/client_id", "client_secret": "fastmoss/client_secret"}
DAY = 86400


@pytest.fixture
def vendor():
    return FastMoss(CLIENT, SECRET)


@pytest.fixture
def stage(staged, vendor):
    return staged(vendor, "fastmoss", secrets=NAMES)


def call(stage, target="/product/v1/search", body=b'{"page": 1}', fields=(("Content-Type", "application/json"),)):
    response = stage.ask("POST", target, fields, body)
    assert response.status == 200, response
    assert response.json()["code"] == 0
    return response.json()["data"]["grant"]


def query(exchange):
    return parse_qsl(exchange.target.partition(b"?")[2].decode(), keep_blank_values=True)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_vector_arrives_signed(staged, case):
    body = base64.b64decode(case["body_base64"])
    vendor = FastMoss(CLIENT, case["secret"])
    # The judge first: the vendor of these tests, which checks each call, computes the published signature.
    assert vendor.sign(case["uri"].encode(), body) == case["sign"]
    stage = staged(vendor, "fastmoss", secrets={**NAMES, "client_secret": STORED[case["secret"]]})

    assert stage.ask("POST", case["uri"], body=body).status == 200

    arrived = vendor.calls[-1].exchange
    assert dict(query(arrived))["sign"] == case["sign"]
    assert arrived.target.decode().partition("?")[0] == case["uri"]
    assert arrived.body == body


def test_a_signature_that_is_off_by_one_byte_is_noticed(stage, vendor):
    """The control: the vendor of these tests refuses what was not signed."""
    call(stage)
    exchange = vendor.calls[-1].exchange
    vendor.credential(exchange)
    exchange._body += b" "
    with pytest.raises(AssertionError):
        vendor.credential(exchange)


def test_a_call_has_what_the_vendor_asks_for_and_nothing_else(stage, vendor):
    call(stage)
    asked = vendor.asked[0]
    assert (asked.kind, asked.exchange.method, asked.exchange.target) == ("fetch", b"POST", b"/v1/token")
    assert asked.values == {"client_id": CLIENT, "client_secret": SECRET}
    arrived = vendor.calls[0].exchange
    assert sorted(name for name, _ in query(arrived)) == sorted(vendor.NAMES)
    assert dict(query(arrived))["access_token"] == vendor.grants[0].access
    assert arrived.value("Authorization") is None
    assert SECRET.encode() not in arrived.head + arrived.body


def test_a_body_in_any_script_arrives_whole(stage, vendor):
    """The vendor's client counts characters and cuts what is longer in bytes."""
    body = json.dumps({"keyword": "口红 🧴 crème", "page": 1}, ensure_ascii=False).encode()
    assert len(body) > len(body.decode())
    call(stage, body=body)
    assert vendor.calls[-1].exchange.body == body
    assert vendor.calls[-1].exchange.value("Content-Length") == str(len(body))


def test_the_callers_query_stays_and_its_use_of_our_names_is_replaced(stage, vendor):
    call(stage, "/product/v1/search?region=US&q=a%20b&sign=mine&Sign=other&access_token=stolen&timestamp=1&client_id=me"
                "&sign=again&signature_version=1&region=GB")
    pairs = query(vendor.calls[-1].exchange)
    assert [pair for pair in pairs if pair[0] not in vendor.NAMES] == [
        ("region", "US"), ("q", "a b"), ("region", "GB")]
    assert b"q=a%20b" in vendor.calls[-1].exchange.target, "as it was written"
    assert "mine" not in str(pairs) and "stolen" not in str(pairs) and "again" not in str(pairs)


def test_a_name_of_ours_in_another_spelling_is_the_same_name(stage, vendor):
    call(stage, "/product/v1/search?s%69gn=mine&x=1")
    pairs = query(vendor.calls[-1].exchange)
    assert [name for name, _ in pairs].count("sign") == 1


def test_the_callers_content_type_gives_way(stage, vendor):
    """The vendor checks it in every call: `application/json; charset=utf-8`."""
    call(stage, fields=[("content-type", "text/plain")])
    call(stage, fields=[])


def test_a_token_is_fetched_once_and_then_used(stage, vendor):
    assert [call(stage) for _ in range(5)] == [1] * 5
    assert vendor.kinds() == ["fetch"]


def test_the_whole_cycle(stage, vendor):
    """Fetched, kept, refreshed within ten minutes of expiry, and fetched anew where the refresh token is over as well."""
    assert call(stage) == 1
    # A lifetime is 7,200 s, of which the last 600 are not used; at most a tenth of these is jitter.
    stage.clock.passes(7200 - 600 - 70)
    assert call(stage) == 1
    assert vendor.kinds() == ["fetch"], "not before its time"
    stage.clock.passes(75)
    call(stage)
    vendor.wait_for_asked(2)
    assert vendor.asked[1].kind == "refresh"
    assert vendor.asked[1].values == {"client_id": CLIENT, "refresh_token": vendor.grants[0].refresh}
    assert b"/v1/refreshToken" == vendor.asked[1].exchange.target
    stage.turn()
    assert call(stage) == 2
    # Long unused: both tokens are over.
    stage.clock.passes(31 * DAY)
    assert call(stage) == 3
    assert vendor.kinds() == ["fetch", "refresh", "fetch"]
    assert not vendor.dead()


def test_an_expired_token_is_refreshed_before_it_is_used(stage, vendor):
    assert call(stage) == 1
    stage.clock.passes(7200 + 1)
    assert call(stage) == 2
    assert vendor.kinds() == ["fetch", "refresh"]
    assert not vendor.dead()


def test_a_refresh_token_in_its_last_ten_minutes_is_not_used(staged, vendor):
    vendor.refresh_lifetime = 8000
    stage = staged(vendor, "fastmoss", secrets=NAMES)
    call(stage)
    stage.clock.passes(8000 - 599)
    assert call(stage) == 2
    assert vendor.kinds() == ["fetch", "fetch"]


def test_a_refused_refresh_falls_back_to_a_new_token(stage, vendor):
    call(stage)
    vendor.refuses_refresh = True
    stage.clock.passes(7200 + 1)
    assert call(stage) == 2
    assert vendor.kinds() == ["fetch", "refresh", "fetch"]
    assert [call(stage) for _ in range(3)] == [2] * 3


def test_a_failure_inside_http_200_is_a_failure(stage, vendor):
    vendor.answer = says(200, {"code": 10001, "msg": "client_id is blocked, write to support", "data": {
        "access_token": "not-to-be-used", "expire_at": 4102444800, "refresh_token": "r", "refresh_expire_at": 4102444800}})
    response = stage.ask("POST", "/test", body=b"{}")
    members = problem(response, "token_refused", "r")
    assert "client_id is blocked, write to support" in members["detail"]
    assert not vendor.calls


@pytest.mark.parametrize("words", ["msg", "message"])
def test_the_vendors_words_come_through_under_either_name(stage, vendor, words):
    vendor.answer = says(200, {"code": 30001, words: "no permission", "data": None})
    assert "no permission" in problem(stage.ask("POST", "/test", body=b"{}"), "token_refused", "r")["detail"]


@pytest.mark.parametrize("code", [30003, 40001])
def test_what_passes_is_no_refusal(stage, vendor, code):
    """Rate and service are told inside of HTTP 200 as well: the endpoint is asked again, after a pause, and nobody is told no."""
    vendor.answer = says(200, {"code": code, "msg": "come back later", "data": None})
    response = stage.ask("POST", "/test", body=b"{}")
    assert "come back later" in problem(response, "token_unavailable", "r")["detail"]
    assert int(response.value("Retry-After")) >= 1
    assert stage.tokens()["r", "default"]["state"] == "backing_off"
    problem(stage.ask("POST", "/test", body=b"{}"), "token_unavailable", "r")
    assert vendor.kinds() == ["fetch"], "it is not asked again at once"
    vendor.answer = None
    stage.clock.passes(301)
    assert call(stage) == 1


def test_a_refresh_that_may_do_later_is_no_end(stage, vendor):
    call(stage)
    vendor.answer = says(200, {"code": 40001, "msg": "down", "data": None})
    stage.clock.passes(7200 + 1)
    problem(stage.ask("POST", "/test", body=b"{}"), "token_unavailable", "r")
    vendor.answer = None
    stage.clock.passes(301)
    assert call(stage) == 2


def test_a_business_failure_of_a_call_passes_untouched(stage, vendor):
    said = b'{"code": 30003, "msg": "rate limited", "data": null}'
    call(stage)
    vendor.serve = lambda exchange, seen: exchange.answer(200, [("Content-Type", "application/json")], said)
    response = stage.ask("POST", "/test", body=b"{}")
    assert (response.status, response.body) == (200, said)
    assert response.value("Proxy-Status") is None
    assert vendor.kinds() == ["fetch"]


def test_a_token_that_was_stored_serves_after_a_restart(stage, vendor):
    call(stage)
    stage.restart()
    assert call(stage) == 1
    stage.clock.passes(7200)
    stage.restart()
    assert call(stage) == 2
    assert vendor.kinds() == ["fetch", "refresh"]


def test_explain_masks_token_and_secret(stage, vendor):
    call(stage)
    body = stage.house.home / "body.json"
    body.write_text('{"page": 1}')
    for more in (), ("--json",):
        shown = stage.run_well("explain", "r", "POST", "/product/v1/search?x=1", "--body", str(body), *more)
        assert vendor.sign(b"/product/v1/search", b'{"page": 1}') in shown.out
        assert "•••" in shown.out
    assert (len(vendor.asked), len(vendor.calls)) == (1, 1), "it sends nothing"
