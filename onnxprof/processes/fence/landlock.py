"""Landlock: a process gives up writing outside of some folders, and TCP, without any privilege.

Linux kernel documentation, "Landlock: unprivileged access control", and `linux/landlock.h`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from onnxprof.processes.fence.kernel import call, renounce_privileges

# System calls have these numbers on every processor.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

_WRITE_FILE, _REFER, _TRUNCATE = 1 << 1, 1 << 13, 1 << 14
#: Removing folders and files; making devices, folders, files, sockets, pipes, links.
_CHANGE_FOLDERS = 0b1_1111_1111 << 4
_BIND_AND_CONNECT = 0b11
#: Abstract Unix sockets and signals reach no process outside.
_SCOPES = 0b11

#: The first with `refer`: before it no file is moved from a folder to another, not even inside.
LEAST_VERSION = 2
_WITH_TRUNCATE, _WITH_TCP, _WITH_SCOPES = 3, 4, 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("tcp", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The version of the kernel's interface. Raises OSError where there is none."""
    return call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def missing(error: OSError) -> str:
    """Why there is no Landlock."""
    if error.errno == errno.EOPNOTSUPP:
        return "Landlock is switched off in this kernel (its parameter `lsm` leaves it out)"
    if error.errno == errno.ENOSYS:
        return "this kernel has no Landlock"
    return f"Landlock is not available ({error.strerror})"


def has_tcp(found: int) -> bool:
    """Whether this version restricts TCP."""
    return found >= _WITH_TCP


def restrict(writable: Iterable[str], found: int) -> None:
    """Let this thread, and all that it starts, write below `writable` alone, and use no TCP.

    Reading and executing stay as they are. `found` is the kernel's version. Raises OSError.
    """
    handled = _ruleset(found)
    ruleset = call(_CREATE_RULESET, ctypes.byref(handled), ctypes.sizeof(handled), 0)
    try:
        for path in writable:
            with suppress(OSError):  # it is not there
                _allow(ruleset, path, handled.files)
        renounce_privileges()
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _ruleset(found: int) -> _Ruleset:
    truncate = _TRUNCATE if found >= _WITH_TRUNCATE else 0
    return _Ruleset(
        files=_WRITE_FILE | _CHANGE_FOLDERS | _REFER | truncate,
        tcp=_BIND_AND_CONNECT if has_tcp(found) else 0,
        scopes=_SCOPES if found >= _WITH_SCOPES else 0,
    )


def _allow(ruleset: int, path: str, files: int) -> None:
    """A file may be written to, in a folder everything else may be done, too."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        allowed = files if is_folder else files & (_WRITE_FILE | _TRUNCATE)
        call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_Beneath(allowed, descriptor)), 0)
    finally:
        os.close(descriptor)
