"""In which order tasks run, and how long they are expected to take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sweeps.sweeping import known, run_of, task

from onnxprof.store import parquet
from onnxprof.store.folder import Store
from onnxprof.sweeps.planning.estimate import Estimates, in_all
from onnxprof.sweeps.planning.order import by_model, most_informative
from onnxprof.sweeps.planning.standing import TaskStanding
from onnxprof.sweeps.tasks import Task

SECONDS = {"zoo:a": 1.0, "zoo:b": 50.0, "zoo:c": 10.0}


def seconds(made: Task) -> float | None:
    each = SECONDS.get(made.model)
    return None if each is None else each * sum(made.options.batches)


def test_a_devices_tasks_of_one_model_are_together() -> None:
    tasks = [task(f"zoo:{m}", backend=b) for b in ("x", "y") for m in "bac"]
    ordered = [made.model for made in by_model(tasks, seconds)]
    assert ordered == ["zoo:b", "zoo:b", "zoo:a", "zoo:a", "zoo:c", "zoo:c"]


def test_devices_take_turns_by_the_time_behind_them() -> None:
    on = {"cpu:x": "bbac", "cuda:0:y": "aaaaac"}
    tasks = [
        task(f"zoo:{m}", device_id=device, seed=i)
        for device, models in on.items()
        for i, m in enumerate(models)
    ]
    ordered = by_model(tasks, seconds)
    assert sorted(map(str, ordered)) == sorted(map(str, tasks))
    behind = dict.fromkeys(on, 0.0)
    for made in ordered:
        assert behind[made.device_id] == min(
            behind[d] for d in on if any(t.device_id == d for t in ordered[ordered.index(made) :])
        )
        behind[made.device_id] += seconds(made) or 0.0


def test_every_model_at_its_smallest_batch_then_its_largest_then_between() -> None:
    standings = [
        TaskStanding(made, None, left)
        for made, left in (
            (task("zoo:b", (1, 2, 32)), (1, 2, 32)),
            (task("zoo:a", (8, 1, 32, 2)), (8, 32)),
            (task("zoo:z", (1, 2, 32)), (1, 2, 32)),
        )
    ]
    found = [(m.model, m.options.batches) for m in most_informative(standings, seconds)]
    assert found == [
        ("zoo:b", (1,)),
        ("zoo:z", (1,)),
        ("zoo:a", (32,)),
        ("zoo:b", (32,)),
        ("zoo:z", (32,)),
        ("zoo:a", (8,)),
        ("zoo:b", (2,)),
        ("zoo:z", (2,)),
    ]


def test_batches_that_are_checked_differently_are_of_one_model() -> None:
    """As a plan has it that checks the smallest batch alone."""
    checked, others = task("zoo:b", (1,)), task("zoo:b", (2, 8, 32), verify=False, parity=False)
    standings = [TaskStanding(t, None, t.options.batches) for t in (others, checked)]
    found = [made.options.batches for made in most_informative(standings, seconds)]
    assert found == [(1,), (32,), (2,), (8,)]


sizes = st.lists(st.sampled_from([1, 2, 4, 8, 16, 32]), min_size=1, unique=True).map(tuple)


@given(st.lists(st.tuples(st.sampled_from("abcz"), sizes), min_size=1, max_size=6))
def test_no_job_is_lost_or_repeated_by_an_order(given: list[tuple[str, tuple[int, ...]]]) -> None:
    tasks = [task(f"zoo:{m}", batches, seed=i) for i, (m, batches) in enumerate(given)]
    jobs = sorted((t.options.seed, batch) for t in tasks for batch in t.options.batches)
    for ordered in (
        by_model(tasks, seconds),
        most_informative([TaskStanding(t, None, t.options.batches) for t in tasks], seconds),
    ):
        assert sorted((t.options.seed, b) for t in ordered for b in t.options.batches) == jobs


def test_an_estimate_is_from_the_nearest_run_of_the_model(tmp_path: Path) -> None:
    made = task("zoo:a", (4,))
    facts = known(made)
    store = Store(tmp_path)
    assert Estimates(store).seconds(made, facts, 4) is None
    assert Estimates(store).seconds(made, None, 4) is None
    store.save(run_of(made, 8))
    store.save(run_of(made, 8, "it crashed"))
    near = Estimates(store)
    first = near.seconds(made, facts, 8)
    assert first is not None
    assert first > 5.0, "more than the budget"
    large = near.seconds(made, facts, 1 << 16)
    assert large is not None
    assert large > first
    assert large <= made.options.limits.seconds
    assert near.seconds(replace(made, device_id="cpu:other"), facts, 8) is None


def test_without_runs_it_is_from_the_macs_and_more_of_them_take_longer(tmp_path: Path) -> None:
    made = task("zoo:a", (1,), limits=task().options.limits)
    times = [
        Estimates(Store(tmp_path)).seconds(made, known(made, macs=macs), batch)
        for macs, batch in ((10**9, 1), (10**12, 1), (10**12, 8))
    ]
    assert times == sorted(times)  # type: ignore[type-var]
    assert times[0] < times[2]  # type: ignore[operator]


def test_a_run_that_cannot_be_read_is_no_estimate(tmp_path: Path) -> None:
    made = task("zoo:a", (1,))
    path = Store(tmp_path).save(run_of(made, 1))
    path.write_bytes(b"damaged")
    assert Estimates(Store(tmp_path)).seconds(made, known(made), 1) is None


def test_the_sum_takes_what_is_not_known_as_the_mean() -> None:
    a, b, c = (task(f"zoo:{m}") for m in "abc")
    assert in_all({a: 10.0, b: None, c: 20.0}) == 45.0
    assert in_all({a: None}) is None


def test_few_runs_of_many_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = task("zoo:a", tuple(range(1, 41)))
    for batch in made.options.batches:
        Store(tmp_path).save(run_of(made, batch))
    opened: list[Path] = []
    read = parquet.read_summary
    monkeypatch.setattr(parquet, "read_summary", lambda path: opened.append(path) or read(path))
    estimates = Estimates(Store(tmp_path))
    for threads in range(1, 9):
        assert estimates.of(made.asking(threads=threads), known(made)) is not None
    assert 1 <= len(opened) <= 20
