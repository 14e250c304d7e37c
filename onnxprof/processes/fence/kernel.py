"""System calls that Python has no function for, by number."""

from __future__ import annotations

import ctypes
import os

_PR_SET_NO_NEW_PRIVS = 38


def call(number: int, *values: object) -> int:
    """The result of a system call. Raises OSError as it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(v) if isinstance(v, int) else v for v in values]
    libc.syscall.restype = ctypes.c_long
    return _checked(int(libc.syscall(ctypes.c_long(number), *given)))


def function(name: str, *values: object) -> int:
    """The result of a function of the C library. Raises OSError as it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_ulong(v) if isinstance(v, int) else v for v in values]
    return _checked(int(getattr(libc, name)(*given)))


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def renounce_privileges() -> None:
    """Programs that this process starts gain no rights: what fences ask of users who are not root.

    Linux kernel documentation, "No New Privileges Flag".
    """
    function("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
