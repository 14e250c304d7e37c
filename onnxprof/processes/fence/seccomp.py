"""A filter of system calls: a process gives up sockets that reach a network.

Linux kernel documentation, "Seccomp BPF", and `linux/seccomp.h`. Without the flag that leaves
speculation as it is, older kernels would make the whole process slower.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import sys
from dataclasses import dataclass

from onnxprof.processes.fence.kernel import call, renounce_privileges

_SET_FILTER, _LEAVE_SPECULATION = 1, 4
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000
# linux/bpf_common.h: load a word, jump where equal, jump where greater or equal, return.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
#: Where a filter finds the number of the call, the processor's interface, and the first argument.
_NUMBER, _INTERFACE, _FIRST = 0, 4, 16
#: Families of sockets that stay on this machine: other processes, and the kernel.
_LOCAL = (1, 16)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers of system calls on a processor."""

    interface: int
    """`AUDIT_ARCH_…` of linux/audit.h."""
    socket: int
    seccomp: int
    others_from: int = 0
    """Calls from this number on are those of another interface; 0 where there is none."""


#: io_uring can open sockets, too; the number is the same on all processors.
_IO_URING_SETUP = 425
NUMBERS = {
    "x86_64": Numbers(0xC000003E, 41, 317, 0x40000000),
    "aarch64": Numbers(0xC00000B7, 198, 277),
    "riscv64": Numbers(0xC00000F3, 198, 277),
}


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("if_true", ctypes.c_uint8),
        ("if_false", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def numbers() -> Numbers | None:
    """Those of this process; None where they are not known here."""
    found = NUMBERS.get(platform.machine())
    return found if sys.maxsize > 1 << 32 else None


def refuse_networks() -> None:
    """Have this thread, and all that it starts, open no socket but those within the machine.

    Raises OSError where that is not possible.
    """
    found = numbers()
    if found is None:
        raise OSError(errno.ENOSYS, f"no numbers of system calls for {platform.machine()}")
    lines = program(found)
    held = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    renounce_privileges()
    filter_ = _Program(len(lines), held)
    call(found.seccomp, _SET_FILTER, _LEAVE_SPECULATION, ctypes.byref(filter_))


def program(found: Numbers) -> list[tuple[int, int, int, int]]:
    """The filter: code, lines to skip if true, if false, and a value."""
    refused, unknown = _ERROR | errno.EACCES, _ERROR | errno.ENOSYS
    others = found.others_from or 0xFFFFFFFF
    return [
        (_LOAD, 0, 0, _INTERFACE),
        (_EQUAL, 0, 8, found.interface),  # else unknown
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 6, 0, others),  # unknown
        (_EQUAL, 5, 0, _IO_URING_SETUP),  # unknown
        (_EQUAL, 0, 5, found.socket),  # else allowed
        (_LOAD, 0, 0, _FIRST),
        (_EQUAL, 3, 0, _LOCAL[0]),  # allowed
        (_EQUAL, 2, 0, _LOCAL[1]),  # allowed
        (_RETURN, 0, 0, refused),
        (_RETURN, 0, 0, unknown),
        (_RETURN, 0, 0, _ALLOW),
    ]
