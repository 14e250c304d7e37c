"""Options that rule each other out are refused with what to do; all others are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.networks import models

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options, refuse_contradictions
from onnxprof.measure.budget import Budget
from onnxprof.measure.contradictions import refuse_streams
from onnxprof.processes.limits import Limits
from onnxprof.sweeps.command.one_line import tasks_of
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.read import read_plan

CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"iterations": 5, "duration": 2.0}, "--iterations 5 says how many, --duration 2 how long"),
    ({"iterations": 5, "budget": Budget(2.0)}, "--iterations 5 says how many, --budget 2"),
    ({"iterations": 2, "processes": 3}, "less than one for each of --processes 3"),
    ({"duration": 9.0, "budget": Budget(2.0)}, "--duration 9 s at least or --budget 2 s at most"),
    ({"duration": 60.0, "limits": Limits(50.0)}, "does not fit into the 50 s of --timeout"),
]


@pytest.mark.parametrize(("given", "words"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_what_to_do(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_contradictions(Options(("m",), **given))
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"iterations": 3, "processes": 3, "warmup": 0, "streams": 2},
        {"duration": 9.0},
        {"duration": 9.0, "budget": Budget(20.0), "warmup": 5},
        {"duration": 60.0, "processes": 2, "limits": Limits(50.0)},
    ],
)
def test_what_goes_together_is_not_refused(given: dict[str, Any]) -> None:
    refuse_contradictions(Options(("m",), **given))


def test_one_line_and_a_plan_refuse_it_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Give one of them"):
        tasks_of(Options(("nowhere.onnx",), iterations=5, duration=2.0))
    models.save(models.linear(), tmp_path)
    plan = tmp_path / "plan.toml"
    plan.write_text('[defaults]\nduration = 2\n\n[[models]]\nname = "model.onnx"\niterations = 5\n')
    with pytest.raises(UsageError) as caught:
        expanded(read_plan(plan))
    assert "plan.toml, line 4: --iterations 5 says how many" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("iterations = -1", "a whole number from 0 to 10000000"),
        ("warmup = 1.5", "a whole number from 0 to 10000000"),
        ('duration = "9"', "seconds, 0 to 1000000"),
        ("streams = [1, 2]", "one value: a whole number from 0 to 1024"),
    ],
)
def test_a_plan_says_what_its_keys_take(tmp_path: Path, line: str, allowed: str) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f'[[models]]\nname = "model.onnx"\n{line}\n')
    with pytest.raises(UsageError, match="line 3") as caught:
        read_plan(plan)
    assert allowed in str(caught.value)


def test_a_plan_gives_its_tasks_the_amount(tmp_path: Path) -> None:
    models.save(models.linear(), tmp_path)
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '[defaults]\nwarmup = 0\nstreams = 2\n\n[[models]]\nname = "model.onnx"\nduration = 2.5\n'
    )
    (task,) = expanded(read_plan(plan)).tasks
    asked = task.options
    assert (asked.warmup, asked.streams, asked.duration, asked.iterations) == (0, 2, 2.5, 0)


def test_streams_without_a_thread_each_are_refused_on_a_cpu() -> None:
    with pytest.raises(UsageError, match="--streams 4 cannot divide --threads 2") as caught:
        refuse_streams(4, 2)
    assert caught.value.remedy == "Use --streams 2, or more --threads"
    refuse_streams(2, 2)
