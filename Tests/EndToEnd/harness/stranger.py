"""Connections that belong to another user, as far as the kernel can tell."""

import contextlib
import ctypes
import os
import platform
import threading

import pytest

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")

# The C library would change all threads; the kernel knows a user for each.
_SETRESUID = {"x86_64": 117, "aarch64": 147}[platform.machine()]
_libc = ctypes.CDLL(None, use_errno=True)
_one = threading.Lock()


@contextlib.contextmanager
def stranger():
    """What this thread connects within is nobody's: of TCP the socket's owner counts, of Unix sockets who connects."""

    def become(uid):
        assert _libc.syscall(_SETRESUID, -1, uid, -1) == 0, os.strerror(ctypes.get_errno())

    with _one:
        become(NOBODY)
        try:
            yield
        finally:
            become(0)
