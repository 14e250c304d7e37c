"""The per-layer timing table of stored runs: CSV, JSON and Parquet rows.

Tensor names are joined with `;`, shapes look like `[[1,3,8,8],[4,3,3,3]]`: a symbolic
axis stands there by its name, an unknown axis or rank as `?`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.memory.alive import known_alive
from onnxprof.analysis.once import once
from onnxprof.analysis.reconcile import Reconciliation, TimedRow, milliseconds, reconcile
from onnxprof.analysis.widened import computed_in
from onnxprof.publish.tables import identity
from onnxprof.publish.tables.identity import Cell
from onnxprof.publish.text.csv import csv_parts
from onnxprof.publish.text.safe import shape_text
from onnxprof.publish.text.sentences import computed_text, doubt_text
from onnxprof.reasons.roofline import Roof, Roofline, roofline, step_rows
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.layer import Layer, LayerKind, Tensor
from onnxprof.records.run import Run
from onnxprof.store.guard import LARGEST

if TYPE_CHECKING:
    import pyarrow as pa

#: What a row says of a layer, in order.
COLUMNS = (
    "model",
    "device",
    "backend",
    "batch",
    "layer_name",
    "layer_type",
    "op_type",
    "input_names",
    "output_names",
    "input_shapes",
    "output_shapes",
    "status",
    "step",
    "median_ms",
    "p5_ms",
    "p95_ms",
    "samples",
    "share",
    "caveat",
    "flops",
    "bytes",
    "intensity",
    "bound",
    "fraction_of_ceiling",
    "alive_bytes",
)
#: The columns of the CSV and of the Parquet file, in order.
EVERY_COLUMN = (*COLUMNS, *identity.COLUMNS)
_TIMES = ("median_ms", "p5_ms", "p95_ms")

#: Rows of a row group of the Parquet file, some 50 MB while they are gathered.
_GROUP_ROWS = 1 << 17

CeilingsOf = Callable[[Run], Ceilings | None]


def without_ceilings(run: Run) -> Ceilings | None:
    """No ceilings: what bounds a step stays blank."""
    del run
    return None


@dataclass(frozen=True, slots=True)
class TimingRow:
    """A row of a run's timing table, with its cells before and behind the times."""

    row: TimedRow
    described: tuple[Cell, ...]
    """Those from `model` to `step`."""
    reasons: tuple[Cell, ...]
    """Those from `flops` to `alive_bytes`."""
    wide: str = ""
    """The type that its layers are computed in, where the model has half precision."""


RowsOf = Callable[[Run], Sequence[TimingRow]]


def timing_rows(
    run: Run,
    sums: Reconciliation,
    ceilings: Ceilings | None = None,
    held: Roofline | None = None,
) -> list[TimingRow]:
    """The rows of a run, for tables in several formats. Raises StoreError for a failed run.

    `held` is the run's roofline, for callers that have it already.
    """
    roofs = (held or roofline(run, ceilings, sums)).roofs
    known = dict(zip(map(id, step_rows(sums)), roofs, strict=True))
    alive = known_alive(run)
    return [
        TimingRow(
            row,
            _description(run, row),
            (*_reasons(known.get(id(row))), _alive(row, alive)),
            computed_in(row.step, run.table),
        )
        for row in sums.rows
    ]


def timing_csv(
    runs: Iterable[Run],
    ceilings_of: CeilingsOf = without_ceilings,
    rows_of: RowsOf | None = None,
) -> str:
    """One table of all runs under one header; failed runs are left out.

    `rows_of` gives the rows of a run, for callers that have them already.
    For each run the printed `median_ms` above its row `(total)` add up to that row exactly;
    `(interruptions)` and `(overhead)` are among them.
    Raises StoreError for a run whose times do not match its steps.
    """
    return "".join(timing_csv_parts(runs, ceilings_of, rows_of))


def timing_csv_parts(
    runs: Iterable[Run],
    ceilings_of: CeilingsOf = without_ceilings,
    rows_of: RowsOf | None = None,
) -> Iterator[str]:
    """The same text in parts, as the runs come."""
    timed = (run for run in runs if run.timings is not None)
    rows = (
        (*_printed(row), *known)
        for run in timed
        for known in [identity.printed(identity.identity(run))]
        for row in _rows(run, ceilings_of, rows_of)
    )
    return csv_parts(EVERY_COLUMN, rows)


def timing_records(run: Run, ceilings: Ceilings | None = None) -> list[dict[str, Cell]]:
    """The rows of `timing_csv` as dicts by `COLUMNS`: milliseconds, None where the CSV is blank.

    Raises StoreError for a failed run.
    """
    rows = timing_rows(run, reconcile(run), ceilings)
    return [dict(zip(COLUMNS, _values(row), strict=True)) for row in rows]


