"""Reload and end: atomic, and without losing an exchange."""

import json
import os
import resource
import signal
import socket
import threading

import pytest

from harness import DEADLINE
from harness.waiting import until
from harness.wire import Wire


@pytest.fixture
def running(build, upstream):
    with build({"shared": {"connector": "bearer", "upstream": upstream.origin}}) as house:
        yield house


def added(house, name="added"):
    """The settings with one more route."""
    house.settings["routes"][name] = {**house.settings["routes"]["shared"], "secrets": {"token": "shared/token"}}


def served(house, route):
    return house.exchange("GET", f"/{route}/x").status == 200


def by_signal(house):
    house.signal(signal.SIGHUP)


def by_command(house):
    house.run_well("reload")


@pytest.mark.parametrize("reload", [by_signal, by_command])
def test_a_reload_takes_the_new_configuration(running, upstream, reload):
    with upstream.answering():
        assert running.exchange("GET", "/added/x").status == 404
        added(running)
        running.write()
        reload(running)
        until(lambda: served(running, "added"), "the added route to be served")
        assert served(running, "shared")


def test_the_command_returns_when_the_new_configuration_is_in_force(running, upstream):
    with upstream.answering():
        added(running)
        running.write()
        running.run_well("reload")
        assert served(running, "added")
        del running.settings["routes"]["added"]
        running.write()
        running.run_well("reload")
        assert running.exchange("GET", "/added/x").status == 404


@pytest.mark.parametrize("wrong", [
    "{ not json",
    '{"version": 1, "routes": {"a": {"conector": "bearer"}}}',
    '{"version": 1, "routes": {"a": {"connector": "no-such-connector", "upstream": "https://x.example"}}}',
], ids=["syntax", "unknown key", "unknown connector"])
def test_a_wrong_configuration_keeps_the_old_one(running, upstream, wrong):
    with upstream.answering():
        running.write(wrong)
        done = running.run("reload")
        assert done.returncode == 78
        assert f"{running.config}:1:" in done.err and "error:" in done.err
        assert served(running, "shared")
        # By signal there is nobody to tell but the log.
        lines = len(running.log_lines())
        running.signal(signal.SIGHUP)
        until(lambda: any("error" in line for line in running.log_lines()[lines:]), "the mistake to be logged")
        assert served(running, "shared")
        # And the daemon is not stuck with it.
        added(running)
        running.write()
        running.run_well("reload")
        assert served(running, "added")


@pytest.mark.parametrize("key, value", [
    ("listen", [{"tcp": "127.0.0.1:1"}]), ("admin", {"unix": "/tmp/other.sock"}), ("store", {"path": "/tmp/x", "key": {"file": "/k"}}),
    ("loops", 7), ("metrics", {"tcp": "127.0.0.1:1"}),
])
def test_what_only_a_restart_can_change_is_refused_by_name_and_as_a_whole(running, upstream, key, value):
    with upstream.answering():
        added(running)
        running.settings[key] = value
        running.write()
        lines = len(running.log_lines())
        running.signal(signal.SIGHUP)
        refusal = until(lambda: next((line for line in running.log_lines()[lines:] if '"error"' in line), None), "a refusal")
        assert key in refusal and "restart" in refusal
        assert running.exchange("GET", "/added/x").status == 404, "none of it was taken"
        assert served(running, "shared")


def test_a_reload_under_way_does_not_keep_the_daemon_from_ending_well(running):
    """What ends with the process must not be taken apart under threads that are still at work."""
    for _ in range(15):
        for _ in range(5):
            running.signal(signal.SIGHUP)
        running.signal(signal.SIGTERM)
        assert running.wait() == 0, running.log()
        running.start()


def test_a_reload_interrupts_nobody(running, upstream):
    """Exchanges go on all the while the configuration changes to and fro; every one of them ends well."""
    stop, failures, count = threading.Event(), [], [0]

    def client():
        with running.wire() as wire:
            while not stop.is_set():
                response = wire.exchange("GET", "/shared/x")
                count[0] += 1
                if response.status != 200:
                    failures.append(response)

    with upstream.answering():
        threads = [threading.Thread(target=client) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for number in range(10):
                added(running, f"added-{number}")
                running.write()
                running.run_well("reload")
                assert served(running, f"added-{number}")
        finally:
            stop.set()
            for thread in threads:
                thread.join(DEADLINE)
    assert not failures, failures[0]
    assert count[0] > 10


def test_an_exchange_in_flight_keeps_the_configuration_that_it_began_with(running, upstream):
    release = threading.Event()

    def slowly(exchange):
        release.wait(DEADLINE)
        exchange.answer(200, [], b"late")

    with upstream.answering(slowly) as seen, running.wire() as wire:
        wire.request("GET", "/shared/x")
        seen.next()
        added(running, "other")
        del running.settings["routes"]["shared"]
        running.write()
        running.run_well("reload")
        assert running.exchange("GET", "/shared/x").status == 404
        release.set()
        assert wire.response().body == b"late"


@pytest.mark.parametrize("sizes", [("32KiB", "4KiB"), ("4KiB", "32KiB")])
def test_a_limit_is_in_force_for_the_next_request_of_a_connection_that_stands(build, upstream, sizes):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, limits={"head": sizes[0]})
    with house, upstream.answering():
        # Each connection has been served; which loop it is with, and what that loop keeps for the next, differs.
        standing = [house.wire() for _ in range(4)]
        for wire in standing:
            assert wire.exchange("GET", "/shared/x").status == 200
        house.settings["limits"]["head"] = sizes[1]
        house.write()
        house.run_well("reload")
        for wire in standing:
            response = wire.exchange("GET", "/shared/x", [("X-Long", "x" * 8000)])
            assert response.status == (431 if sizes[1] == "4KiB" else 200)
            wire.sock.close()


