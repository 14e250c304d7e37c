"""One run as the bytes of a Parquet file, and back. The format is described in docs/store.md."""

from __future__ import annotations

import dataclasses
import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.errors import StoreError
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
#: Columns of the sample rows, and the values of `kind` in the order in which they are stored.
COLUMNS = ("kind", "step", "sample", "block", "duration_ns")
KINDS = ("warmup", "latency", "traced", "step", "prefix", "empty", "host", "repeat")


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
    del summary["path"]
    facts = encoding.run_to_json(run) | {"timings": _timing_facts(run.timings)}
    return {
        SCHEMA_KEY: str(run.schema).encode(),
        RUN_KEY: encoding.dumps(facts),
        SUMMARY_KEY: encoding.dumps(summary),
    }


def _timing_facts(timings: Timings | None) -> dict[str, Any] | None:
    if timings is None:
        return None
    return {
        "load_ns": int(timings.load_ns),
        "first_ns": int(timings.first_ns),
        "warmup": int(timings.warmup_ns.size),
        "latency": int(timings.latency_ns.size),
        "traced": int(timings.traced_ns.size),
        "step": [int(n) for n in timings.step_ns.shape],
        "prefix": [int(n) for n in timings.prefix_ns.shape],
        "prefix_steps": list(timings.prefix_steps),
        "empty": int(timings.empty_ns.size),
        "host": [int(n) for n in timings.host_ns.shape],
        "block_process": list(timings.block_process),
        "round_process": list(timings.round_process),
        "repeats": list(timings.repeats),
        "repeat": [int(n) for n in timings.repeat_ns.shape],
        "repeat_process": list(timings.repeat_process),
    }


def _rows(run: Run) -> pa.Table:
    import pyarrow as pa

    timings = run.timings or _nothing()
    parts = (
        *(timings.warmup_ns, timings.latency_ns, timings.traced_ns),
        *(timings.step_ns.ravel(), timings.prefix_ns.ravel(), timings.empty_ns),
        *(timings.host_ns.ravel(), timings.repeat_ns.ravel()),
    )
    sizes = [part.size for part in parts]
    steps, inferences = timings.step_ns.shape
    prefixes, rounds = timings.prefix_ns.shape
    hosts = len(timings.host_ns)
    numbers = [
        *map(np.arange, sizes[:3]),
        *(np.tile(np.arange(inferences), steps), np.tile(np.arange(rounds), prefixes)),
        np.arange(sizes[5]),
        np.tile(np.arange(inferences), hosts),
        np.tile(np.arange(timings.repeat_ns.shape[1]), len(timings.repeat_ns)),
    ]
    block = _blocks(timings, sizes)
    labels = [*_labels(run.steps), *(f"(first {n} steps)" for n in timings.prefix_steps)]
    step = np.concatenate(
        [
            *(np.full(sum(sizes[:3]), -1), np.repeat(np.arange(steps), inferences)),
            np.repeat(np.arange(steps, steps + prefixes), rounds),
            np.full(sizes[5], -1),
            np.repeat(np.arange(hosts), inferences),
            np.repeat(np.flatnonzero(timings.repeats), timings.repeat_ns.shape[1]),
        ]
    )
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
            "sample": np.concatenate(numbers).astype(np.int32),
            "block": pa.array(block, mask=block < 0),
            "duration_ns": np.concatenate(parts).astype(np.int64),
        }
    )


def _blocks(timings: Timings, sizes: list[int]) -> NDArray[np.int32]:
    """The block of each row; -1 where a kind of sample has none."""
    traced = _or_none(timings.traced_block, sizes[2])
    parts = (
        *(np.full(sizes[0], -1), _or_none(timings.latency_block, sizes[1]), traced),
        _or_none(np.tile(traced, len(timings.step_ns)), sizes[3]),
        np.full(sizes[4] + sizes[5], -1),
        _or_none(np.tile(traced, len(timings.host_ns)), sizes[6]),
        np.full(sizes[7], -1),
    )
    return np.concatenate(parts).astype(np.int32)


