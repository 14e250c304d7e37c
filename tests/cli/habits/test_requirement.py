"""`compare --require`: a gate that does not pass on what is not known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.habits.commands import Done, called

from onnxprof.compare.changes import Comparison, compare
from onnxprof.compare.gates.requirement import Requirement, unmet
from onnxprof.compare.verdict import Verdict
from onnxprof.records.run import Run
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

Call = Callable[..., Done]


@pytest.fixture
def call(capsysbinary: pytest.CaptureFixture[bytes]) -> Call:
    return lambda *words: called(capsysbinary, *words)


def judged(verdict: Verdict) -> Comparison:
    found = compare([([sample_run()], [sample_run(seed=1)])], 0.02)
    [pair] = found.pairs
    latency = dataclasses.replace(pair.latency, verdict=verdict)
    return dataclasses.replace(found, pairs=(dataclasses.replace(pair, latency=latency),))


@pytest.mark.parametrize(
    ("required", "enough"),
    [
        (Requirement.SAME, {Verdict.SAME}),
        (Requirement.NO_SLOWER, {Verdict.SAME, Verdict.FASTER}),
        (Requirement.FASTER, {Verdict.FASTER}),
    ],
)
@pytest.mark.parametrize(
    "verdict", [Verdict.SAME, Verdict.FASTER, Verdict.SLOWER, Verdict.UNDECIDED]
)
def test_which_verdicts_will_do(
    required: Requirement, enough: set[Verdict], verdict: Verdict
) -> None:
    told = unmet(judged(verdict), required)
    assert bool(told) is (verdict not in enough)
    assert all(text == f"--require {required}: sample at batch 1 is {verdict}" for text in told)
    assert unmet(judged(verdict), None) == []


def test_what_is_on_one_side_alone_was_not_compared() -> None:
    found = dataclasses.replace(judged(Verdict.SAME), unmatched_b=(sample_run("other", 8),))
    told = unmet(found, Requirement.NO_SLOWER)
    assert told == ["--require no-slower: other at batch 8 is in B alone"]


def few(scale: float) -> Run:
    """A run of three samples, of which no interval is known."""
    run = sample_run("net", scale=scale)
    assert run.timings is not None
    timings = dataclasses.replace(
        run.timings,
        latency_ns=run.timings.latency_ns[:3],
        latency_block=np.zeros(3, np.int32),
    )
    return dataclasses.replace(run, timings=timings)


def test_the_exit_code_of_a_gate(tmp_path: Path, call: Call) -> None:
    """By default what is undecided passes, with --require it does not."""
    a, b = Store(tmp_path / "a"), Store(tmp_path / "b")
    a.save(few(1.0))
    b.save(few(1.0))
    words = ("compare", a.root, b.root)
    assert call(*words).code == 0
    done = call(*words, "--require", "same")
    assert done.code == 1
    assert "onnxprof: --require same: net at batch 1 is undecided" in done.err
    assert call(*words, "--require", "no-slower").code == 1
    wrong = call(*words, "--require", "sane")
    assert wrong.code == 2
    assert "same" in wrong.err
