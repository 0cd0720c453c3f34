"""A day in short: tokens that live for seconds, reloads, faults, and many programs at once.

Each request carries an id that the upstream gives back together with the credential that it saw. An error has to be one that
was planted; a credential has to be the route's own and alive; and resident memory has to stay where it is after the first
minute. SOAK_SECONDS is how long (`make soak`: 20 minutes).
"""

import collections
import itertools
import json
import os
import random
import threading
import time

import pytest

from harness import DEADLINE
from harness.upstream import Seen, Upstream
from harness.vendors import Authing, FastMoss, OAuth
from harness.wire import Truncated
from secrets_used import SECRETS

SECONDS = int(os.environ.get("SOAK_SECONDS", "60"))
LIFETIME = 30 if SECONDS >= 600 else 6
RELOAD = 10 if SECONDS >= 600 else 3
WARM = 60 if SECONDS >= 600 else SECONDS / 3
CLIENTS = 8
FAULTS = 0.01
# A fault at a token endpoint may show for as long as the pause behind it and one lifetime.
ECHO_OF_A_FAULT = 15

STATIC = "shared/token"


class Forgetful(Seen):
    """Keeps nothing but failures: there are too many."""

    def add(self, exchange):
        pass


class Tenant:
    """A route, its vendor, and the faults that were planted there."""

    def __init__(self, name, connector, secrets, vendor, authority):
        self.name, self.connector, self.secrets, self.vendor = name, connector, secrets, vendor
        self.upstream = Upstream(authority.server_context(), backlog=256)
        self.upstream.keep_bytes = False
        self.upstream.script, self.upstream.seen = self, Forgetful()
        self.random = random.Random(name)
        self.faults = {}  # id of a request → what was done to it
        self.endpoint_faults = [-ECHO_OF_A_FAULT]
        self.problems = []
        self.asked = 0
        if vendor is not None:
            vendor.lifetime = LIFETIME
            vendor.serve = self.serve
            vendor.answer = self.answer

    def __call__(self, exchange):
        if self.vendor is None:
            _ = exchange.body
            return self.reply(exchange, exchange.value("Authorization") == f"Bearer {SECRETS[STATIC]}", "static")
        self.vendor(exchange)
        # What is over is of no more interest; a soak must not grow by its own bookkeeping.
        del self.vendor.calls[:-500], self.vendor.asked[:-500]

    # The endpoint.

    def answer(self, exchange, asked):
        self.asked += 1
        if self.random.random() < FAULTS:
            self.endpoint_faults.append(time.monotonic())
            if self.random.random() < 0.5:
                exchange.connection.reset()
            else:
                exchange.answer(503, [("Retry-After", "1")], b"busy")
            return
        self.vendor.give(exchange, asked)

    # The API.

    def serve(self, exchange, call):
        if call.is_dead:
            late = None if call.grant is None else self.vendor.now() - call.grant.expires
            if late is None or late > 1:  # a second is what the way here may take
                what = "was never given out" if late is None else f"is over for {late} s"
                self.problems.append(f"{self.name}: a token that {what}")
            else:
                self.fault(exchange, "expired on the way")
                return self.vendor.reject(exchange)
        self.reply(exchange, not call.is_dead, call.grant.number if call.grant else None)

    def fault(self, exchange, what):
        self.faults[exchange.value("X-Soak-Id")] = what

    def reply(self, exchange, good, credential):
        if self.random.random() < FAULTS:
            what = self.random.choice(("reset", "503", "cut", "401"))
            self.fault(exchange, what)
            if what == "reset":
                return exchange.connection.reset()
            if what == "cut":
                exchange.start(200, [("Content-Length", "1000")])
                exchange.send(b"x" * 10)
                return exchange.connection.close()
            return exchange.answer(int(what), [], b"planted")
        body = json.dumps({"id": exchange.value("X-Soak-Id"), "route": self.name, "good": good, "credential": credential})
        exchange.answer(200, [("Content-Type", "application/json")], body.encode())

    def explains(self, id, response):
        """Whether what a client saw is a fault that was planted."""
        if id in self.faults:
            return response is None or response.status in (401, 502, 503, 504)
        code = response.json().get("code") if response is not None and response.value("Proxy-Status") else None
        return code == "token_unavailable" and time.monotonic() - max(self.endpoint_faults) < ECHO_OF_A_FAULT


