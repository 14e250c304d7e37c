"""Facts of the kernel about this machine, read from files below a root that a test may set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from onnxprof.processes import cores

#: Version 1 writes "no limit" as the largest page multiple of a signed 64-bit integer.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class Machine:
    """A file-system root and environment variables to read facts from; files are read once."""

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _seen: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def text(self, path: str) -> str:
        """The contents of a file, stripped; empty if it cannot be read."""
        if path not in self._seen:
            self._seen[path] = self._read(path)
        return self._seen[path]

    def _read(self, path: str) -> str:
        try:
            return (self.root / path).read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    def number(self, path: str) -> int | None:
        """The integer in a file, or None."""
        text = self.text(path)
        return int(text) if text.isdecimal() else None

    def texts(self, pattern: str) -> tuple[str, ...]:
        """The non-empty contents of every file that matches, sorted."""
        contents = (self.text(str(path.relative_to(self.root))) for path in self.root.glob(pattern))
        return tuple(sorted(text for text in contents if text))


def usable_cores(machine: Machine | None = None) -> int:
    """Logical processors that this process may keep busy: by affinity and quota.

    A quota of 1.5 processors counts as one, since a second thread would be throttled.
    """
    quota = cpu_quota(machine or Machine())
    cores = affinity()
    return max(1, cores if quota is None else min(cores, int(quota)))


def affinity() -> int:
    """Logical processors that this process may run on when nothing is measured."""
    if before := cores.set_aside():
        return len(before)
    # process_cpu_count is new in Python 3.13.
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        return int(count() or 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def cpu_quota(machine: Machine) -> float | None:
    """Processors that the control groups grant; None without a limit.

    Linux kernel documentation, cgroup-v2 `cpu.max` and cgroup-v1 `cpu.cfs_quota_us`.
    """
    grants = [
        *(_share(machine.text(f"{folder}/cpu.max")) for folder in groups(machine, "")),
        *(
            _share(
                f"{machine.text(f'{folder}/cpu.cfs_quota_us')} "
                f"{machine.text(f'{folder}/cpu.cfs_period_us')}"
            )
            for folder in groups(machine, "cpu")
        ),
    ]
    return min((grant for grant in grants if grant is not None), default=None)


def memory_limit(machine: Machine) -> int | None:
    """Bytes that the control groups grant; None without a limit."""
    grants = [
        *(machine.number(f"{folder}/memory.max") for folder in groups(machine, "")),
        *(
            machine.number(f"{folder}/memory.limit_in_bytes")
            for folder in groups(machine, "memory")
        ),
    ]
    return min((grant for grant in grants if grant is not None and grant < _NO_LIMIT), default=None)


def _share(text: str) -> float | None:
    """Quota over period, both in µs; `max` and negative numbers are no limit."""
    words = text.split()
    if len(words) != 2 or not all(word.isdecimal() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def groups(machine: Machine, controller: str) -> Iterator[str]:
    """The folders of this process's group and its parents; an empty controller is version 2.

    In a container the path may be the host's, which is not there; the mount's root then is.
    """
    for line in machine.text("proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            mount = PurePosixPath("sys/fs/cgroup") / controllers
            group = PurePosixPath(path.lstrip("/"))
            yield from dict.fromkeys(str(mount / part) for part in (group, *group.parents))
