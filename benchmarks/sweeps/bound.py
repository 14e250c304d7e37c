"""What being bound to the measured cores costs an inference: blocks in alternation, CPU time.

    python benchmarks/sweeps/bound.py [MODEL] [--blocks 40] [--threads 1]

One session in one process runs blocks of some 20 ms by turns on all usable cores and on those that
a measurement with so many threads gets. Printed are ratios of bound to free, by blocks next to
each other: CPU seconds of an inference, and wall beside them, each the median over pairs with its
95 % interval. Linux only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from onnxprof.analysis.intervals import interval_ranks
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Session, Workload
from onnxprof.processes import cores

BLOCK_S = 0.02


def block(session: Session, cpus: frozenset[int], count: int) -> tuple[float, float]:
    """CPU and wall seconds of an inference on these processors."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cpus)
    session.infer()  # where it lands, caches are cold
    cpu, wall = time.process_time(), time.monotonic()
    for _ in range(count):
        session.infer()
    return (time.process_time() - cpu) / count, (time.monotonic() - wall) / count


def measured(session: Session, places: tuple[frozenset[int], ...], blocks: int) -> np.ndarray:
    """Ratios of bound to free, [pairs, 2]."""
    cpu, _ = block(session, places[0], 10)
    count = max(1, round(BLOCK_S / max(cpu, 1e-6)))
    pairs = []
    for number in range(blocks):
        order = (0, 1) if number % 2 == 0 else (1, 0)
        found = {which: block(session, places[which], count) for which in order}
        pairs.append(np.divide(found[1], found[0]))
    return np.array(pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:squeezenet")
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import prepare

    [job] = plan(Options(models=(given.model,), threads=given.threads))
    model = job.model.unpacked()
    work = Workload(
        model=prepare(model, job.batch, {}),
        table=job.table,
        inputs=generate(job.table, 0),
        threads=given.threads,
        provider=job.provider,
    )
    usable = cores.usable()
    found = cores.split(usable, given.threads)
    with registry.backend(job.options.backend).open(work) as session:
        ratios = measured(session, (usable, found.measured), given.blocks)
    print(f"{given.model}, {given.threads} thread(s), {found}; {given.blocks} pairs of blocks")
    for name, column in zip(("CPU", "wall"), ratios.T, strict=True):
        low, high = np.sort(column)[list(interval_ranks(len(column)) or (0, -1))]
        print(f"  {name:<5} {np.median(column):5.3f} ({low:5.3f} to {high:5.3f})")


if __name__ == "__main__":
    main()
