"""`onnxprof.align`: runs of one model side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from onnxprof.api.base.door import public
from onnxprof.api.base.telling import warn_each
from onnxprof.compare.align import align as align_runs
from onnxprof.compare.axes.strays import apart
from onnxprof.compare.over_batches import Batches, over_batches, system_labels
from onnxprof.compare.systems import labels, refuse_unlike, system
from onnxprof.compare.table import Alignment as Aligned
from onnxprof.compare.verdict import THRESHOLD
from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from onnxprof.api.results.alignment import Alignment
    from onnxprof.records.run import Run


@public
def align(
    runs: Iterable[Run],
    *,
    baseline: int | str = 1,
    over: str | None = None,
    threshold: float = THRESHOLD,
    force: bool = False,
    sort: Literal["graph", "time", "ratio", "gap"] = "graph",
    limit: int | None = 20,
    min_share: float = 0.0,
) -> Alignment:
    """Put runs of one model on several systems side by side, a block of layers a row.

    Layers that any run executes as one step share a row. `baseline` is the column that ratios are
    over, by its number or name; `over="batch"`, or another axis, sets systems against one another
    size by size;
    `force` allows other inputs, and models that differ. `sort`, `limit` and `min_share` choose the
    blocks that are shown. Raises UsageError for runs that are no two measurements of one thing.

    >>> import onnxprof as op
    >>> from onnxprof.testing import sample_run
    >>> found = op.align([sample_run(), sample_run(backend="other", fused=False)])
    >>> [len(row.layers) for row in found.record.rows]
    [2, 1]
    """
    from onnxprof.api.results.alignment import Alignment
    from onnxprof.publish.comparing.alignment import Choice, Sort

    every, left_out = apart(list(runs), over or "")
    warn_each(left_out)
    refuse_unlike(every, over=over or "", force=force)
    if over is not None and len(set(map(system, every))) == 1:
        raise UsageError("the runs are of one system", remedy="op.scaling takes them")
    try:
        choice = Choice(Sort(sort), limit, min_share)
    except ValueError:
        raise UsageError(f"sort cannot be {sort!r}", remedy=f"Give {', '.join(Sort)}") from None
    text = "" if baseline == 1 else str(baseline)
    return Alignment(aligned(every, over or "", text, threshold), choice)


def aligned(runs: Sequence[Run], over: str, baseline: str, threshold: float) -> Aligned | Batches:
    """Runs of which `refuse_unlike` says nothing, with the column that `baseline` means."""
    if not over:
        number = column(baseline, labels(runs))
        return align_runs(runs, baseline=number, threshold=threshold)
    number = column(baseline, system_labels(runs))
    return over_batches(runs, baseline=number, threshold=threshold, axis=over)


def column(baseline: str, names: Sequence[str]) -> int:
    """The index of the column that a number or a name means. Raises UsageError unless it is one."""
    found = _columns(baseline, names)
    if len(found) != 1:
        raise _no_column(baseline, names, "several columns" if found else "no column")
    return found[0]


def refuse_baseline(runs: Sequence[Run], over: str, baseline: str) -> None:
    """Raise UsageError for a column that none of these runs can be, whether they go together."""
    names = system_labels(runs) if over else labels(runs)
    if runs and not _columns(baseline, names):
        raise _no_column(baseline, names, "no column")


def _columns(baseline: str, names: Sequence[str]) -> list[int]:
    if not baseline:
        return [0]
    if baseline.isdecimal() and len(baseline) < 9 and 1 <= int(baseline) <= len(names):
        return [int(baseline) - 1]
    wanted = baseline.casefold()
    alike = [i for i, name in enumerate(names) if name.casefold() == wanted]
    return alike or [i for i, name in enumerate(names) if name.casefold().startswith(wanted)]


def _no_column(baseline: str, names: Sequence[str], what: str) -> UsageError:
    return UsageError(
        f"--baseline {baseline!r} is {what}",
        remedy=f"Give 1 to {len(names)} or a name: {', '.join(names)}",
    )
