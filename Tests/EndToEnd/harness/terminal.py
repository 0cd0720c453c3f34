"""A verb at a terminal: what is typed, and what is seen of it."""

import os
import pty
import subprocess
import termios

from . import DEADLINE
from .daemon import BIN
from .waiting import until


class Terminal:
    """`with Terminal(stage, "ath", "exchange", "r") as terminal:`; stdin is a terminal, or /dev/null, and stdout and stderr
    are files."""

    def __init__(self, stage, *arguments, terminal=True, env=None):
        self.stage = stage
        number = len(list(stage.house.home.glob("terminal-*")))
        self.files = [stage.house.home / f"terminal-{number}.{stream}" for stream in ("out", "err")]
        self.keyboard, stdin = pty.openpty() if terminal else (None, os.open(os.devnull, os.O_RDONLY))
        self.before = termios.tcgetattr(self.keyboard) if terminal else None
        with open(self.files[0], "wb") as out, open(self.files[1], "wb") as err:
            self.process = subprocess.Popen(
                [BIN, "--config", str(stage.house.config), *arguments], stdin=stdin, stdout=out, stderr=err,
                start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **stage.clock.environment, **(env or {})})
        os.close(stdin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.keyboard is not None:
            os.close(self.keyboard)

    @property
    def out(self):
        return self.files[0].read_text()

    @property
    def err(self):
        return self.files[1].read_text()

    def asks(self, text):
        """Waits until this was said on stderr."""
        until(lambda: text in self.err, f"to be asked: {self.err}")
        return self

    def types(self, text):
        os.write(self.keyboard, text.encode())
        return self

    def ends(self, status=0):
        """Waits for its end. All that it said is searched for secrets with the rest, and so is what was echoed."""
        assert self.process.wait(DEADLINE) == status, (self.process.returncode, self.out, self.err)
        assert termios.tcgetattr(self.keyboard) == self.before, "the terminal is as it was"
        os.set_blocking(self.keyboard, False)
        try:
            self.echoed = os.read(self.keyboard, 65536)
        except OSError:
            self.echoed = b""
        self.stage.texts.append((self.out + self.err).encode() + self.echoed)
        return self
