"""Runs for github-action-benchmark, as its tool `customSmallerIsBetter` reads them.

A JSON array of objects with `name`, `unit` (texts) and `value` (a number), and `range` and `extra`
(texts, of which the second is shown as a tooltip) as they please: `BenchmarkResult` in
src/extract.ts of benchmark-action/github-action-benchmark, and "customSmallerIsBetter" in its
README.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from onnxprof.publish.exports.figures import Tracked
from onnxprof.records.run import RUNTIME

_UNIT = "ms"


def github_benchmark(runs: Iterable[Tracked], *, layers: bool = False) -> str:
    """The latency of each run with half of its 95 % interval, and layers by their medians.

    Raises StoreError for a run whose times do not match its steps.
    """
    return json.dumps([e for run in runs for e in _entries(run, layers=layers)], indent=1) + "\n"


def _entries(run: Tracked, *, layers: bool) -> Iterator[dict[str, Any]]:
    low, high = run.sums.interval_ns
    yield {
        "name": run.name,
        "unit": _UNIT,
        "value": run.sums.total_ns / 1e6,
        "range": f"± {(high - low) / 2e6:.6f}",
        "extra": _extra(run),
    }
    for layer, ns in run.layers() if layers else ():
        yield {"name": run.layer_name(layer), "unit": _UNIT, "value": ns / 1e6}


def _extra(run: Tracked) -> str:
    asked, facts = run.run.request, run.facts
    known = (
        ("samples", str(run.sums.samples)),
        ("processes", str(asked.processes)),
        ("runtime", facts.get(RUNTIME, "")),
        ("device", run.run.device.name),
        ("onnxprof", facts.get("onnxprof", "")),
        ("model", asked.model_sha256[:12]),
        ("measured", run.run.created),
    )
    return "\n".join(f"{key}: {value}" for key, value in known if value)
