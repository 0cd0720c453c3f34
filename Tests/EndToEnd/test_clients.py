"""The clients that people have: curl, Python requests, Node's fetch, in each mode of addressing."""

import json
import subprocess
from urllib.parse import parse_qsl

import pytest
import requests

from harness import DEADLINE
from harness.codegate import assert_signed
from secrets_used import API_KEY, SECRETS

TARGET = "/api/v1/projects/p/codes?page=1&search=a%2Fb+c"
BODY = '{"code": "ABC", "by": "é"}'


def curl(*arguments, **more):
    """Runs curl, which reads no configuration and knows no proxy from here; its output."""
    done = subprocess.run(
        ["curl", "-q", "--silent", "--show-error", "--fail-with-body", "--max-time", str(DEADLINE), *arguments],
        capture_output=True, env={"PATH": "/usr/bin:/bin", **more}, timeout=DEADLINE + 5,
    )
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def node(url, body=None):
    """Node's fetch: GET, or POST with a body; what it received."""
    script = """
      const [url, body] = process.argv.slice(1);
      const options = body ? {method: 'POST', body, headers: {'Content-Type': 'application/json'}} : {};
      fetch(url, options).then(async (r) => {
        if (!r.ok) throw new Error(r.status + ' ' + await r.text());
        console.log(JSON.stringify(await r.json()));
      }).catch((e) => { console.error(e); process.exit(1); });
    """
    done = subprocess.run(["node", "-e", script, url, *([body] if body else [])], capture_output=True, timeout=DEADLINE + 5)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def arrived_signed(seen, method=b"GET", body=b""):
    arrived = seen.only()
    assert (arrived.method, arrived.target.decode(), arrived.body) == (method, TARGET, body)
    assert_signed(arrived, API_KEY, SECRETS["codegate/secret"])
    return arrived


def test_curl_by_path_prefix(house, seen):
    assert curl(f"{house.url}/codegate{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_posts_by_path_prefix(house, seen):
    curl("--data-binary", BODY, "-H", "Content-Type: application/json", f"{house.url}/codegate{TARGET}")
    arrived_signed(seen, b"POST", BODY.encode())


def test_requests_by_path_prefix(house, seen):
    with requests.Session() as session:
        assert session.get(f"{house.url}/codegate{TARGET}").json()["target"] == TARGET
    arrived_signed(seen)


def test_requests_posts_by_path_prefix(house, seen):
    requests.post(f"{house.url}/codegate{TARGET}", data=BODY.encode()).raise_for_status()
    arrived_signed(seen, b"POST", BODY.encode())


def test_node_fetch_by_path_prefix(house, seen):
    assert node(f"{house.url}/codegate{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_node_fetch_posts_by_path_prefix(house, seen):
    node(f"{house.url}/codegate{TARGET}", BODY)
    arrived_signed(seen, b"POST", BODY.encode())


def test_curl_by_absolute_form(house, seen, upstream):
    """http_proxy: the authority is one of the route's hosts; TLS is added, the upstream is the route's own."""
    assert curl(f"http://api.codegate.test{TARGET}", http_proxy=house.url)["target"] == TARGET
    assert arrived_signed(seen).value("Host") == upstream.authority


def test_requests_by_absolute_form(house, seen):
    with requests.Session() as session:
        session.proxies = {"http": house.url}
        session.get(f"http://api.codegate.test{TARGET}").raise_for_status()
    arrived_signed(seen)


def test_curl_by_host(house, seen):
    assert curl(f"http://codegate.localhost:{house.port}{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_by_host_on_the_unix_socket(house, seen):
    assert curl("--unix-socket", str(house.socket), f"http://codegate.localhost{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_by_unix_socket(house, seen):
    assert curl("--unix-socket", str(house.socket), f"http://localhost/codegate{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_by_the_routes_own_listener(house, seen):
    assert curl(f"http://127.0.0.1:{house.own_port}{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_by_ipv6(house, seen):
    assert curl("--globoff", f"http://[::1]:{house.port}/codegate{TARGET}")["target"] == TARGET
    arrived_signed(seen)


def test_curl_uploads_with_expect(house, seen):
    """curl asks before it sends a large body; the daemon answers for itself."""
    body = "x" * 2_000_000
    subprocess.run(
        ["curl", "-q", "-sS", "--fail", "-H", "Expect: 100-continue", "--expect100-timeout", str(DEADLINE),
         "--max-time", str(DEADLINE), "--data-binary", "@-", "-o", "/dev/null", f"{house.url}/bearer/upload"],
        input=body.encode(), check=True, timeout=DEADLINE + 5,
    )
    arrived = seen.only()
    assert len(arrived.body) == len(body)
    assert arrived.value("Expect") is None


# What each built-in connector puts where.


@pytest.mark.parametrize(
    "route, field, value",
    [
        ("bearer", "Authorization", "Bearer " + SECRETS["bearer/token"]),
        ("basic", "Authorization", requests.auth._basic_auth_str(SECRETS["basic/username"], SECRETS["basic/password"])),
        ("header", "X-Vendor-Key", SECRETS["header/value"]),
        ("tenant", "Authorization", "Bearer " + SECRETS["tenant/token"]),
        ("tenant", "X-Tenant", "t1"),
        ("tenant", "X-User-Token", SECRETS["tenant/user"]),
    ],
)
def test_the_built_in_connector_sets(house, seen, route, field, value):
    house.exchange("GET", f"/{route}/things", [(field, "the caller's own")])
    assert seen.only().value(field) == value


def test_the_query_connector_sets_its_parameter_and_keeps_the_others(house, seen):
    house.exchange("GET", "/query/things?a=1&key=mine&b=x%20y")
    target = seen.only().target.decode()
    pairs = parse_qsl(target.partition("?")[2], keep_blank_values=True)
    assert [pair for pair in pairs if pair[0] != "key"] == [("a", "1"), ("b", "x y")]
    assert [value for name, value in pairs if name == "key"] == [SECRETS["query/value"]]


def test_a_base_path_comes_before_the_callers(house, seen):
    house.exchange("GET", "/based/things?x=1")
    assert seen.only().target == b"/base/v2/things?x=1"


def test_a_route_without_a_path_is_the_upstreams_root(house, seen):
    for target in "/bearer/", "/bearer/?a=b":
        house.exchange("GET", target)
    assert [exchange.target for exchange in seen.all] == [b"/", b"/?a=b"]
