"""Measured ceilings of a device, as frozen records: what its backend can sustain at most.

A graph of `short` equal copies and one of `long` are timed in turn, un-profiled. What one more copy
takes is the difference over the number of further copies; rates and bandwidths are derived from
that when asked for (`onnxprof.reasons.ceilings`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxprof.records.device import Device
from onnxprof.records.warning import RunWarning

#: Version of the stored record; readers refuse unknown versions.
CEILINGS_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Cache:
    """One level of a device's caches."""

    name: str
    """`L1`, `L2`, `L3`."""
    bytes: int
    """Size of one instance."""
    sharers: int = 1
    """Hardware threads that share an instance."""

    def reach(self, threads: int) -> int:
        """Bytes of it that so many threads have together, on as few instances as hold them."""
        return self.bytes * -(-max(1, threads) // max(1, self.sharers))


@dataclass(frozen=True, slots=True)
class Point:
    """One generated graph, timed at two lengths."""

    kind: str
    """`matmul`, `conv3x3`, `relu` and so on."""
    size: str
    """`512x512x512` of a product, `64x56x56` of a convolution, `8 KiB` read and written."""
    precision: str
    """The dtype of the graph's tensors: `float32`, `float16`, `bfloat16`, `int8`."""
    flops: int
    """Of one copy, by the direct algorithm, a multiply-add counted as two; 0 where none counts."""
    moved_bytes: int
    """What one copy reads and writes: every element of inputs, weights and outputs once."""
    working_set_bytes: int
    """Bytes that one pass goes over before it comes back to the first of them."""
    short: int = 0
    """Copies in the shorter graph."""
    long: int = 0
    """Copies in the longer graph."""
    short_ns: tuple[int, ...] = ()
    """The shorter graph in each round: the lower quartile of a burst of inferences."""
    long_ns: tuple[int, ...] = ()
    """The longer graph in each round."""
    executed: str = ""
    """What the runtime made of a longer graph of the kind: `24 Conv, 1 ReorderInput`."""
    refused: str = ""
    """Why there are no times; empty where there are."""


@dataclass(frozen=True, slots=True)
class CeilingsKey:
    """What a set of ceilings holds for; the newest of a key counts."""

    device_id: str
    backend: str
    provider: str
    threads: int


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Every point that was measured on one device, through one backend, with so many threads."""

    key: CeilingsKey
    device: Device
    environment: tuple[tuple[str, str], ...]
    """Facts about machine and software, as keys and printable values."""
    created: str
    """UTC, ISO 8601 with seconds."""
    command: str
    """The command line that measures this again."""
    caches: tuple[Cache, ...]
    """The device's levels, the nearest first; main memory is beyond them."""
    points: tuple[Point, ...]
    warnings: tuple[RunWarning, ...] = ()
    datasheet: tuple[tuple[str, str], ...] = ()
    """Figures of the vendor that a user gave, as `fp32` and `2.1 TFLOP/s`; they bound nothing."""
    seconds: float = 0.0
    """How long measuring took."""
    schema: int = field(default=CEILINGS_SCHEMA)
