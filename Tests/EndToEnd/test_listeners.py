"""Who can reach the daemon: TCP on both families, Unix sockets with a mode, and only the daemon's own user (T1)."""

import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

from harness import DEADLINE
from harness.problems import ours, problem
from harness.waiting import until
from harness.wire import Response, Wire

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")


def request_as_nobody(*arguments):
    """curl run by another user; its output (head and body) as one response."""
    done = subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "curl", "-q", "-sS", "-i", "--max-time",
         str(DEADLINE), *arguments], capture_output=True, timeout=DEADLINE + 5, env={"PATH": "/usr/bin:/bin"}, cwd="/",
    )
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    response = Response(head + b"\r\n\r\n")
    response.body = body
    return response


@pytest.fixture(scope="module")
def open_socket(build, upstream):
    """A daemon whose socket's mode lets everyone connect, so that only the kernel's word on the caller is left to refuse."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.settings["listen"] += [{"tcp": f"[::1]:{house.port}"}, {"unix": str(house.socket), "mode": "0666"}]
    house.write()
    with house:
        yield house


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_tcp_on_both_families(house, seen, address):
    with Wire((address, house.port)) as wire:
        assert wire.exchange("GET", "/bearer/x").status == 200
    seen.only()


def test_the_unix_socket_has_its_mode(house, open_socket):
    assert stat.S_IMODE(house.socket.stat().st_mode) == 0o660
    assert stat.S_IMODE(open_socket.socket.stat().st_mode) == 0o666


def test_the_admin_socket_is_the_owners_alone(house):
    assert stat.S_IMODE(house.admin.stat().st_mode) == 0o600


def test_keep_alive_on_the_unix_socket(house, seen):
    with Wire(house.socket) as wire:
        for _ in range(3):
            assert wire.exchange("GET", "/bearer/x").status == 200


def test_the_admin_socket_forwards_nothing(house, seen):
    with Wire(house.admin) as wire:
        assert wire.exchange("GET", "/bearer/x").status >= 400
    seen.none()


def test_the_data_listeners_administer_nothing(house):
    """T3.7: never available on TCP."""
    for target in "/-/reload", "/-/secrets", "/-/admin", "/reload", "/secrets":
        for method in "GET", "POST", "PUT", "DELETE":
            assert house.exchange(method, target).status in (404, 405)


@as_root
def test_another_user_is_refused_on_tcp(open_socket, upstream):
    """T1.3, on both families."""
    with upstream.answering() as seen:
        for host in "127.0.0.1", "[::1]":
            response = request_as_nobody("--globoff", f"http://{host}:{open_socket.port}/shared/x")
            problem(response, "caller_unknown")
        seen.none()


@as_root
def test_another_user_is_refused_on_the_unix_socket(open_socket, upstream):
    """T1.2: though the mode of the socket let it connect."""
    with upstream.answering() as seen:
        response = request_as_nobody("--unix-socket", str(open_socket.socket), "http://localhost/shared/x")
        problem(response, "caller_unknown")
        seen.none()


@as_root
def test_another_user_learns_no_route_name(open_socket):
    known = request_as_nobody(f"{open_socket.url}/shared/x")
    unknown = request_as_nobody(f"{open_socket.url}/nowhere/x")
    assert known.json()["code"] == unknown.json()["code"] == "caller_unknown"


@as_root
def test_another_user_may_ask_whether_the_daemon_lives(open_socket):
    for endpoint in "livez", "readyz":
        response = request_as_nobody(f"{open_socket.url}/-/{endpoint}")
        assert response.status == 200
        ours(response)
    assert request_as_nobody(f"{open_socket.url}/-/metrics").status == 401


@as_root
def test_the_same_request_by_the_daemons_own_user_is_served(open_socket, upstream):
    """The control of the refusals above."""
    with upstream.answering() as seen:
        assert open_socket.exchange("GET", "/shared/x").status == 200
        with Wire(open_socket.socket) as wire:
            assert wire.exchange("GET", "/shared/x").status == 200
        assert len(seen.all) == 2


@as_root
def test_a_daemon_of_another_user_serves_that_user_and_not_root(build, upstream, authority):
    """The rule is the daemon's own uid, not uid 0."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.settings["routes"]["shared"]["tls"] = {"ca": str(house.home / "ca.pem")}
    (house.home / "ca.pem").write_bytes(authority.path.read_bytes())
    house.write()
    for path in [house.home, *house.home.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)

    def become_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    house.start(preexec=become_nobody)
    try:
        with upstream.answering() as seen:
            problem(house.exchange("GET", "/shared/x"), "caller_unknown")
            seen.none()
            assert request_as_nobody(f"{house.url}/shared/x").status == 200
        # T1.7: not dumpable, so the user's other programs cannot attach to it or read its memory.
        assert os.stat(f"/proc/{house.pid}/environ").st_uid == 0
        house.stop()
    finally:
        house.remove()


