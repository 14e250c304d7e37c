"""Do the layers add up? Zoo networks under both timers, measured in turn, as Markdown.

    python benchmarks/accuracy.py [--models lenet,resnet50 | all] [--batches 1,8] [--threads 1,0]
        [--budget 2] [--timer auto | prefix] [--repeat 1] [--dim NAME=SIZE ...]

Models are networks of the zoo, or files. One table a number of threads (0 is every usable core),
and one sentence each that counts. Each row is two measurements in fresh processes, `trace` first,
then --timer (`auto`). Columns: the un-profiled median and half of its 95 % interval; what the
runtime's own profiler says the steps add up to, over neighbouring un-profiled blocks; onnxprof's
layer sum and overhead, and an empty call, over the median; the un-profiled median over the longest
prefix; and the wall time of the second measurement over that of the first, loading included.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from onnxprof.analysis import step_times
from onnxprof.analysis.reconcile import reconcile
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.model.dims.grammar import parse
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.zoo import names

#: From 7 steps to 300, from 40 µs to half a second.
MODELS = (
    *("lenet", "squeezenet", "shufflenet", "mobilenet-v2", "inception-v1", "inception-v2"),
    *("resnet50", "densenet121", "alexnet", "zfnet512"),
)
HEADINGS = (
    *("model", "batch", "median ms", "±", "profiler's sum", "timer"),
    *("layer sum", "overhead", "empty call", "whole / prefix", "wall / trace"),
)
LOWEST, SPARE = -0.01, 0.03
DEAREST = 1.4


@dataclass(frozen=True, slots=True)
class Row:
    """A model at one batch size: under the trace timer, and under the other one."""

    traced: Run
    run: Run
    wall: float
    """Wall time of the second over the first."""

    @property
    def overhead(self) -> float:
        """Relative to the un-profiled median."""
        sums = reconcile(self.run)
        return sums.overhead_ns / sums.total_ns

    @property
    def empty(self) -> float:
        """Relative to the un-profiled median; 0 where it was not measured."""
        sums = reconcile(self.run)
        return (sums.empty_ns or 0) / sums.total_ns

    @property
    def within(self) -> bool:
        """Whether the overhead lies where it should."""
        return LOWEST <= self.overhead <= self.empty + SPARE

    def cells(self) -> tuple[str, ...]:
        """As the headings say."""
        sums, asked = reconcile(self.run), self.run.request
        timings, traced = self.run.timings, self.traced.timings
        assert timings is not None
        assert traced is not None
        profiler = float(step_times.typical(traced).sum()) * step_times.inflation(traced)
        prefixed = timings.timer is Timer.PREFIX
        return (
            *(asked.model_name, str(asked.batch)),
            *(f"{sums.total_ns / 1e6:.4g}", f"{sums.half_width:.1%}", f"{profiler:.3f}"),
            *(self.run.timer, f"{sums.layer_sum_ns / sums.total_ns:.3f}"),
            f"{self.overhead:+.3f}{'' if self.within else ' !'}",
            f"{self.empty:.4f}" if self.empty else "",
            f"{step_times.agreement(timings):.3f}" if prefixed else "",
            f"{self.wall:.2f}",
        )


def timed(planned: Job) -> tuple[Run, float]:
    """A run and its seconds."""
    began = time.monotonic()
    run = run_isolated(planned, Limits(), lambda *_: None)
    return run, time.monotonic() - began


def planned_for(
    model: str, batch: int, threads: int, arguments: argparse.Namespace, timer: Timer
) -> Job:
    """What to measure, without comparing outputs."""
    options = Options(
        models=(model if model.endswith(".onnx") else f"zoo:{model}",),
        batches=(batch,),
        dims=tuple(parse(arguments.dim).items()),
        threads=threads,
        budget=Budget(arguments.budget),
        timer=timer,
        parity=False,
    )
    return plan(options)[0]


def rows(threads: int, arguments: argparse.Namespace) -> Iterator[Row]:
    """Measure, one row after the other; what fails is told on stderr."""
    for model in arguments.models:
        for batch in arguments.batches * arguments.repeat:
            pair = [Timer.TRACE, arguments.timer]
            try:
                first, second = (
                    timed(planned_for(model, batch, threads, arguments, timer)) for timer in pair
                )
            except OnnxprofError as error:
                print(f"{model} at batch {batch}: {error}", file=sys.stderr)
                continue
            yield Row(first[0], second[0], second[1] / first[1])


def line(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def count(found: list[Row], timer: Timer) -> str:
    """How many are within the bars."""
    inside = sum(row.within for row in found)
    dear = [row.wall for row in found if row.wall > DEAREST]
    warned = sum(bool(row.run.warnings) for row in found if not row.within)
    return (
        f"{inside} of {len(found)} overheads lie between −1 % and an empty call plus 3 %; of the"
        f" others, marked `!`, {warned} carry a warning. `{timer}` took more than 1.4 times the"
        f" wall time of `trace` in {len(dear)}, {max(row.wall for row in found):.2f} at most."
    )


def numbers(text: str) -> list[int]:
    """`1,8`."""
    return [int(word) for word in text.split(",")]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--batches", type=numbers, default=[1, 8])
    parser.add_argument("--threads", type=numbers, default=[1, 0])
    parser.add_argument("--budget", type=float, default=2.0)
    parser.add_argument("--timer", type=Timer, default=Timer.AUTO)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--dim", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.models == ["all"]:
        arguments.models = list(names())
    for threads in arguments.threads:
        told = "every usable core" if not threads else f"{threads} thread{'s' * (threads > 1)}"
        print(f"**{told}**\n\n{line(HEADINGS)}\n{line(['---'] * len(HEADINGS))}")
        found: list[Row] = []
        for row in rows(threads, arguments):
            found.append(row)
            print(line(row.cells()), flush=True)
        print(f"\n{count(found, arguments.timer)}\n" if found else "\nNothing was measured.\n")


if __name__ == "__main__":
    main()
