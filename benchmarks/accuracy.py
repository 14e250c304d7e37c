"""Do the layers add up? Each zoo network under both timers, measured in turn.

    python benchmarks/accuracy.py [--models lenet,resnet50] [--batches 1,8] [--threads 1]
        [--budget 3] [--repeat 1]

Prints a Markdown table: the un-profiled median; what the runtime's own profiler says the
steps add up to, as a ratio of it; onnxprof's layer sum and overhead, as ratios; the empty
session's share; how far the longest prefix lay from the model itself; and the wall time of
`auto` over that of `trace`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from onnxprof import steptimes
from onnxprof.measure import Budget, Timer
from onnxprof.reconcile import reconcile
from onnxprof.records import Run
from onnxprof.sweep import Options, Planned, plan
from onnxprof.worker import Limits, run_isolated
from onnxprof.zoo import names

HEADINGS = (
    *("model", "batch", "threads", "median ms", "±", "profiler's sum", "timer"),
    *("layer sum", "overhead", "empty session", "whole / prefix", "auto / trace wall"),
)


def timed(planned: Planned, limits: Limits) -> tuple[Run, float]:
    began = time.monotonic()
    run = run_isolated(planned.job, limits, lambda *_: None)
    return run, time.monotonic() - began


def planned_for(model: str, batch: int, arguments: argparse.Namespace, timer: Timer) -> Planned:
    options = Options(
        models=(f"zoo:{model}",),
        batches=(batch,),
        threads=arguments.threads,
        budget=Budget(arguments.budget),
        timer=timer,
    )
    return plan(options)[0]


def row(traced: Run, auto: Run, wall: float) -> tuple[str, ...]:
    sums, trace_sums = reconcile(auto), reconcile(traced)
    timings = auto.timings
    assert timings is not None
    prefixed = timings.prefix_ns.size > 0
    empty = float(np.median(timings.prefix_ns[0])) / sums.total_ns if prefixed else float("nan")
    request = auto.request
    return (
        request.model_name,
        str(request.batch),
        str(request.threads),
        f"{sums.total_ns / 1e6:.4g}",
        f"{sums.half_width:.1%}",
        f"{trace_sums.layer_sum_ns / trace_sums.total_ns:.3f}",
        auto.timer,
        f"{sums.layer_sum_ns / sums.total_ns:.3f}",
        f"{sums.overhead_ns / sums.total_ns:+.3f}",
        f"{empty:.3f}" if prefixed else "",
        f"{steptimes.agreement(timings):.3f}" if prefixed else "",
        f"{wall:.2f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(names()))
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget", type=float, default=3.0)
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |")
    print("| --- " * len(HEADINGS) + "|")
    for model in arguments.models.split(","):
        for batch in map(int, arguments.batches.split(",")):
            for _ in range(arguments.repeat):
                traced, trace_wall = timed(
                    planned_for(model, batch, arguments, Timer.TRACE), Limits()
                )
                auto, auto_wall = timed(planned_for(model, batch, arguments, Timer.AUTO), Limits())
                print(
                    "| " + " | ".join(row(traced, auto, auto_wall / trace_wall)) + " |", flush=True
                )


if __name__ == "__main__":
    main()
