"""This machine as a place, with a fake backend: what is run, skipped, passed over, recorded."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.networks import models
from support.sweeps.sweeping import Heard, ledger, planned, task

from onnxprof.errors import BackendError, StoreError
from onnxprof.jobs.job import Job, request
from onnxprof.jobs.outlook import Notice
from onnxprof.plugins import registry
from onnxprof.processes.device_lock import held
from onnxprof.processes.limits import Limits
from onnxprof.records.run import Run
from onnxprof.store import folder
from onnxprof.store.folder import load_all
from onnxprof.sweeps.conduct import conduct
from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Ended,
    Failed,
    Finished,
    Noted,
    Skipped,
    Started,
)
from onnxprof.sweeps.here import Here
from onnxprof.sweeps.ledger import Ledger
from onnxprof.sweeps.planning.remembered import Remembered
from onnxprof.sweeps.planning.standing import standing
from onnxprof.sweeps.resume import Policy
from onnxprof.sweeps.tasks import Task
from onnxprof.testing import FakeBackend, sample_run

Measure = Callable[[Job, Limits, Callable[[str, float], None]], Run]


def made_up(job: Job, limits: Limits, progress: Callable[[str, float], None]) -> Run:
    progress("measuring", 0.5)
    return replace(sample_run(batch=job.batch), request=request(job), model=job.facts)


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> list[Measure]:
    """How a job is measured; the last of the list."""
    chosen: list[Measure] = [made_up]
    monkeypatch.setattr(registry, "backend", lambda name: FakeBackend())
    monkeypatch.setattr("onnxprof.sweeps.here.start_server", lambda *_: None)
    monkeypatch.setattr("onnxprof.sweeps.here.proven", lambda jobs, *_: list(jobs))
    monkeypatch.setattr(
        "onnxprof.jobs.sweep.staying", lambda: nullcontext(lambda *given: chosen[-1](*given))
    )
    return chosen


def swept(
    root: Path, tasks: list[Task], here: Here | None = None, policy: Policy | None = None
) -> tuple[Ended, Heard]:
    desk, heard = ledger(root, policy)
    return conduct(tasks, [here or Here()], desk, planned(tasks)), heard


def lenet(folder: Path, batches: tuple[int, ...] = (1, 8), **changes: Any) -> Task:
    return task(str(models.save(models.lenet(), folder, "lenet.onnx")), batches, **changes)


def free(folder: Path, name: str = "free.onnx", **changes: Any) -> Task:
    """A model that leaves its batch free."""
    path = models.save(models.linear(), folder, name)
    return task(str(path), changes.pop("batches", (1, 2)), **changes)


def wide(folder: Path, batches: tuple[int, ...], **changes: Any) -> Task:
    """A model whose output has 16 KiB for each item."""
    made = models.model(
        [models.node("MatMul", ["x", "w"], ["y"], "wide")],
        [models.value("x", ["N", 1])],
        [models.value("y", ["N", 4096])],
        [models.weight("w", 1, 4096)],
    )
    return task(str(models.save(made, folder, "wide.onnx")), batches, **changes)


def test_each_job_starts_goes_on_and_is_stored(measure, tmp_path: Path) -> None:
    made = lenet(tmp_path)
    ended, heard = swept(tmp_path / "runs", [made])
    assert ended == Ended(2, 0, 0, 0)
    kinds = [type(e) for e in heard.events if not isinstance(e, Advanced)][1:-1]
    assert kinds == [Started, Finished] * 2
    assert {e.doing for e in heard.of(Advanced)} >= {"planning", "measuring", "storing"}
    for event in heard.of(Finished):
        assert event.job.key == made.job(event.job.batch).key
        assert (event.job.provider, event.job.device) == ("cpu", "cpu:fake")
        assert (tmp_path / "runs" / event.run).is_file()
        assert event.latency_ns > 0


def test_a_missing_file_is_a_line_and_no_record_and_keeps_no_other(measure, tmp_path: Path) -> None:
    tasks = [task(str(tmp_path / "none.onnx"), (1, 2)), lenet(tmp_path)]
    ended, heard = swept(tmp_path / "runs", tasks)
    assert ended == Ended(2, 2, 0, 0)
    assert {(e.run, "no such file" in e.reason) for e in heard.of(Failed)} == {("", True)}


def test_a_damaged_model_is_a_failed_record_that_is_tried_again_only_if_asked(
    measure, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"\x08\x07 this is no model")
    made, root = task(str(path), (1, 2)), tmp_path / "runs"
    remembered = Remembered.of(root)
    ended, heard = swept(root, [made, lenet(tmp_path)], Here(learner=remembered))
    assert ended == Ended(2, 2, 0, 0)
    runs = [run for run in load_all([root])[0] if run.timings is None]
    assert {run.request.batch for run in runs} == {1, 2}
    assert all(run.failure and str(tmp_path) not in run.failure for run in runs)
    assert all(run.model.name == "bad" for run in runs)
    found = standing(
        [made], Ledger(folder.Store(root), Policy(), heard).store, remembered, Policy()
    )
    assert found.tasks[0].failed == (1, 2)
    ended, heard = swept(root, [made])
    assert ended == Ended(0, 0, 0, 0)
    assert len(heard.of(AlreadyStored)) == 2
    assert swept(root, [made], policy=Policy(retry_failed=True))[0].failed == 2
    assert len(load_all([root])[0]) == 6


def test_what_goes_wrong_while_measuring_is_a_failed_record(measure, tmp_path: Path) -> None:
    def refusing(job: Job, *given: Any) -> Run:
        if job.batch == 1:
            raise BackendError("it crashed", where="fake", remedy="Mend it")
        return made_up(job, *given)

    measure.append(refusing)
    ended, heard = swept(tmp_path / "runs", [lenet(tmp_path)])
    assert ended == Ended(1, 1, 0, 0)
    (event,) = heard.of(Failed)
    assert event.reason == "it crashed. Mend it"
    assert (tmp_path / "runs" / event.run).is_file()


def test_a_backend_whose_planning_fails_in_any_way_keeps_no_other(
    measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd(FakeBackend):
        def devices(self):
            raise RuntimeError("driver fell over")

    monkeypatch.setattr(registry, "backend", lambda name: Odd() if name == "odd" else FakeBackend())
    tasks = [lenet(tmp_path).asking(backend="odd"), lenet(tmp_path)]
    ended, heard = swept(tmp_path / "runs", tasks)
    assert ended == Ended(2, 2, 0, 0)
    assert all("driver fell over" in event.reason for event in heard.of(Failed))


def test_a_model_that_keeps_its_batch_ends_each_of_its_jobs(measure, tmp_path: Path) -> None:
    path = models.save(models.class_token(), tmp_path, "token.onnx")
    root, made = tmp_path / "runs", task(str(path), (2, 1, 8))
    remembered = Remembered.of(root)
    ended, heard = swept(root, [made], Here(learner=remembered))
    assert ended == Ended(1, 0, 2, 0)
    assert {event.cause for event in heard.of(Skipped)} == {"batch"}
    assert [event.job.batch for event in heard.of(Finished)] == [1]
    assert len(heard.of(Noted)) == 1
    assert "token stays at batch 1" in heard.of(Noted)[0].text
    found = standing([made], ledger(root)[0].store, remembered, Policy())
    assert (found.jobs, found.left) == (1, 0)
    again, _ = swept(root, [task(str(path), (8,))])
    assert again.finished == 0


def test_what_will_not_fit_is_skipped_with_its_figure_unless_forced(
    measure, tmp_path: Path
) -> None:
    made = wide(tmp_path, (1, 1 << 19), limits=Limits(900.0, 4 << 30))
    ended, heard = swept(tmp_path / "runs", [made])
    assert ended == Ended(1, 0, 1, 0)
    (event,) = heard.of(Skipped)
    assert (event.cause, event.job.batch) == ("memory", 1 << 19)
    assert "will not fit: it takes at least" in event.reason
    ended, heard = swept(tmp_path / "more", [replace(made, force=True)])
    assert ended == Ended(2, 0, 0, 0), heard.of(Failed)


def test_a_batch_that_is_refused_keeps_no_other(measure, tmp_path: Path) -> None:
    made = task(str(models.save(models.lenet(), tmp_path)), (1, 1 << 20))
    ended, heard = swept(tmp_path / "runs", [made])
    assert (ended.finished, ended.skipped) == (1, 1)
    assert heard.of(Skipped)[0].cause in ("size", "memory")


def test_what_another_sweep_has_stored_meanwhile_is_passed_over(measure, tmp_path: Path) -> None:
    made, root = lenet(tmp_path, (1, 2, 8)), tmp_path / "runs"

    def beside(job: Job, *given: Any) -> Run:
        measure.pop()
        other, _ = swept(root, [made.asking(batches=(2,))], Here(wait_s=0.0))
        assert other.failed == 1, "the device is held"
        desk, _ = ledger(root)
        desk.store.save(replace(made_up(job, *given), request=replace(request(job), batch=2)))
        return made_up(job, *given)

    measure.append(beside)
    ended, heard = swept(root, [made])
    assert ended == Ended(2, 0, 0, 0)
    assert [event.job.batch for event in heard.of(AlreadyStored)] == [2]


def test_a_device_that_is_in_use_is_a_failure_where_nobody_waits(measure, tmp_path: Path) -> None:
    with held("cpu:fake", lambda _: None):
        ended, heard = swept(tmp_path / "runs", [lenet(tmp_path)], Here(wait_s=0.0))
    assert ended == Ended(0, 2, 0, 0)
    assert all("in use by" in event.reason for event in heard.of(Failed))
    assert load_all([tmp_path / "runs"]) == ([], [])


def test_a_full_disk_in_the_middle_ends_the_sweep_and_what_is_stored_stays(
    measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = folder._write_synced, []

    def filling(path: Path, data: bytes) -> None:
        written.append(path)
        if len(written) > 3:  # the probe and two runs
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(folder, "_write_synced", filling)
    made, root = lenet(tmp_path, (1, 2, 4, 8)), tmp_path / "runs"
    desk, heard = ledger(root)
    with pytest.raises(StoreError, match="No space left"):
        conduct([made, free(tmp_path)], [Here()], desk, planned([made, free(tmp_path)]))
    assert heard.events[-1] == Ended(2, 0, 0, 4)
    runs, problems = load_all([root])
    assert (len(runs), problems) == (2, [])
    monkeypatch.setattr(folder, "_write_synced", write)
    ended, _ = swept(root, [made, free(tmp_path)])
    assert ended == Ended(4, 0, 0, 0)


def test_an_interrupt_goes_on_to_the_caller_and_the_device_is_free(measure, tmp_path: Path) -> None:
    def interrupted(*_: Any) -> Run:
        raise KeyboardInterrupt

    measure.append(interrupted)
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path / "runs", [lenet(tmp_path)])
    with held("cpu:fake", lambda _: None, 0.0):
        pass


def test_an_announcement_is_a_remark(measure, tmp_path: Path) -> None:
    def announcing(job: Job, limits: Limits, progress: Callable[[str, float], None]) -> Run:
        progress(Notice("this will take long"), 0.0)
        return made_up(job, limits, progress)

    measure.append(announcing)
    _, heard = swept(tmp_path / "runs", [lenet(tmp_path, (1,))])
    assert [event.text for event in heard.of(Noted)] == ["this will take long"]


def test_a_model_is_read_once_for_all_of_its_tasks(
    measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnxprof.sweeps import here

    reads: list[str] = []
    inspect = here.inspect_found

    def counted(file: Any, *given: Any, **named: Any) -> Any:
        reads.append(file.name)
        return inspect(file, *given, **named)

    monkeypatch.setattr(here, "inspect_found", counted)
    made = lenet(tmp_path)
    others = [made.asking(threads=n) for n in (2, 3)]
    ended, _ = swept(tmp_path / "runs", [made, *others, free(tmp_path)])
    assert ended.finished == 8
    assert reads == ["lenet", "free"]


def test_a_model_that_is_written_anew_between_tasks_is_read_again(measure, tmp_path: Path) -> None:
    made = free(tmp_path)

    def rewriting(job: Job, *given: Any) -> Run:
        if job.options.threads == 1 and job.batch == 2:
            models.save(models.lenet(), tmp_path, "free.onnx")
        return made_up(job, *given)

    measure.append(rewriting)
    swept(tmp_path / "runs", [made, made.asking(threads=2)])
    runs, _ = load_all([tmp_path / "runs"])
    assert len({run.request.model_sha256 for run in runs}) == 2


def test_an_unreadable_run_among_many_disturbs_nothing(measure, tmp_path: Path) -> None:
    root, made = tmp_path / "runs", lenet(tmp_path)
    swept(root, [made])
    (some, *_) = folder.Store(root).paths()
    some.with_name("b0001-t1-000000000000-x.parquet").write_bytes(b"damaged")
    ended, heard = swept(root, [made, made.asking(threads=2)])
    assert ended == Ended(2, 0, 0, 0)
    assert len(heard.of(AlreadyStored)) == 2


def test_inputs_are_part_of_what_is_done(measure, tmp_path: Path) -> None:
    import numpy as np

    path = tmp_path / "in.npz"
    np.savez(path, Input3=np.zeros((1, 1, 28, 28), np.float32))
    made, root = lenet(tmp_path, (1,), inputs=str(path)), tmp_path / "runs"
    assert swept(root, [lenet(tmp_path, (1,))])[0].finished == 1
    remembered = Remembered.of(root)

    def failing(*_: Any) -> Run:
        raise BackendError("no")

    measure.append(failing)
    assert swept(root, [made], Here(learner=remembered))[0].failed == 1
    measure.pop()
    assert standing([made], folder.Store(root), remembered, Policy()).failed == 1
    assert swept(root, [made])[0] == Ended(0, 0, 0, 0), "its failure is stored under its inputs"
    np.savez(path, Input3=np.ones((1, 1, 28, 28), np.float32))
    assert standing([made], folder.Store(root), Remembered.of(root), Policy()).left == 1
    assert swept(root, [made])[0].finished == 1


def test_a_failed_record_of_a_damaged_model_waits_for_the_device_too(
    measure, tmp_path: Path
) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"\x08\x07 this is no model")
    with held("cpu:fake", lambda _: None):
        ended, _ = swept(tmp_path / "runs", [task(str(path), (1, 2))], Here(wait_s=0.0))
    assert ended == Ended(0, 2, 0, 0)
    assert load_all([tmp_path / "runs"]) == ([], [])
