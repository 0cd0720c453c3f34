"""Many connections at once: slow ones, more than there are descriptors, and ten thousand that say nothing."""

import contextlib
import pathlib
import resource
import socket
import statistics
import struct
import subprocess
import sys
import time

import pytest

from harness import DEADLINE
from harness.daemon import TOP
from harness.waiting import until

HERE = pathlib.Path(__file__).parent / "foreign"
# A request as a client sends it that does nothing else.
REQUEST = b"GET /shared/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"


class Crowd:
    """See foreign/crowd.py."""

    def __init__(self, port, count):
        command = [sys.executable, HERE / "crowd.py", str(port), str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def do(self, word):
        self.process.stdin.write(word + "\n")
        assert self.process.stdout.readline() == "done\n", f"the crowd failed to {word}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def steady():
    """The origin of an upstream in a process of its own."""
    process = subprocess.Popen([sys.executable, HERE / "steady.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()


@pytest.fixture
def open_to_many(build, steady):
    """A daemon that takes more connections than any test here makes, not yet started."""
    routes = {"shared": {"connector": "bearer", "upstream": steady}}
    return build(routes, limits={"connections": 15_000, "connections_per_caller": 15_000}, log={"level": "warn"})


def p99(house, seconds):
    """The 99th percentile of what a request takes, on one connection for so many seconds, one after another."""
    took, request = [], REQUEST % house.port
    with house.wire() as wire:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.perf_counter()
            wire.send(request)
            while not wire.buffer.endswith(b"\r\n\r\nok"):
                assert wire.more()
            took.append(time.perf_counter() - start)
            wire.buffer.clear()
    return statistics.quantiles(took, n=100)[98]


def test_two_thousand_that_drip_leave_the_others_their_pace(open_to_many):
    """One byte a second each, of a head that never ends. Rounds with and without them take turns. What else the machine does
    only adds to either, so the best round of each counts; where it does much, more rounds decide."""
    with open_to_many as house, Crowd(house.port, 2000) as crowd:
        p99(house, 0.5)
        alone, beside = [], []
        while len(alone) < 5 or len(alone) < 12 and min(beside) > 2 * min(alone):
            alone.append(p99(house, 0.8))
            crowd.do("open")
            crowd.do("drip")
            beside.append(p99(house, 1.5))
            crowd.do("still")
            crowd.do("close")
            until(lambda: connections(house) <= 1, "the crowd to be gone")
        quiet, crowded = min(alone), min(beside)
        print(f"p99 alone {quiet * 1e6:.0f} us, beside 2,000 that drip {crowded * 1e6:.0f} us")
        assert crowded <= 2 * quiet, (alone, beside)


def connections(house):
    metrics = house.exchange("GET", "/-/metrics").body.decode()
    return int(metrics.split("\nchatelaine_client_connections ")[1].split()[0])


def test_a_thousand_clients_for_64_descriptors_neither_end_nor_busy_the_daemon(build, upstream):
    """Those that fit are held, the others are closed; of the requests of those that fit none can have an upstream."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, log={"level": "warn"})
    house.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)))
    try:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(house.address, timeout=DEADLINE)) for _ in range(1000)]
            until(lambda: "out of file descriptors" in house.log(), "the daemon to run out of descriptors")
            standing = until(lambda: standing_among(held), "those without a place to be closed")
            assert 30 <= len(standing) <= 60
            before = house.processor_time()
            time.sleep(1)  # not for anything: what passes meanwhile is what is measured
            assert house.processor_time() - before <= 0.03
            answers = [ask(sock, REQUEST % house.port) for sock in standing]
            refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 502 ") and b"Too many open files" in answer]
            # One that was still waiting to be accepted is closed without an answer, like all that came before it.
            assert len(refused) >= 30 and all(answer in (b"", *refused) for answer in answers), answers
            before = house.processor_time()
            time.sleep(1)
            assert house.processor_time() - before <= 0.03
        until(lambda: served(house), "connections to be served again")
        with upstream.answering():
            assert house.exchange("GET", "/shared/x").status == 200
        house.stop()
    finally:
        house.remove()


def ask(sock, request):
    """What is answered; nothing where the connection was closed."""
    try:
        sock.sendall(request)
        return sock.recv(65536)
    except (BrokenPipeError, ConnectionResetError):
        return b""


def standing_among(socks):
    """The connections that the daemon has not ended, once it has ended enough for there to be no further ones waiting."""
    standing = []
    for sock in socks:
        sock.setblocking(False)
        try:
            sock.recv(1)
        except BlockingIOError:
            standing.append(sock)
        except OSError:
            pass
        sock.settimeout(DEADLINE)
    return standing if len(standing) < 64 else None


def served(house):
    try:
        return house.exchange("GET", "/-/livez").status == 200
    except (AssertionError, OSError):
        return False


def test_ten_thousand_idle_connections_cost_less_than_a_kibibyte_each(open_to_many):
    """Those that have not spoken, and those that had a request of 4 KiB answered: no buffer stays with them."""
    count = 10_000
    with open_to_many as house, Crowd(house.port, count) as crowd:
        with Crowd(house.port, 64) as few:  # what the first of all connections cost is not what each costs
            few.do("open")
            few.do("ask")
        until(lambda: connections(house) <= 1, "the few to be gone")
        before = house.memory()
        crowd.do("open")
        until(lambda: connections(house) > count, "all of them to be accepted")
        quiet = (house.memory() - before) / count
        crowd.do("ask")
        served = (house.memory() - before) / count
        print(f"a connection: {quiet:.0f} bytes before its first request, {served:.0f} behind it")
        assert quiet <= 1024 and served <= 1024
        crowd.do("close")
        until(lambda: connections(house) <= 1, "all of them to be gone")


@pytest.fixture
def allocations(tmp_path):
    """The environment in which the daemon counts what it asks of malloc, and how to read the count."""
    library, file = tmp_path / "allocations.so", tmp_path / "count"
    source = TOP / "benchmarks/harness/allocations.c"
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    file.write_bytes(bytes(4096))
    environment = {"LD_PRELOAD": str(library), "BENCHMARK_ALLOCATIONS": str(file)}
    return environment, lambda: struct.unpack_from("L", file.read_bytes())[0]


def test_a_head_costs_no_allocation_a_byte_in_however_many_pieces_it_comes(open_to_many, allocations):
    """The reader goes on where it stopped, in room that is there; one or two are of what happens beside it, like a timer."""
    environment, count = allocations
    house = open_to_many
    house.settings["loops"] = 1
    house.write()
    house.start(env=environment)
    try:
        head = b"GET /-/livez HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % house.port
        head += b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1020) for number in range(16)) + b"\r\n"
        assert len(head) > 16 * 1024

        def cost(pieces, seen):
            """Allocations of one request, on a connection that had one, and how often the daemon woke for it."""
            with house.wire() as wire:
                assert wire.exchange("GET", "/-/livez").status == 200
                until(house.rests, "the daemon to rest", interval=0)
                before, woken = count(), wakes(house)
                for piece in pieces:
                    wire.send(piece)
                    if seen:
                        until(house.rests, "the daemon to have seen a byte", interval=0)
                assert wire.response().status == 200
                return count() - before, wakes(house) - woken

        bytewise = [bytes([byte]) for byte in head]
        cost([head[:15_000], head[15_000:]], True)  # the first time makes the room
        whole, _ = cost([head], False)
        split, woken = cost(bytewise, True)
        assert woken > len(head) * 0.9, "it did not come byte by byte"
        assert whole < 10 and split < 10, (whole, split)
        house.stop()
    finally:
        house.remove()


def wakes(house):
    """How often a thread of the daemon has gone to sleep, in all."""
    statuses = pathlib.Path(f"/proc/{house.pid}/task").glob("*/status")
    return sum(int(status.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0]) for status in statuses)
