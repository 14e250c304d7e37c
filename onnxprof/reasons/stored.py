"""Which stored ceilings bound a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxprof.reasons.freshness import unfit
from onnxprof.records.ceilings import Ceilings, CeilingsKey
from onnxprof.records.run import Run
from onnxprof.store.ceilings import newest


@dataclass(frozen=True, slots=True)
class Shelf:
    """The ceilings in some stores; each key is looked for once."""

    roots: Sequence[Path]
    _seen: dict[CeilingsKey, Ceilings | None] = field(default_factory=dict)

    def of(self, run: Run) -> Ceilings | None:
        """The newest ceilings of the run's device, backend and threads that fit it."""
        found = self._newest(run)
        return None if found is None or unfit(found, run) else found

    def missing(self, run: Run) -> str:
        """Why a run has none and what measures them; empty where it has, or was imported."""
        if run.origin is not None:
            return ""
        found = self._newest(run)
        why = "" if found is None else unfit(found, run)
        if found is not None and not why:
            return ""
        reason = f"stored ceilings do not fit ({why})" if why else "there are no ceilings yet"
        asked = run.request
        command = f"onnxprof ceilings --backend {asked.backend} --threads {asked.threads}"
        if asked.provider != run.device.kind:
            command += f" --provider {asked.provider}"
        return f"{reason}; {command} measures what bounds each step, once"

    def _newest(self, run: Run) -> Ceilings | None:
        asked = run.request
        key = CeilingsKey(asked.device_id, asked.backend, asked.provider, asked.threads)
        if key not in self._seen:
            self._seen[key] = newest(self.roots, key)
        return self._seen[key]
