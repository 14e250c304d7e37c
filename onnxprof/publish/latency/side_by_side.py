"""Runs of one command on several runtimes, side by side: the models' latencies, no layers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from rich.console import RenderableType

from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.over_batches import over_batches
from onnxprof.compare.settings import settings_of
from onnxprof.compare.systems import refuse_unlike
from onnxprof.errors import UsageError
from onnxprof.publish.comparing.over_batches import in_short
from onnxprof.records.run import Run


def side_by_side(runs: Iterable[Run], width: int = 80) -> Iterator[RenderableType]:
    """A table for each model that several backends measured; the first of them is the baseline."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        if run.timings is not None and run.timings.latency_ns.size:
            groups.setdefault((run.request.model_sha256, settings_of(run.request).work), []).append(
                run
            )
    for group in groups.values():
        yield from _table(group, width)


def _table(runs: Sequence[Run], width: int) -> list[RenderableType]:
    """Nothing where there is one backend, or no two of them at one batch."""
    if len({run.request.backend for run in runs}) < 2:
        return []
    try:
        refuse_unlike(runs, over=BATCH)
        return in_short(over_batches(runs), width)
    except UsageError:
        return []