def _or_none(block: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    return block if block.size == size else np.full(size, -1, np.int32)


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
    return Timings(0, 0, none, none, none.astype(np.int32), none, none.reshape(0, 0))


def read_summary(path: Path) -> Summary:
    """The summary of a stored run. Raises StoreError for a file that is not one."""
    import pyarrow.parquet as pq

    with _reading(path):
        guard.check_file(path)
        metadata = _known(pq.read_metadata(path).metadata)
        facts = guard.facts_in(metadata[SUMMARY_KEY])
        facts.pop("path", None)
        summary = encoding.from_json(Summary, facts)
    if summary.estimator != ESTIMATOR:
        summary = summarise(read_run(path))
    return dataclasses.replace(summary, path=path)


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
            table = file.read(["block", "duration_ns"])
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
    warmup, latency, traced = (facts[kind] for kind in KINDS[:3])
    shape, prefixes = tuple(facts["step"]), tuple(facts.get("prefix", (0, 0)))
    empty = facts.get("empty", 0)
    counts = (warmup, latency, traced, *shape, *prefixes, empty)
    if len(shape) != 2 or len(prefixes) != 2 or shape[0] != steps or min(counts) < 0:
        raise ValueError(f"counts of samples make no sense: {facts}")
    if (host := tuple(facts.get("host", (0, 0)))) not in (shape, (0, 0)):
        raise ValueError(f"the host's times make no sense: {facts}")
    sizes = [warmup, latency, traced, shape[0] * shape[1], prefixes[0] * prefixes[1], empty]
    repeated = _repeated_shape(facts)
    sizes += [host[0] * host[1], repeated[0] * repeated[1]]
    ends = np.cumsum(sizes)
    if ends[-1] != table.num_rows:
        raise ValueError(f"{table.num_rows} rows where {ends[-1]} were written")
    durations: Samples = table["duration_ns"].to_numpy()
    parts = np.split(durations, ends[:7])
    timings = Timings(
        facts["load_ns"],
        facts["first_ns"],
        parts[0],
        parts[1],
        _block(table, warmup, latency),
        parts[2],
        parts[3].reshape(shape),
        _block(table, warmup + latency, traced),
        parts[4].reshape(prefixes),
        tuple(facts.get("prefix_steps", ())),
        parts[5],
        tuple(facts.get("block_process", ())),
        tuple(facts.get("round_process", ())),
        parts[6].reshape(host),
        tuple(facts.get("repeats", ())),
        parts[7].reshape(repeated),
        tuple(facts.get("repeat_process", ())),
    )
    if not _processes_fit(timings):
        raise ValueError("not every block or round has a process")
    return timings


def _with_timer(timings: Timings, stored: str | None) -> Timings:
    """Runs of earlier versions name no timer; theirs is the one whose times were printed."""
    is_cut = timings.prefix_ns.size > 0 and not timings.host_ns.size
    derived = Timer.PREFIX if is_cut else traced_by(timings.host_ns)
    found = dataclasses.replace(timings, timer=derived if stored is None else Timer(stored))
    if not _timer_fits(found):
        raise ValueError(f"the {found.timer} timer has no times")
    return found


def _repeated_shape(facts: dict[str, Any]) -> tuple[int, int]:
    steps, rounds = facts.get("repeat", (0, 0))
    if min(steps, rounds) < 0 or steps != sum(n > 0 for n in facts.get("repeats", ())):
        raise ValueError(f"the times of repeated steps make no sense: {facts}")
    return steps, rounds


def _block(table: pa.Table, start: int, size: int) -> NDArray[np.int32]:
    """The blocks of some rows; empty where they have none."""
    column = table["block"].slice(start, size)
    if column.null_count:
        return np.zeros(0, np.int32)
    block: NDArray[np.int32] = column.to_numpy().astype(np.int32)
    return block
