"""`kill -9` at 200 points of a rotation, against an endpoint that takes each refresh token once.

A rotation that anybody saw the fruit of is never lost. A refresh token is presented a second time only where the crash fell
between the request and the commit, where nobody can know whether it was used; and if it was, that is said.
"""

import collections
import json
import os
import pathlib
import random
import re
import signal
import threading
import time

import pytest

from harness import DEADLINE
from harness.problems import problem
from harness.vendors import FastMoss, OAuth
from harness.waiting import until
from harness.wire import Truncated
from secrets_used import SECRETS

POINTS = 200
WORKERS = {"oauth2-refresh-token": 4, "fastmoss": 2}

CLIENT, SECRET = (SECRETS[f"oauth/{name}"] for name in ("client_id", "client_secret"))
MOSS_CLIENT, MOSS_SECRET = SECRETS["fastmoss/client_id"], SECRETS["fastmoss/client_secret"]

# Where the crash falls, in order of a rotation's life. Those behind `answered` are after somebody saw the new token.
BEFORE_COMMIT = ("sent", "arrived", "spent", "cut", "answered")
AFTER_USE = ("used", "served", "later")
# How a rotation is brought about: the token is over, its time is near (and it is renewed in the background), the API refuses it.
CAUSES = {"expired": BEFORE_COMMIT + AFTER_USE, "early": ("arrived", "spent", "cut", "answered"),
          "refused": BEFORE_COMMIT + AFTER_USE}


# In /proc/net/tcp; a socket that nobody has accepted yet is there as well.
ESTABLISHED, CLOSE_WAIT = "01", "08"


class Killer:
    """One daemon, killed again and again, and its vendor."""

    def __init__(self, stage, connector, seed):
        self.stage, self.vendor, self.connector = stage, stage.vendor, connector
        self.random = random.Random(seed)
        self.killed_at = {}  # refresh token → the point at which the rotation that presented it was interrupted
        self.outcomes = collections.Counter()
        self.logins = 0

    # One request, as a client that has to live with a daemon that dies.

    def ask(self):
        try:
            if self.connector == "fastmoss":
                return self.stage.ask("POST", "/test", body=b"{}")
            return self.stage.ask()
        except (OSError, Truncated):
            return None

    def kill(self):
        os.kill(self.stage.house.pid, signal.SIGKILL)

    def is_drained(self):
        """Whether no connection to the vendor is left: what a process sent before its end is read after it."""
        port = f":{self.stage.upstream.port:04X}"
        rows = (line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:])
        return not any(row[1].endswith(port) and row[3] in (ESTABLISHED, CLOSE_WAIT) for row in rows)

    def spin(self, seconds):
        end = time.monotonic() + self.random.uniform(0, seconds)
        while time.monotonic() < end:
            pass

    # The point.

    def at_endpoint(self, point):
        """What the endpoint does in the rotation under test, once; later requests have the usual answer."""

        def answer(exchange, asked):
            self.vendor.answer = None
            if point == "arrived":
                self.kill()
                return
            with self.vendor.lock:
                said = self.vendor.decide(asked)
            if point == "spent":
                self.kill()
            elif point == "cut":
                said = json.dumps(said[1]).encode()
                exchange.start(200, [("Content-Length", str(len(said)))])
                exchange.send(said[:self.random.randrange(len(said))])
                self.spin(0.002)
                self.kill()
            else:
                self.vendor.say(exchange, *said)
                if point == "answered":
                    self.spin(0.004)
                    self.kill()

        return answer

    def at_api(self, point, old):
        def serve(exchange, call):
            if call.grant is old or not call.good:
                return self.vendor.welcome(exchange, call) if call.good else self.vendor.reject(exchange)
            self.vendor.serve = None
            if point == "used":
                self.kill()
            else:
                self.vendor.welcome(exchange, call)

        return serve

    def cycle(self, cause, point):
        """One rotation, one crash, one restart, and what has to be true then."""
        vendor, stage = self.vendor, self.stage
        old = vendor.grants[-1]
        asked_before = len(vendor.asked)
        vendor.answer = self.at_endpoint(point)
        vendor.serve = self.at_api(point, old)
        if cause == "refused":
            # Refused again soon after it was replaced for that, a token would stay.
            stage.clock.passes(700)
            old.revoked = True
        else:
            stage.clock.passes(vendor.lifetime + 1 if cause == "expired" else old.expires - stage.clock.now() - 20)
        if point == "sent":
            threading.Timer(self.random.uniform(0, 0.012), self.kill).start()
        response = self.ask()
        if point in ("served", "later"):
            assert response is not None and response.status == 200, (cause, point, response)
            assert self.grant_of(response) is vendor.grants[-1], "a new token was used"
            if point == "later":
                self.spin(0.01)
            self.kill()
        until(lambda: stage.house.process.poll() is not None, f"the crash at {cause}, {point}")
        until(self.is_drained, "the vendor to have read all that the dead daemon sent")
        vendor.answer = vendor.serve = None
        rotation = vendor.asked[asked_before:]
        assert len(rotation) <= 1, f"{cause}, {point}: {vendor.kinds()[asked_before:]}"
        for asked in rotation:
            self.killed_at[asked.values.get("refresh_token")] = point
        uses = vendor.grants[-1].uses + sum(call.grant is vendor.grants[-1] for call in vendor.calls)

        stage.start()
        after = len(vendor.asked)
        response = self.ask()
        if cause == "early" and response is not None and response.status == 200:
            # The old token still served; when it is over, the new one has to be there. What is under way ends first.
            until(lambda: stage.tokens()["r", "default"]["state"] not in ("fetching", "refreshing"), "the renewal to end")
            stage.clock.passes(vendor.lifetime + 1)
            response = self.ask()
        assert response is not None
        tried = [asked.values["refresh_token"] for asked in vendor.asked[after:] if asked.kind == "refresh"]
        assert len(set(tried)) == len(tried), f"{cause}, {point}: presented twice without a crash between"
        if vendor.grants[-1] is not old and uses and point in AFTER_USE:
            assert response.status == 200, f"{cause}, {point}: a rotation was lost whose token was in use: {response}"
            assert len(vendor.asked) == after, "what was committed is there after the crash"
        self.judge(cause, point, response)
        assert not vendor.dead(), f"{cause}, {point}"

    def judge(self, cause, point, response):
        vendor = self.vendor
        if response.status == 200:
            self.outcomes["goes on"] += 1
            return
        # The only other end: the old refresh token was tried, once, and refused because the endpoint had seen it before.
        where = f"{cause}, {point}: {response}"
        assert self.connector == "oauth2-refresh-token", where
        assert point in BEFORE_COMMIT, where
        members = problem(response, "reauthorization_required", "r")
        assert re.search(r"rotation interrupted at \S*\d", members["detail"]), where
        presented = [asked.values["refresh_token"] for asked in vendor.asked if asked.kind == "refresh"]
        assert presented.count(presented[-1]) == 2, where
        count = len(vendor.asked)
        problem(self.ask(), "reauthorization_required", "r")
        assert len(vendor.asked) == count, "tried once"
        if not self.outcomes["needs a login"]:
            assert "rotation interrupted at" in str(self.stage.tokens())
            self.stage.log_line("rotation interrupted at")
        self.outcomes["needs a login"] += 1
        self.login()

    def grant_of(self, response):
        members = response.json()
        number = members["data"]["grant"] if "data" in members else members["grant"]
        return self.vendor.grants[number - 1]

    def login(self):
        self.logins += 1
        refresh = f"canary-login-{self.logins}-{self.random.randrange(10**9)}"
        self.vendor.first(refresh)
        self.stage.run_well("secret", "set", f"{self.stage.house.port}/refresh_token", input=refresh)
        response = self.ask()
        assert response is not None and response.status == 200, response

    def run(self, points):
        if self.connector == "oauth2-refresh-token":
            self.login()
        else:
            assert self.ask().status == 200
        for cause, point in points:
            self.cycle(cause, point)
        presented = collections.Counter(
            asked.values["refresh_token"] for asked in self.vendor.asked if asked.kind == "refresh")
        for refresh, times in presented.items():
            assert times <= 2, f"a refresh token was presented {times} times"
            assert times == 1 or self.killed_at.get(refresh) in BEFORE_COMMIT, self.killed_at.get(refresh)


