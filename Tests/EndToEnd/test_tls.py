"""TLS to the upstream: nothing is sent to a server that is not the one the route names (T5)."""

import socket
import ssl

import pytest

from harness.authority import Authority
from harness.problems import problem
from harness.upstream import Upstream


@pytest.fixture(scope="module")
def servers(authority, tmp_path_factory):
    """Upstreams that differ in one thing each."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), name="Stranger CA")
    old = authority.server_context(maximum=ssl.TLSVersion.TLSv1_1)
    newer = authority.server_context()
    newer.maximum_version = ssl.TLSVersion.TLSv1_2
    made = {
        "good": Upstream(authority.server_context()),
        "wrong-name": Upstream(authority.server_context(names=["other.example"])),
        "parent-wildcard": Upstream(authority.server_context(names=["*"])),
        "stranger": Upstream(stranger.server_context()),
        "expired": Upstream(authority.server_context(days=(-20, -10))),
        "not-yet": Upstream(authority.server_context(days=(1, 2))),
        "tls11": Upstream(old),
        "tls12": Upstream(newer),
        "plain": Upstream(None),
        "literal": Upstream(authority.server_context(), name="127.0.0.1"),
        "wrong-literal": Upstream(authority.server_context(names=["localhost", "127.0.0.2"]), name="127.0.0.1"),
    }
    made["plain"].origin = made["plain"].origin.replace("http:", "https:")
    made["stranger"].ca = stranger.path
    yield made
    for server in made.values():
        server.close()


@pytest.fixture(scope="module")
def door(build, servers):
    """A daemon with one route to each of them."""
    routes = {name: {"connector": "bearer", "upstream": server.origin, "secrets": {"token": "shared/token"}}
              for name, server in servers.items()}
    # The route's own CA is all that is trusted, and only there.
    routes["its-own"] = {**routes["stranger"], "tls": {"ca": str(servers["stranger"].ca)}}
    routes["system"] = {**routes["good"], "tls": {"ca": None}}
    routes["unverified"] = {**routes["wrong-name"], "tls": {"verify": False}}
    with build(routes) as house:
        yield house


def test_a_server_that_proves_its_name_is_served(door, servers):
    with servers["good"].answering() as seen:
        assert door.exchange("GET", "/good/x").status == 200
        connection = seen.only().connection
    assert connection.version == "TLSv1.3"
    assert connection.server_name == "localhost"


@pytest.mark.parametrize("name", ["wrong-name", "parent-wildcard", "stranger", "expired", "not-yet", "wrong-literal"])
def test_a_server_that_does_not_is_refused(door, servers, name):
    with servers[name].answering() as seen:
        members = problem(door.exchange("GET", f"/{name}/x"), "upstream_tls", name)
        assert not members["retryable"] or members["status"] == 502
        seen.none()


def test_the_reason_of_a_refusal_is_told(door):
    details = {name: problem(door.exchange("GET", f"/{name}/x"), "upstream_tls", name)["detail"]
               for name in ("wrong-name", "stranger", "expired")}
    assert len(set(details.values())) == 3, details


def test_tls_1_1_is_refused(door, servers, authority):
    # The control: this server does speak it, to a client that still would.
    context = ssl.create_default_context(cafile=authority.path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_connection(("127.0.0.1", servers["tls11"].port)) as sock:
        with context.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls.version() == "TLSv1.1"
    with servers["tls11"].answering() as seen:
        problem(door.exchange("GET", "/tls11/x"), "upstream_tls", "tls11")
        seen.none()


def test_tls_1_2_is_spoken(door, servers):
    with servers["tls12"].answering() as seen:
        assert door.exchange("GET", "/tls12/x").status == 200
        assert seen.only().connection.version == "TLSv1.2"


def test_a_server_without_tls_is_refused(door, servers):
    with servers["plain"].answering() as seen:
        problem(door.exchange("GET", "/plain/x"), "upstream_tls", "plain")
        seen.none()


def test_a_literal_address_is_verified_and_not_named(door, servers):
    with servers["literal"].answering() as seen:
        assert door.exchange("GET", "/literal/x").status == 200
        assert seen.only().connection.server_name is None, "an address is no server name (RFC 6066 §3)"


def test_a_routes_own_ca_is_trusted_there(door, servers):
    with servers["stranger"].answering() as seen:
        assert door.exchange("GET", "/its-own/x").status == 200
        seen.only()


def test_a_routes_own_ca_is_not_trusted_elsewhere(door, servers):
    with servers["good"].answering() as seen:
        problem(door.exchange("GET", "/system/x"), "upstream_tls", "system")
        seen.none()


def test_verification_can_be_turned_off_and_that_is_loud(door, servers):
    with servers["wrong-name"].answering() as seen:
        assert door.exchange("GET", "/unverified/x").status == 200
        seen.only()
    assert any("unverified" in line and "verif" in line for line in door.log_lines() if '"route":"unverified"' not in line)


@pytest.mark.parametrize("name, version", [("good", "TLSv1.3"), ("tls12", "TLSv1.2")])
def test_a_second_connection_resumes_the_session(door, servers, name, version):
    def and_close(exchange):
        exchange.answer(200, [("Connection", "close")], b"x")
        exchange.connection.close()

    servers[name].drop_idle()
    with servers[name].answering(and_close) as seen:
        for _ in range(3):
            assert door.exchange("GET", f"/{name}/x").status == 200
        assert [exchange.connection.version for exchange in seen.all] == [version] * 3
        assert len({exchange.connection.index for exchange in seen.all}) == 3
        assert any(exchange.connection.resumed for exchange in seen.all[1:])


def test_a_proxy_in_the_environment_is_ignored(build, servers):
    """T5: HTTPS_PROXY would be a way around the one value that says where requests go."""
    house = build({"good": {"connector": "bearer", "upstream": servers["good"].origin,
                            "secrets": {"token": "shared/token"}}})
    house.start(env={name: "http://127.0.0.1:1" for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "http_proxy")})
    try:
        with servers["good"].answering():
            assert house.exchange("GET", "/good/x").status == 200
        house.stop()
    finally:
        house.remove()


def test_a_routes_client_certificate_is_shown(authority, build):
    """`client_certificate` is a file, `client_key` a secret; without them this server refuses."""
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    server = Upstream(context)
    certificate, key = authority.issue(["client.example"])
    house = build({
        "known": {"connector": "bearer", "upstream": server.origin, "secrets": {"token": "shared/token"},
                  "tls": {"client_key": "known/client_key"}},
        "unknown": {"connector": "bearer", "upstream": server.origin, "secrets": {"token": "shared/token"}},
    })
    file = house.home / "client.pem"
    file.write_bytes(certificate)
    house.settings["routes"]["known"]["tls"]["client_certificate"] = str(file)
    house.write()
    house.run_well("secret", "set", "known/client_key", input=key)
    with house, server.answering() as seen:
        # In TLS 1.3 the server refuses after the handshake: what fails is the first read.
        assert house.exchange("GET", "/unknown/x").status == 502
        seen.none()
        assert house.exchange("GET", "/known/x").status == 200
        assert seen.only().connection.sock.getpeercert()["subject"] == ((("commonName", "client.example"),),)
    server.close()
