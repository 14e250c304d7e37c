"""One run as the bytes of a Parquet file, and back. The format is described in docs/store.md."""

from __future__ import annotations

import dataclasses
import io
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import StoreError
from onnxprof.records.device import Device
from onnxprof.records.run import SCHEMA_VERSION, Run
from onnxprof.records.step import Step, Timer
from onnxprof.records.timings import Samples, Timings, traced_by
from onnxprof.store import encoding, guard
from onnxprof.store.summary import ESTIMATOR, Summary, summarise

if TYPE_CHECKING:
    import pyarrow as pa

#: Keys of the file's key-value metadata.
SCHEMA_KEY = b"onnxprof.schema"
RUN_KEY = b"onnxprof.run"
SUMMARY_KEY = b"onnxprof.summary"
#: Columns of the sample rows.
COLUMNS = ("kind", "step", "sample", "block", "duration_ns")


@dataclass(frozen=True, slots=True)
class _Kind:
    """Samples of one kind: the field of `Timings` that holds them, and what a row of it is of."""

    name: str
    field: str
    labels: Callable[[Timings], NDArray[Any]] | None = None
    """The label of each row of a table of samples; None where samples are of whole inferences."""
    block: str = ""
    """The field with the block of each sample of a row; empty where there are none."""
    usual: Any = None
    """The shape in files that do not give one; None where all give it."""

    def samples(self, timings: Timings) -> Samples:
        """Those of a measurement."""
        samples: Samples = getattr(timings, self.field)
        return samples

    def shape(self, facts: Mapping[str, Any]) -> tuple[int, ...]:
        """As a file gives it. Raises ValueError for another number of axes, or a negative one."""
        given = facts[self.name] if self.usual is None else facts.get(self.name, self.usual)
        shape = (given,) if isinstance(given, int) else tuple(given)
        if len(shape) != (1 if self.labels is None else 2) or min(shape) < 0:
            raise ValueError(f"counts of samples make no sense: {facts}")
        return shape


def _of_steps(timings: Timings) -> NDArray[Any]:
    return np.arange(len(timings.step_ns))


def _of_host(timings: Timings) -> NDArray[Any]:
    return np.arange(len(timings.host_ns))


def _of_prefixes(timings: Timings) -> NDArray[Any]:
    return len(timings.step_ns) + np.arange(len(timings.prefix_ns))


def _of_repeated(timings: Timings) -> NDArray[Any]:
    return np.flatnonzero(timings.repeats)


_NONE = (0, 0)
#: In the order in which they are stored.
_TABLE = (
    _Kind("warmup", "warmup_ns"),
    _Kind("latency", "latency_ns", block="latency_block"),
    _Kind("traced", "traced_ns", block="traced_block"),
    _Kind("step", "step_ns", _of_steps, block="traced_block"),
    _Kind("prefix", "prefix_ns", _of_prefixes, usual=_NONE),
    _Kind("empty", "empty_ns", usual=0),
    _Kind("host", "host_ns", _of_host, block="traced_block", usual=_NONE),
    _Kind("repeat", "repeat_ns", _of_repeated, usual=_NONE),
)
#: The values of `kind`.
KINDS = tuple(kind.name for kind in _TABLE)
#: Fields of `Timings` that the file's facts hold as they are.
_NUMBERS = ("load_ns", "first_ns")
_LISTS = ("prefix_steps", "block_process", "round_process", "repeats", "repeat_process")


def to_bytes(run: Run) -> bytes:
    """The complete file. Raises StoreError for a run that contradicts itself."""
    import pyarrow.parquet as pq

    _check(run)
    table = _rows(run)
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=9,
        use_dictionary=["kind", "step"],
        column_encoding=dict.fromkeys(("sample", "block", "duration_ns"), "DELTA_BINARY_PACKED"),
        write_page_checksum=True,
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(_metadata(run))  # in the schema it would be there twice
    return sink.getvalue()


def _check(run: Run) -> None:
    timings = run.timings
    where = run.request.model_name
    if run.schema != SCHEMA_VERSION:
        raise StoreError(f"schema version {run.schema} cannot be written", where=where)
    if timings is None:
        if not run.failure:
            raise StoreError("the run has neither times nor a reason for having none", where=where)
        return
    if timings.step_ns.ndim != 2 or len(timings.step_ns) != len(run.steps):
        shape = list(timings.step_ns.shape)
        raise StoreError(f"{len(run.steps)} steps have times of shape {shape}", where=where)
    blocks = (
        (timings.latency_block, timings.latency_ns),
        (timings.traced_block, timings.traced_ns),
    )
    if any(block.shape not in (samples.shape, (0,)) for block, samples in blocks):
        raise StoreError("samples and their blocks differ in number", where=where)
    if timings.host_ns.size and timings.host_ns.shape != timings.step_ns.shape:
        raise StoreError("steps have times on the device and others on the host", where=where)
    if not _timer_fits(timings):
        raise StoreError(f"the {timings.timer} timer has no times", where=where)
    if len(timings.prefix_steps) != len(timings.prefix_ns):
        raise StoreError("prefixes and their times differ in number", where=where)
    if sum(count > 0 for count in timings.repeats) != len(timings.repeat_ns):
        raise StoreError("repeated steps and their times differ in number", where=where)
    if not _processes_fit(timings):
        raise StoreError("not every block or round has a process", where=where)


