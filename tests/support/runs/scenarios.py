"""Loads that nobody made, with figures that are easy to reckon with; and systems to put them on."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from onnxprof.records.scenarios.answer import Answer
from onnxprof.records.scenarios.asked import Asked, Scenario
from onnxprof.records.scenarios.run import ScenarioRun
from onnxprof.testing import sample_run

LATENCIES = (
    *(("min", 1_000_000), ("mean", 2_000_000), ("50", 2_000_000), ("90", 3_000_000)),
    *(("95", 3_100_000), ("97", 3_200_000), ("99", 4_000_000), ("99.9", 5_000_000)),
    ("max", 6_000_000),
)
PERCENTILES = {Scenario.SINGLE_STREAM: 0.9}


def answer(scenario: Scenario, **changes) -> Answer:
    """1,000 queries that took 2 ms on average, 4 ms at the 99th percentile."""
    percentile = PERCENTILES.get(scenario, 0.99)
    made = Answer(
        valid=True,
        queries=1000,
        samples=8000 if scenario is Scenario.MULTI_STREAM else 1000,
        percentile=percentile,
        percentile_ns=dict(LATENCIES)[f"{100 * percentile:.4g}"],
        latency_ns=LATENCIES,
        early_stopping="Run successful.",
        scheduled_rate=50.0 if scenario is Scenario.SERVER else 0.0,
        completed_rate=49.5,
        settings=(("min_duration_ms", "600000"), ("qsl_rng_seed", "7")),
    )
    return replace(made, **changes)


def asked(scenario: Scenario = Scenario.SERVER, model: str = "sample", **changes) -> Asked:
    """By the rules, on one session of two threads of the fake backend."""
    latency = 15_000_000 if scenario is Scenario.SERVER else 0
    made = Asked(
        *(scenario, model, "ab" * 32, "fake", "cpu", "cpu:fake", 2), target_latency_ns=latency
    )
    return replace(made, **changes)


def scenario_run(
    scenario: Scenario = Scenario.SERVER, model: str = "sample", **changes
) -> ScenarioRun:
    """A valid run of a scenario; `changes` are of the record."""
    whole = sample_run(model)
    floor = replace(answer(scenario), percentile_ns=40_000, completed_rate=100_000.0)
    made = ScenarioRun(
        asked=asked(scenario, model),
        model=whole.model,
        device=whole.device,
        environment=(*whole.environment, ("runtime", "fakert 1.0")),
        created="2026-01-02T03:04:05Z",
        command=f"onnxprof scenario zoo:{model} --scenario {scenario}",
        loadgen="6.0.17",
        answer=answer(scenario),
        floor=floor,
        batches=((1, 1000),),
        load_ns=30_000_000,
        seconds=601.0,
    )
    return replace(made, **changes)


@dataclass(frozen=True)
class Counted:
    """A system that says how often it was opened and asked for how many samples: in a file."""

    path: str
    threads: int = 1
    paths: tuple[str, ...] = ()

    @property
    def caches(self) -> tuple[str, ...]:
        return (str(Path(self.path).parent),)

    @contextmanager
    def opened(self) -> Iterator[object]:
        with open(self.path, "a") as file:
            file.write(f"opened {threading.get_ident()}\n")
            file.flush()

            def serve(samples: int) -> None:
                file.write(f"{samples}\n")

            yield serve


@dataclass(frozen=True)
class Failing:
    """A system that fails after so many answers to LoadGen, in a way of its own."""

    way: str
    after: int = 20
    threads: int = 1
    caches: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @contextmanager
    def opened(self) -> Iterator[object]:
        if self.way == "refuses":
            raise RuntimeError("no such kernel")
        count = 0

        def serve(_: int) -> None:
            nonlocal count
            count += has_begun()
            if count > self.after:
                fail(self.way)

        yield serve


def has_begun() -> bool:
    """Whether LoadGen is at it: its log is there."""
    return Path(tempfile.gettempdir(), "mlperf_log_detail.txt").exists()


def fail(way: str) -> None:
    """Fail in this way."""
    if way == "crashes":
        os.kill(os.getpid(), signal.SIGSEGV)
    if way == "leaves":
        os._exit(3)
    if way == "raises":
        raise RuntimeError("a kernel failed")
