"""Where the wall time of a `profile` goes: loading and inference, or onnxprof itself.

    python benchmarks/speed/profile_overhead.py [MODEL] [--batches 1,2,4,8,16,32] [--budget 5]

Prints, for each batch size and in all, the share of the wall time that is neither loading a
session nor running one: starting the process, preparing the model, reading traces, tying
steps to layers, storing. The bar is 15 % for ResNet-50 at six batch sizes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan, sweep
from onnxprof.measure.budget import Budget
from onnxprof.store.folder import Store

#: Phases in which a session is loaded or run.
RUNNING = frozenset(
    {"loading", "warming up", "loading under the timer", "measuring"}
    | {"loading prefixes", "measuring prefixes", "comparing outputs"}
)


class Watch:
    """Adds up the seconds of each phase, process start and storing included."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.phase = "starting"
        self.since = time.monotonic()

    def enter(self, phase: str) -> None:
        """Another phase begins."""
        now = time.monotonic()
        self.seconds[self.phase] += now - self.since
        self.phase, self.since = phase, now

    def update(self, planned: Job, phase: str, share: float) -> None:
        """A worker says what it does."""
        del planned, share
        self.enter(phase)


def report(name: str, seconds: dict[str, float]) -> None:
    total = sum(seconds.values())
    own = {phase: taken for phase, taken in seconds.items() if phase not in RUNNING}
    listed = ", ".join(f"{phase} {taken:.2f} s" for phase, taken in own.items())
    print(f"{name:>8}  {total:7.2f} s  {sum(own.values()) / total:6.1%} outside  ({listed})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:resnet50")
    parser.add_argument("--batches", default="1,2,4,8,16,32")
    parser.add_argument("--budget", type=float, default=5.0)
    arguments = parser.parse_args()
    batches = tuple(map(int, arguments.batches.split(",")))
    budget = Budget(arguments.budget)
    overall = Watch()
    overall.enter("planning")
    jobs = plan(Options(models=(arguments.model,), batches=batches, budget=budget))
    overall.enter("")
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs:
            watch = Watch()
            limits = Options(models=()).limits
            for _ in sweep([job], limits, Store(Path(folder)), watch.update):
                watch.enter("")
            report(f"batch {job.batch}", {k: v for k, v in watch.seconds.items() if k})
            for phase, taken in watch.seconds.items():
                overall.seconds[phase] += taken
    report("all", {k: v for k, v in overall.seconds.items() if k})


if __name__ == "__main__":
    main()