def _timer_fits(timings: Timings) -> bool:
    if timings.timer is Timer.CUPTI:
        return timings.host_ns.shape == timings.step_ns.shape
    return timings.timer is Timer.TRACE or (
        timings.timer is Timer.PREFIX and timings.prefix_ns.size > 0
    )


def _processes_fit(timings: Timings) -> bool:
    blocks = np.concatenate([timings.latency_block, timings.traced_block])
    known, rounds = len(timings.block_process), len(timings.round_process)
    blocks_fit = not known or not blocks.size or 0 <= blocks.min() <= blocks.max() < known
    rounds_fit = rounds in (0, timings.prefix_ns.shape[1])
    return (
        blocks_fit and rounds_fit and len(timings.repeat_process) in (0, timings.repeat_ns.shape[1])
    )


def _metadata(run: Run) -> dict[bytes, bytes]:
    summary = encoding.to_json(summarise(run))
    del summary["file"]
    facts = encoding.run_to_json(run) | {"timings": _timing_facts(run.timings)}
    return {
        SCHEMA_KEY: str(run.schema).encode(),
        RUN_KEY: encoding.dumps(facts),
        SUMMARY_KEY: encoding.dumps(summary),
    }


def _timing_facts(timings: Timings | None) -> dict[str, Any] | None:
    if timings is None:
        return None
    shapes = {kind.name: [int(n) for n in kind.samples(timings).shape] for kind in _TABLE}
    return {
        **{name: int(getattr(timings, name)) for name in _NUMBERS},
        **{name: list(getattr(timings, name)) for name in _LISTS},
        **{name: shape if len(shape) > 1 else shape[0] for name, shape in shapes.items()},
    }


def _rows(run: Run) -> pa.Table:
    import pyarrow as pa

    timings = run.timings or _nothing()
    columns = [_columns(kind, timings) for kind in _TABLE]
    step, sample, block, durations = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    sizes = [kind.samples(timings).size for kind in _TABLE]
    labels = [*_labels(run.steps), *(f"(first {n} steps)" for n in timings.prefix_steps)]
    kind = pa.DictionaryArray.from_arrays(
        pa.array(np.repeat(np.arange(len(KINDS), dtype=np.int8), sizes)),
        pa.array(KINDS, pa.string()),
    )
    names = pa.DictionaryArray.from_arrays(
        pa.array(step.astype(np.int32), mask=step < 0), pa.array(labels, pa.string())
    )
    return pa.table(
        {
            "kind": kind,
            "step": names,
            "sample": sample.astype(np.int32),
            "block": pa.array(block.astype(np.int32), mask=block < 0),
            "duration_ns": durations.astype(np.int64),
        }
    )


def _columns(kind: _Kind, timings: Timings) -> tuple[NDArray[Any], ...]:
    """Label, number, block and duration of each sample; -1 where it has no label or block."""
    samples = kind.samples(timings)
    labels = np.full(1, -1) if kind.labels is None else kind.labels(timings)
    a_row = samples.shape[-1]
    none = np.zeros(0, np.int32)
    block = np.tile(getattr(timings, kind.block) if kind.block else none, len(labels))
    return (
        np.repeat(labels, a_row),
        np.tile(np.arange(a_row), len(labels)),
        block if block.size == samples.size else np.full(samples.size, -1, np.int32),
        samples.ravel(),
    )


def _labels(steps: tuple[Step, ...]) -> list[str]:
    """Step names as a column can hold them: UTF-8, and told apart by `#2` where repeated."""
    seen: Counter[str] = Counter()
    labels = []
    for step in steps:
        name = step.name.encode("utf-8", "backslashreplace").decode()
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def _nothing() -> Timings:
    none = np.zeros(0, np.int64)
    return Timings(
        load_ns=0,
        first_ns=0,
        warmup_ns=none,
        latency_ns=none,
        latency_block=none.astype(np.int32),
        traced_ns=none,
        step_ns=none.reshape(0, 0),
    )


