"""Runs as Bencher Metric Format.

A JSON object of benchmarks by name; each is an object of measures, and a measure has `value` and
may have `lower_value` and `upper_value`, all numbers (bencher.dev, reference, "Bencher Metric
Format"). A benchmark's name has at most 1,024 characters. `latency` in nanoseconds and
`throughput` in operations a second are measures that every project has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from onnxprof.publish.exports.figures import Tracked

_Measures = dict[str, dict[str, float]]


def bmf(runs: Iterable[Tracked], *, layers: bool = False) -> str:
    """Latency and throughput (items a second) of each run, with 95 % intervals; layers by median.

    Raises StoreError for a run whose times do not match its steps.
    """
    benchmarks: dict[str, _Measures] = {}
    for run in runs:
        benchmarks[run.name] = _measures(run)
        for layer, ns in run.layers() if layers else ():
            benchmarks[run.layer_name(layer)] = {"latency": {"value": float(ns)}}
    return json.dumps(benchmarks, indent=1) + "\n"


def _measures(run: Tracked) -> _Measures:
    value, (low, high) = run.sums.total_ns, run.sums.interval_ns
    items = run.run.request.batch * 1e9
    measures = {"latency": _metric(value, low, high)}
    if low > 0:
        measures["throughput"] = _metric(items / value, items / high, items / low)
    return measures


def _metric(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": float(value), "lower_value": float(low), "upper_value": float(high)}
