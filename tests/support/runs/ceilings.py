"""Ceilings of a device that nobody measured, with figures that are easy to reckon with."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.records.ceilings import Cache, Ceilings, CeilingsKey, Point
from onnxprof.records.device import Device

KEY = CeilingsKey("cpu:fake", "fake", "cpu", 2)
CACHES = (Cache("L1", 32 << 10), Cache("L2", 1 << 20), Cache("L3", 16 << 20, 8))


def point(
    kind: str,
    ns: float,
    *,
    flops: int = 0,
    moved: int = 1 << 16,
    precision: str = "float32",
    noise: Sequence[float] = (0.0,) * 12,
    size: str = "",
    refused: str = "",
) -> Point:
    """A point one copy of which takes `ns`; `noise` is what the longer graph takes longer."""
    short = tuple(round(10_000 + 2 * ns) for _ in noise)
    long = tuple(round(10_000 + 6 * ns * (1 + more)) for more in noise)
    times = {} if refused else {"short_ns": short, "long_ns": long, "executed": f"6 {kind}"}
    return Point(
        *(kind, size or f"{moved} B", precision, flops, moved, moved),
        *(2, 6),
        refused=refused,
        **times,
    )


def ceilings(*points: Point, **changes) -> Ceilings:
    """100 GFLOP/s; 40, 20 and 10 GB/s in L2, L3 and memory; 1 µs a node."""
    usual = (
        point("relu", 1_000, moved=512),
        point("relu", 1_000, moved=8 << 10),
        point("relu", (512 << 10) / 40, moved=512 << 10),
        point("relu", (8 << 20) / 20, moved=8 << 20),
        point("add", (64 << 20) / 10, moved=64 << 20),
        point("matmul", 20_000, flops=2_000_000, moved=120_000, size="100x100x100"),
    )
    made = {
        "key": KEY,
        "device": Device("cpu:fake", "cpu", "Fake CPU", 8 << 30, 2, 4, ("avx2",)),
        "environment": (("runtime", "fakert 1.0"), ("onnxprof", "0.1.0"), ("cpu", "Fake CPU")),
        "created": "2026-01-02T03:04:05Z",
        "command": "onnxprof ceilings --again --backend fake",
        "caches": CACHES,
        "points": points or usual,
        "seconds": 41.5,
    }
    return Ceilings(**(made | changes))
