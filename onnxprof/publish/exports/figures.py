"""The figures that are tracked over time: a latency each run, and one each layer if wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from onnxprof.analysis.reconcile import Reconciliation, Status, reconcile
from onnxprof.publish.text import sentences
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.records.run import Run
from onnxprof.records.step import Granularity
from onnxprof.records.timings import Timings

#: The longest name that Bencher takes.
_LONGEST = 1024


@dataclass(frozen=True)
class Tracked:
    """A run with an un-profiled latency, and the name that stays the same from run to run."""

    run: Run
    name: str

    @cached_property
    def sums(self) -> Reconciliation:
        """How its times add up."""
        return reconcile(self.run)

    @property
    def timings(self) -> Timings:
        """Its samples. Raises ValueError for a run that failed."""
        if self.run.timings is None:
            raise ValueError(self.name)
        return self.run.timings

    def layers(self) -> Iterator[tuple[str, int]]:
        """Each layer with a time of its own, and its median in nanoseconds."""
        for row in self.sums.rows:
            if row.status is Status.TIMED and row.median_ns is not None:
                yield printable(row.name), row.median_ns

    def layer_name(self, layer: str) -> str:
        """The name under which a layer is tracked."""
        return shortened(f"{self.name} / {layer}", _LONGEST)

    @property
    def facts(self) -> dict[str, str]:
        """The facts of its environment by key."""
        return {key: printable(value) for key, value in self.run.environment}


def tracked(runs: Iterable[Run]) -> tuple[list[Tracked], int]:
    """Runs to track, the newest of each name, and how many older ones stand behind these.

    Runs are given oldest first. Those without an un-profiled latency, such as published bounds,
    are left out.
    """
    newest: dict[str, Tracked] = {}
    count = 0
    for run in runs:
        timings = run.timings
        if timings is None or not timings.latency_ns.size or run.request.is_published:
            continue
        count += 1
        found = Tracked(run, name(run))
        newest[found.name] = found
    return list(newest.values()), count - len(newest)


def name(run: Run) -> str:
    """What the run measured: all that was asked for and is not at its default."""
    asked = run.request
    parts = [
        asked.model_name,
        sentences.runtime(asked),
        asked.device_id,
        f"batch {asked.batch}",
        sentences.threads(asked.threads),
        *([asked.phase] if asked.phase else []),
        *(f"{axis}={size}" for axis, size in sorted(asked.dims)),
    ]
    if asked.granularity is not Granularity.EXECUTED:
        parts.append(f"{asked.granularity}")
    if asked.inputs_sha256:
        parts.append(f"inputs {asked.inputs_sha256[:8]}")
    return shortened(" / ".join(map(printable, parts)), _LONGEST)
