"""What a stream of `--streams` adds to an inference, and two streams beside one.

    python benchmarks/scenarios/streams.py [--model zoo:lenet] [--rounds 20] [--calls 2000]

First an empty session: the time that taking a sample itself takes. Then one stream of a model in
alternation with the loop that samples the latency of `profile`, whose medians should be alike. Last
the same for two streams of a thread each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from onnxprof.jobs.child import inputs_of, workload
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Load
from onnxprof.measure.sampler import Sampler
from onnxprof.measure.streams import run_streams
from onnxprof.plugins import registry


class Nothing:
    """A session that does nothing."""

    def infer(self) -> None:
        """Return at once."""

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """The session."""
        yield self


def opening(model: str) -> Callable[[], Any]:
    """What opens an un-profiled session of the model with one thread."""
    (job,) = plan(Options((model,), threads=1))
    file = job.model.unpacked()
    inputs, _ = inputs_of(job, file)
    work = workload(job, file, inputs, own_process=False)
    return lambda: registry.backend("ort").open(work)


def looped(opened: Callable[[], Any], calls: int) -> float:
    """Median nanoseconds of an inference, sampled as for `profile`."""
    sampler = Sampler(time.perf_counter_ns, lambda *_: None, 0)
    with opened() as session:
        for _ in range(calls // 10 + 2):
            session.infer()
        return median(sampler.timed(session) for _ in range(calls))


def streamed(opened: Callable[[], Any], calls: int, streams: int = 1) -> float:
    """The same for streams."""
    found = run_streams(opened, Load(streams, 0.0, iterations=calls))
    return median(ns for stream in found for ns in stream)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="zoo:lenet")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--calls", type=int, default=2000)
    given = parser.parse_args()
    empty = streamed(Nothing().opened, 20_000)
    print(f"empty session: {empty:.0f} ns a sample of one stream")
    opened = opening(given.model)
    ratios: list[float] = []
    together: list[float] = []
    for _ in range(given.rounds):
        loop = looped(opened, given.calls)
        ratios.append(streamed(opened, given.calls) / loop)
        together.append(streamed(opened, given.calls, 2) / loop)
    for name, values in (("one stream", ratios), ("two streams", together)):
        ordered = sorted(values)
        low, high = ordered[len(ordered) // 10], ordered[-1 - len(ordered) // 10]
        print(f"{name}: {median(values):.3f} of the latency of the loop ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
