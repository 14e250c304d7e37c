"""Samples as rows of a table: kinds, their order and their columns (docs/store.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.records.timings import Samples, Timings

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Kind:
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


NONE = (0, 0)
"""The shape of a table without samples."""
#: In the order in which they are stored.
TABLE = (
    Kind("warmup", "warmup_ns"),
    Kind("latency", "latency_ns", block="latency_block"),
    Kind("traced", "traced_ns", block="traced_block"),
    Kind("step", "step_ns", _of_steps, block="traced_block"),
    Kind("prefix", "prefix_ns", _of_prefixes, usual=NONE),
    Kind("empty", "empty_ns", usual=0),
    Kind("host", "host_ns", _of_host, block="traced_block", usual=NONE),
    Kind("repeat", "repeat_ns", _of_repeated, usual=NONE),
)
#: The values of `kind`.
KINDS = tuple(kind.name for kind in TABLE)


def rows(run: Run) -> pa.Table:
    """Every sample of a run in a row of its own, in the order of the kinds."""
    import pyarrow as pa

    timings = run.timings or _nothing()
    columns = [_columns(kind, timings) for kind in TABLE]
    step, sample, block, durations = (np.concatenate(parts) for parts in zip(*columns, strict=True))
    sizes = [kind.samples(timings).size for kind in TABLE]
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


def _columns(kind: Kind, timings: Timings) -> tuple[NDArray[Any], ...]:
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
