"""The fixtures: one authority and one recording upstream a run, and one daemon that most tests share."""

import json
import os
import signal

import pytest

from harness.ath_agent import IdentityHost
from harness.ath_stage import SERVERS, AgentStage, secrets_of
from harness.authority import Authority
from harness.clock import Clock, compile_clock
from harness.daemon import BIN, TOP, House, free_port
from harness.providers import Provider
from harness.upstream import Upstream
from harness.vendor_stage import VendorStage, fill_in
from secrets_used import CLIENT, SECRET, SECRETS, VECTOR_SECRETS, leaks_of


# What a person's environment may hold that would change what the clients here do.
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                                   "CHATELAINE_CONFIG", "CREDENTIALS_DIRECTORY"):
        del os.environ[name]


# What nohup, or a shell in the background, has ignored would be ignored by all that is started here.
for number in signal.SIGHUP, signal.SIGINT, signal.SIGQUIT:
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_sessionstart(session):
    if not os.access(BIN, os.X_OK):
        pytest.exit(f"no daemon at {BIN}: `make build` first, or set CHATELAINE_BIN", returncode=2)


def pytest_sessionfinish(session):
    for house in list(House.standing):
        house.remove()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    directory = tmp_path_factory.mktemp("authority")
    return Authority(directory)


@pytest.fixture(scope="session")
def upstream(authority):
    """The TLS upstream of the shared daemon. A script for one test: `with upstream.answering(script) as seen:`."""
    server = Upstream(authority.server_context())
    yield server
    server.close()


@pytest.fixture(scope="session")
def safe():
    """A house that never runs: its key and store, with every secret, are copied instead of made anew."""
    house = House(routes={}, secrets=SECRETS)
    yield house
    house.remove()


@pytest.fixture(scope="session")
def build(safe, authority):
    """Makes a house from routes, with the common secrets in its store; `with build({...}) as house:` runs it."""

    def make(routes, **top_level):
        for route in routes.values():
            if route["upstream"].startswith("https:"):
                route.setdefault("tls", {}).setdefault("ca", str(authority.path))
                if route["tls"]["ca"] is None:
                    del route["tls"]
        return House(routes, store=safe, **top_level)

    return make


@pytest.fixture(scope="session")
def house(build, upstream):
    """The shared daemon: a route of each kind, every kind of listener, all in front of the one upstream."""
    own_port = free_port()
    metrics_port = free_port()
    routes = {
        "codegate": {
            "connector": "codegate", "upstream": upstream.origin, "hosts": ["api.codegate.test"],
            "listen": [{"tcp": f"127.0.0.1:{own_port}"}],
        },
        **{
            name: {"connector": "codegate", "upstream": upstream.origin}
            for name in VECTOR_SECRETS.values() if name != "codegate"
        },
        "bearer": {"connector": "bearer", "upstream": upstream.origin},
        "basic": {"connector": "basic", "upstream": upstream.origin},
        "header": {"connector": "header", "upstream": upstream.origin, "options": {"name": "X-Vendor-Key"}},
        "query": {"connector": "query", "upstream": upstream.origin, "options": {"name": "key"}},
        "based": {"connector": "bearer", "upstream": upstream.origin + "/base/v2"},
        "tenant": {
            "connector": "bearer", "upstream": upstream.origin,
            "headers": {"X-Tenant": "t1", "X-User-Token": {"secret": "tenant/user"}},
        },
        "small": {"connector": "codegate", "upstream": upstream.origin, "limits": {"body": "1KiB"},
                  "secrets": {"api_key": "codegate/api_key", "secret": "codegate/secret"}},
        "eager": {"connector": "bearer", "upstream": upstream.origin, "retry": {"attempts": 2}},
        "hasty": {"connector": "bearer", "upstream": upstream.origin, "timeouts": {"first_byte": "300ms"}},
    }
    house = build(
        routes, listen=[], metrics={"tcp": f"127.0.0.1:{metrics_port}"},
    )
    house.settings["listen"] = [
        {"tcp": f"127.0.0.1:{house.port}"}, {"tcp": f"[::1]:{house.port}"}, {"unix": str(house.socket), "mode": "0660"},
    ]
    house.own_port, house.metrics_port = own_port, metrics_port
    house.write()
    with house:
        yield house


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory):
    return compile_clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def vendor():
    """Whose users log in. Files about other vendors have their own."""
    return Provider(CLIENT, SECRET)


