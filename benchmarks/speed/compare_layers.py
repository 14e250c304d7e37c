"""What `compare` takes on runs of many layers, and how that grows.

    python benchmarks/speed/compare_layers.py [--layers 1000,4000] [--runs 10]

For pairs of runs of so many layers, then for so many runs a side of the fewest layers: CPU seconds
of the verdicts with their CSV, and of the bare limit, reading the runs from their files; their
ratio, and the exponent of growth between the fewest and the most layers.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tempfile
from pathlib import Path
from time import process_time

import numpy as np

from onnxprof.compare.changes import compare
from onnxprof.publish.comparing.changes import to_csv
from onnxprof.records.layer import Layer, LayerKind, LayerTable
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.store.folder import Store, load
from onnxprof.testing import sample_run


def run(layers: int, seed: int) -> Run:
    """A chain of pairs, a convolution and what is fused into it."""
    names = [f"/stage{i // 50}/layer{i}" for i in range(layers)]
    kinds = ["Conv" if i % 2 == 0 else "Relu" for i in range(layers)]
    rows = [Layer(n, LayerKind.NODE, k, k) for n, k in zip(names, kinds, strict=True)]
    steps = [
        Step(f"step{i}", "Conv", "CPU", tuple(names[i : i + 2]), Confidence.EXACT, position=i // 2)
        for i in range(0, layers, 2)
    ]
    base = sample_run(f"chain-{layers}", scale=len(steps) / 3, seed=seed)
    assert base.timings is not None
    rng = np.random.default_rng((layers, seed))
    traced = base.timings.traced_ns.size
    step_ns = (1e6 * (1 + rng.gamma(2.0, 0.01, (len(steps), traced)))).astype(np.int64)
    timings = dataclasses.replace(
        base.timings,
        step_ns=step_ns,
        traced_ns=step_ns.sum(axis=0) + 50_000,
        traced_block=np.arange(traced, dtype=np.int32) * 8 // traced,
    )
    table = LayerTable(tuple(rows), 1)
    return dataclasses.replace(base, table=table, steps=tuple(steps), timings=timings)


def measured(folder: Path, layers: int, count: int) -> float:
    """Print a line; the CPU seconds of the comparison."""
    paths = [Store(folder / f"{layers}-{count}").save(run(layers, i)) for i in range(2 * count)]
    start = process_time()
    runs = [load(path) for path in paths]
    bare = process_time() - start
    start = process_time()
    to_csv(compare([(runs[:count], runs[count:])], 0.02))
    ours = process_time() - start
    print(f"| {layers} | {count} | {ours:.2f} | {bare:.2f} | {ours / bare:.1f} |", flush=True)
    return ours


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", default="1000,4000")
    parser.add_argument("--runs", type=int, default=10)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.layers.split(",")]
    print("| layers | runs a side | compare, CPU s | reading, CPU s | ratio |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        measured(Path(folder), 50, 1)  # imports
        pairs = [measured(Path(folder), size, 1) for size in sizes]
        growth = math.log(pairs[-1] / pairs[0]) / math.log(sizes[-1] / sizes[0])
        print(f"growth with layers: {growth:.2f}")
        many = measured(Path(folder), sizes[0], asked.runs)
        print(f"growth with runs: {math.log(many / pairs[0]) / math.log(asked.runs):.2f}")


if __name__ == "__main__":
    main()
