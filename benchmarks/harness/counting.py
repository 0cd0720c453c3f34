"""Counts of what a server asks of others: the kernel, by perf or strace, and malloc. Never in a round that is timed."""

import collections
import mmap
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

from .machine import tree

HERE = pathlib.Path(__file__).resolve().parent


class Allocations:
    """malloc, calloc, realloc and their like, counted by a library that is preloaded: `environment` is for the server."""

    def __init__(self, home, name):
        library = home / "allocations.so"
        if not library.exists():
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(HERE / "allocations.c")], check=True)
        path = home / f"{name}.allocations"
        path.write_bytes(bytes(4096))
        with open(path, "r+b") as file:
            self.counts = mmap.mmap(file.fileno(), 4096)
        self.environment = {"LD_PRELOAD": str(library), "BENCHMARK_ALLOCATIONS": str(path)}

    def read(self):
        """(calls, bytes) so far."""
        return struct.unpack_from("LL", self.counts)


class Traced:
    """Every system call of a server that was started `under` strace: exact, and slow."""

    def __init__(self, home, name):
        self.path = home / f"{name}.strace"
        self.under = ["strace", "-f", "-qq", "-s", "0", "-o", str(self.path)]

    @staticmethod
    def is_allowed():
        """Not in every container."""
        try:
            return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, timeout=10).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    def read(self):
        """{system call: how often} so far. A wait that cannot sleep is called `poll`."""
        counts = collections.Counter()
        for line in self.path.read_text(errors="replace").splitlines():
            call = re.match(r"\d+ +(\w+)\((.*)", line)
            if call:
                polls = call[1] == "epoll_wait" and re.search(r", 0\) += ", call[2])
                counts["poll" if polls else call[1]] += 1
        return counts


class Watch:
    """System calls of a server that runs under load, {name: [calls, failed]}: by `perf trace`, which hardly slows it, or else
    by `strace -c`, which does, so that calls serve more events each. Used as a context; `counts` is there afterwards."""

    tool = None

    @classmethod
    def choose(cls):
        for tool, command in ("perf trace", ["perf", "trace", "-s", "true"]), ("strace", ["strace", "-c", "true"]):
            try:
                if shutil.which(command[0]) and subprocess.run(command, capture_output=True, timeout=20).returncode == 0:
                    cls.tool = tool
                    return tool
            except subprocess.TimeoutExpired:
                pass
        return None

    def __init__(self, pid):
        self.path = pathlib.Path(tempfile.mkstemp(prefix="chatelaine-bench-")[1])
        pids = tree(pid)
        if self.tool == "perf trace":
            self.command = ["perf", "trace", "-s", "-p", ",".join(map(str, pids)), "-o", str(self.path)]
        else:
            self.command = ["strace", "-c", "-f", "-q", "-o", str(self.path), *sum((["-p", str(each)] for each in pids), [])]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)
        self.counts = {}
        for line in self.path.read_text(errors="replace").splitlines():
            if self.tool == "perf trace":  # name, calls, errors, times
                found = re.match(r" +(?P<name>\w+) +(?P<calls>\d+) +(?P<failed>\d+) +[\d.]+ +", line)
            else:  # share, seconds, microseconds, calls, errors if any, name
                found = re.match(r" *[\d.]+ +[\d.]+ +\d+ +(?P<calls>\d+) +(?P<failed>\d*) +(?P<name>\w+)$", line)
            if found and found["name"] != "total":
                total = self.counts.setdefault(found["name"], [0, 0])
                total[0] += int(found["calls"])
                total[1] += int(found["failed"] or 0)
        self.path.unlink()
