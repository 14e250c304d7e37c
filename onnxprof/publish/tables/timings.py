"""The per-layer timing table of stored runs: CSV, JSON and Parquet rows.

Tensor names are joined with `;`, shapes look like `[[1,3,8,8],[4,3,3,3]]`: a symbolic
axis stands there by its name, an unknown axis or rank as `?`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.memory.alive import known_alive
from onnxprof.analysis.reconcile import TimedRow, milliseconds, reconcile
from onnxprof.publish.text.csv import csv_parts
from onnxprof.publish.text.safe import shape_text
from onnxprof.publish.text.sentences import doubt_text
from onnxprof.records.layer import Layer, LayerKind, Tensor
from onnxprof.records.run import Run
from onnxprof.store.encoding import request_digest

if TYPE_CHECKING:
    import pyarrow as pa

#: The columns of the CSV, in order.
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
    "alive_bytes",
)
_TIMES = ("median_ms", "p5_ms", "p95_ms")
#: Columns of the Arrow table that identify a run among repeated ones.
_ASKED = ("run", "created", "threads", "granularity", "timer")

#: Rows of a row group of the Parquet file, some 50 MB while they are gathered.
_GROUP_ROWS = 1 << 17

Cell = str | int | float | None


def timing_csv(runs: Iterable[Run]) -> str:
    """One table of all runs under one header; failed runs are left out.

    For each run the printed `median_ms` above its row `(total)` add up to that row exactly;
    `(interruptions)` and `(overhead)` are among them.
    Raises StoreError for a run whose times do not match its steps.
    """
    return "".join(timing_csv_parts(runs))


def timing_csv_parts(runs: Iterable[Run]) -> Iterator[str]:
    """The same text in parts, as the runs come."""
    timed = (run for run in runs if run.timings is not None)
    return csv_parts(COLUMNS, (row for run in timed for row in _printed(run)))


def timing_records(run: Run) -> list[dict[str, Cell]]:
    """The rows of `timing_csv` as dicts: times in milliseconds, None where the CSV is blank.

    Raises StoreError for a failed run.
    """
    return [dict(zip(COLUMNS, values, strict=True)) for values in _all_values(run)]


def timing_table(runs: Iterable[Run]) -> pa.Table:
    """The rows of `timing_csv` as an Arrow table, with columns that identify the run in front.

    These are `run` (the digest of the request), `created`, `threads`, `granularity`, `timer`.
    """
    import pyarrow as pa

    schema = _schema()
    rows = [
        (*asked, *map(_utf8, values))
        for run in runs
        if run.timings is not None
        for asked in [tuple(map(_utf8, _identity(run)))]
        for values in _all_values(run)
    ]
    columns = zip(*rows, strict=True) if rows else ((),) * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


def _schema() -> pa.Schema:
    import pyarrow as pa

    whole = dict.fromkeys(("batch", "threads", "samples", "alive_bytes"), pa.int64())
    real = dict.fromkeys((*_TIMES, "share"), pa.float64())
    types = whole | real
    return pa.schema([(name, types.get(name, pa.string())) for name in (*_ASKED, *COLUMNS)])


def timing_parquet(runs: Iterable[Run]) -> bytes:
    """The table of `timing_table` as a Parquet file."""
    return b"".join(timing_parquet_parts(runs))


def timing_parquet_parts(runs: Iterable[Run]) -> Iterator[bytes]:
    """The same file in parts, a row group each, as the runs come."""
    import pyarrow.parquet as pq

    sink = _Parts()
    with pq.ParquetWriter(sink, _schema(), compression="zstd") as writer:
        for table in _row_groups(timing_table([run]) for run in runs):
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


def _identity(run: Run) -> tuple[Cell, ...]:
    """The values of `_ASKED`."""
    asked = run.request
    return (
        *(request_digest(asked), run.created),
        *(asked.threads, asked.granularity.value, asked.timer),
    )


def _utf8(value: Cell) -> Cell:
    """The value as valid UTF-8, since Arrow refuses lone surrogates in names from files."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "backslashreplace").decode()


def _printed(run: Run) -> Iterator[list[Cell]]:
    alive = known_alive(run)
    for row in reconcile(run).rows:
        times = (row.median_ns, row.p5_ns, row.p95_ns)
        yield [
            *_description(run, row),
            *("" if ns is None else milliseconds(ns) for ns in times),
            row.samples or None,
            "" if row.share is None else f"{row.share:.6g}",
            _caveat(row),
            _alive(row, alive),
        ]


def _all_values(run: Run) -> Iterator[tuple[Cell, ...]]:
    alive = known_alive(run)
    return (_values(run, row, alive) for row in reconcile(run).rows)


def _values(run: Run, row: TimedRow, alive: Mapping[str, int]) -> tuple[Cell, ...]:
    times = (row.median_ns, row.p5_ns, row.p95_ns)
    return (
        *_description(run, row),
        *(None if ns is None else ns / 1e6 for ns in times),
        row.samples or None,
        row.share,
        _caveat(row) or None,
        _alive(row, alive),
    )


def _alive(row: TimedRow, alive: Mapping[str, int]) -> int | None:
    """Bytes of activations while the row's step ran; None for other rows, and where not known."""
    timed = row.step is not None and row.median_ns is not None
    return alive.get(row.step.name) if timed and row.step else None


def _caveat(row: TimedRow) -> str:
    """Why the row's rank is in doubt; empty where it is not."""
    return doubt_text(row.doubt) if row.doubt else ""


def _description(run: Run, row: TimedRow) -> tuple[Cell, ...]:
    asked = run.request
    return (
        asked.model_name,
        asked.device_id,
        asked.backend,
        asked.batch,
        row.name,
        *(_layer_cells(row.layer) if row.layer else _step_cells(row)),
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
