"""A clock that a test sets and a daemon goes by, so that what takes an hour is tested in a moment."""

import math
import mmap
import pathlib
import struct
import subprocess
import time

SOURCE = pathlib.Path(__file__).with_name("clock.c")


def compile_clock(directory):
    """The library that is preloaded; `clock.c` says what it does."""
    library = directory / "clock.so"
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return library


class Clock:
    """The time of one daemon, of its vendors, and of the test: the machine's, and as far ahead as `passes` said."""

    def __init__(self, library, file):
        file.write_bytes(bytes(16))
        with open(file, "r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 16)
        self.environment = {"LD_PRELOAD": str(library), "TEST_CLOCK": str(file)}
        self._wall = self._boot = 0

    def now(self):
        """Seconds since 1970."""
        return time.time() + self._wall

    def passes(self, seconds):
        """Time passes, waking or suspended: both clocks move."""
        seconds = math.ceil(seconds)
        self._set(self._wall + seconds, self._boot + seconds)

    def is_set(self, seconds):
        """Somebody sets the wall clock, by so much forward or back; no time passes."""
        self._set(self._wall + seconds, self._boot)

    def _set(self, wall, boot):
        self._wall, self._boot = wall, boot
        self._ahead[:] = struct.pack("qq", wall, boot)
