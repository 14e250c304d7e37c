"""The kernel's account of the files that a program opens: inotify, and strace where it is there.

It sees what libraries in C++ do, too.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.places import ROOT

_IN_OPEN, _IN_ISDIR, _IN_NONBLOCK = 0x20, 0x40000000, 0o4000
#: What an interpreter, its libraries and the C library open by themselves.
_USUAL = ("/proc/", "/sys/", "/dev", "/usr/", "/lib", "/etc/ld.so", "/etc/localtime", "pipe:")


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """The names of files in the folder that anybody opened meanwhile, filled in on the way out."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(_IN_NONBLOCK)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_OPEN) < 0:
        pytest.skip("no inotify here")
    opened: list[str] = []
    try:
        yield opened
        while True:
            try:
                opened += _names(os.read(descriptor, 1 << 20))
            except BlockingIOError:
                break
    finally:
        os.close(descriptor)


def _names(events: bytes) -> Iterator[str]:
    at = 0
    while at < len(events):
        _, mask, _, length = struct.unpack_from("iIII", events, at)
        name = events[at + 16 : at + 16 + length].rstrip(b"\0").decode()
        if name and not mask & _IN_ISDIR:
            yield name
        at += 16 + length


def planted(folder: Path) -> Path:
    """A folder for models with links that leave it, and files outside that nobody may open."""
    inside, outside = folder / "models", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    for name in ("secret.bin", "weights.bin", "a"):
        (outside / name).write_bytes(b"\x01" * 4096)
    (inside / "link").symlink_to("../outside/secret.bin")
    (inside / "linked").symlink_to("../outside")
    return outside


def traced(log: Path) -> list[str]:
    """The words before a command that log the files it opens; none without strace."""
    strace = shutil.which("strace")
    if strace is None:
        return []
    calls = ("-f", "--seccomp-bpf", "-qq", "-e", "trace=open,openat,openat2", "-e", "signal=none")
    words = [strace, *calls, "-s", "4096", "-o", str(log)]
    works = subprocess.run([*words, "true"], capture_output=True).returncode == 0
    return words if works else []


def outsiders(log: Path, folder: Path) -> set[str]:
    """Paths that were opened, in spite of all that an interpreter opens by itself."""
    own = (sys.prefix, sys.base_prefix, str(ROOT), *filter(None, sys.path))
    scratch = os.path.join(tempfile.gettempdir(), "onnxprof-")
    usual = (*_USUAL, *map(os.path.realpath, own), *own, scratch, str(folder / "models"))
    opened = set(re.findall(r'"((?:[^"\\]|\\.)*)"[^=]*= \d+', log.read_text("utf-8", "replace")))
    tried = rf"{re.escape(tempfile.gettempdir())}(/[a-z0-9_]{{8}})?"  # Python tries it out
    return {
        path
        for path in opened - {str(folder / "outside")}
        if path.startswith("/") and not path.startswith(usual) and not re.fullmatch(tried, path)
    }