@pytest.mark.timeout(400)
def test_two_hundred_crashes_lose_no_rotation(staged):
    killers = []
    for connector, count in WORKERS.items():
        for number in range(count):
            if connector == "fastmoss":
                stage = staged(FastMoss(MOSS_CLIENT, MOSS_SECRET), connector, start=False, secrets={
                    "client_id": "fastmoss/client_id", "client_secret": "fastmoss/client_secret"})
            else:
                stage = staged(OAuth(CLIENT, SECRET), connector, start=False, secrets={
                    "client_id": "oauth/client_id", "client_secret": "oauth/client_secret"})
                stage.house.settings["routes"]["r"]["secrets"]["refresh_token"] = f"{stage.house.port}/refresh_token"
                stage.house.write()
            stage.start()
            killers.append(Killer(stage, connector, seed=f"{connector} {number}"))
    every = [(cause, point) for cause, points in CAUSES.items() for point in points]
    plan = [every[number % len(every)] for number in range(POINTS)]
    random.Random(5).shuffle(plan)
    failures = []

    def work(killer, points):
        try:
            killer.run(points)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(killer, plan[at::len(killers)])) for at, killer in enumerate(killers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(18 * DEADLINE)
        assert not thread.is_alive(), "a daemon that does not come back"
    if failures:
        raise failures[0]
    outcomes = sum((killer.outcomes for killer in killers), collections.Counter())
    assert outcomes.total() == POINTS
    # The test is worth something only if both ends were seen: crashes that cost nothing, and crashes that nobody can undo.
    assert outcomes["goes on"] > POINTS / 3 and outcomes["needs a login"] > POINTS / 20, outcomes