@pytest.fixture
def staged(build, authority, clock_library, tmp_path):
    """Puts a daemon before a vendor: `staged(vendor, connector, …)`, with one route `r`, or `staged(vendor, routes={…})`.

    At the end nothing that the vendor gave out, and no stored secret, may stand in anything that the daemon said or stored.
    """
    stages = []

    def make(vendor, connector=None, options=None, secrets=None, routes=None, start=True, more=None, **top_level):
        upstream = Upstream(authority.server_context(), backlog=1024)
        clock = Clock(clock_library, tmp_path / f"clock-{len(stages)}")
        if routes is None:
            routes = {"r": {"connector": connector, "options": dict(options or {}), "secrets": secrets or {}, **(more or {})}}
        house = build(fill_in(routes, upstream, getattr(vendor, "base", "")), **top_level)
        vendor.now, vendor.origin = clock.now, upstream.origin
        stage = VendorStage(house, upstream, vendor, clock)
        stage.answering = upstream.answering(vendor)
        stage.seen = stage.answering.__enter__()
        stages.append(stage)
        return stage.start() if start else stage

    yield make
    try:
        for stage in stages:
            stage.house.stop()
            stage.answering.__exit__(None, None, None)
            canaries = [*stage.vendor.every_secret(), *(secret for secret in SECRETS.values() if len(secret) >= 12)]
            assert not leaks_of(canaries, stage.came_out())
    finally:
        for stage in stages:
            stage.house.remove()
            stage.upstream.close()


@pytest.fixture
def identities():
    """Where the identity documents of ATH agents stand."""
    host = IdentityHost()
    yield host
    host.close()


@pytest.fixture(params=SERVERS)
def kind(request):
    """The mode of an agent's route."""
    return request.param


@pytest.fixture
def settle(staged, identities, tmp_path):
    """Puts a daemon before an ATH server: `settle(kind)`. The agent's key is imported and its document stands still, or the
    daemon makes the one and serves the other, or, with `key=None`, there is none yet."""

    def make(kind, server=None, key="imported", options=None, others=None, **more):
        server = server or SERVERS[kind]()
        agent = identities.agent() if key == "imported" else None
        agent_id = agent.agent_id if agent else identities.url()
        route = {"connector": "ath", "options": {
            "mode": kind, "agent_id": agent_id, **({"provider": "mail"} if kind == "gateway" else {}), **(options or {})}}
        stage = staged(server, routes={"r": {**route, **more}, **(others or {})})
        if agent:
            file = tmp_path / "agent.pem"
            file.write_text(agent.pem)
            server.canaries += secrets_of(agent)
            stage.run_well("ath", "keygen", "r", "--from-file", str(file))
        else:
            identities.relay(f"{stage.house.url}/-/ath/r/agent.json")
            if key == "generated":
                stage.run_well("ath", "keygen", "r")
        return AgentStage(stage, server, agent_id, agent)

    return make


@pytest.fixture
def place(settle, kind):
    return settle(kind)


@pytest.fixture
def seen(upstream):
    """What the shared upstream saw during this test; it echoes."""
    with upstream.answering() as seen:
        yield seen


@pytest.fixture(scope="session")
def vectors():
    return json.loads((TOP / "Tests/Vectors/codegate.json").read_text())["cases"]


@pytest.fixture(autouse=True)
def shows_the_log(request):
    """After a failure, the end of the shared daemon's log stands in the report."""
    yield
    report = getattr(request.node, "report", None)
    house = request.node.funcargs.get("house") if hasattr(request.node, "funcargs") else None
    if report is not None and report.failed and house is not None:
        report.sections.append(("the daemon's log", "\n".join(house.log_lines()[-30:])))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call":
        item.report = report
    return report
