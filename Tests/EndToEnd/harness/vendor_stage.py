"""A vendor behind its upstream, a daemon in front of it, and one clock for both."""

import json
import re

from .waiting import until


class VendorStage:
    """`with stage:` runs the daemon. Its one route is called `r` unless `routes` names others."""

    def __init__(self, house, upstream, vendor, clock):
        self.house, self.upstream, self.vendor, self.clock = house, upstream, vendor, clock
        self.texts = []  # whatever came out of it, for the search for secrets

    def start(self):
        self.house.start(env=self.clock.environment)
        return self

    def restart(self):
        self.house.stop()
        return self.start()

    def run(self, *arguments, **more):
        """A verb, which goes by the same clock."""
        done = self.house.run(*arguments, env=self.clock.environment, **more)
        self.texts.append(done.stdout + done.stderr)
        return done

    def run_well(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"chatelaine {' '.join(arguments)}: {done.returncode}: {done.err}"
        return done

    def ask(self, method="GET", target="/x", fields=(), body=None, route="r"):
        response = self.house.exchange(method, f"/{route}{target}", fields, body)
        self.texts.append(response.head + response.body)
        return response

    def get(self, target="/x", route="r"):
        """The number of the grant that a request was answered with."""
        response = self.ask(target=target, route=route)
        assert response.status == 200, response
        return response.json()["grant"]

    def turn(self):
        """Has every part of the daemon look at the clock, and waits until it has nothing left to do."""
        for _ in range(8):
            self.house.exchange("GET", "/-/livez")
        self.run_well("status")
        until(self.house.rests, "the daemon to rest")

    def tokens(self):
        """What `token list --json` tells, by route and subject."""
        rows = json.loads(self.run_well("token", "list", "--json").out)
        return {(row["route"], row["subject"]): row for row in rows}

    def metric(self, name, **labels):
        """The value of a metric's one sample with these labels, or None."""
        text = self.house.exchange("GET", "/-/metrics").body.decode()
        self.texts.append(text.encode())
        found = []
        for line in text.splitlines():
            match = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
            if match:
                there = dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or ""))
                if labels.items() <= there.items():
                    found.append(float(match.group(2)))
        assert len(found) <= 1, found
        return found[0] if found else None

    def log_line(self, *words):
        """The first line of the log with all of these words in it."""
        return until(lambda: next((line for line in self.house.log_lines() if all(word in line for word in words)), None),
                     f"a line of the log with {words}: {self.house.log()[-3000:]}")

    def came_out(self):
        """All that it said and stored."""
        stored = b"".join(file.read_bytes() for file in self.house.store.parent.iterdir() if file.is_file())
        return b"\n".join((*self.texts, self.house.log().encode(), stored))


def fill_in(routes, upstream, base=""):
    """Routes with what all of them have: the upstream, and the endpoints' URLs where options want them."""
    for route in routes.values():
        route.setdefault("upstream", upstream.origin + base)
        if route["connector"].startswith("oauth2"):
            options = route.setdefault("options", {})
            options.setdefault("token_url", upstream.origin + "/oauth/token")
            if route["connector"] == "oauth2":
                options.setdefault("authorize_url", upstream.origin + "/oauth/authorize")
    return routes
