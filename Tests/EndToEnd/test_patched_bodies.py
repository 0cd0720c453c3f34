"""Connectors that change the body: what is sent is made from what the caller sent, each time, and accounted for once."""

import hashlib
import hmac
import json

import pytest

from harness.problems import problem
from secrets_used import SECRETS

CONNECTOR = """{
  "connector": "sealed", "title": "A seal in the body",
  "secrets": { "key": { "about": "The key" } },
  "set": { "json": { "seal": "${hex(hmac_sha256(secret.key, body))}" } },
}
"""
BUFFERED = 1024 * 1024


@pytest.fixture(scope="module")
def sealing(build, upstream):
    house = build({
        "sealed": {"connector": "sealed", "upstream": upstream.origin, "secrets": {"key": "shared/token"},
                   "retry": {"attempts": 2}, "limits": {"body": "4MiB"}},
    }, limits={"buffered": "1MiB"}, loops=1)
    directory = house.home / "connectors"
    directory.mkdir(mode=0o755)
    (directory / "sealed.jsonc").write_text(CONNECTOR)
    house.settings["connectors"] = [str(directory)]
    house.write()
    with house:
        yield house


def sealed(body):
    """What goes upstream for `body`."""
    seal = hmac.new(SECRETS["shared/token"].encode(), body, hashlib.sha256).hexdigest()
    return {**json.loads(body), "seal": seal}


def send(house, method, body):
    return house.exchange(method, "/sealed/x", [("Content-Type", "application/json")], body)


def test_each_attempt_is_signed_for_what_the_caller_sent(sealing, upstream):
    """Not for what the attempt before it made of that."""

    def busy_twice(exchange):
        exchange.answer(503 if len(seen.all) < 3 else 200, [], b"x")

    body = b'{"a": 1}'
    with upstream.answering(busy_twice) as seen:
        assert send(sealing, "PUT", body).status == 200
    assert [json.loads(exchange.body) for exchange in seen.all] == [sealed(body)] * 3


def test_bodies_that_shrink_leave_room_for_the_next(sealing, upstream):
    body = json.dumps({"a": 1, "seal": "x" * (BUFFERED // 4)}).encode()
    with upstream.answering() as seen:
        for _ in range(10):
            assert send(sealing, "POST", body).status == 200
    assert [json.loads(exchange.body) for exchange in seen.all] == [sealed(body)] * 10


def test_bodies_that_grow_leave_the_limit_where_it_is(sealing, upstream):
    with upstream.answering():
        for _ in range(10):
            assert send(sealing, "POST", b"{}").status == 200
        # Ten seals, each some eighty bytes, were sent that nobody had taken room for.
        problem(send(sealing, "POST", json.dumps({"a": "x" * (BUFFERED - 8)}).encode() + b" " * 200), "overloaded")
        assert send(sealing, "POST", b"{}").status == 200
