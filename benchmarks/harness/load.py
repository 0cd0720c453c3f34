"""The load: wrk, closed loop, one thread; or `light`, the same in fewer instructions, for proxies that outrun it."""

import json
import os
import pathlib
import subprocess

from .machine import pinned

HERE = pathlib.Path(__file__).resolve().parent
TARGET = "api/v1/projects/550e8400-e29b-41d4-a716-446655440000/codes?page=1&search=summer+sale"


class Scenario:
    """What is asked of every proxy."""

    def __init__(self, name, connector, body=0):
        self.name = name
        self.connector = connector
        self.body = body

    def path(self, kind):
        """A body goes where the upstream reads it before it answers."""
        return f"/{self.connector}-{kind}/{'upload/' if self.body else ''}{TARGET}"

    @property
    def method(self):
        return "POST" if self.body else "GET"


SCENARIOS = [
    Scenario("pass-through", "header"),
    Scenario("bearer", "bearer"),
    Scenario("codegate", "codegate"),
    Scenario("codegate 1 KiB", "codegate", 1 << 10),
    Scenario("codegate 1 MiB", "codegate", 1 << 20),
    Scenario("fastmoss", "fastmoss", 64),
    Scenario("fastmoss-static", "fastmoss-static", 64),
    Scenario("es256", "es256"),
]


class Load:
    """`run` asks one server for some time: {requests, all, seconds, p50_us, p99_us}. `all` counts requests that were not
    timed too. An answer that is not a success, or none, is an error."""

    name = ""

    def __init__(self, cores):
        self.cores = cores

    def run(self, port, path, connections, seconds, method="GET", body=0):
        command, environment = self.command(port, path, connections, seconds, method, body)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 120, preexec_fn=pinned(self.cores),
            env={"PATH": os.environ["PATH"], **environment})
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        what = f"{self.name} on {path} at {connections} connections"
        if done.returncode != 0 or not lines:
            raise RuntimeError(f"{what}: {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
        result = json.loads(lines[-1])
        if result["failed"] or not result["requests"]:
            raise RuntimeError(f"{what}: {result['failed']} of {result['requests']} requests failed")
        return result


class Wrk(Load):
    """Whole seconds only."""

    name = "wrk"

    def command(self, port, path, connections, seconds, method, body):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s",
                   "-s", str(HERE / "report.lua"), f"http://127.0.0.1:{port}{path}"]
        return command, {"BENCHMARK_METHOD": method, "BENCHMARK_BODY": str(body)}


class Light(Load):
    """Compiled at run time; its first tenth of a second is not timed."""

    name = "light"

    def __init__(self, cores, home):
        super().__init__(cores)
        self.program = home / "light"
        subprocess.run(["cc", "-O2", "-o", str(self.program), str(HERE / "light.c")], check=True)

    def command(self, port, path, connections, seconds, method, body):
        command = [self.program, port, path, method, body, connections, 100, round(seconds * 1000)]
        return list(map(str, command)), {}