def read_summary(path: Path) -> Summary:
    """The summary of a stored run. Raises StoreError for a file that is not one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _reading(path):
        guard.check_file(path)
        with pa.OSFile(os.fspath(path)) as source, pq.ParquetFile(source) as file:
            metadata = _known(file.metadata.metadata)
        facts = guard.facts_in(metadata[SUMMARY_KEY])
        summary = encoding.from_json(Summary, facts | {"file": os.fspath(path)})
    if summary.estimator != ESTIMATOR:
        return dataclasses.replace(summarise(read_run(path)), file=os.fspath(path))
    return summary


def read_system(path: Path) -> tuple[Device, dict[str, str]]:
    """The device and the environment of a stored run, without its samples. Raises StoreError."""
    import pyarrow.parquet as pq

    with _reading(path):
        guard.check_file(path)
        with pq.ParquetFile(path) as file:
            facts = guard.facts_in(_known(file.metadata.metadata)[RUN_KEY])
        device = encoding.from_json(Device, facts["device"])
        return device, {str(key): str(value) for key, value in facts["environment"]}


def read_run(path: Path) -> Run:
    """A stored run. Raises StoreError, naming the file, for one that cannot be read."""
    import pyarrow.parquet as pq

    with _reading(path):
        guard.check_file(path)
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            facts = guard.facts_in(_known(file.metadata.metadata)[RUN_KEY])
            run = encoding.run_from_json(facts)
            if facts["timings"] is None:
                return run
            guard.check_rows(file, facts["timings"])
            table = file.read(["block", "duration_ns"], use_threads=False)
            guard.check_samples(table)
        timings = _timings(facts["timings"], table, len(run.steps))
        return dataclasses.replace(run, timings=_with_timer(timings, facts.get("timer")))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except StoreError as error:
        raise StoreError(error.what, where=str(path), remedy=error.remedy) from error
    except FileNotFoundError as error:
        raise StoreError("there is no such file", where=str(path)) from error
    except (pa.ArrowException, *guard.ERRORS) as error:
        reason = " ".join((str(error) or type(error).__name__).split())[:200]
        raise StoreError(f"cannot be read as a stored run ({reason})", where=str(path)) from error


def _known(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes]:
    if not metadata or SCHEMA_KEY not in metadata:
        raise StoreError("is a Parquet file, but not one that onnxprof wrote")
    version = metadata[SCHEMA_KEY].decode("utf-8", "replace")
    if version != str(SCHEMA_VERSION):
        raise StoreError(
            f"has schema version {version}; this onnxprof knows version {SCHEMA_VERSION}",
            remedy="Install the onnxprof that wrote it, or a newer one",
        )
    return metadata


def _timings(facts: dict[str, Any], table: pa.Table, steps: int) -> Timings:
    shapes = _shapes(facts, steps)
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    if ends[-1] != table.num_rows:
        raise ValueError(f"{table.num_rows} rows where {ends[-1]} were written")
    durations: Samples = table["duration_ns"].to_numpy()
    parts = np.split(durations, ends[:-1])
    starts = dict(zip(KINDS, (0, *ends[:-1]), strict=True))
    values: dict[str, Any] = {
        **{name: facts[name] for name in _NUMBERS},
        **{name: tuple(facts.get(name, ())) for name in _LISTS},
        **{
            kind.field: part.reshape(shapes[kind.name])
            for kind, part in zip(_TABLE, parts, strict=True)
        },
        "latency_block": _block(table, int(starts["latency"]), *shapes["latency"]),
        "traced_block": _block(table, int(starts["traced"]), *shapes["traced"]),
    }
    timings = Timings(**values)
    if not _processes_fit(timings):
        raise ValueError("not every block or round has a process")
    return timings


def _with_timer(timings: Timings, stored: str | None) -> Timings:
    """Runs of earlier versions name no timer; theirs is the one whose times were printed."""
    is_cut = timings.prefix_ns.size > 0 and not timings.host_ns.size
    derived = Timer.PREFIX if is_cut else traced_by(timings.host_ns)
    timed = dataclasses.replace(timings, timer=derived if stored is None else Timer(stored))
    if not _timer_fits(timed):
        raise ValueError(f"the {timed.timer} timer has no times")
    return timed


def _shapes(facts: dict[str, Any], steps: int) -> dict[str, tuple[int, ...]]:
    """The shape of each kind of samples. Raises ValueError for those that make no sense."""
    shapes = {kind.name: kind.shape(facts) for kind in _TABLE}
    if shapes["step"][0] != steps:
        raise ValueError(f"counts of samples make no sense: {facts}")
    if shapes["host"] not in (shapes["step"], _NONE):
        raise ValueError(f"the host's times make no sense: {facts}")
    if shapes["repeat"][0] != sum(n > 0 for n in facts.get("repeats", ())):
        raise ValueError(f"the times of repeated steps make no sense: {facts}")
    return shapes


def _block(table: pa.Table, start: int, size: int) -> NDArray[np.int32]:
    """The blocks of some rows; empty where they have none."""
    column = table["block"].slice(start, size)
    if column.null_count:
        return np.zeros(0, np.int32)
    block: NDArray[np.int32] = column.to_numpy().astype(np.int32)
    return block
