"""Runs as records of PyTorch's benchmark database, version 3.

A JSON array with an object each metric: `benchmark` (`name`, `mode`, `dtype`), `model` (`name`,
`type`, `backend`, `origins`), `metric` (`name`, `benchmark_values`), `inputs` and `dependencies` by
name, `runners`; `extra_info` in any of them maps texts to texts. The columns are those of the table
oss_ci_benchmark_v3 (pytorch/test-infra, clickhouse_db_schema/oss_ci_benchmark_v3/schema.sql), the
required ones those of the page "PyTorch OSS benchmark infra" of PyTorch's wiki: the names of
benchmark, model and metric, and its values. What is about the change and the job is added by what
uploads the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from onnxprof.analysis.intervals import by_process, median_ns
from onnxprof.publish.exports.figures import Tracked
from onnxprof.publish.text.safe import printable, shape_text
from onnxprof.records.layer import LayerKind
from onnxprof.records.run import RUNTIME

_GIB = 1 << 30


def pytorch(runs: Iterable[Tracked], *, layers: bool = False) -> str:
    """The latency of each run, a value each process; layers are metrics with one value.

    Raises StoreError for a run whose times do not match its steps.
    """
    return json.dumps([r for run in runs for r in _records(run, layers=layers)], indent=1) + "\n"


def _records(run: Tracked, *, layers: bool) -> Iterator[dict[str, Any]]:
    about = _about(run)
    medians = [median_ns(part.latency_ns) / 1e6 for part in by_process(run.timings)]
    yield about | {"metric": _metric("latency_ms", medians)}
    for layer, ns in run.layers() if layers else ():
        yield about | {"metric": _metric(f"layer_ms/{layer}", [ns / 1e6])}


def _metric(name: str, values: list[float]) -> dict[str, Any]:
    return {"name": name, "benchmark_values": values}


def _about(run: Tracked) -> dict[str, Any]:
    asked, facts = run.run.request, run.facts
    inputs = _inputs(run)
    kinds = {entry["dtype"] for entry in inputs.values()}
    return {
        "benchmark": {
            "name": "onnxprof",
            "mode": "inference",
            "dtype": kinds.pop() if len(kinds) == 1 else "",
            "extra_info": {
                "name": run.name,
                "batch": str(asked.batch),
                **({"phase": asked.phase} if asked.phase else {}),
                "threads": str(asked.threads),
                "provider": asked.provider,
                "processes": str(asked.processes),
                "measured": run.run.created,
                "command": printable(run.run.command),
            },
        },
        "model": {
            "name": printable(asked.model_name),
            "type": "ONNX",
            "backend": asked.backend,
            "origins": [printable(run.run.model.reference)],
            "extra_info": {"sha256": asked.model_sha256},
        },
        "inputs": inputs,
        "dependencies": _dependencies(asked.backend, facts),
        "runners": [_runner(run)],
    }


def _inputs(run: Tracked) -> dict[str, dict[str, Any]]:
    given = (layer for layer in run.run.table if layer.kind is LayerKind.INPUT)
    return {
        printable(tensor.name): {
            "dtype": tensor.dtype,
            "extra_info": {"shape": printable(shape_text(tensor.shape))},
        }
        for layer in given
        for tensor in layer.outputs
    }


def _dependencies(backend: str, facts: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The runtime, whose fact is a package and a version, and onnxprof."""
    package, _, version = facts.get(RUNTIME, backend).rpartition(" ")
    known = {package or backend: version, "onnxprof": facts.get("onnxprof", "")}
    return {name: {"version": version} for name, version in known.items() if version}


def _runner(run: Tracked) -> dict[str, Any]:
    device, facts = run.run.device, run.facts
    runner: dict[str, Any] = {
        "name": facts.get("node", ""),
        "type": device.id,
        "cpu_info": facts.get("cpu", ""),
        "cpu_count": _whole(facts.get("cpu.logical_cores", "")),
        "extra_info": {key: facts[key] for key in ("os", "kernel") if key in facts},
    }
    if device.kind == "cpu":
        return runner | {"avail_mem_in_gb": device.memory_bytes // _GIB}
    memory = device.memory_bytes // _GIB
    return runner | {"gpu_info": device.name, "gpu_count": 1, "avail_gpu_mem_in_gb": memory}


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() else 0
