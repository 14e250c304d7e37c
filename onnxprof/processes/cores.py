"""Which cores are measured, and that nothing else of ours runs on them meanwhile.

This process and the server that it forks others from keep to a core that is left over, and a
measuring process gets all others. Where every core is measured, all stay where they are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from onnxprof.processes import fork_server

Cpus = frozenset[int]
_CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Split:
    """The logical processors that are measured, and those that are kept for onnxprof itself."""

    measured: Cpus = frozenset()
    ours: Cpus = frozenset()
    """Empty where nothing is kept off."""

    def __str__(self) -> str:
        if not self.ours:
            return f"{listed(self.measured)}, shared with onnxprof"
        return f"{listed(self.measured)}; onnxprof on {listed(self.ours)}"


def listed(cpus: Iterable[int]) -> str:
    """Numbers as the kernel lists them: `0-3,8`."""
    parts: list[list[int]] = []
    for number in sorted(cpus):
        if parts and parts[-1][-1] == number - 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)


def parsed(text: str) -> Cpus:
    """The numbers of such a list; none of one that cannot be read."""
    found: set[int] = set()
    try:
        for part in text.strip().split(","):
            first, dash, last = part.partition("-")
            found.update(range(int(first), int(last if dash else first) + 1))
    except ValueError:
        return frozenset()
    return frozenset(found)


def split(usable: Cpus, threads: int, root: Path = Path("/")) -> Split:
    """Which of the usable processors a measurement with so many threads gets.

    A whole core is kept for onnxprof if the others are as many as there are threads, else one
    thread of a core that the measurement can do without, else nothing.
    """
    siblings = {cpu: _siblings(cpu, root) & usable | {cpu} for cpu in usable}
    for kept in (*_cheapest(set(siblings.values()), root), *_cheapest(_halves(siblings), root)):
        left = usable - kept
        if len(left) >= threads and _cores(left, siblings) >= min(
            threads, _cores(usable, siblings)
        ):
            return Split(left, kept)
    return Split(usable)


def _halves(siblings: Mapping[int, Cpus]) -> set[Cpus]:
    """The last thread of each core that has several."""
    return {frozenset({max(core)}) for core in siblings.values() if len(core) > 1}


def _cheapest(candidates: set[Cpus], root: Path) -> Sequence[Cpus]:
    """The slowest first, of equal ones the first, which the system gives most interrupts to."""
    return sorted(candidates, key=lambda cpus: (max(_speed(cpu, root) for cpu in cpus), min(cpus)))


def _cores(cpus: Cpus, siblings: Mapping[int, Cpus]) -> int:
    return len({siblings[cpu] for cpu in cpus})


def _siblings(cpu: int, root: Path) -> Cpus:
    """The threads of a core: `core_cpus_list`, on older kernels `thread_siblings_list`."""
    folder = root / _CPUS / f"cpu{cpu}" / "topology"
    for name in ("core_cpus_list", "thread_siblings_list"):
        with suppress(OSError):
            return parsed((folder / name).read_text())
    return frozenset({cpu})


def _speed(cpu: int, root: Path) -> int:
    """How fast a core is against others of this machine; 0 where all are alike."""
    folder = root / _CPUS / f"cpu{cpu}"
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        with suppress(OSError, ValueError):
            return int((folder / name).read_text())
    return 0


#: The affinity of this process before the first measurement that goes on; None where none does.
_BEFORE: list[Cpus] = []
_GOING_ON: list[Split] = []
_LOCK = threading.Lock()


def set_aside() -> Cpus:
    """What this process could run on before it kept off measured cores; empty where it does not."""
    with suppress(IndexError):
        return _BEFORE[0]
    return frozenset()


def usable() -> Cpus:
    """What this process may run on when nothing is measured; empty where the system has no say."""
    if before := set_aside():
        return before
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    return frozenset(os.sched_getaffinity(0))


@contextmanager
def measuring(threads: int, measured: Cpus = frozenset()) -> Iterator[Split]:
    """Keep this process off the cores of a measurement with so many threads during the body.

    `measured` says which cores they are, where that is settled. Measurements may overlap: the
    first one's core for onnxprof stays until the last has ended.
    """
    found = Split(measured, usable() - measured) if measured else split(usable(), threads)
    with _LOCK:
        found = _begun(found)
    try:
        yield found
    finally:
        with _LOCK:
            _ended(found)


def _begun(found: Split) -> Split:
    if _GOING_ON:
        first = _GOING_ON[0]
        apart = first.ours if first.ours and not found.measured & first.ours else frozenset()
        found = Split(found.measured, apart)
    elif found.ours:
        before = usable()
        if _kept_to(found.ours):
            _BEFORE.append(before)
        else:
            _kept_to(before)
            found = Split(before)
    _GOING_ON.append(found)
    return found


def _ended(found: Split) -> None:
    _GOING_ON.remove(found)
    if not _GOING_ON and _BEFORE:
        _kept_to(_BEFORE.pop())


def _kept_to(cpus: Cpus) -> bool:
    """Move this process and the server to these processors; whether that was possible."""
    server = fork_server.number()
    return all([_moved("self", cpus), not server or _moved(str(server), cpus)])


def _moved(process: str, cpus: Cpus) -> bool:
    """Every thread of a process: each has an affinity of its own."""
    try:
        threads = [int(entry.name) for entry in Path("/proc", process, "task").iterdir()]
        for thread in threads:
            with suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(thread, cpus)
    except OSError:  # no `/proc`, or they were taken from us
        return False
    return True


def on(cpus: Cpus, target: Callable[..., object], *args: object) -> None:
    """Entry point of a process: `target(*args)` on these processors, before it has threads."""
    if cpus:
        with suppress(OSError, AttributeError):  # taken from us in the meantime
            os.sched_setaffinity(0, cpus)
    target(*args)
