"""The daemon as users run it: a configuration, a store made by the real command line, and `serve` in the foreground."""

import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile

from . import DEADLINE
from .waiting import until
from .wire import Wire

TOP = pathlib.Path(__file__).resolve().parents[3]
BIN = os.environ.get("CHATELAINE_BIN") or str(TOP / ".build/release/chatelaine")


def free_port():
    """A port nobody listens on, outside the range that the kernel gives to clients."""
    while True:
        port = random.randrange(20000, 30000)
        try:
            for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
                with socket.socket(family) as sock:
                    sock.bind((address, port))
            return port
        except OSError:
            continue


def chatelaine(*arguments, input=None, env=None, timeout=DEADLINE, **more):
    """Runs the command line once; stdin is closed unless `input` (bytes or text) is given."""
    if isinstance(input, str):
        input = input.encode()
    done = subprocess.run(
        [BIN, *map(str, arguments)], input=input if input is not None else b"", capture_output=True, timeout=timeout,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}, **more,
    )
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    return done


class House:
    """A directory with configuration, key and store, and the daemon that runs on it."""

    standing = []  # every one that was not removed, so that a failed test leaves nothing behind

    def __init__(self, routes, secrets=None, store=None, **top_level):
        """`routes` and `top_level` as in the configuration; `store` is another house whose store is copied."""
        # Short, because the path of a Unix socket is; open, because other users have to reach the socket to be refused.
        self.process = None
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="chatelaine-", dir="/tmp"))
        self.standing.append(self)
        self.home.chmod(0o755)
        (self.home / "state").mkdir(mode=0o700)
        self.port = free_port()
        self.config = self.home / "chatelaine.jsonc"
        self.key = self.home / "master.key"
        self.store = self.home / "state" / "store.db"
        self.socket = self.home / "http.sock"
        self.admin = self.home / "admin.sock"
        self.out = self.home / "stdout"
        self.err = self.home / "stderr"
        self.settings = {
            "version": 1,
            "listen": [{"tcp": f"127.0.0.1:{self.port}"}],
            "admin": {"unix": str(self.admin)},
            "store": {"path": str(self.store), "key": {"file": str(self.key)}},
            "routes": routes,
            **top_level,
        }
        self.write()
        if store is not None:
            shutil.copy2(store.key, self.key)
            for file in store.store.parent.glob("store.db*"):
                shutil.copy2(file, self.store.parent / file.name)
        else:
            self.run_well("init")
        for name, value in (secrets or {}).items():
            self.run_well("secret", "set", name, input=value)

    def write(self, text=None):
        """Writes the settings, or `text`, as the configuration, so that a reader never sees half of it."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(text if text is not None else json.dumps(self.settings, indent=2))
        fresh.chmod(0o644)
        fresh.replace(self.config)

    def run(self, *arguments, input=None, **more):
        """The command line on this house's configuration."""
        return chatelaine("--config", self.config, *arguments, input=input, **more)

    def run_well(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"chatelaine {' '.join(map(str, arguments))}: {done.returncode}: {done.err}"
        return done

    # The process.

    def start(self, wait=True, preexec=None, stdio=None, env=None, under=(), descriptors=()):
        """Starts `serve`, with a command that becomes it before it where `under` is one, and waits until it is ready."""
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                [*under, BIN, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL,
                stdout=stdio if stdio is not None else out, stderr=stdio if stdio is not None else err, cwd="/",
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}, preexec_fn=preexec, pass_fds=descriptors,
            )
        if wait:
            until(self.ready, "the daemon to answer /-/readyz")
        return self

    def ready(self):
        assert self.process.poll() is None, f"serve ended with {self.process.returncode}: {self.log()}"
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
            connection.request("GET", "/-/readyz")
            ready = connection.getresponse().status == 200
            connection.close()
            return ready
        except OSError:
            return False

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, deadline=DEADLINE):
        """The exit status, waiting for the end."""
        return self.process.wait(timeout=deadline)

    def stop(self):
        """Ends the daemon as a service manager does, and holds it to its promise."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                status = self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"SIGTERM did not end it: {self.log()[-3000:]}") from None
            assert status == 0, f"SIGTERM: exit status {status}: {self.log()[-3000:]}"
        self.process = None

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
        if self in self.standing:
            self.standing.remove(self)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
        finally:
            self.remove()

    # Looking at it.

    def log(self):
        """Everything it wrote so far."""
        return "".join(file.read_text(errors="replace") for file in (self.out, self.err) if file.exists())

    def log_lines(self):
        return [line for line in self.log().splitlines() if line]

    def memory(self, what="VmRSS"):
        """Bytes of resident memory now (VmRSS), or at most so far (VmHWM)."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {what}")

    def rests(self):
        """Whether every thread of it waits for something."""
        threads = pathlib.Path(f"/proc/{self.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "S" for stat in threads)

    def processor_time(self):
        """Seconds that it has computed for so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # Talking to it.

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def wire(self):
        return Wire(self.address)

    def exchange(self, method, target, fields=(), body=None, **more):
        """One request on a connection of its own."""
        with self.wire() as wire:
            return wire.exchange(method, target, fields, body, **more)
