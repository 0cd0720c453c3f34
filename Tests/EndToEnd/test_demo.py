"""`make demo`: the curl lines that it prints work as printed, and show what the upstream received."""

import os
import re
import signal
import subprocess
import threading

import pytest

from harness import DEADLINE
from harness.daemon import BIN, TOP
from harness.waiting import until

# A release build that is up to date takes a second or two to say so.
START = 120


@pytest.fixture(scope="module")
def demo():
    """Runs it as a person does, and ends it as a person does: Ctrl-C goes to the whole foreground group."""
    through_make = BIN == str(TOP / ".build/release/chatelaine")
    process = subprocess.Popen(
        ["make", "--no-print-directory", "demo"] if through_make else [BIN, "demo"], cwd=TOP, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )
    printed = []
    ended = threading.Event()

    def read():
        for line in process.stdout:
            printed.append(line.decode())
        ended.set()

    threading.Thread(target=read, daemon=True).start()

    def lines():
        assert not ended.is_set(), f"the demo ended: {''.join(printed)}"
        return re.findall(r"^\s*\$?\s*(curl .+)$", "".join(printed), re.MULTILINE)

    until(lines, "the demo to print curl lines", deadline=START)
    # The printout is over when the first exchange is logged or nothing more comes; a line of curl that works is the sign.
    until(lambda: run(lines()[0]).returncode == 0, "the demo to serve")
    yield lines, printed
    os.killpg(process.pid, signal.SIGINT)
    process.wait(DEADLINE)
    until(ended.is_set, "everything of the demo to end")
    if not through_make:
        assert process.returncode == 0


def run(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=DEADLINE, cwd="/",
                          env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"})


def test_every_line_works_as_printed(demo):
    lines, _ = demo
    assert len(lines()) >= 4, "one route of each kind"
    for line in lines():
        done = run(line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert done.stdout, line


def test_a_line_shows_what_the_upstream_received(demo):
    lines, _ = demo
    signed = [run(line).stdout.decode() for line in lines() if "codegate" in line]
    assert signed
    for shown in signed:
        assert re.search(r"X-Signature\W+[0-9a-f]{64}", shown), shown
        assert re.search(r"X-Timestamp\W+[0-9]{10}", shown), shown


def test_each_kind_of_connector_is_shown(demo):
    lines, _ = demo
    shown = "".join(run(line).stdout.decode() for line in lines())
    assert re.search(r"Bearer ", shown) and re.search(r"Basic ", shown)


def test_it_leaves_nothing_behind(tmp_path):
    """A throw-away store is thrown away."""
    process = subprocess.Popen([BIN, "demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               cwd="/", env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)})
    for line in process.stdout:
        if b"curl " in line:
            break
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    assert not os.listdir(tmp_path)
