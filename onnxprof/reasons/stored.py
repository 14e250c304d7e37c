"""Which stored ceilings bound a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from onnxprof.reasons.freshness import unfit
from onnxprof.records.ceilings import Ceilings, CeilingsKey, Point
from onnxprof.records.run import Run
from onnxprof.store.beside.ceilings import newest, stored

#: Fewer bytes show what a call costs, which is the backend's own.
_LARGE_BYTES = 16 << 10


@dataclass(slots=True)
class Shelf:
    """The ceilings in some stores; each key is looked for once."""

    roots: Sequence[Path]
    _seen: dict[CeilingsKey, Ceilings | None] = field(default_factory=dict)
    _every: list[Ceilings] | None = None
    _whole: dict[CeilingsKey, Ceilings] = field(default_factory=dict)
    """With what other backends moved."""

    @classmethod
    def holding(cls, every: Sequence[Ceilings]) -> Shelf:
        """A shelf of ceilings that are in memory, oldest first; it reads no store."""
        latest = {one.key: one for one in every}
        return cls((), dict(latest), list(every))

    def of(self, run: Run) -> Ceilings | None:
        """The newest ceilings of the run's device, backend and threads that fit it."""
        found = self._newest(run)
        if found is None or unfit(found, run):
            return None
        if found.key not in self._whole:
            points = (*found.points, *self._bandwidths(found))
            self._whole[found.key] = replace(found, points=points)
        return self._whole[found.key]

    def _bandwidths(self, own: Ceilings) -> list[Point]:
        """What other backends moved on the same processor: a level of memory is the machine's."""
        if own.device.kind != "cpu":
            return []
        latest = {
            one.key: one
            for one in self._all()
            if one.device == own.device
            and one.key.threads == own.key.threads
            and one.key.backend != own.key.backend
        }
        points = (point for one in latest.values() for point in one.points)
        return [p for p in points if not p.flops and p.short_ns and p.moved_bytes >= _LARGE_BYTES]

    def _all(self) -> list[Ceilings]:
        if self._every is None:
            self._every = stored(self.roots)[0]
        return self._every

    def missing(self, run: Run) -> str:
        """Why a run has none and what measures them; empty where it has, or was imported."""
        if run.origin is not None:
            return ""
        reason = self.reason(run)
        return f"{reason}; {command(run)} measures what bounds each step, once" if reason else ""

    def reason(self, run: Run) -> str:
        """Why no ceilings bound a run; empty where some do."""
        found = self._newest(run)
        if found is None:
            return "there are no ceilings yet"
        why = unfit(found, run)
        return f"stored ceilings do not fit ({why})" if why else ""

    def _newest(self, run: Run) -> Ceilings | None:
        asked = run.request
        key = CeilingsKey(asked.device_id, asked.backend, asked.provider, asked.threads)
        if key not in self._seen:
            self._seen[key] = newest(self.roots, key)
        return self._seen[key]


def command(run: Run) -> str:
    """The command that measures the ceilings of a run's device, backend and threads."""
    asked = run.request
    provider = "" if asked.provider == run.device.kind else f" --provider {asked.provider}"
    return f"onnxprof ceilings --backend {asked.backend} --threads {asked.threads}{provider}"