@pytest.fixture
def tenants(authority):
    names = {"client_id": "oauth/client_id", "client_secret": "oauth/client_secret"}
    oauth = SECRETS["oauth/client_id"], SECRETS["oauth/client_secret"]
    rotating = OAuth(*oauth)
    rotating.first(SECRETS["oauth/refresh_token"])
    made = [
        Tenant("north", "oauth2-client-credentials", names, OAuth(*oauth), authority),
        Tenant("south", "oauth2-client-credentials", names, OAuth(*oauth), authority),
        Tenant("login", "oauth2-refresh-token", {**names, "refresh_token": "oauth/refresh_token"}, rotating, authority),
        Tenant("moss", "fastmoss", {"client_id": "fastmoss/client_id", "client_secret": "fastmoss/client_secret"},
               FastMoss(SECRETS["fastmoss/client_id"], SECRETS["fastmoss/client_secret"]), authority),
        Tenant("pool", "authing", {"access_key_id": "authing/access_key_id", "access_key_secret": "authing/access_key_secret"},
               Authing(SECRETS["authing/access_key_id"], SECRETS["authing/access_key_secret"]), authority),
        Tenant("static", "bearer", {"token": STATIC}, None, authority),
    ]
    yield made
    for tenant in made:
        tenant.upstream.close()


@pytest.mark.timeout(SECONDS + 180)
def test_soak(build, tenants):
    routes = {tenant.name: {"connector": tenant.connector, "upstream": tenant.upstream.origin, "secrets": tenant.secrets}
              for tenant in tenants}
    for tenant in tenants:
        if tenant.connector.startswith("oauth2"):
            routes[tenant.name]["options"] = {"token_url": tenant.upstream.origin + "/oauth/token"}
    house = build(routes, log={"level": "warn", "format": "json"})
    stop, numbers, unexplained, counts = threading.Event(), itertools.count(), [], collections.Counter()

    def client(seed):
        choose = random.Random(seed)
        wire = None
        while not stop.is_set():
            tenant, id, response = choose.choice(tenants), f"id-{next(numbers)}", None
            try:
                wire = wire or house.wire()
                method, body = ("POST", b'{"page": 1}') if tenant.name == "moss" else choose.choice(
                    [("GET", None), ("POST", b"x" * 2000), ("DELETE", None)])
                response = wire.exchange(method, f"/{tenant.name}/v1/thing?id={id}", [("X-Soak-Id", id)], body)
                if "close" in response.values("Connection"):
                    wire.sock.close()
                    wire = None
            except (OSError, Truncated):
                wire.sock.close()
                wire = None
            counts[response.status if response is not None else "cut"] += 1
            if response is not None and response.status == 200:
                seen = response.json()
                if (seen["id"], seen["route"], seen["good"]) != (id, tenant.name, True):
                    unexplained.append(f"{tenant.name}, {id}: {seen}")
            elif not tenant.explains(id, response):
                unexplained.append(f"{tenant.name}, {id}: {response}")
            tenant.faults.pop(id, None)

    with house:
        threads = [threading.Thread(target=client, args=(seed,)) for seed in range(CLIENTS)]
        for thread in threads:
            thread.start()
        memory, began = [], time.monotonic()
        try:
            reloads = 0
            while not unexplained and (elapsed := time.monotonic() - began) < SECONDS:
                stop.wait(1)  # time is the subject
                if elapsed > WARM:
                    memory.append(house.memory())
                if elapsed // RELOAD > reloads:
                    reloads += 1
                    house.settings["routes"]["static"]["headers"] = {"X-Reload": str(reloads)}
                    house.write()
                    house.run_well("reload")
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE)
    print(f"{counts.total()} requests, {dict(counts)}; {reloads} reloads; token requests "
          f"{ {tenant.name: tenant.asked for tenant in tenants} }; resident {memory[0] >> 10} to {memory[-1] >> 10} KiB")
    assert not unexplained, unexplained[:5]
    for tenant in tenants:
        assert not tenant.problems, tenant.problems[:5]
        assert not tenant.upstream.seen.failures, tenant.upstream.seen.failures[:3]
        if tenant.vendor is not None:
            assert tenant.asked >= SECONDS / LIFETIME / 2, f"{tenant.name} was hardly renewed: {tenant.asked} times"
            most = SECONDS / LIFETIME * 2.5 + SECONDS * 0.5 + 10
            assert tenant.asked <= most, f"{tenant.name} was renewed {tenant.asked} times"
    assert counts[200] > counts.total() * 0.9
    assert sum(count for status, count in counts.items() if status != 200) > 0, "no fault was ever seen"
    # Flat: the last third of what was measured against the first, with room for what an allocator keeps.
    third = max(1, len(memory) // 3)
    assert max(memory[-third:]) <= max(memory[:third]) * 1.05 + (1 << 20), [size >> 10 for size in memory]
