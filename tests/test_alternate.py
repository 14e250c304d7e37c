"""Two models in turn, and how processes share a budget."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxprof import alternate, sweep
from onnxprof.measure import Budget, Timer
from onnxprof.records import Run
from onnxprof.sweep import Options
from onnxprof.testing import sample_run
from onnxprof.worker import Job, Limits


@pytest.mark.parametrize(
    ("seconds", "processes", "each"),
    [(5.0, 1, 5.0), (5.0, 10, 0.5), (5.0, 100, 0.25), (0.1, 4, 0.1)],
)
def test_the_budget_is_shared_with_a_floor(seconds: float, processes: int, each: float) -> None:
    options = Options(("m",), budget=Budget(seconds), processes=processes)
    assert options.process_budget.seconds == each


class Planned:
    """As much of a plan as running it needs."""

    def __init__(self, job: Any) -> None:
        self.job = job


def job(name: str, processes: int) -> Job:
    run = sample_run(name)
    return Job(
        *(run.model, "fake", "cpu", run.device, 1, "", (), 1, run.request.granularity),
        **{"timer": Timer.AUTO, "budget": Budget(1), "seed": 0, "inputs": "", "command": ""},
        **{"environment": (), "processes": processes},
    )


def test_turns_alternate_and_the_first_process_settles_the_rest(monkeypatch) -> None:
    done: list[tuple[str, bool, Timer]] = []
    cuts: list[tuple[int, ...]] = []
    seeds = itertools.count()

    def measured(asked: Job, limits: Limits, progress: Any) -> Run:
        done.append((asked.facts.name, asked.parity, asked.timer))
        cuts.append(asked.prefix_steps)
        progress("measuring", 0.5)
        return sample_run(asked.facts.name, seed=next(seeds))

    monkeypatch.setattr(sweep, "run_isolated", measured)
    told: list[tuple[str, float]] = []
    plans = [Planned(job(name, 3)) for name in "ab"]
    a, b = alternate.alternate(
        *plans, Limits(), lambda p, phase, share: told.append((phase, share))
    )  # type: ignore[arg-type]
    assert "".join(name for name, _, _ in done) == "abbaab"
    assert [parity for _, parity, _ in done] == [True, True, False, False, False, False]
    assert {timer for _, _, timer in done[2:]} == {Timer.TRACE}
    assert set(cuts) == {()}
    assert told[0] == ("measuring (process 1 of 3)", pytest.approx(1 / 6))
    assert (a.request.processes, b.request.processes) == (3, 3)
    assert (a.request.model_name, b.request.model_name) == ("a", "b")


def test_later_processes_cut_where_the_first_one_did(monkeypatch) -> None:
    asked: list[tuple[Timer, tuple[int, ...]]] = []

    def measured(job: Job, limits: Limits, progress: Any) -> Run:
        asked.append((job.timer, job.prefix_steps))
        run = sample_run(seed=len(asked))
        assert run.timings
        rounds = np.arange(12).reshape(3, 4)
        timings = replace(run.timings, prefix_steps=(0, 2, 3), prefix_ns=rounds)
        return replace(run, timings=timings)

    monkeypatch.setattr(sweep, "run_isolated", measured)
    merged = sweep.measured(Planned(job("a", 3)), Limits(), lambda *_: None)  # type: ignore[arg-type]
    assert asked == [(Timer.AUTO, ())] + 2 * [(Timer.PREFIX, (0, 2, 3))]
    assert merged.timings is not None
    assert merged.timings.prefix_steps == (0, 2, 3)
