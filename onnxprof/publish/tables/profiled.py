"""Runs as `onnxprof profile` prints them: a table each, and what their sizes come to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType

from onnxprof.publish.tables.run_summary import summary
from onnxprof.publish.tables.runs import list_table
from onnxprof.publish.tables.timings import CeilingsOf
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run
from onnxprof.store.summary import summarise

#: Layers that are shown of one run of several, and of one alone.
FEW_LAYERS, MANY_LAYERS = 5, 10


def one(
    run: Run, is_one_of_many: bool, ceilings: Ceilings | None, limit: int | None = None
) -> RenderableType:
    """The table of a run; of several runs each is shorter."""
    usual = FEW_LAYERS if is_one_of_many else MANY_LAYERS
    return summary(run, limit=limit or usual, ceilings=ceilings, folded=is_one_of_many)


def by_size(runs: Sequence[Run]) -> Iterator[RenderableType]:
    """Where a model was measured at several sizes of an axis, which of them is worth it.

    Axes that follow another one, as a total its parts, are left to that.
    """
    from onnxprof.compare.axes.families import leading
    from onnxprof.compare.scaling import families, scaling
    from onnxprof.publish.scaling.tables import in_short

    by_model: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        asked = run.request
        by_model.setdefault((asked.model_name, asked.model_sha256), []).append(run)
    for mine in by_model.values():
        for axis in leading([run.request for run in mine]):
            for group in families(mine, axis):
                yield from in_short(scaling(group, axis))


def whole(
    runs: Sequence[Run], ceilings_of: CeilingsOf, limit: int | None = None
) -> Iterator[RenderableType]:
    """The tables of all runs, a blank line below each, then what their sizes come to."""
    for run in runs:
        yield one(run, len(runs) > 1, ceilings_of(run), limit)
        yield ""
    yield from by_size([run for run in runs if run.timings is not None])


def listed(runs: Sequence[Run]) -> RenderableType:
    """A line for each run, as `onnxprof runs list` has it."""
    return list_table([summarise(run) for run in runs])
