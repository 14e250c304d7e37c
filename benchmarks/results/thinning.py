"""What thinning does to the figures of measured runs, and to their size.

    python benchmarks/results/thinning.py STORE [--samples 100,200,400]

For each N the runs of the store that have more than N samples of a kind are thinned. Printed is how
far their medians, sums of steps and rows move, in half-widths of the 95 % interval that the figure
has after thinning: the median run or row, the one in twenty that moves most, and the largest; and
how many moved by more than the whole interval. A row's interval is that of the median of its
samples, and a tick of the timer's clock at least; of the rows beyond it is said how far they moved.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.analysis.reconcile import Reconciliation, reconcile
from onnxprof.analysis.step_times import divided
from onnxprof.records.run import Run
from onnxprof.store.folder import load, scan
from onnxprof.store.parquet import to_bytes
from onnxprof.store.upkeep.thinning import thinned


def main() -> None:
    """Print a line for each kind of figure and N."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--samples", default="100,200,400")
    asked = parser.parse_args()
    runs = [load(summary.path) for summary in scan([asked.store])[0] if not summary.failure]
    for limit in map(int, asked.samples.split(",")):
        _print(runs, limit)


def _print(runs: list[Run], limit: int) -> None:
    pairs = [(run, less) for run in runs if (less := thinned(run, limit)) is not run]
    sizes = [sum(len(to_bytes(pair[i])) for pair in pairs) for i in (0, 1)]
    print(
        f"N = {limit}: {len(pairs)} of {len(runs)} runs thinned, {sizes[1] / max(1, sizes[0]):.0%}"
    )
    moved: dict[str, list[float]] = {"median": [], "sum of steps": [], "row": []}
    beyond: list[float] = []
    for run, less in pairs:
        before, after = reconcile(run), reconcile(less)
        half = max(1.0, (after.interval_ns[1] - after.interval_ns[0]) / 2)
        moved["median"].append(abs(after.total_ns - before.total_ns) / half)
        moved["sum of steps"].append(abs(after.layer_sum_ns - before.layer_sum_ns) / half)
        rows = list(_rows(less, before, after))
        moved["row"] += [each for each, _ in rows]
        beyond += [part for each, part in rows if each > 2]
    for name, values in moved.items():
        if values:
            half_of, most_of, largest = np.quantile(values, (0.5, 0.95, 1.0))
            further = sum(value > 2 for value in values)
            figures = f"{half_of:5.2f} {most_of:5.2f} {largest:6.2f}"
            print(f"  {name:12} {figures}   {further} of {len(values)} beyond their interval")
    if beyond:
        print(f"  rows beyond move by at most {max(beyond):.3%} of the latency")


def _rows(
    less: Run, before: Reconciliation, after: Reconciliation
) -> Iterator[tuple[float, float]]:
    """How far each row moves: in half-widths of its interval, and of the latency."""
    assert less.timings is not None
    scaled = divided(less).scaled(less.timings.step_ns)
    tick = float(np.gcd.reduce(less.timings.step_ns, axis=None))
    place = {step.name: number for number, step in enumerate(less.steps)}
    known = {row.step.name: row.median_ns for row in before.rows if row.step and row.median_ns}
    for row in after.rows:
        if row.step is None or row.median_ns is None or row.step.name not in place:
            continue
        if row.step.name not in known:
            continue
        low, high = intervals.median_interval(scaled[place[row.step.name]].astype(np.int64))
        half = max(1.0, (high - low) / 2, tick / 2)
        moved = abs(row.median_ns - (known[row.step.name] or 0))
        yield moved / half, moved / max(1, after.total_ns)


if __name__ == "__main__":
    main()
