"""Resuming: done and left are all, whatever the store has, and no run is opened to tell."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs.sweeping import FakePlace, known, ledger, run_of, task

from onnxprof.records.run import Request
from onnxprof.store import parquet
from onnxprof.store.answers import answers, answers_of
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.events import Planned
from onnxprof.sweeps.planning.remembered import Known, request_of
from onnxprof.sweeps.planning.standing import Standing, standing
from onnxprof.sweeps.resume import Answers, Policy
from onnxprof.sweeps.tasks import Task

TASKS = [
    task("zoo:a", (1, 2, 8)),
    task("zoo:a", (1, 8), threads=2),
    task("zoo:a", (1,), dims=(("n", 3),)),
    task("b.onnx", (1, 2), backend="other"),
    task("b.onnx", (4,), device_id="cuda:0:x"),
]
JOBS = [(made, batch) for made in TASKS for batch in made.options.batches]
states = st.lists(
    st.sampled_from(["", "good", "failed", "both"]), min_size=len(JOBS), max_size=len(JOBS)
)
policies = st.builds(Policy, again=st.booleans(), retry_failed=st.booleans())


class Memory:
    """Knows every model but those that it is told to have forgotten."""

    def __init__(self, forgotten: tuple[str, ...] = ()) -> None:
        self.forgotten = forgotten

    def known(self, made: Task) -> Known | None:
        return None if made.model in self.forgotten else known(made)


def filled(root: Path, states: list[str]) -> Store:
    store = Store(root)
    for (made, batch), state in zip(JOBS, states, strict=True):
        if state in ("good", "both"):
            store.save(run_of(made, batch))
        if state in ("failed", "both"):
            store.save(run_of(made, batch, "it crashed"))
    return store


def told(found: Standing) -> dict[tuple[Task, int], str]:
    return {
        (each.task, batch): word
        for each in found.tasks
        for word, batches in (("left", each.left), ("done", each.done), ("failed", each.failed))
        for batch in batches
    }


@given(states, policies)
def test_done_and_left_are_all_and_each_is_what_the_store_says(
    states: list[str], policy: Policy
) -> None:
    expected = {
        "": "left",
        "good": "done",
        "both": "done",
        "failed": "left" if policy.retry_failed else "failed",
    }
    with TemporaryDirectory() as place:
        store = filled(Path(place), states)
        found = standing(TASKS, store, Memory(), policy)
        assert found.jobs == found.done + found.left == len(JOBS)
        sorted_out = told(found)
        for job, state in zip(JOBS, states, strict=True):
            assert sorted_out[job] == ("left" if policy.again else expected[state])
            request = request_of(job[0], known(job[0]), job[1])
            wanted = sorted_out[job] == "left"
            assert policy.wants(request, Answers(store)) == wanted
            unwanted = policy.unwanted(store, job[0].model_name)
            assert (request_digest(request) in unwanted) == (not wanted)


@given(states)
def test_a_resumed_sweep_leaves_every_job_in_the_store_once(states: list[str]) -> None:
    with TemporaryDirectory() as place:
        filled(Path(place), states)
        before = len(list(Store(Path(place)).paths()))
        desk, _ = ledger(Path(place))
        found = standing(TASKS, desk.store, Memory(), Policy())
        planned = Planned(found.jobs, found.done, found.left)
        ended = conduct(found.rest(), [FakePlace()], desk, planned)
        assert ended.finished == found.left
        assert ended.left == 0
        assert len(list(desk.store.paths())) == before + found.left
        after = standing(TASKS, desk.store, Memory(), Policy())
        assert (after.left, after.done) == (0, len(JOBS))


def test_nothing_is_opened_to_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(tmp_path, ["good"] * len(JOBS))
    for path in store.paths():
        path.write_bytes(b"no run at all")
    for name in ("read_summary", "read_run", "read_system"):
        monkeypatch.setattr(parquet, name, lambda *_: pytest.fail("opened"))
    assert standing(TASKS, store, Memory(), Policy()).left == 0


def test_a_model_that_is_not_known_is_left_until_it_is_read(tmp_path: Path) -> None:
    store = filled(tmp_path, ["good"] * len(JOBS))
    found = standing(TASKS, store, Memory(("b.onnx",)), Policy())
    assert found.left == 3
    desk, _ = ledger(tmp_path)
    place = FakePlace()
    conduct(found.rest(), [place], desk, Planned(found.jobs, found.done, found.left))
    assert place.ran == []


def test_jobs_that_come_to_one_request_count_once(tmp_path: Path) -> None:
    stays = Memory()
    stays.known = lambda made: known(made, batches=((1, 1), (8, 1)))  # type: ignore[method-assign]
    found = standing([task(batches=(1, 8))], Store(tmp_path), stays, Policy())
    assert (found.jobs, found.tasks[0].left) == (1, (1,))


def test_what_another_version_measured_is_stale_its_failures_too(tmp_path: Path) -> None:
    states = ["good", "failed", "both"] + [""] * (len(JOBS) - 3)
    store = filled(tmp_path, states)
    old: set[Path] = set(store.paths())

    def is_current(_: Request, path: Path) -> bool:
        return path not in old

    found = standing(TASKS, store, Memory(), Policy(is_current=is_current))
    assert found.left == len(JOBS)
    made, batch = JOBS[0]
    store.save(run_of(made, batch))
    found = standing(TASKS, store, Memory(), Policy(is_current=is_current))
    assert (found.left, found.done) == (len(JOBS) - 1, 1)


def test_names_say_what_a_store_has(tmp_path: Path) -> None:
    store = filled(tmp_path, ["both"] * len(JOBS))
    for name in ("notes.parquet", "b1-t1.parquet", "b0001-t1-nothex-x.parquet"):
        (tmp_path / "a" / "cpu-fake" / "fake" / name).write_bytes(b"")
    found = answers(store, "a", "cpu:fake", "fake")
    assert len(found) == 2 * 6
    assert sum(each.failed for each in found) == 6
    assert {each.batch for each in found} == {1, 2, 8}
    assert {each.threads for each in found} == {1, 2}
    assert all(each.path.is_file() for each in found)
    assert len(answers_of(store, "b")) == 2 * 3
    assert answers(store, "nobody", "cpu:fake", "fake") == answers_of(store, "nobody") == []


@pytest.mark.skipif(os.name == "nt", reason="times as POSIX has them")
def test_a_clock_that_went_back_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, batch = JOBS[0]
    store = Store(tmp_path)
    path = store.save(run_of(made, batch))
    path.rename(path.with_name(path.name.replace("20260102", "20990102")))
    store.save(run_of(made, batch, "it crashed"))
    assert standing([made], store, Memory(), Policy()).tasks[0].done == (1,)
