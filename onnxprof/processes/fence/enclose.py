"""Puts up what fences there are around this process, and says which of them hold."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass

#: Set to `off`, work is done without fences.
SWITCH = "ONNXPROF_FENCE"


@dataclass(frozen=True, slots=True)
class Fence:
    """Something that untrusted work must not do, and what keeps it from it."""

    by: str = ""
    """Empty where nothing does."""
    why: str = ""
    """Why nothing does, or does more."""


@dataclass(frozen=True, slots=True)
class Enclosure:
    """The fences around a process."""

    files: Fence = Fence()
    """Against writing outside of its folders."""
    network: Fence = Fence()
    """Against reaching a network."""


#: Those around this process, the last ones put up first.
_HERE: list[Enclosure] = []


def here() -> Enclosure:
    """The fences around this process."""
    return _HERE[0] if _HERE else Enclosure()


def enclose(writable: Iterable[str]) -> Enclosure:
    """Keep this process, and all that it starts, from writing elsewhere and from networks.

    To be called while it has one thread. What the system cannot do is left out, and said.
    """
    _HERE.insert(0, _enclosed(writable))
    return here()


def _enclosed(writable: Iterable[str]) -> Enclosure:
    if sys.platform != "linux":
        nothing = Fence(why="fences are those of Linux")
        return Enclosure(nothing, nothing)
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no", "false"):
        nothing = Fence(why=f"{SWITCH} switches fences off")
        return Enclosure(nothing, nothing)
    from onnxprof.processes.fence import places

    allowed = [*writable, *places.writable()]
    files, tcp = _landlock(allowed)
    network = _filter(tcp)
    if files.by:
        return Enclosure(files, network)
    return _namespaces(allowed, files, network)


def _landlock(writable: list[str]) -> tuple[Fence, str]:
    """The fence for files, and what it does about networks."""
    from onnxprof.processes.fence import landlock

    try:
        found = landlock.version()
    except OSError as error:
        return Fence(why=landlock.missing(error)), ""
    if found < landlock.LEAST_VERSION:
        return Fence(why=f"Landlock {found} moves no files between folders (Linux 5.19 does)"), ""
    try:
        landlock.restrict(writable, found)
    except OSError as error:
        return Fence(why=f"Landlock refuses ({error.strerror})"), ""
    return Fence(f"Landlock {found}"), f"Landlock {found}, TCP" if landlock.has_tcp(found) else ""


def _filter(tcp: str) -> Fence:
    from onnxprof.processes.fence import seccomp

    try:
        seccomp.refuse_networks()
    except OSError as error:
        return Fence(tcp, f"no filter of system calls ({error.strerror})")
    return Fence(" and ".join(["seccomp", *([tcp] if tcp else [])]))


def _namespaces(writable: list[str], files: Fence, network: Fence) -> Enclosure:
    """In place of Landlock; a network of its own where nothing else keeps it from those."""
    from onnxprof.processes.fence import namespaces

    try:
        namespaces.restrict(writable, network=bool(network.by))
    except OSError as error:
        why = f"{files.why}, and no namespaces can be made ({error.strerror})"
        return Enclosure(Fence(why=why), network)
    ours = "user and mount namespaces"
    return Enclosure(Fence(ours, files.why), network if network.by else Fence("network namespace"))
