"""What a service manager relies on: to be told of the start and the end, and that its sockets are taken over."""

import os
import socket

from harness import DEADLINE


def test_it_tells_that_it_is_ready_and_that_it_stops(build, upstream):
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(house.home / "notify"))
        manager.settimeout(DEADLINE)
        try:
            house.start(wait=False, env={"NOTIFY_SOCKET": str(house.home / "notify")})
            assert "READY=1" in manager.recv(4096).decode().splitlines()
            assert house.ready(), "ready means ready"
            house.stop()
            assert "STOPPING=1" in manager.recv(4096).decode().splitlines()
        finally:
            house.remove()


def test_it_takes_over_the_sockets_that_the_manager_opened(build, upstream):
    """T1.5: the port is never free for someone else to take."""
    house = build({"shared": {"connector": "bearer", "upstream": upstream.origin}})
    with socket.create_server(("127.0.0.1", house.port)) as listener:
        os.set_inheritable(listener.fileno(), True)
        try:
            house.start(
                preexec=lambda: os.dup2(listener.fileno(), 3), descriptors=[3, listener.fileno()],
                under=["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"],
            )
            with upstream.answering() as seen:
                assert house.exchange("GET", "/shared/x").status == 200
                seen.only()
            house.stop()
        finally:
            house.remove()