MAPS_A_USER = ["unshare", "--user", "--map-group=65534"]


def maps_users():
    """Whether this machine lets us make a user namespace with one user in it."""
    return shutil.which("unshare") and subprocess.run([*MAPS_A_USER, "--map-user=65534", "true"], capture_output=True).returncode == 0


@as_root
@pytest.mark.skipif(not maps_users(), reason="no user namespace may be made here")
@pytest.mark.parametrize("user", [65534, 1000])
def test_in_a_user_namespace_a_stranger_is_nobody(build, upstream, user):
    """The kernel gives one uid for all users that the namespace does not map, and it may be the daemon's own."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.settings["listen"] += [{"tcp": f"[::1]:{house.port}"}, {"unix": str(house.socket), "mode": "0666"}]
    house.write()
    house.start(under=[*MAPS_A_USER, f"--map-user={user}"])
    try:
        with upstream.answering() as seen:
            for host in "127.0.0.1", "[::1]":
                problem(request_as_nobody("--globoff", f"http://{host}:{house.port}/shared/x"), "caller_unknown")
            problem(request_as_nobody("--unix-socket", str(house.socket), "http://localhost/shared/x"), "caller_unknown")
            seen.none()
            if user != NOBODY:  # the control: who is mapped is known
                assert house.exchange("GET", "/shared/x").status == 200
        house.stop()
    finally:
        house.remove()


def test_a_socket_left_by_a_killed_daemon_is_taken_over(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    house.settings["listen"].append({"unix": str(house.socket), "mode": "0660"})
    house.write()
    house.start()
    house.signal(signal.SIGKILL)
    house.wait()
    assert house.socket.exists()
    with house, upstream.answering(), Wire(house.socket) as wire:
        assert wire.exchange("GET", "/shared/x").status == 200


def test_a_port_that_is_taken_is_said_so(build, house, upstream):
    other = build({"shared": {"connector": "bearer", "upstream": upstream.origin}},
                  listen=[{"tcp": f"127.0.0.1:{house.port}"}])
    other.start(wait=False)
    try:
        assert other.wait() == 69
        assert str(house.port) in other.log() and "in use" in other.log()
    finally:
        other.remove()


def test_a_socket_that_a_living_daemon_has_is_not_taken(build, house, upstream):
    other = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, listen=[{"unix": str(house.socket)}])
    other.start(wait=False)
    try:
        assert other.wait() == 69
        assert str(house.socket) in other.log()
    finally:
        other.remove()
    with Wire(house.socket) as wire:
        assert wire.exchange("GET", "/-/livez").status == 200


def test_a_socket_in_a_directory_that_others_can_write_is_refused(build, upstream):
    """T1.1."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    (house.home / "open").mkdir()
    (house.home / "open").chmod(0o777)
    house.settings["listen"] = [{"unix": str(house.home / "open" / "http.sock")}]
    house.write()
    house.start(wait=False)
    try:
        assert house.wait() == 77
        assert str(house.home / "open") in house.log()
    finally:
        house.remove()


def test_connections_past_the_limit_are_told_so(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, limits={"connections": 4})
    with house:
        held = [until(lambda: _connected(house), "a place") for _ in range(4)]
        with house.wire() as wire:
            problem(wire.response(), "overloaded")
        held.pop().sock.close()
        until(lambda: _served(house), "the place to be free again")
        for wire in held:
            wire.sock.close()


def test_the_command_line_gets_in_where_a_program_has_taken_all_its_places(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, limits={"connections_per_caller": 3})
    with house:
        held = [until(lambda: _connected(house), "a place") for _ in range(3)]
        with house.wire() as wire:
            problem(wire.response(), "overloaded")
        assert str(house.pid) in house.run_well("status").out
        for wire in held:
            wire.sock.close()


def test_without_descriptors_the_daemon_rests_and_recovers(build, upstream):
    """Linux says that there is none left even where nobody waits to be accepted: asking again at once never ends."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}}, loops=1)
    house.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
    try:
        held = [socket.create_connection(house.address) for _ in range(50)]
        until(lambda: "out of file descriptors" in house.log(), "the daemon to run out of descriptors")
        before = house.processor_time()
        threading.Event().wait(0.5)  # not for anything: what passes meanwhile is what is measured
        assert house.processor_time() - before < 0.1
        for sock in held:
            sock.close()
        until(lambda: _served(house), "connections to be served again")
        with upstream.answering():
            assert house.exchange("GET", "/shared/x").status == 200
        house.stop()
    finally:
        house.remove()


def _connected(house):
    """A connection that has its place; none while those that ended lately still have theirs."""
    wire = house.wire()
    try:
        if wire.exchange("GET", "/-/livez").status == 200:
            return wire
    except (AssertionError, OSError):
        pass
    wire.sock.close()
    return None


def _served(house):
    try:
        return house.exchange("GET", "/-/livez").status == 200
    except (AssertionError, OSError):
        return False
