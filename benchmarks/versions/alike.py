"""How often one version of a runtime against itself is called slower or faster.

    python benchmarks/versions/alike.py [MODEL] [--runtime onnxruntime==1.32.0] [--draws 200]
        [--processes 10] [--pool 20] [--budget 0.5] [--threads 1]

Both sides import the version from its own folder, as `onnxprof compare MODEL --runtime V
--runtime V` does. --pool pairs of processes take turns, --budget seconds each, and --draws
comparisons of --processes pairs are drawn from them without replacement, either process of a pair
being A. Draws share processes, so they are not independent.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from os import getloadavg
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from support import scripted

from onnxprof.analysis.processes import merge, parts
from onnxprof.compare.changes import Pair, compare
from onnxprof.jobs.in_turn import alternate
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run


def pool(asked: argparse.Namespace) -> tuple[list[Run], list[Run]]:
    """Processes on either side; the n-th of both are a pair."""
    options = Options(
        (asked.model,),
        runtime=asked.runtime,
        threads=asked.threads,
        budget=Budget(asked.budget * asked.pool),
        processes=asked.pool,
        parity=False,
        telemetry=False,
    )
    a, b = (plan(options, say=print)[0] for _ in range(2))
    ours, theirs = alternate(a, b, Limits(), lambda *_: None)
    return parts(ours), parts(theirs)


def drawn(runs: tuple[list[Run], list[Run]], asked: argparse.Namespace) -> list[Pair]:
    """Comparisons of pairs of processes that were drawn from the pool."""
    rng = np.random.default_rng(0)
    pairs = []
    for _ in range(asked.draws):
        chosen = rng.permutation(asked.pool)[: asked.processes]
        order = rng.integers(0, 2, chosen.size)
        a, b = (
            merge([runs[side][i] for i, side in zip(chosen, picked, strict=True)])
            for picked in (order, 1 - order)
        )
        pairs += compare([([a], [b])], scripted.THRESHOLD, in_turn=True).pairs
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:squeezenet")
    parser.add_argument("--runtime", default="onnxruntime==1.32.0")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--pool", type=int, default=20)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    began = perf_counter()
    runs = pool(asked)
    took = perf_counter() - began
    pairs = drawn(runs, asked)
    alarms = sum(scripted.alarms(pair) > 0 for pair in pairs)
    counts = Counter(str(row.verdict) for pair in pairs for row in (pair.latency, *pair.rows))
    print(f"{asked.model}, {asked.runtime} on both sides: {asked.pool} pairs in {took:.0f} s,")
    print(
        f"load {getloadavg()[0]:.1f}; anything called slower or faster in {alarms} of {len(pairs)}"
    )
    print(f"rows: {dict(counts)}")


if __name__ == "__main__":
    main()