def timing_table(
    runs: Iterable[Run],
    ceilings_of: CeilingsOf = without_ceilings,
    rows_of: RowsOf | None = None,
) -> pa.Table:
    """The rows of `timing_csv` as an Arrow table: the same columns, numbers as numbers."""
    import pyarrow as pa

    schema = _schema()
    rows = [
        _utf8((*_values(row), *known))
        for run in runs
        if run.timings is not None
        for known in [identity.identity(run)]
        for row in _rows(run, ceilings_of, rows_of)
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def _schema() -> pa.Schema:
    import pyarrow as pa

    whole = dict.fromkeys(
        ("batch", "threads", "samples", "flops", "bytes", "alive_bytes"), pa.int64()
    )
    fractions = ("share", "intensity", "fraction_of_ceiling", "half_width")
    real = dict.fromkeys((*_TIMES, *fractions), pa.float64())
    types = whole | real
    return pa.schema([(name, types.get(name, pa.string())) for name in EVERY_COLUMN])


def timing_parquet(
    runs: Iterable[Run],
    ceilings_of: CeilingsOf = without_ceilings,
    rows_of: RowsOf | None = None,
) -> bytes:
    """The table of `timing_table` as a Parquet file."""
    return b"".join(timing_parquet_parts(runs, ceilings_of, rows_of))


def timing_parquet_parts(
    runs: Iterable[Run],
    ceilings_of: CeilingsOf = without_ceilings,
    rows_of: RowsOf | None = None,
) -> Iterator[bytes]:
    """The same file in parts, a row group each, as the runs come."""
    import pyarrow.parquet as pq

    sink = _Parts()
    with pq.ParquetWriter(sink, _schema(), compression="zstd") as writer:
        for table in _row_groups(timing_table([run], ceilings_of, rows_of) for run in runs):
            writer.write_table(table)
            yield sink.taken()
    yield sink.taken()


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Tables put together to one of many rows; one at least, which may be empty."""
    import pyarrow as pa

    waiting = [timing_table([])]
    count = groups = 0
    for table in tables:
        waiting.append(table)
        count += table.num_rows
        if count >= _GROUP_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, count, groups = [], 0, groups + 1
    if count or not groups:
        yield pa.concat_tables(waiting).combine_chunks()


class _Parts(io.RawIOBase):
    """A file for writing alone, whose bytes are taken out in between."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def shapes_text(tensors: Iterable[Tensor]) -> str:
    """Shapes of several tensors, such as `[[1,3,8,8],[4,3,3,3]]`."""
    return f"[{','.join(shape_text(tensor.shape) for tensor in tensors)}]"


def _utf8(cells: tuple[Cell, ...]) -> Sequence[Cell]:
    """The cells as valid UTF-8, since Arrow refuses lone surrogates in names from files."""
    if "".join([cell for cell in cells if isinstance(cell, str)]).isascii():
        return cells
    return [
        cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
        for cell in cells
    ]


def _rows(run: Run, ceilings_of: CeilingsOf, rows_of: RowsOf | None) -> Sequence[TimingRow]:
    return rows_of(run) if rows_of else timing_rows(run, reconcile(run), ceilings_of(run))


def _printed(found: TimingRow) -> list[Cell]:
    row = found.row
    times = (row.median_ns, row.p5_ns, row.p95_ns)
    return [
        *found.described,
        *("" if ns is None else milliseconds(ns) for ns in times),
        row.samples or None,
        "" if row.share is None else f"{row.share:.6g}",
        _caveat(found),
        *(f"{cell:.6g}" if isinstance(cell, float) else cell for cell in found.reasons),
    ]


def _values(found: TimingRow) -> tuple[Cell, ...]:
    row = found.row
    times = (row.median_ns, row.p5_ns, row.p95_ns)
    return (
        *found.described,
        *(None if ns is None else ns / 1e6 for ns in times),
        row.samples or None,
        row.share,
        _caveat(found) or None,
        *found.reasons,
    )


def _reasons(roof: Roof | None) -> tuple[Cell, ...]:
    """Operations, bytes, operations a byte, what binds the step, its fraction of possible."""
    if roof is None or roof.work is None:
        return (None,) * 5
    does = (_count(roof.work.flops), _count(roof.work.bytes), roof.work.intensity)
    return (*does, None, None) if roof.at_least else (*does, roof.bound or None, roof.fraction)


def _count(number: int | None) -> int | None:
    """None for what no column of 64 bits holds, as a damaged shape may give."""
    return number if number is not None and number <= LARGEST else None


def _alive(row: TimedRow, alive: Mapping[str, int]) -> int | None:
    """Bytes of activations while the row's step ran; None for other rows, and where not known."""
    timed = row.step is not None and row.median_ns is not None
    return _count(alive.get(row.step.name)) if timed and row.step else None


def _caveat(found: TimingRow) -> str:
    """Why the row's rank is in doubt, and what it was computed in; empty where all is usual."""
    doubt = doubt_text(found.row.doubt) if found.row.doubt else ""
    return "; ".join(filter(None, (doubt, computed_text(found.wide))))


def _description(run: Run, row: TimedRow) -> tuple[Cell, ...]:
    asked = run.request
    return (
        asked.model_name,
        asked.device_id,
        asked.backend,
        asked.batch,
        row.name,
        *(once(_layer_cells, row.layer) if row.layer else _step_cells(row)),
        row.status.value,
        row.step.name if row.step else "",
    )


def _layer_cells(layer: Layer) -> tuple[str, ...]:
    """Type, operator, names and shapes; inputs and constants have their shape alone."""
    if layer.kind is LayerKind.NODE:
        names = (_names(layer.inputs), _names(layer.outputs))
        shapes = (shapes_text(layer.inputs), shapes_text(layer.outputs))
    else:
        names = ("", "")
        given = shapes_text(layer.outputs or layer.inputs)
        shapes = (given, given)
    return (layer.layer_type, layer.op_type, *names, *shapes)


def _step_cells(row: TimedRow) -> tuple[str, ...]:
    if row.step is None:
        return ("",) * 6
    outputs = row.step.outputs
    shapes = shapes_text(outputs) if outputs else ""
    return ("", row.step.op_type, "", _names(outputs), "", shapes)


def _names(tensors: Iterable[Tensor]) -> str:
    return ";".join(tensor.name for tensor in tensors)