def test_what_ends_while_the_daemon_does_is_in_the_log(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    release = threading.Event()

    def slowly(exchange):
        assert release.wait(DEADLINE)
        exchange.answer(200, [], b"late")

    try:
        house.start()
        with upstream.answering(slowly) as seen:
            wires = [house.wire() for _ in range(8)]
            for number, wire in enumerate(wires):
                wire.request("GET", f"/shared/late-{number}")
                seen.next()
                wire.sock.shutdown(socket.SHUT_WR)  # so that nothing is left to wait for behind the answer
            house.signal(signal.SIGTERM)
            until(lambda: refuses(house), "new connections to be refused")
            release.set()
            ids = []
            for wire in wires:
                response = wire.response()
                assert response.body == b"late"
                ids.append(response.value("X-Request-Id"))
                wire.sock.close()
            assert house.wait() == 0
        lines = [json.loads(line) for line in house.log_lines()]
        for number, request_id in enumerate(ids):
            line, = (line for line in lines if request_id in line.values())
            assert (line["path"].endswith(f"/late-{number}"), line["status"]) == (True, 200)
    finally:
        house.remove()


def test_the_end_waits_for_what_is_in_flight(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    release = threading.Event()

    def slowly(exchange):
        exchange.start(200, [("Content-Length", "10")])
        exchange.send(b"first")
        assert release.wait(DEADLINE)
        exchange.send(b" last")

    try:
        house.start()
        with upstream.answering(slowly), house.wire() as wire:
            wire.request("GET", "/shared/x")
            assert wire.head().status == 200
            assert wire.take(5) == b"first"
            idle = house.wire()
            assert idle.exchange("GET", "/-/livez").status == 200
            house.signal(signal.SIGTERM)
            until(lambda: refuses(house), "new connections to be refused")
            assert house.process.poll() is None, "it ended under an exchange"
            assert idle.ended(), "a connection without a request is closed at once"
            release.set()
            assert wire.take(5) == b" last"
            assert house.wait() == 0
    finally:
        house.remove()


def refuses(house):
    """Draining: no new connection, or one that is told that it is not ready."""
    try:
        with house.wire() as wire:
            return wire.exchange("GET", "/-/readyz").status == 503
    except (OSError, AssertionError):
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_work_the_end_is_at_once(build, upstream, number):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.settings["listen"].append({"unix": str(house.socket)})
    house.write()
    try:
        house.start()
        house.signal(number)
        assert house.wait(5) == 0
        assert not house.socket.exists(), "it takes its sockets along"
        assert not house.admin.exists()
    finally:
        house.remove()


def test_a_wrong_configuration_does_not_start(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.write(json.dumps({**house.settings, "lissten": []}, indent=2))
    house.start(wait=False)
    try:
        assert house.wait() == 78
        assert f"{house.config}:" in house.log()
        assert 'did you mean "listen"?' in house.log()
    finally:
        house.remove()


def test_no_core_is_ever_written(build, upstream):
    """T1.7: whatever the limit was that it began with."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    allowed = resource.RLIM_INFINITY if os.getuid() == 0 else hard
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    try:
        house.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_CORE, (allowed, allowed)))
        assert resource.prlimit(house.pid, resource.RLIMIT_CORE) == (0, 0)
        house.stop()
    finally:
        house.remove()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root: nobody else may look into /proc/<pid>/fd (T1.7)")
def test_many_connections_come_and_go_without_a_descriptor_left(running, upstream):
    def descriptors():
        return len(os.listdir(f"/proc/{running.pid}/fd"))

    with upstream.answering():
        for _ in range(5):
            assert served(running, "shared")
        before = descriptors()
        for _ in range(100):
            with running.wire() as wire:
                wire.send(b"GET /shared/x HT")
            with Wire(running.address) as wire:
                wire.exchange("GET", "/shared/x")
        until(lambda: descriptors() <= before + 2, f"descriptors to be closed: {before} before, {descriptors()} now")
