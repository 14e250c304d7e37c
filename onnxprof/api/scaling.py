"""`onnxprof.scaling` and `onnxprof.phases`: how time grows with a batch, an axis, a context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn
from onnxprof.compare import scaling as over_sizes
from onnxprof.compare.axes.families import size_in
from onnxprof.compare.axes.strays import apart
from onnxprof.compare.growth.phases import phases as of_phases
from onnxprof.compare.systems import newest, no_axis
from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from onnxprof.api.results.phased import Phased
    from onnxprof.api.results.scalings import Scalings
    from onnxprof.compare.growth.phases import Phases
    from onnxprof.records.run import Run


@public
def scaling(
    runs: Iterable[Run],
    over: str = "batch",
    *,
    latency_limit_ms: float | None = None,
    limit: int | None = 20,
) -> Scalings:
    """Say what a call costs whatever its size, what each item adds, and where more is not worth it.

    Takes runs of one system at two or more batch sizes, or sizes of an axis that `over` names;
    several models and systems come one after the other. `latency_limit_ms` has the best size within
    it named, `limit` is how many blocks of layers are shown. Raises UsageError for runs without
    two sizes.

    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> found = op.scaling([sample_run(batch=size) for size in (1, 4, 16)])
    >>> found[0].best.size
    16
    """
    from onnxprof.api.results.scalings import Scalings

    if latency_limit_ms is not None and not latency_limit_ms > 0:
        raise UsageError(f"latency_limit_ms {latency_limit_ms!r} is no time above zero")
    limit_ns = None if latency_limit_ms is None else round(latency_limit_ms * 1e6)
    return Scalings(scaled(newest(list(runs)), over, warn), limit, limit_ns)


def scaled(
    runs: Sequence[Run], over: str, say: Callable[[str], None]
) -> tuple[over_sizes.Scaling, ...]:
    """Each model on each system; `say` hears which runs are left out.

    Raises UsageError for runs without two sizes of the axis.
    """
    for text in apart(runs, over, over_sizes.family)[1]:
        say(text)
    groups = over_sizes.families(runs, over)
    if not groups:
        raise nothing_to_scale(runs, over)
    return tuple(over_sizes.scaling(group, over) for group in groups)


def nothing_to_scale(runs: Sequence[Run], axis: str) -> UsageError:
    """The error for runs without two sizes of an axis on one system."""
    names = ", ".join(dict.fromkeys(run.request.model_name for run in runs))
    if all(size_in(run.request, axis) is None for run in runs):
        return no_axis(runs, axis)
    return UsageError(
        f"no system was measured at two sizes of {axis} with the other axes held still",
        where=names,
        remedy=f"Measure more: onnxprof profile MODEL {over_sizes.more_sizes(axis)}",
    )


@public
def phases(runs: Iterable[Run], *, limit: int | None = 10) -> Phased:
    """Put the phases of models with states side by side, layer by layer.

    Takes runs that were measured with `phases`; those of one model on one system make a table, and
    sizes of one kind of phase say how each layer grows. `limit` is how many blocks of layers are
    shown. Raises UsageError where no run has a phase.

    >>> from dataclasses import replace
    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> run = sample_run()
    >>> asked = ("prefill:64", "decode:64")
    >>> runs = [replace(run, request=replace(run.request, phase=each)) for each in asked]
    >>> [str(column.phase) for column in op.phases(runs)[0].columns]
    ['prefill:64', 'decode:64']
    """
    from onnxprof.api.results.phased import Phased

    return Phased(tuple(side_by_side(list(runs))), limit)


def side_by_side(runs: Sequence[Run]) -> Sequence[Phases]:
    """Each model on each system. Raises UsageError where no run has a phase."""
    found = of_phases(newest(runs))
    if not found:
        raise UsageError(
            "no run was measured in a phase",
            where=", ".join(dict.fromkeys(run.request.model_name for run in runs)),
            remedy="Measure one: onnxprof profile MODEL --phase prefill:512 --phase decode:512",
        )
    return found
