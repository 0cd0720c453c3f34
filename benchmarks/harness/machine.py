"""The machine: which cores there are, what a process has used of them, and what it is that was measured on."""

import contextlib
import ctypes
import os
import pathlib
import platform
import resource
import signal
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = os.path.abspath(os.environ.get("CHATELAINE_BIN") or TOP / ".build/release/chatelaine")
TICK = os.sysconf("SC_CLK_TCK")


class Cores:
    """Where things run: the measured proxy alone on one core, the load and the upstream on others where there are some."""

    def __init__(self):
        allowed = sorted(os.sched_getaffinity(0))
        self.allowed = set(allowed)
        self.proxy = {allowed[-1]}
        self.load = {allowed[0]}
        self.upstream = {allowed[1]} if len(allowed) > 2 else self.load
        self.are_apart = len(allowed) > 1


LIBC = ctypes.CDLL(None)


def pinned(cores):
    """For `preexec_fn`: the child and all its children stay on `cores`, and the child is told to end when we are gone."""

    def settle():
        os.sched_setaffinity(0, cores)
        LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG

    return settle


@contextlib.contextmanager
def crowd(cores):
    """Has a process that never sleeps on `cores` meanwhile."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], preexec_fn=pinned(cores))
    try:
        yield
    finally:
        process.kill()
        process.wait()


def prepare():
    """What a measuring program does first: have SIGTERM end it like an error, so that servers are stopped and files removed,
    and take as many descriptors as this user may have, which its children inherit."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def descriptors():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def tree(pid):
    """A process and its descendants."""
    pids = [pid]
    for each in pids:
        for task in _listed(f"/proc/{each}/task"):
            try:
                pids += map(int, pathlib.Path(f"/proc/{each}/task/{task}/children").read_text().split())
            except OSError:
                pass
    return pids


def cpu_seconds(pid):
    """User and system time of a process and its descendants so far, (total, user).

    The total is exact where the kernel tells nanoseconds; in /proc/<pid>/stat it comes in hundredths of a second.
    """
    total = user = 0.0
    for each in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        in_user, in_system = int(fields[11]) / TICK, int(fields[12]) / TICK
        user += in_user
        try:
            total += sum(int(pathlib.Path(f"/proc/{each}/task/{task}/schedstat").read_text().split()[0])
                         for task in _listed(f"/proc/{each}/task")) / 1e9
        except OSError:
            total += in_user + in_system
    return total, user


def busy_seconds(cores):
    """What was run on `cores` since boot, by whom ever: user, nice, system, interrupts, stolen."""
    busy = 0
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            busy += sum(int(ticks[index]) for index in (0, 1, 2, 5, 6, 7))
    return busy / TICK


def resident(pid):
    """Bytes of memory of a process and its descendants. Pages that several of them map are counted once where the kernel
    lets us see it."""
    pids = tree(pid)
    if len(pids) > 1:
        try:
            return sum(_kilobytes(f"/proc/{each}/smaps_rollup", "Pss:") for each in pids) * 1024
        except OSError:
            pass
    return sum(_kilobytes(f"/proc/{each}/status", "VmRSS:") for each in pids) * 1024


def _kilobytes(path, field):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    return 0


def _listed(directory):
    try:
        return os.listdir(directory)
    except OSError:
        return []


def first_line(*command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10)
        return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


def describe():
    """What stands beside the numbers."""
    model = [line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    memory = _kilobytes("/proc/meminfo", "MemTotal:") / 2**20
    git = ["git", "-C", str(TOP), "-c", f"safe.directory={TOP}"]
    status = first_line(*git, "status", "--porcelain", "--", "Sources", "Package.swift")
    commit = first_line(*git, "log", "-1", "--format=%h", "--", "Sources", "Package.swift")
    return {
        "commit": commit + (" and changes" if status else ""),
        "processor": model[0] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "versions": {
            "openssl": first_line("openssl", "version"),
            "nginx": first_line("nginx", "-v").rpartition("/")[2],
            "haproxy": first_line("haproxy", "-v").partition("version ")[2].partition(" ")[0],
            "wrk": first_line("wrk", "-v").partition(" [")[0].removeprefix("wrk "),
        },
    }
