"""What isolation does to a measurement: jobs with and without it, in alternation, as ratios.

    python benchmarks/sweeps/apart.py [MODEL] [--rounds 20] [--budget 0.3] [--threads 1]

Each round measures the model three times, in an order that turns round: as ever, within fences,
and within fences with onnxprof off the measured cores. Printed are ratios to the first, by
medians of un-profiled samples, by their tenth percentile, and by CPU seconds of a job, each as
the mean of logarithms over rounds with its 95 % interval. Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "speed"))

from job_cost import cpu_s

from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.processes import cores
from onnxprof.processes.fence.enclose import SWITCH

WAYS = ("as ever", "fences", "fences, own cores")
_SPLIT = cores.split


def measured(job: Job, way: str) -> tuple[float, float, float]:
    """Median and tenth percentile of un-profiled samples, and CPU seconds of the job."""
    os.environ[SWITCH] = "off" if way == WAYS[0] else "on"
    cores.split = _SPLIT if way == WAYS[2] else lambda usable, *_: cores.Split(usable)
    before = cpu_s()
    run = run_isolated(job, job.options.limits, lambda *_: None)
    spent = cpu_s() - before
    if run.timings is None:
        raise SystemExit(run.failure)
    low, middle = np.percentile(run.timings.latency_ns, (10, 50))
    return float(middle), float(low), spent


def ratio(ours: list[float], theirs: list[float]) -> str:
    logs = [float(np.log(a / b)) for a, b in zip(ours, theirs, strict=True)]
    reach = 1.96 * stdev(logs) / len(logs) ** 0.5
    low, middle, high = np.exp([fmean(logs) - reach, fmean(logs), fmean(logs) + reach])
    return f"{middle:5.3f} ({low:5.3f} to {high:5.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:lenet")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--budget", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    options = Options(
        models=(given.model,),
        budget=Budget(given.budget),
        threads=given.threads,
        parity=False,
        verify=False,
        telemetry=False,
    )
    [job] = plan(options)
    found: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for number in range(given.rounds):
        turned = number % len(WAYS)
        for way in (*WAYS[turned:], *WAYS[:turned]):
            found[way].append(measured(job, way))
    print(f"{given.model}, {given.threads} thread(s), {given.rounds} rounds, against `{WAYS[0]}`")
    first = [list(column) for column in zip(*found[WAYS[0]], strict=True)]
    for way in WAYS[1:]:
        columns = [list(column) for column in zip(*found[way], strict=True)]
        told = [ratio(ours, theirs) for ours, theirs in zip(columns, first, strict=True)]
        print(f"  {way:<18} median {told[0]}  p10 {told[1]}  CPU s {told[2]}")


if __name__ == "__main__":
    main()
