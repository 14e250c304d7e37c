"""Runs that are left out over an axis, since they alone are off a tie that all others keep."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from onnxprof.compare.axes.families import followers, sizes_in, strays
from onnxprof.records.run import Run


def apart(
    runs: Sequence[Run], axis: str, alike: Callable[[Run], Hashable] | None = None
) -> tuple[list[Run], list[str]]:
    """The runs without the strays over an axis, and a sentence on each of those.

    Ties are those of runs that are `alike`, by default of one model in one phase.
    """
    lost = strays(runs, axis, lambda run: run.request, alike or _model) if axis else []
    kept = [run for run in runs if not any(run is other for other in lost)]
    return kept, list(dict.fromkeys(_sentence(run, kept, axis) for run in lost))


def _model(run: Run) -> Hashable:
    return run.request.model_name, run.request.phase


def _sentence(run: Run, kept: Sequence[Run], axis: str) -> str:
    asked = run.request
    mine = [sizes_in(each.request) for each in kept if _model(each) == _model(run)]
    names = " and ".join(sorted(followers(mine, axis)))
    sizes = (f"{name}={size}" for name, size in sorted(asked.dims))
    words = ", ".join(filter(None, (f"batch {asked.batch}", asked.phase, *sizes)))
    does = "do" if " and " in names else "does"
    return (
        f"left out: {asked.model_name} on {asked.backend} at {words}, where {names} {does} not"
        f" follow {axis} as in the other runs"
    )
