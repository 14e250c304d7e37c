"""Runs as a folder of results of airspeed velocity (asv), from which `asv publish` makes a site.

    benchmarks.json             version 2: each benchmark by name, with `type`, `unit`, `params`
    MACHINE/machine.json        version 1: `machine`, `os`, `arch`, `cpu`, `num_cpu`, `ram`
    MACHINE/COMMIT-ENV.json     version 2: `commit_hash`, `date`, `params`, and by benchmark a row
                                whose columns are `result_columns`

as asv reads them: `Results.load` in asv/results.py, `Machine` in asv/machine.py and `Benchmarks` in
asv/benchmarks.py of airspeed-velocity/asv. Times are in seconds; a result with parameters has a
value for each of them, None where nothing was measured. asv knows versions by commits, so one has
to be named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from onnxprof.analysis.intervals import latency_interval
from onnxprof.publish.exports.figures import Tracked
from onnxprof.publish.text.numbers import slug, unique_slug

#: Of a row of results, in this order; asv leaves out what is None at the end.
_COLUMNS = (
    *("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b"),
    *("stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"),
)
#: The file that lists every benchmark of a folder of results.
BENCHMARKS = "benchmarks.json"
#: Changes when the meaning of the figures does; asv then sets old results aside.
_BENCHMARK_VERSION = "onnxprof-1"
#: Versions of the three kinds of files.
_LIST, _MACHINE, _RESULTS = 2, 1, 2


@dataclass(frozen=True, slots=True)
class _Point:
    """A benchmark at one batch size; statistics are those of the latency alone."""

    value_s: float
    started_ms: int
    stats: tuple[float, float, float, float, int] | None = None
    """99 % interval and quartiles in seconds, and the number of samples."""


#: By benchmark and batch size.
_Points = dict[str, dict[int, _Point]]


def asv(runs: Sequence[Tracked], commit: str, *, layers: bool = False) -> dict[str, str]:
    """Paths in the folder of results, and what each file holds.

    `commit` is the full hash of the commit that was measured. Raises StoreError for a run whose
    times do not match its steps.
    """
    slugs = _slugs(runs)
    groups: dict[tuple[str, str], list[Tracked]] = defaultdict(list)
    for run in runs:
        groups[slug(run.run.device.id) or "device", _environment(run)].append(run)
    points = {key: _points(group, slugs, layers=layers) for key, group in groups.items()}
    batches = _batches(points.values())
    files = {BENCHMARKS: _json(_benchmarks(batches))}
    for (machine, environment), group in groups.items():
        files[f"{machine}/machine.json"] = _json(_machine(machine, group[-1]))
        name = f"{machine}/{commit[:8]}-{environment}.json"
        found = points[machine, environment]
        files[name] = _json(_results(machine, environment, commit, group, found, batches))
    return files


def with_listed(text: str, listed: str) -> str:
    """The list of benchmarks with those of an earlier list, and the batch sizes of both.

    Raises ValueError for a list that is none of ours.
    """
    new, old = json.loads(text), json.loads(listed)
    if not isinstance(old, dict) or old.get("version") != _LIST:
        raise ValueError(f"no list of benchmarks of version {_LIST}")
    sizes: dict[str, list[int]] = {}
    for name in sorted({*new, *old} - {"version"}):
        params = [p for known in (new, old) if name in known for p in _sizes(name, known[name])]
        sizes[name] = sorted(set(params))
    return _json(_benchmarks(sizes))


def _sizes(name: str, benchmark: Any) -> list[int]:
    """The batch sizes of a benchmark. Raises ValueError for one of another program."""
    if not isinstance(benchmark, dict) or benchmark.get("version") != _BENCHMARK_VERSION:
        raise ValueError(f"{name} is a benchmark of another program; name a folder of its own")
    return [int(size) for size in benchmark["params"][0]]


def _json(value: object) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _slugs(runs: Iterable[Tracked]) -> dict[str, str]:
    """A name for each model that asv's dots do not split."""
    found: dict[str, str] = {}
    for model in dict.fromkeys(run.run.request.model_name for run in runs):
        found[model] = unique_slug(model, found.values(), model)
    return found


def _environment(run: Tracked) -> str:
    """What else was asked for: runtime, provider, threads, axes, granularity."""
    asked = run.run.request
    axes = "-".join(f"{axis}{size}" for axis, size in sorted(asked.dims))
    place = asked.backend, asked.provider, f"t{asked.threads}"
    parts = (*place, asked.phase.replace(":", ""), axes, str(asked.granularity))
    return unique_slug("-".join(filter(None, parts)), (), repr(tuple(sorted(asked.dims))))


