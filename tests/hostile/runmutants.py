"""Files that look like stored runs and are damaged on purpose, the same for one seed."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from onnxprof.store.formats.archive import SAMPLES, Packed
from onnxprof.store.formats.writing import write
from onnxprof.store.parquet import RUN_KEY, SCHEMA_KEY, SUMMARY_KEY, to_bytes
from onnxprof.testing import sample_run

Writer = Callable[[bytes, bytes, pa.Table], bytes]
_ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**400, -(10**30), 1 << 62, 1e308, 0.5, "", "x", "\x1b[31m", "\ud800"),
    *([], [[]], {}, [None], "nan", "-inf", "9" * 500, {"a": {"b": []}}, [1, "1", None]),
)


def written(facts: bytes, summary: bytes, table: pa.Table | None = None) -> bytes:
    """A Parquet file that says these are its facts."""
    if table is None:
        table = pq.read_table(io.BytesIO(to_bytes(sample_run())))
    keys = {SCHEMA_KEY: b"1", RUN_KEY: facts, SUMMARY_KEY: summary}
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(keys), sink)
    return sink.getvalue()


def facts_and_summary(**given: Any) -> tuple[dict[str, Any], dict[str, Any], pa.Table]:
    """What a good run's file says."""
    held = pq.read_table(io.BytesIO(to_bytes(sample_run(**given))))
    keys = pq.read_metadata(io.BytesIO(to_bytes(sample_run(**given)))).metadata
    return json.loads(keys[RUN_KEY]), json.loads(keys[SUMMARY_KEY]), held


def archived(facts: bytes, summary: bytes, table: pa.Table) -> bytes:
    """An archive of two runs, the first of which says these are its facts."""
    good = facts_and_summary()
    texts = [json.dumps(each).encode() for each in good[:2]]
    runs = [
        Packed("alpha/cpu/fake/first.parquet", summary, facts, table.select(SAMPLES)),
        Packed("alpha/cpu/fake/second.parquet", texts[1], texts[0], good[2].select(SAMPLES)),
    ]
    sink = io.BytesIO()
    write(runs, sink)
    return sink.getvalue()


def mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """What was done, and the file."""
    good = to_bytes(sample_run())
    kinds = ("facts", "facts", "facts", "summary", "bytes", "cut", "column")
    yield from _mutants(seed, count, kinds, good, written)


def archive_mutants(seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """The same of archives."""
    facts, summary, table = facts_and_summary()
    good = archived(*(json.dumps(each).encode() for each in (facts, summary)), table)
    kinds = ("facts", "summary", "bytes", "bytes", "cut")
    yield from _mutants(seed, count, kinds, good, archived)


def _mutants(
    seed: int, count: int, kinds: Sequence[str], good: bytes, make: Writer
) -> Iterator[tuple[str, bytes]]:
    rng = random.Random(seed)
    for number in range(count):
        kind = rng.choice(kinds)
        yield f"{seed}/{number} {kind}", _mutant(kind, rng, good, make)


def _mutant(kind: str, rng: random.Random, good: bytes, make: Writer) -> bytes:
    if kind == "cut":
        return good[: rng.randrange(len(good))]
    if kind == "bytes":
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 20)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        return bytes(damaged)
    facts, summary, table = facts_and_summary()
    if kind == "column":
        return make(*(json.dumps(x).encode() for x in (facts, summary)), _column(rng, table))
    target = facts if kind == "facts" else summary
    for _ in range(rng.randint(1, 3)):
        _change(rng, target)
    return make(*(json.dumps(x).encode() for x in (facts, summary)), table)


def _column(rng: random.Random, table: pa.Table) -> pa.Table:
    name = rng.choice(("duration_ns", "block"))
    rows = table.num_rows
    values: list[Any] = rng.choice(
        (
            [float("nan")] * rows, ["text"] * rows, [[1]] * rows, [None] * rows, [-5] * rows,
            [(1 << 62)] * rows, [True] * rows, [0.5] * rows, [0] * rows, [1 << 30] * rows,
        )
    )  # fmt: skip
    at = table.schema.get_field_index(name)
    if rng.random() < 0.2:
        return table.remove_column(at)
    return table.set_column(at, name, pa.array(values))


def _change(rng: random.Random, value: Any) -> None:
    """Put something odd, or nothing, in the place of one thing somewhere in it."""
    places = list(_places(value))
    holder, key = rng.choice(places)
    act = rng.random()
    if act < 0.15:
        del holder[key]
    elif act < 0.3 and isinstance(holder, list):
        holder.insert(key, holder[key])
    else:
        holder[key] = copy.deepcopy(rng.choice(_ODD))  # shared, it would hold itself


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = range(len(value)) if isinstance(value, list) else list(value)
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
