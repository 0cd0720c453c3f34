"""Waiting for a condition, with a deadline. The only place in the suite that lets time pass."""

import time

from . import DEADLINE


def until(condition, what, deadline=DEADLINE, interval=0.01):
    """The first true value of `condition()`; fails with `what` when the deadline (seconds) passes first."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        time.sleep(interval)
