"""Whole gates on a scripted clock: the real protocol, and processes that differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.inturn import Machine, job, measured

from onnxprof.compare.gates.requirement import Requirement
from onnxprof.compare.verdict import Verdict
from onnxprof.errors import BackendError
from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.conduct import Planned, Told, apart_of, conducted
from onnxprof.gate.rule import Rule, judge, spread
from onnxprof.gate.subject import Subject
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Run

LAYERS = (1_000_000, 300_000, 500_000)
HOSTED = 0.027


class Heard:
    """What a caller hears of a gate."""

    def __init__(self) -> None:
        self.noise: list[Case] = []
        self.done = 0
        self.phases: list[str] = []
        self.told_s: list[tuple[str, float]] = []

    def told(self) -> Told:
        return Told(
            report=lambda job, phase, share: self.phases.append(phase),
            announce=lambda case, seconds: self.told_s.append((case.title, seconds)),
            noise=lambda gated, case: self.noise.append(case),
            done=self._count,
        )

    def _count(self) -> None:
        self.done += 1


def gate(
    machine: Machine,
    pairs: int = 10,
    limit: float = 0.05,
    names: str = "ab",
    required: Requirement | None = None,
    kept: list[Run] | None = None,
    heard: Heard | None = None,
) -> Gated:
    """Each letter after the first against the first."""
    old = job(names[0], pairs, 0.05)
    plans = [
        Planned(Subject(name, "a", "main"), (old, job(name, pairs, 0.05))) for name in names[1:]
    ]
    return conducted(
        plans,
        Options((), processes=pairs, budget=Budget(1.0)),
        Rule(limit, 0.01),
        required,
        lambda _: nullcontext(),
        (heard or Heard()).told(),
        (kept if kept is not None else []).append,
        machine.start,
    )


def test_a_planted_slowdown_is_stopped_with_the_layer_that_did_it() -> None:
    slow = (LAYERS[0], round(LAYERS[1] * 2), LAYERS[2])
    kept: list[Run] = []
    gated = gate(Machine({"a": LAYERS, "b": slow}, offsets=0.01), kept=kept)
    (case,) = gated.cases
    assert (case.outcome, gated.exit_code) == (Outcome.SLOWER, 1)
    assert case.judgement is not None
    assert case.judgement.ratio == pytest.approx(2.1 / 1.8, rel=0.02)
    assert case.pair is not None
    called = [row.name for row in case.pair.rows if row.verdict is Verdict.SLOWER]
    assert called == [case.pair.rows[1].name]
    assert [run.request.model_name for run in kept] == ["a", "b"]


def test_nothing_is_stopped_where_nothing_changed() -> None:
    for seed in range(5):
        machine = Machine({"a": LAYERS, "b": LAYERS}, offsets=HOSTED, seed=seed)
        gated = gate(machine)
        assert gated.exit_code == 0
        assert gated.cases[0].outcome in (Outcome.SAME, Outcome.UNDECIDED)


def test_the_old_model_runs_against_itself_first_and_unchecked() -> None:
    machine, heard = Machine({"a": LAYERS, "b": LAYERS}), Heard()
    gate(machine, pairs=4, heard=heard)
    assert [name for name, _ in machine.told] == ["a"] * 8 + [*"ab", *"ba"] * 2
    checked = [(told.options.parity, told.options.verify) for _, told in machine.told]
    assert checked[:8] == [(False, False)] * 8
    assert checked[8:10] == [(True, True)] * 2
    (case,) = heard.noise
    assert case.noise is not None
    assert case.judgement is None
    assert heard.done == 1
    ((title, seconds),) = heard.told_s
    assert title == "b, batch 1"
    assert seconds > 0


def test_the_noise_is_that_of_the_processes() -> None:
    machine = Machine({"a": [2_000_000], "b": [2_000_000]}, offsets=HOSTED)
    gated = gate(machine, pairs=40)
    noise = gated.cases[0].noise
    assert noise is not None
    assert noise.of_processes == pytest.approx(HOSTED, rel=0.35)


def test_a_noisy_machine_says_what_would_do() -> None:
    machine = Machine({"a": [2_000_000], "b": [2_000_000]}, offsets=0.08)
    gated = gate(machine, pairs=5, limit=0.02, required=Requirement.SAME)
    (case,) = gated.cases
    assert case.noise is not None
    assert gated.is_blunt(case)
    assert (case.outcome, gated.exit_code) == (Outcome.UNDECIDED, 1)
    enough = gated.enough(case.noise)
    assert enough is None or enough > 5


def test_undecided_passes_unless_the_same_is_required() -> None:
    machine = Machine({"a": [2_000_000], "b": [2_000_000]}, offsets=0.08)
    gated = gate(machine, pairs=5, limit=0.02)
    assert gated.cases[0].outcome is Outcome.UNDECIDED
    assert gated.exit_code == 0
    assert replace(gated, required=Requirement.NO_SLOWER).exit_code == 1


def test_one_that_fails_stops_no_other() -> None:
    slow = tuple(2 * ns for ns in LAYERS)
    models = {"a": LAYERS, "b": LAYERS, "c": slow}
    gated = gate(Machine(models, gone={"b": 3}), pairs=4, names="abc")
    assert [case.outcome for case in gated.cases] == [Outcome.FAILED, Outcome.SLOWER]
    assert "ended without a result" in gated.cases[0].why
    assert gated.exit_code == 2
    assert gated.rule.cases == 2


def test_what_needs_no_measuring_keeps_its_place() -> None:
    machine = Machine({"a": LAYERS, "b": LAYERS})
    new = Planned(Subject("n", "", "main"), told=Case("n", None, Outcome.NEW, "main"))
    old = job("a", 4, 0.05)
    pair = Planned(Subject("b", "a", "main"), (old, job("b", 4, 0.05)))
    gated = conducted(
        [new, pair, replace(new, told=Case("u", None, Outcome.UNCHANGED, "main"))],
        Options((), processes=4),
        Rule(0.05, 0.01),
        Requirement.SAME,
        lambda _: nullcontext(),
        Heard().told(),
        start=machine.start,
    )
    outcomes = [case.outcome for case in gated.cases]
    assert (outcomes[0], outcomes[2]) == (Outcome.NEW, Outcome.UNCHANGED)
    assert gated.rule.cases == 1


def test_a_device_is_held_while_it_is_measured_on() -> None:
    events: list[str] = []

    @contextmanager
    def hold(planned: Job) -> Iterator[None]:
        events.append(f"held {planned.device.id}")
        yield
        events.append("released")

    def never(*_: Any) -> Any:
        raise BackendError("no process", where="here")

    old = job("a", 4, 0.05)
    gated = conducted(
        [Planned(Subject("b", "a", "main"), (old, job("b", 4, 0.05)))],
        *(Options((), processes=4), Rule(0.05, 0.01), None, hold),
        Heard().told(),
        start=never,
    )
    assert gated.cases[0].outcome is Outcome.FAILED
    assert events[0] == "held cpu:fake"


@pytest.fixture(scope="module")
def pool() -> np.ndarray:
    """The logarithms of 80 pairs of one model, measured in turn by the protocol itself."""
    machine = Machine({"a": [2_000_000]}, offsets=HOSTED, jitter=0.005, seed=2)
    return apart_of(*measured(machine, 80, 0.02, "aa"))


def drawn(pool: np.ndarray, pairs: int, rule: Rule, ratio: float) -> int:
    """How many of 1,000 gates whose pairs are drawn from the pool call it slower."""
    rng = np.random.default_rng(0)
    stopped = 0
    for _ in range(1000):
        chosen = rng.permutation(pool)[: 2 * pairs] * rng.choice([-1, 1], 2 * pairs)
        judged = judge(chosen[pairs:] + np.log(ratio), spread(chosen[:pairs]), rule)
        stopped += judged.verdict is Verdict.SLOWER
    return stopped


def test_of_a_thousand_gates_of_an_unchanged_model_few_raise_an_alarm(pool: np.ndarray) -> None:
    assert spread(pool).of_processes == pytest.approx(HOSTED, rel=0.25)
    assert drawn(pool, 10, Rule(0.02, 0.01), 1.0) <= 10


def test_of_a_thousand_gates_of_one_slowed_by_a_tenth_most_find_it(pool: np.ndarray) -> None:
    assert drawn(pool, 15, Rule(0.05, 0.01), 1.1) >= 850
