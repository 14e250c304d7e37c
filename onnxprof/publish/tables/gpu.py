"""GPU activity as tables: kernels, calls of the CUDA runtime, and steps' device and host times.

Device and host times of a step differ: the host launches the step, copies and allocates for it,
and seldom waits until the device is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.step_times import divided
from onnxprof.publish.tables import identity
from onnxprof.publish.text import numbers
from onnxprof.publish.text.csv import csv_text
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.records.gpu import ApiRow, KernelRow
from onnxprof.records.run import Run

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Columns of the run, the first ones in each CSV.
_RUN = ("model", "device", "backend", "provider", "batch")
_FIGURES = ("average_ns", "minimum_ns", "maximum_ns", "name")
#: What else tells the run from others, the last ones.
_IDENTITY = tuple(name for name in identity.COLUMNS if name not in _RUN)
KERNEL_COLUMNS = (*_RUN, "share", "total_ns", "instances", *_FIGURES, *_IDENTITY)
API_COLUMNS = (*_RUN, "share", "total_ns", "calls", *_FIGURES, *_IDENTITY)
STEP_COLUMNS = (
    *(*_RUN, "step", "layers", "device_ms", "host_ms", "host_over_device"),
    *_IDENTITY,
)
_NAMES = 44


@dataclass(frozen=True, slots=True)
class StepTimes:
    """A step's times: on the device as in every table, on the host the median."""

    step: str
    layers: tuple[str, ...]
    device_ns: int
    host_ns: int

    @property
    def factor(self) -> float | None:
        """Host time divided by device time; None where the device did nothing."""
        return self.host_ns / self.device_ns if self.device_ns else None


def step_times(run: Run) -> list[StepTimes]:
    """Both times of every step, in the run's order; empty for a run without host times."""
    timings = run.timings
    if timings is None or not timings.host_ns.size:
        return []
    device = divided(run).whole_ns.tolist()
    host = np.rint(np.median(timings.host_ns, axis=1)).astype(int).tolist()
    return [
        StepTimes(step.name, step.layers, on_device, on_host)
        for step, on_device, on_host in zip(run.steps, device, host, strict=True)
    ]


def kernels_csv(runs: Iterable[Run]) -> str:
    """CSV with a row per kernel of each run, the longest total first."""
    return _csv_of(KERNEL_COLUMNS, ((run, _kernels(run.kernels)) for run in runs))


def api_csv(runs: Iterable[Run]) -> str:
    """CSV with a row per function of the CUDA runtime, the longest total first."""
    return _csv_of(API_COLUMNS, ((run, _calls(run.api_calls)) for run in runs))


def steps_csv(runs: Iterable[Run]) -> str:
    """CSV with a row per step and its two times; without rows for runs without host times."""
    return _csv_of(STEP_COLUMNS, ((run, map(_step, step_times(run))) for run in runs))


def _csv_of(columns: Sequence[str], runs: Iterable[tuple[Run, Iterable[tuple[str, ...]]]]) -> str:
    return csv_text(
        columns,
        (
            (*_run(run), *row, *known)
            for run, rows in runs
            for known in [_identity(run)]
            for row in rows
        ),
    )


def _identity(run: Run) -> tuple[identity.Cell, ...]:
    cells = identity.printed(identity.identity(run))
    pairs = zip(identity.COLUMNS, cells, strict=True)
    return tuple(cell for name, cell in pairs if name in _IDENTITY)


def _run(run: Run) -> tuple[str, ...]:
    asked = run.request
    return (asked.model_name, asked.device_id, asked.backend, asked.provider, str(asked.batch))


def _step(row: StepTimes) -> tuple[str, ...]:
    factor = "" if row.factor is None else f"{row.factor:.4g}"
    times = (f"{ns / 1e6:.6f}" for ns in (row.device_ns, row.host_ns))
    return (row.step, ";".join(row.layers), *times, factor)


def _kernels(rows: Sequence[KernelRow]) -> Iterator[tuple[str, ...]]:
    whole = sum(row.total_ns for row in rows)
    for row in rows:
        yield _cells(row, row.instances, whole)


def _calls(rows: Sequence[ApiRow]) -> Iterator[tuple[str, ...]]:
    whole = sum(row.total_ns for row in rows)
    for row in rows:
        yield _cells(row, row.calls, whole)


def _cells(row: KernelRow | ApiRow, count: int, whole: int) -> tuple[str, ...]:
    share = row.total_ns / whole if whole else 0.0
    least, most = str(row.min_ns), str(row.max_ns)
    average = f"{row.average_ns:.1f}"
    return (f"{share:.6g}", str(row.total_ns), str(count), average, least, most, row.name)


def tables(run: Run, limit: int | None = 10) -> list[RenderableType]:
    """Those of the three tables for which the run has data, with at most `limit` rows each."""
    made: list[RenderableType] = []
    if steps := step_times(run):
        made += ["", "On the device and on the host, a step", _step_table(steps, limit)]
    if run.kernels:
        counted = [(row, row.instances) for row in run.kernels]
        made += ["", "Kernels, copies and fills", _table(counted, "instances", limit)]
    if run.api_calls:
        called = [(row, row.calls) for row in run.api_calls]
        made += ["", "Calls of the CUDA runtime", _table(called, "calls", limit)]
    return made


def _step_table(steps: Sequence[StepTimes], limit: int | None) -> Table:
    table = _grid(("layer", "device ms", "host ms", "host / device"))
    longest = sorted(steps, key=lambda row: -max(row.device_ns, row.host_ns))
    for row in longest[:limit]:
        more = f" +{len(row.layers) - 1}" if len(row.layers) > 1 else ""
        name = printable(row.layers[0] if row.layers else row.step)
        factor = "" if row.factor is None else f"{row.factor:.3g} ×"
        times = (f"{ns / 1e6:.6f}" for ns in (row.device_ns, row.host_ns))
        table.add_row(*map(Text, (shortened(name, _NAMES - len(more)) + more, *times, factor)))
    _rest(table, len(longest), limit)
    return table


def _table(
    rows: Sequence[tuple[KernelRow, int]] | Sequence[tuple[ApiRow, int]],
    counted: str,
    limit: int | None,
) -> Table:
    table = _grid(("name", "share", "total", counted, "average", "min", "max"))
    whole = sum(row.total_ns for row, _ in rows)
    for row, count in rows[:limit]:
        cells = (
            shortened(printable(row.name), _NAMES),
            numbers.percent(row.total_ns / whole if whole else 0.0),
            numbers.duration(row.total_ns),
            str(count),
            *map(numbers.duration, (row.average_ns, row.min_ns, row.max_ns)),
        )
        table.add_row(*map(Text, cells))
    _rest(table, len(rows), limit)
    return table


def _rest(table: Table, count: int, limit: int | None) -> None:
    if limit is not None and count > limit:
        table.add_row(f"({count - limit} more)")


def _grid(headings: Sequence[str]) -> Table:
    """An empty table: names in the first column, folded to fit; figures in the others."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    return table
