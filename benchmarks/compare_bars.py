"""How often `onnxprof compare` cries wolf, and how often it sees one.

    python benchmarks/compare_bars.py [--processes 10] [--alike 200] [--slowed 100]
    python benchmarks/compare_bars.py --real 200 [--model zoo:lenet] [--budget 1] [--pool 30]
        [--threads 1] [--unpaired]

The first measures the fake backend, whose noise is scripted: processes differ by 1 %, a slow
wander of 0.5 %, a gamma-distributed delay of 2 %. Counted are comparisons of A with A in which
anything, the model or a layer, is called slower or faster, and comparisons in which a layer
that holds 5 % of the time was made 5 % slower and is called so.

The second measures a model against itself on this machine, as `onnxprof compare A A` does:
--pool pairs of processes that take turns, --budget seconds each, and draws --real comparisons
of --processes pairs from them without replacement, either process of a pair being A. Draws share
processes, so they are not independent. --unpaired compares the same draws as two groups.

The slowdown is put into the samples: to each sample of a step, and of all that contains it,
5 % of the step's time are added. That time is what the profiler recorded less what the profiler
itself adds, so it is 5 % of what the step takes when nobody looks, and less of what is recorded.
Each step with at least 5 % of the model's median is slowed in its turn.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from os import getloadavg
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from support import scripted

from onnxprof.analysis.processes import merge, parts
from onnxprof.analysis.step_times import empty_call, inflation, split
from onnxprof.compare.changes import Pair, compare
from onnxprof.compare.verdict import Verdict
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run

SLOWDOWN = 0.05
SHARE = 0.05


def fake(processes: int, alike: int, slowed: int) -> None:
    pairs = [scripted.against(seed, processes) for seed in range(alike)]
    alarms = sum(scripted.alarms(pair) > 0 for pair in pairs)
    print(f"fake, {processes} processes a side")
    print(f"A/A   {alarms} of {alike} say slower or faster; rows: {verdicts(pairs)}")
    pairs = [scripted.against(10_000 + seed, processes, SLOWDOWN) for seed in range(slowed)]
    print(f"5 %   {sum(map(scripted.is_found, pairs))} of {slowed} found; rows: {verdicts(pairs)}")


def verdicts(pairs: list[Pair]) -> str:
    counts = Counter(row.verdict for pair in pairs for row in (pair.latency, *pair.rows))
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])


def measured(model: str, budget: float, pool: int, threads: int) -> tuple[list[Run], list[Run]]:
    """Processes of one model on either side, measured in turn; the n-th of both are a pair."""
    from onnxprof.jobs.in_turn import alternate
    from onnxprof.jobs.options import Options
    from onnxprof.jobs.sweep import plan
    from onnxprof.measure.budget import Budget

    given = {"threads": threads, "budget": Budget(budget * pool), "processes": pool}
    planned = plan(Options((model,), parity=False, **given))[0]
    a, b = alternate(planned, planned, Limits(), lambda *_: None)
    return parts(a), parts(b)


def judged(a: list[Run], b: list[Run], in_turn: bool) -> Pair:
    """A against B."""
    found = compare([([merge(a)], [merge(b)])], scripted.THRESHOLD, in_turn=in_turn)
    return found.pairs[0]


def true_ns(run: Run) -> np.ndarray:
    """Nanoseconds of each step less what the profiler adds, which is the same for each node."""
    timings = run.timings
    sampled = np.median(timings.step_ns, axis=1)
    total = float(np.median(timings.latency_ns)) - (empty_call(timings) or 0.0)
    return split(sampled, total, np.array([step.nodes for step in run.steps]))


def slowed_down(run: Run, step: int, more: int) -> Run:
    """The run with so many nanoseconds added to a step in whatever contains the step."""
    timings = run.timings
    step_ns = timings.step_ns.copy()
    step_ns[step] += more
    changed = dataclasses.replace(
        timings,
        latency_ns=timings.latency_ns + more,
        traced_ns=timings.traced_ns + more,
        step_ns=step_ns,
    )
    return dataclasses.replace(run, timings=changed)


def real(asked: argparse.Namespace) -> None:
    began = perf_counter()
    runs = measured(asked.model, asked.budget, asked.pool, asked.threads)
    both = [*runs[0], *runs[1]]
    medians = np.array([float(np.median(run.timings.latency_ns)) for run in both])
    spread = np.log(medians).std(ddof=1)
    inflated = np.median([inflation(run.timings) for run in both])
    print(f"{asked.model}, {asked.pool} pairs of processes in {perf_counter() - began:.0f} s;")
    print(f"      load {getloadavg()[0]:.1f}; profiled over un-profiled {inflated:.2f}")
    print(f"      medians {np.median(medians) / 1e3:.1f} µs, spread {100 * spread:.2f} %")
    times = np.median([true_ns(run) for run in both], axis=0)
    steps = both[0].steps
    held = [i for i, s in enumerate(steps) if s.layers and times[i] >= SHARE * np.median(medians)]
    rng = np.random.default_rng(0)
    alike, slow, hits = [], [], dict.fromkeys(held, 0)
    tried = dict.fromkeys(held, 0)
    for n in range(asked.real):
        drawn = rng.permutation(asked.pool)[: asked.processes]
        order = rng.integers(0, 2, drawn.size)
        a, b = (
            [runs[side][i] for i, side in zip(drawn, s, strict=True)] for s in (order, 1 - order)
        )
        alike.append(judged(a, b, not asked.unpaired))
        if not held or n >= asked.slowed:
            continue
        step = held[n % len(held)]
        b = [slowed_down(run, step, round(SLOWDOWN * times[step])) for run in b]
        slow.append(judged(a, b, not asked.unpaired))
        layer = steps[step].layers[0]
        tried[step] += 1
        hits[step] += any(r.verdict is Verdict.SLOWER for r in slow[-1].rows if layer in r.layers)
    alarms = sum(scripted.alarms(pair) > 0 for pair in alike)
    print(f"A/A   {alarms} of {len(alike)} say slower or faster; rows: {verdicts(alike)}")
    print(f"5 %   {sum(hits.values())} of {len(slow)} found; rows: {verdicts(slow)}")
    for i in held:
        recorded = np.median([np.median(run.timings.step_ns[i]) for run in both])
        print(
            f"      {steps[i].name}: {hits[i]} of {tried[i]}; {times[i] / 1e3:.1f} µs,"
            f" recorded as {recorded / 1e3:.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--alike", type=int, default=200)
    parser.add_argument("--slowed", type=int, default=100)
    parser.add_argument("--real", type=int, default=0)
    parser.add_argument("--model", default="zoo:lenet")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pool", type=int, default=30)
    parser.add_argument("--unpaired", action="store_true")
    asked = parser.parse_args()
    if asked.real:
        real(asked)
    else:
        fake(asked.processes, asked.alike, asked.slowed)


if __name__ == "__main__":
    main()
