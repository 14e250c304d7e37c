"""A run's roofline and the bounds of its latency as JSON values."""

from __future__ import annotations

from typing import Any

from onnxprof.reasons.bounds import bounds
from onnxprof.reasons.roofline import Roof, Roofline, roofline
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run


def roofline_json(run: Run, ceilings: Ceilings | None) -> dict[str, Any]:
    """Steps with what they do, attain and may attain; bounds are null without ceilings."""
    roofs = roofline(run, ceilings)
    return {
        "ceilings": ceilings.created if ceilings else None,
        "steps": [_step(roof) for roof in roofs.roofs],
        "bounds": _bounds(roofs),
    }


def _step(roof: Roof) -> dict[str, Any]:
    work = roof.work
    return {
        "name": roof.name,
        "ms": _ms(roof.time_ns),
        "alone_ms": _ms(roof.warm_ns),
        "waits_ms": _ms(roof.waits_ns),
        "flops": work.flops if work else None,
        "macs": work.macs if work else None,
        "bytes": work.bytes if work else None,
        "intensity": work.intensity if work else None,
        "precision": work.precision if work else "",
        "unknown": work.unknown if work else "the step has no layers",
        "gflops": roof.gflops,
        "gbps": roof.gbps,
        "compute_ms": _ms(roof.compute_ns),
        "memory_ms": _ms(roof.memory_ns),
        "overhead_ms": _ms(roof.node_ns),
        "bound": roof.bound or None,
        "fraction_of_ceiling": roof.fraction,
        "at_least": roof.at_least,
        "algorithm": roof.algorithm,
    }


def _bounds(roofs: Roofline) -> dict[str, Any] | None:
    found = bounds(roofs)
    if found is None:
        return None
    return {
        "measured_ms": _ms(found.measured_ns),
        "call_ms": _ms(found.call_ns),
        "in_sequence_ms": _ms(found.in_sequence_ns),
        "critical_path_ms": _ms(found.critical_path_ns),
        "fused_in_sequence_ms": _ms(found.fused_in_sequence_ns),
        "fused_critical_path_ms": _ms(found.fused_critical_path_ns),
        "at_least": found.at_least,
        "other_algorithms": list(found.other_algorithms),
        "beaten": [roof.name for roof in roofs.beaten],
    }


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6
