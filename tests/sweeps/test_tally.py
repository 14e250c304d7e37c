"""What events add up to: counts, devices, failures, and the time that is left."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sweeps.events import BERT, END, GPU, SCRIPT, job, on_node, tally

from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Ended,
    Event,
    Failed,
    Finished,
    JobName,
    Planned,
    Skipped,
    Started,
)
from onnxprof.sweeps.status.tally import MOST_FAILURES, Tally


def after(*events: Event, seconds: float = 1.0) -> Tally:
    return tally(tuple((seconds * i, event) for i, event in enumerate(events)))


def test_counts() -> None:
    state = tally()
    assert (state.jobs, state.stored, state.finished) == (120, 31, 3)
    assert (state.failed, state.skipped, state.left) == (2, 1, 83)
    over = tally((*SCRIPT, END))
    assert over.is_over
    assert not any(place.running for place in over.places)


def test_a_device_has_the_job_that_started_last_on_it() -> None:
    state = tally()
    [cpu, gpu] = state.places
    assert cpu.running is not None
    assert (cpu.running.job.model, cpu.running.share) == ("resnet50", 0.43)
    assert (gpu.node, gpu.device) == ("farm-2", GPU)


def test_a_job_whose_node_is_lost_runs_on_another_one() -> None:
    elsewhere = on_node(BERT, "farm-9")
    state = after(Planned(1, 0, 1), Started(BERT), Started(elsewhere))
    assert [(place.node, place.running is None) for place in state.places] == [
        ("farm-2", True),
        ("farm-9", False),
    ]
    done = state.after(Finished(elsewhere, "x", 1.0, 1.0), 5.0)
    assert [place.running for place in done.places] == [None, None]


def test_a_plan_may_come_again_and_stored_jobs_count_once() -> None:
    first = after(Planned(10, 2, 8, 80.0), AlreadyStored(job("a")), Finished(job("b"), "", 1.0, 1))
    assert (first.stored, first.left) == (3, 6)
    again = first.after(Planned(12, 2, 10, 60.0), 10.0)
    assert (again.stored, again.left, again.expected_s) == (3, 8, 60.0)


def test_the_last_failures_are_kept() -> None:
    failed = [Failed(job(f"net{i}"), f"reason {i}") for i in range(9)]
    state = after(Planned(9, 0, 9), *failed)
    assert state.failed == 9
    assert [f.reason for f in state.failures] == [f"reason {i}" for i in range(4, 9)]
    assert len(state.failures) == MOST_FAILURES


def test_events_of_jobs_that_nobody_started_do_no_harm() -> None:
    state = after(Finished(job("a"), "", None, 1.0), Advanced(job("b"), "x", 7.0))
    assert (state.finished, state.left) == (1, 0)
    assert state.places[0].running is not None
    assert state.places[0].running.share == 1.0


def left(done: int, jobs: int, elapsed_s: float, expected_s: float | None) -> float | None:
    ended = ((elapsed_s, Finished(job("net", i), "", 1.0, 1.0)) for i in range(done))
    return tally(((0.0, Planned(jobs, 0, jobs, expected_s)), *ended)).left_s


def test_time_left_is_the_plans_at_first_and_follows_the_pace_later() -> None:
    assert left(0, 10, 0.0, None) is None
    assert left(0, 10, 0.0, 100.0) == 100.0
    assert left(5, 10, 50.0, None) == 50.0
    assert left(1, 10, 50.0, 100.0) == pytest.approx(0.9 * 50 + 0.1 * 450)
    assert left(9, 10, 900.0, 100.0) == pytest.approx(0.9 * 100)
    assert left(10, 10, 900.0, 100.0) == 0.0


def test_running_jobs_count_by_their_share() -> None:
    half = tally(
        ((0.0, Planned(2, 0, 2)), (1.0, Started(BERT)), (30.0, Advanced(BERT, "sampling", 0.5)))
    )
    assert half.left_s == 90.0


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["started", "advanced", "finished", "failed", "skipped", "stored"]),
    ),
    max_size=30,
)


def _event(name: JobName, kind: str) -> Event:
    return {
        "started": Started(name),
        "advanced": Advanced(name, "x", random.random()),
        "finished": Finished(name, "", 1.0, 1.0),
        "failed": Failed(name, "why"),
        "skipped": Skipped(name, "why"),
        "stored": AlreadyStored(name),
    }[kind]


@given(EVENTS)
def test_any_order_of_events_gives_a_tally_that_makes_sense(
    script: list[tuple[int, str]],
) -> None:
    state = after(Planned(6, 0, 6, 60.0), *(_event(job("n", n), kind) for n, kind in script))
    assert 0 <= state.left <= state.jobs
    assert state.left_s is None or state.left_s >= 0
    running = [place.running.job.key for place in state.places if place.running]
    assert len(running) == len(set(running)) <= 1
    ended = [n for n, kind in script if kind not in ("started", "advanced")]
    assert state.measured + state.skipped + state.stored == len(ended)
    assert state.after(Ended(0, 0, 0, 0), 99.0).is_over
