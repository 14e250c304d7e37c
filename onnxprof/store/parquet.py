"""One run as the bytes of a Parquet file, and back. The format is described in docs/store.md."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import StoreError
from onnxprof.records.device import Device
from onnxprof.records.run import SCHEMA_VERSION, Run
from onnxprof.records.step import Timer
from onnxprof.records.timings import Samples, Timings, traced_by
from onnxprof.store import encoding, guard
from onnxprof.store.formats import reading
from onnxprof.store.formats.archive import Packed, located
from onnxprof.store.formats.samples import KINDS, NONE, TABLE, rows
from onnxprof.store.summary import ESTIMATOR, Summary, summarise

if TYPE_CHECKING:
    import pyarrow as pa

#: Keys of the file's key-value metadata.
SCHEMA_KEY = b"onnxprof.schema"
RUN_KEY = b"onnxprof.run"
SUMMARY_KEY = b"onnxprof.summary"
#: Fields of `Timings` that the file's facts hold as they are.
_NUMBERS = ("load_ns", "first_ns")
_LISTS = ("prefix_steps", "block_process", "round_process", "repeats", "repeat_process")


def to_bytes(run: Run) -> bytes:
    """The complete file. Raises StoreError for a run that contradicts itself."""
    import pyarrow.parquet as pq

    _check(run)
    table = rows(run)
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
    del summary["file"], summary["tags"]
    facts = encoding.run_to_json(run) | {"timings": _timing_facts(run.timings)}
    return {
        SCHEMA_KEY: str(run.schema).encode(),
        RUN_KEY: encoding.dumps(facts),
        SUMMARY_KEY: encoding.dumps(summary),
    }


def _timing_facts(timings: Timings | None) -> dict[str, Any] | None:
    if timings is None:
        return None
    shapes = {kind.name: [int(n) for n in kind.samples(timings).shape] for kind in TABLE}
    return {
        **{name: int(getattr(timings, name)) for name in _NUMBERS},
        **{name: list(getattr(timings, name)) for name in _LISTS},
        **{name: shape if len(shape) > 1 else shape[0] for name, shape in shapes.items()},
    }


def is_archive(path: Path) -> bool:
    """Whether a file is an archive of runs; False for one that cannot be read."""
    import pyarrow.parquet as pq

    try:
        with guard.reading(path):
            guard.check_file(path)
            return reading.is_archive(pq.read_metadata(path).metadata)
    except StoreError:
        return False


def read_summaries(path: Path) -> list[Summary | StoreError]:
    """Of a run's file its summary, of an archive those of its runs or why one cannot be read.

    Raises StoreError for a file that is neither.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with guard.reading(path):
        guard.check_file(path)
        with pa.OSFile(os.fspath(path)) as source, pq.ParquetFile(source) as file:
            metadata = file.metadata.metadata
        is_run = not reading.is_archive(metadata)
        text = _known(metadata)[SUMMARY_KEY] if is_run else b""
        members = [] if is_run else reading.members(path)
    if is_run:
        return [_summary(text, path)]
    return [_summary_or_error(member.summary, path / member.name) for member in members]


def read_summary(path: Path) -> Summary:
    """The summary of a stored run. Raises StoreError for a file that is not one."""
    place = located(path)
    for summary in read_summaries(path if place is None else place[0]):
        if isinstance(summary, Summary) and summary.file == os.fspath(path):
            return summary
    what = "is an archive of runs" if place is None else "the archive has no such run"
    raise StoreError(what, where=str(path))


def _summary_or_error(text: bytes, path: Path) -> Summary | StoreError:
    try:
        return _summary(text, path)
    except StoreError as error:
        return error


def _summary(text: bytes, path: Path) -> Summary:
    with guard.reading(path):
        facts = guard.facts_in(text)
        summary = encoding.from_json(Summary, facts | {"file": os.fspath(path), "tags": []})
    if summary.estimator != ESTIMATOR:
        return dataclasses.replace(summarise(read_run(path)), file=os.fspath(path))
    return summary


def read_system(path: Path) -> tuple[Device, dict[str, str]]:
    """The device and the environment of a stored run, without its samples. Raises StoreError."""
    import pyarrow.parquet as pq

    place = located(path)
    with guard.reading(path):
        guard.check_file(place[0] if place else path)
        if place:
            facts = guard.facts_in(reading.read(*place).facts)
        else:
            with pq.ParquetFile(path) as file:
                facts = guard.facts_in(_known(file.metadata.metadata)[RUN_KEY])
        device = encoding.from_json(Device, facts["device"])
        return device, {str(key): str(value) for key, value in facts["environment"]}


def read_run(path: Path) -> Run:
    """A stored run. Raises StoreError, naming the file, for one that cannot be read."""
    place = located(path)
    with guard.reading(path):
        facts, table = _of_file(path) if place is None else _of_archive(*place)
        run = encoding.run_from_json(facts)
        if table is None:
            return run
        guard.check_samples(table)
        timings = _timings(facts["timings"], table, len(run.steps))
        return dataclasses.replace(run, timings=_with_timer(timings, facts.get("timer")))


def _of_file(path: Path) -> tuple[dict[str, Any], pa.Table | None]:
    """The facts of a run and its samples; none of a run that failed."""
    import pyarrow.parquet as pq

    guard.check_file(path)
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        facts = guard.facts_in(_known(file.metadata.metadata)[RUN_KEY])
        if facts["timings"] is None:
            return facts, None
        guard.check_rows(file, facts["timings"])
        return facts, file.read(["block", "duration_ns"], use_threads=False)


def _of_archive(path: Path, name: str) -> tuple[dict[str, Any], pa.Table | None]:
    guard.check_file(path)
    held = reading.read(path, name)
    facts = guard.facts_in(held.facts)
    _known({SCHEMA_KEY: str(facts.get("schema")).encode("utf-8", "replace")})
    if facts["timings"] is None:
        return facts, None
    guard.check_numbers(facts["timings"])
    return facts, held.samples


def digest(path: Path) -> str:
    """SHA-256 of a run's file, or of what an archive holds of it. Raises StoreError."""
    place = located(path)
    with guard.reading(path):
        if place is None:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        held = reading.read(*place)
        whole = hashlib.sha256(held.facts)
        for column in held.samples.columns:
            whole.update(f"{column.null_count} ".encode())
            whole.update(column.fill_null(-1).to_numpy().tobytes())
        return whole.hexdigest()


def packed(path: Path, name: str, run: Run | None = None) -> Packed:
    """A run's file as an archive holds it, or the run in its place. Raises StoreError."""
    import pyarrow.parquet as pq

    with guard.reading(path):
        if run is None and located(path):
            run = read_run(path)
        data = path.read_bytes() if run is None else to_bytes(run)
        with pq.ParquetFile(io.BytesIO(data)) as file:
            metadata = _known(file.metadata.metadata)
            return Packed(name, metadata[SUMMARY_KEY], metadata[RUN_KEY], file.read())


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
            for kind, part in zip(TABLE, parts, strict=True)
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
    shapes = {kind.name: kind.shape(facts) for kind in TABLE}
    if shapes["step"][0] != steps:
        raise ValueError(f"counts of samples make no sense: {facts}")
    if shapes["host"] not in (shapes["step"], NONE):
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
