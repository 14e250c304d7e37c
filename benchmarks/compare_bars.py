"""How often `onnxprof compare` cries wolf, and how often it sees one.

    python benchmarks/compare_bars.py [--processes 10] [--alike 200] [--slowed 100]
    python benchmarks/compare_bars.py --real 20 [--model zoo:lenet] [--budget 2.5] [--pool 30]
        [--unpaired]

The first measures the fake backend, whose noise is scripted: processes differ by 1 %, a slow
wander of 0.5 %, a gamma-distributed delay of 2 %. Counted are comparisons of A with A in which
anything, the model or a layer, is called slower or faster, and comparisons in which a layer
that holds 5 % of the time was made 5 % slower and is called so.

The second measures a model on this machine, --pool processes for each side in turn, and draws
--real comparisons of --processes a side from them without replacement; draws share processes,
so they are not independent. Neighbours in time are a pair, one a side, in either order, and
are compared as such; --unpaired compares the same draws without that. The slowdown is put
into the samples: 5 % of a step's time are added wherever it is contained, for a step drawn
among those with at least 5 % of the time.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import scripted

from onnxprof.compare import Pair, Verdict, compare, step_replicates
from onnxprof.merge import merge
from onnxprof.records import Run

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


def measured(model: str, processes: int, budget: float, pool: int) -> list[Run]:
    """Processes of one model, one after the other."""
    from onnxprof.measure import Budget
    from onnxprof.sweep import Options, next_process, plan

    options = Options((model,), threads=1, budget=Budget(budget), processes=processes)
    planned = plan(options)[0]
    runs: list[Run] = []
    while len(runs) < pool:
        runs.append(next_process(planned, runs, options.limits, lambda *_: None))
    return runs


def judged(a: list[Run], b: list[Run], in_turn: bool) -> Pair:
    """A against B."""
    found = compare([([merge(a)], [merge(b)])], scripted.THRESHOLD, in_turn=in_turn)
    return found.pairs[0]


def slowed_down(run: Run, step: int) -> Run:
    """The run with 5 % of a step's time added to whatever contains the step."""
    timings = run.timings
    more = round(SLOWDOWN * float(np.median(step_replicates(run).times_ns[step])))
    holds = np.array(timings.prefix_steps) > run.steps[step].position
    step_ns = timings.step_ns.copy()
    step_ns[step] += more
    changed = dataclasses.replace(
        timings,
        latency_ns=timings.latency_ns + more,
        traced_ns=timings.traced_ns + more,
        step_ns=step_ns,
        prefix_ns=timings.prefix_ns + more * holds[:, None],
    )
    return dataclasses.replace(run, timings=changed)


def real(model: str, processes: int, budget: float, count: int, pool: int, in_turn: bool) -> None:
    began = perf_counter()
    runs = measured(model, processes, budget, 2 * pool)
    medians = np.array([float(np.median(run.timings.latency_ns)) for run in runs])
    spread = np.log(medians).std(ddof=1)
    print(f"{model}, {len(runs)} processes in {perf_counter() - began:.0f} s; their medians")
    print(f"      {np.median(medians) / 1e3:.1f} µs, standard deviation {100 * spread:.2f} %")
    rng = np.random.default_rng(0)
    alike, slow, found = [], [], 0
    times = np.mean([step_replicates(run).times_ns.mean(axis=1) for run in runs], axis=0)
    held = times / np.median(medians)
    candidates = [i for i, s in enumerate(runs[0].steps) if s.layers and held[i] >= SHARE]
    for _ in range(count):
        drawn = 2 * rng.permutation(pool)[:processes]
        order = rng.integers(0, 2, processes)
        a, b = ([runs[i] for i in drawn + side] for side in (order, 1 - order))
        alike.append(judged(a, b, in_turn))
        step = int(rng.choice(candidates))
        b = [slowed_down(run, step) for run in b]
        slow.append(judged(a, b, in_turn))
        layer = runs[0].steps[step].layers[0]
        found += any(r.verdict is Verdict.SLOWER for r in slow[-1].rows if layer in r.layers)
    alarms = sum(scripted.alarms(pair) > 0 for pair in alike)
    print(f"A/A   {alarms} of {count} say slower or faster; rows: {verdicts(alike)}")
    print(f"5 %   {found} of {count} found; rows: {verdicts(slow)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--alike", type=int, default=200)
    parser.add_argument("--slowed", type=int, default=100)
    parser.add_argument("--real", type=int, default=0)
    parser.add_argument("--model", default="zoo:lenet")
    parser.add_argument("--budget", type=float, default=2.5)
    parser.add_argument("--pool", type=int, default=30)
    parser.add_argument("--unpaired", action="store_true")
    asked = parser.parse_args()
    if asked.real:
        in_turn = not asked.unpaired
        real(asked.model, asked.processes, asked.budget, asked.real, asked.pool, in_turn)
    else:
        fake(asked.processes, asked.alike, asked.slowed)


if __name__ == "__main__":
    main()
