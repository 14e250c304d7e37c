"""A view of the file system of one's own in which only some folders can be written to.

For kernels without Landlock, where users may make namespaces: user_namespaces(7), mount(2),
mount_setattr(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from onnxprof.processes.fence.kernel import call, function, renounce_privileges

_NEW_MOUNTS, _NEW_USER, _NEW_NETWORK = 0x00020000, 0x10000000, 0x40000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_READ_ONLY = 1
_CAPABILITIES_3 = 0x20080522


class _Attributes(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "users"))


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def restrict(writable: Iterable[str], *, network: bool) -> None:
    """Have this process write below `writable` alone; without `network` it has one of its own.

    The process must have one thread. Raises OSError where that is not possible, and then nothing
    was changed.
    """
    if os.geteuid() == 0:
        raise OSError(errno.EPERM, "a namespace would take away what root may do")
    places = list(writable)
    if tried := _tried(places, network):
        raise OSError(tried, os.strerror(tried))
    _restrict(places, network)


def _tried(writable: list[str], network: bool) -> int:
    """The error that a copy of this process meets; 0 where it meets none."""
    copy = os.fork()
    if copy == 0:
        try:
            _restrict(writable, network)
        except OSError as error:
            os._exit(error.errno or errno.EPERM)
        except BaseException:
            os._exit(errno.EPERM)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])


def _restrict(writable: list[str], network: bool) -> None:
    user, group = os.geteuid(), os.getegid()
    flags = _NEW_USER | _NEW_MOUNTS | (0 if network else _NEW_NETWORK)
    function("unshare", flags)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    function("mount", b"none", b"/", None, _RECURSIVE | _PRIVATE, None)
    kept = [path for path in writable if Path(path).is_dir()]
    for path in kept:
        with suppress(OSError):
            function("mount", path.encode(), path.encode(), None, _BIND | _RECURSIVE, None)
    _set(b"/", _Attributes(set=_READ_ONLY))
    for path in kept:
        with suppress(OSError):
            _set(path.encode(), _Attributes(clear=_READ_ONLY))
    renounce_privileges()
    _drop_capabilities()


def _set(path: bytes, attributes: _Attributes) -> None:
    size = ctypes.sizeof(attributes)
    call(_MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, ctypes.byref(attributes), size)


def _drop_capabilities() -> None:
    """Those of the namespace, with which the view could be changed back."""
    nothing = (ctypes.c_uint32 * 6)()
    header = _Header(_CAPABILITIES_3, 0)
    function("capset", ctypes.byref(header), ctypes.byref(nothing))