def _points(runs: Iterable[Tracked], slugs: dict[str, str], *, layers: bool) -> _Points:
    points: _Points = defaultdict(dict)
    for run in runs:
        model, batch = slugs[run.run.request.model_name], run.run.request.batch
        started = _milliseconds(run.run.created)
        points[f"{model}.time_latency"][batch] = _latency(run, started)
        taken: list[str] = []
        for layer, ns in run.layers() if layers else ():
            taken.append(unique_slug(layer, taken, layer))
            points[f"{model}.layers.time_{taken[-1]}"][batch] = _Point(ns / 1e9, started)
    return points


def _latency(run: Tracked, started_ms: int) -> _Point:
    timings = run.timings
    low, high = latency_interval(timings, 0.99)
    first, third = np.quantile(timings.latency_ns, (0.25, 0.75))
    stats = (low / 1e9, high / 1e9, float(first) / 1e9, float(third) / 1e9, run.sums.samples)
    return _Point(run.sums.total_ns / 1e9, started_ms, stats)


def _batches(every: Iterable[_Points]) -> dict[str, list[int]]:
    """The batch sizes of each benchmark over all machines and environments."""
    found: dict[str, set[int]] = defaultdict(set)
    for points in every:
        for name, at in points.items():
            found[name] |= set(at)
    return {name: sorted(sizes) for name, sizes in sorted(found.items())}


def _benchmarks(batches: dict[str, list[int]]) -> dict[str, Any]:
    return {name: _benchmark(name, sizes) for name, sizes in batches.items()} | {"version": _LIST}


def _benchmark(name: str, sizes: Sequence[int]) -> dict[str, Any]:
    return {
        "code": "",
        "name": name,
        "param_names": ["batch"],
        "params": [[str(size) for size in sizes]],
        "timeout": 900.0,
        "type": "time",
        "unit": "seconds",
        "version": _BENCHMARK_VERSION,
    }


def _machine(machine: str, run: Tracked) -> dict[str, Any]:
    facts = run.facts
    return {
        "machine": machine,
        "os": facts.get("os", ""),
        "arch": _arch(facts),
        "cpu": facts.get("cpu", ""),
        "num_cpu": facts.get("cpu.logical_cores", ""),
        "ram": facts.get("memory.total", ""),
        "version": _MACHINE,
    }


def _arch(facts: dict[str, str]) -> str:
    """The last word of the kernel's name: `Linux 6.1.0 x86_64`."""
    return facts.get("kernel", "").rpartition(" ")[2]


def _results(
    machine: str,
    environment: str,
    commit: str,
    runs: Sequence[Tracked],
    points: _Points,
    batches: dict[str, list[int]],
) -> dict[str, Any]:
    newest = runs[-1]
    asked, facts = newest.run.request, newest.facts
    about = _machine(machine, newest)
    del about["version"]
    return {
        "commit_hash": commit,
        "env_name": environment,
        "date": max(_milliseconds(run.run.created) for run in runs),
        "params": about
        | {
            "backend": asked.backend,
            "provider": asked.provider,
            "device": newest.run.device.id,
            "threads": str(asked.threads),
        },
        "python": facts.get("python", "").rpartition(" ")[2],
        "requirements": {},
        "env_vars": {},
        "result_columns": list(_COLUMNS),
        "results": {name: _row(points[name], batches[name]) for name in points},
        "durations": {},
        "version": _RESULTS,
    }


def _row(points: dict[int, _Point], sizes: Sequence[int]) -> list[Any]:
    """A benchmark's columns, each with an entry a batch size."""
    at = [points.get(size) for size in sizes]
    started = max(point.started_ms for point in points.values())
    row: list[Any] = [
        [None if point is None else point.value_s for point in at],
        [[str(size) for size in sizes]],
        _BENCHMARK_VERSION,
        started,
        None,
    ]
    stats = [None if point is None else point.stats for point in at]
    if not any(stats):
        return row[:-1]
    columns = [[None if known is None else known[i] for known in stats] for i in range(4)]
    samples = [None if known is None else known[4] for known in stats]
    numbers = [None if known is None else 1 for known in stats]
    return [*row, *columns, numbers, samples]


def _milliseconds(created: str) -> int:
    """JavaScript's time of an ISO 8601 moment."""
    return int(datetime.fromisoformat(created).timestamp() * 1000)
