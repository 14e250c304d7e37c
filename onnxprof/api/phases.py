"""`onnxprof.phases`: prefill and decode side by side, and how layers grow with the length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from onnxprof.compare.growth.phases import phases as phased
from onnxprof.compare.systems import newest
from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from onnxprof.api.results.phased import Phased
    from onnxprof.compare.growth.phases import Phases
    from onnxprof.records.run import Run


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
    found = phased(newest(runs))
    if not found:
        raise UsageError(
            "no run was measured in a phase",
            where=", ".join(dict.fromkeys(run.request.model_name for run in runs)),
            remedy="Measure one: onnxprof profile MODEL --phase prefill:512 --phase decode:512",
        )
    return found
