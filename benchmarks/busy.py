"""Do layers keep their times while another program takes a fifth of the core? As Markdown.

    python benchmarks/busy.py [--models squeezenet,resnet18] [--repeat 3] [--budget 4] [--core 0]
        [--quiet DIR,DIR --busy DIR,DIR]

Each model is measured in turn on a quiet core and with a program beside it on the same core that
computes for 12 ms of each 60 (trace timer, one thread, batch 1, a fresh process each). With
--quiet and --busy folders of stored runs are read and nothing is measured. Of each step above 0.5 %
of the latency its share is set against its mean share in the quiet runs: as onnxprof divides the
samples now, and, of the same samples, as means over the typical half of whole inferences do, which
is what onnxprof did before interruptions had a row of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxprof.analysis import step_times
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.timings import Timings
from onnxprof.store.folder import load, scan

MODELS = ("squeezenet", "mobilenet-v2", "googlenet-cifar10", "resnet18", "shufflenet")
HEADINGS = (
    *("model", "estimator", "steps", "over 1.25", "over 1.5", "largest", "98 % below"),
    *("quiet scatter", "overhead quiet", "overhead busy", "interruptions quiet, busy"),
)
LEAST_SHARE = 0.005
BURST = """
import time
while True:
    began = time.perf_counter()
    while time.perf_counter() - began < 0.012:
        pass
    time.sleep(0.048)
"""
Shares = NDArray[np.float64]
#: From a run's times to its steps' shares of the latency, and that of interruptions.
Estimator = Callable[[Run], tuple[Shares, float]]


def typical_half(run: Run) -> tuple[Shares, float]:
    """What stood before: means over the middle half of the traced inferences, by their length."""
    timings = times_of(run)
    count = timings.traced_ns.size
    kept = np.argsort(timings.traced_ns, kind="stable")[count // 4 : count - count // 4]
    shares = timings.step_ns[:, kept].sum(axis=1) / timings.traced_ns[kept].sum()
    return shares * step_times.least_inflation(timings), 0.0


def quiet_times(run: Run) -> tuple[Shares, float]:
    """What every table of onnxprof shows."""
    division, median = step_times.divided(run), float(np.median(times_of(run).latency_ns))
    return division.step_ns / median, (division.interruptions_ns or 0.0) / median


def times_of(run: Run) -> Timings:
    """The times of a run that has some."""
    assert run.timings is not None
    return run.timings


ESTIMATORS: dict[str, Estimator] = {"typical half": typical_half, "onnxprof": quiet_times}


@contextmanager
def busy_core() -> Iterator[None]:
    """A program that takes a fifth of the core that this process is bound to."""
    program = subprocess.Popen([sys.executable, "-c", BURST])
    try:
        yield
    finally:
        program.kill()
        program.wait()


def measured(model: str, arguments: argparse.Namespace) -> tuple[list[Run], list[Run]]:
    """Quiet and busy runs, in turn."""
    options = Options(
        models=(f"zoo:{model}",),
        batches=(1,),
        threads=1,
        budget=Budget(arguments.budget),
        timer=Timer.TRACE,
        parity=False,
    )
    [planned] = plan(options)
    quiet, busy = [], []
    for _ in range(arguments.repeat):
        for runs, beside in ((quiet, nullcontext()), (busy, busy_core())):
            with beside:
                runs.append(run_isolated(planned, Limits(), lambda *_: None))
    return quiet, busy


def stored(folders: Sequence[str]) -> dict[str, list[Run]]:
    """Runs of these folders by model."""
    found: dict[str, list[Run]] = defaultdict(list)
    for folder in folders:
        summaries, _ = scan([Path(folder)])
        for summary in summaries:
            found[summary.request.model_name].append(load(summary.path))
    return found


def cells(model: str, name: str, quiet: Sequence[Run], busy: Sequence[Run]) -> tuple[str, ...]:
    """One line: how far busy shares lie from quiet ones, and quiet ones from one another."""
    calm, noisy = ([ESTIMATORS[name](run) for run in runs] for runs in (quiet, busy))
    shares = np.array([share for share, _ in calm])
    usual = shares.mean(axis=0)
    chosen = usual > LEAST_SHARE
    ratio = np.array([share for share, _ in noisy])[:, chosen] / usual[chosen]
    scatter = np.sqrt(np.mean(np.log(shares[:, chosen] / usual[chosen]) ** 2))
    left = [[1 - share.sum() - part for share, part in side] for side in (calm, noisy)]
    parts = [float(np.mean([part for _, part in side])) for side in (calm, noisy)]
    return (
        *(model, name, f"{ratio.size}", f"{(ratio > 1.25).sum()}", f"{(ratio > 1.5).sum()}"),
        *(f"{ratio.max():.2f}", f"{np.quantile(ratio, 0.98):.2f}", f"{100 * scatter:.1f} %"),
        *(f"{100 * min(side):+.1f} … {100 * max(side):+.1f} %" for side in left),
        ", ".join(f"{100 * part:.1f} %" for part in parts),
    )


def line(texts: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(texts)} |"


def pairs(arguments: argparse.Namespace) -> Iterator[tuple[str, list[Run], list[Run]]]:
    """Each model with its quiet and its busy runs."""
    if arguments.quiet or arguments.busy:
        quiet, busy = stored(arguments.quiet), stored(arguments.busy)
        yield from ((model, quiet[model], busy[model]) for model in quiet if model in busy)
        return
    os.sched_setaffinity(0, {arguments.core})
    for model in arguments.models:
        yield model, *measured(model, arguments)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--budget", type=float, default=4.0)
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    for side in ("--quiet", "--busy"):
        parser.add_argument(side, type=lambda text: text.split(","), default=[])
    arguments = parser.parse_args()
    print(f"{line(HEADINGS)}\n{line(['---'] * len(HEADINGS))}")
    for model, quiet, busy in pairs(arguments):
        for name in ESTIMATORS:
            print(line(cells(model, name, quiet, busy)), flush=True)


if __name__ == "__main__":
    main()
