"""What keeps measurements apart here, tried out, and why the rest does not hold: for `doctor`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from onnxprof.errors import OnnxprofError
from onnxprof.processes.cores import listed, split, usable
from onnxprof.processes.fence.enclose import Fence
from onnxprof.processes.trial.probe import probe


@dataclass(frozen=True, slots=True)
class Guard:
    """One thing that a measuring process is kept from."""

    name: str
    holds: bool
    detail: str
    """By what, or why it does not hold."""


def guards() -> Iterator[Guard]:
    """Every guard; a process of its own tries to get past the fences."""
    yield from _fences()
    yield _memory()
    yield _cores()


def _fences() -> Iterator[Guard]:
    try:
        found = probe()
    except OnnxprofError as error:
        for name in ("files", "network"):
            yield Guard(name, False, f"not tried: {error}")
        return
    yield _fence("files", "writing elsewhere is", found.promised.files, found.wrote)
    yield _fence("network", "networks are", found.promised.network, found.connected)


def _fence(name: str, what: str, fence: Fence, passed: bool) -> Guard:
    if not fence.by:
        return Guard(name, False, f"{what} not refused: {fence.why}")
    if passed:
        return Guard(name, False, f"{what} not refused, in spite of {fence.by}")
    return Guard(name, True, f"{what} refused ({fence.by})")


def _memory() -> Guard:
    if sys.platform == "linux":
        return Guard("memory", True, "limited by RLIMIT_DATA; a process that is killed costs a job")
    return Guard("memory", False, "not limited: the limit is Linux's")


def _cores() -> Guard:
    """The most threads with which something is left for onnxprof itself."""
    here = usable()
    for threads in range(len(here) - 1, 0, -1):
        found = split(here, threads)
        if found.ours:
            several = f"up to {threads} threads" if threads > 1 else "1 thread"
            place = f"{listed(found.measured)}; onnxprof keeps to {listed(found.ours)}"
            return Guard("cores", True, f"with {several} on {place}")
    why = "a single core is shared" if here else "this system binds no process to cores"
    return Guard("cores", False, why)
