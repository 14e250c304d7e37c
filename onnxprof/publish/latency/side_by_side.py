"""Runs of one command on several runtimes, side by side: the models' latencies, no layers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from contextlib import suppress

from rich.console import RenderableType

from onnxprof.compare.axes.families import BATCH
from onnxprof.compare.over_batches import Batches, over_batches
from onnxprof.compare.settings import settings_of
from onnxprof.compare.systems import refuse_unlike
from onnxprof.errors import UsageError
from onnxprof.publish.comparing.over_batches import in_short
from onnxprof.records.run import Run


def side_by_side(runs: Iterable[Run], width: int = 80) -> Iterator[RenderableType]:
    """A table for each model that several backends measured; the first of them is the baseline."""
    for group in alike(runs):
        yield from in_short(group, width)


def alike(runs: Iterable[Run]) -> Iterator[Batches]:
    """The systems of each model, batch by batch, where several backends have a batch in common."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        if run.timings is not None and run.timings.latency_ns.size:
            key = run.request.model_sha256, settings_of(run.request).work
            groups.setdefault(key, []).append(run)
    for group in groups.values():
        if len({run.request.backend for run in group}) > 1:
            with suppress(UsageError):
                refuse_unlike(group, over=BATCH)
                yield over_batches(group)
