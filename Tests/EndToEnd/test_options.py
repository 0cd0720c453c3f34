"""What a route may say beyond connector and upstream (DESIGN §4), and who may write the configuration."""

import json

import pytest

from harness.problems import problem
from harness.upstream import Upstream
from harness.wire import Wire


@pytest.fixture(scope="module")
def plain():
    server = Upstream(None)
    yield server
    server.close()


@pytest.fixture(scope="module")
def varied(build, upstream, plain):
    def to(origin, **more):
        return {"connector": "bearer", "upstream": origin, "secrets": {"token": "shared/token"}, **more}

    house = build({
        "http": to(plain.origin),
        "cookies": to(upstream.origin, cookies="pass"),
        "empty": to(upstream.origin, empty_segments=True),
        "limited": to(upstream.origin, limits={"body": "1KiB"}),
        "prefixed": to(upstream.origin, options={"prefix": "Token"}),
        "own": to(upstream.origin),
    })
    house.settings["routes"]["own"]["listen"] = [{"unix": str(house.home / "own.sock"), "mode": "0600"}]
    house.write()
    with house:
        yield house


def test_an_http_upstream_on_this_machine_needs_no_tls(varied, plain):
    with plain.answering() as seen:
        assert varied.exchange("POST", "/http/x", body=b"body").status == 200
        arrived = seen.only()
    assert arrived.value("Host") == plain.authority
    assert arrived.value("Authorization").startswith("Bearer ")


def test_an_http_upstream_elsewhere_has_to_be_asked_for(varied):
    before = json.dumps(varied.settings)
    try:
        varied.settings["routes"]["http"]["upstream"] = "http://192.0.2.1"
        varied.write()
        done = varied.run("check")
        assert done.returncode == 78 and "insecure_upstream" in done.err
        varied.settings["routes"]["http"]["insecure_upstream"] = True
        varied.write()
        assert varied.run("check").returncode == 0
    finally:
        varied.settings = json.loads(before)
        varied.write()


def test_cookies_pass_where_the_route_says_so(varied, upstream):
    def set_one(exchange):
        exchange.answer(200, [("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")], b"x")

    with upstream.answering(set_one) as seen:
        response = varied.exchange("GET", "/cookies/x", [("Cookie", "s=t")])
        assert seen.only().value("Cookie") == "s=t"
    assert response.values("Set-Cookie") == ["a=b", "c=d"]


def test_empty_segments_pass_where_the_route_says_so(varied, upstream):
    with upstream.answering() as seen:
        assert varied.exchange("GET", "/empty/a//b").status == 200
        assert seen.only().target == b"/a//b"


@pytest.mark.parametrize("fields, body", [
    ([], b"x" * 1025),
    ([("Transfer-Encoding", "chunked")], b"401\r\n" + b"x" * 1025 + b"\r\n0\r\n\r\n"),
])
def test_a_limit_holds_for_a_body_that_streams_too(varied, upstream, fields, body):
    with upstream.answering(lambda exchange: exchange.answer(200, [], b"all of it")):
        with varied.wire() as wire:
            wire.request("POST", "/limited/x", fields, body)
            problem(wire.response(), "body_too_large", "limited")
            assert wire.ended()


def test_an_option_of_the_connector_is_used(varied, upstream):
    with upstream.answering() as seen:
        varied.exchange("GET", "/prefixed/x")
        assert seen.only().value("Authorization").startswith("Token ")


def test_a_route_has_a_socket_of_its_own(varied, upstream):
    with upstream.answering() as seen, Wire(varied.home / "own.sock") as wire:
        assert wire.exchange("GET", "/http/x").status == 200
        assert seen.only().target == b"/http/x"
        problem(wire.exchange("GET", "/x", host="http.localhost"), "misdirected")


def test_a_configuration_that_others_can_write_is_refused(build, upstream):
    """T10: whoever can write it decides where the credentials go."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    try:
        assert house.run("check").returncode == 0
        for mode in 0o664, 0o646:
            house.config.chmod(mode)
            assert house.run("check").returncode == 77
            house.start(wait=False)
            assert house.wait() == 77
    finally:
        house.remove()


def test_a_vendor_is_a_file(build, upstream):
    """A connector of one's own, from a directory that the configuration names; and what is wrong in one has its place."""
    house = build({"mine": {"connector": "mine", "upstream": upstream.origin, "secrets": {"key": "shared/token"}}})
    directory = house.home / "connectors"
    directory.mkdir(mode=0o755)
    file = directory / "mine.jsonc"
    text = """{
  "connector": "mine", "title": "Mine",
  "secrets": { "key": { "about": "The key" } },
  "values": { "stamp": "${lower(method)}:${path}" },
  "set": { "headers": { "X-Mine": "${hex(hmac_sha256(secret.key, stamp))}", "X-Stamp": "${stamp}" } },
}
"""
    file.write_text(text)
    house.settings["connectors"] = [str(directory)]
    house.write()
    with house, upstream.answering() as seen:
        assert house.exchange("GET", "/mine/a/b").status == 200
        arrived = seen.only()
        assert arrived.value("X-Stamp") == "get:/a/b"
        assert len(arrived.value("X-Mine")) == 64
        assert "get:/a/b" in house.run_well("explain", "mine", "GET", "/a/b").out
        # Broken while it runs: the reload is refused, and the old one goes on.
        file.write_text(text.replace("${lower(method)}", "${lowr(method)}"))
        done = house.run("reload")
        assert done.returncode == 78
        assert f"{file}:4:27: error:" in done.err and 'did you mean "lower"?' in done.err
        assert house.exchange("GET", "/mine/a/b").status == 200


@pytest.mark.parametrize("key, value", [("scrub", True), ("enforce", "warn"), ("upgrade", ["websocket"])])
def test_what_a_route_cannot_do_yet_is_refused_and_not_ignored(build, upstream, key, value):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin, key: value}})
    try:
        done = house.run("check")
        assert done.returncode == 78
        assert f'"{key}"' in done.err and "not in this version" in done.err
    finally:
        house.remove()
