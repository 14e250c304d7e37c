"""What is remembered of models: as long as their files look the same, and never needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.networks import models
from support.sweeps.sweeping import task

from onnxprof.jobs.job import Job, request
from onnxprof.jobs.sweep import inspect_found, jobs_of
from onnxprof.model.sources.resolve import resolve
from onnxprof.records.device import Device
from onnxprof.sweeps.planning.remembered import NAME, Remembered, request_of
from onnxprof.sweeps.tasks import Task
from onnxprof.zoo import catalogue

CPU = Device("cpu:fake", "cpu", "Fake")


def read(made: Task) -> dict[int, Job]:
    found = inspect_found(resolve(made.model), made.options, made.optional_dims)
    return {job.batch: job for job in jobs_of(found, made.options, CPU, ())}


@pytest.fixture
def made(tmp_path: Path) -> Task:
    (tmp_path / "runs").mkdir()
    return task(str(models.save(models.lenet(), tmp_path)), (1, 8))


def test_planning_makes_no_folder_of_a_store(made: Task, tmp_path: Path) -> None:
    remembered = Remembered.of(tmp_path / "none")
    remembered.learn(made, read(made), {})
    assert remembered.known(made) is not None
    assert not (tmp_path / "none").exists()


def test_a_model_is_known_by_what_was_learnt_and_its_requests_are_those_of_its_runs(
    made: Task, tmp_path: Path
) -> None:
    jobs = read(made)
    remembered = Remembered.of(tmp_path / "runs")
    assert remembered.known(made) is None
    remembered.learn(made, jobs, {1: 5, 8: 6})
    for memory in (remembered, Remembered.of(tmp_path / "runs")):
        facts = memory.known(made)
        assert facts is not None
        assert facts.macs > 1000
        assert facts.memory_bytes(made, 8) == 6
        assert facts.memory_bytes(made, 2) is None
        assert facts.memory_bytes(made.asking(backend="other"), 8) is None
        assert [request_of(made, facts, batch) for batch in (1, 8)] == [
            request(jobs[batch]) for batch in (1, 8)
        ]
        assert memory.known(made.asking(dims=(("n", 1),))) is None


def test_a_model_that_was_written_anew_is_not_known(made: Task, tmp_path: Path) -> None:
    remembered = Remembered.of(tmp_path / "runs")
    remembered.learn(made, read(made), {})
    os.utime(made.model, ns=(1, 1))
    assert Remembered.of(tmp_path / "runs").known(made) is None
    os.remove(made.model)
    assert Remembered.of(tmp_path / "runs").known(made) is None


def test_a_batch_that_comes_to_the_models_own_is_remembered(tmp_path: Path) -> None:
    made = task(str(models.save(models.class_token(), tmp_path)), (8,))
    (job,) = read(made).values()
    assert job.batch == 1
    remembered = Remembered.of(tmp_path)
    remembered.learn(made, {8: job}, {})
    facts = remembered.known(made)
    assert facts is not None
    assert request_of(made, facts, 8) == request(job)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"format": 1}',
        b'{"format": 99}',
        b'{"format": 1, "models": {"x": 3}}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_a_damaged_memory_is_no_memory_and_is_made_again(
    content: bytes, made: Task, tmp_path: Path
) -> None:
    (tmp_path / NAME).write_bytes(content)
    remembered = Remembered.of(tmp_path)
    assert remembered.known(made) is None
    remembered.learn(made, read(made), {})
    assert Remembered.of(tmp_path).known(made) is not None


def test_where_it_cannot_be_written_there_is_none(made: Task, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remembered = Remembered.of(tmp_path / "file" / "runs")
    remembered.learn(made, read(made), {})
    assert remembered.known(made) is not None
    assert Remembered.of(tmp_path / "file" / "runs").known(made) is None


def test_networks_of_the_zoo_are_known_by_the_catalogue(tmp_path: Path) -> None:
    remembered = Remembered.of(tmp_path)
    lenet = remembered.known(task("zoo:lenet"))
    assert lenet is not None
    assert lenet.sha256 == catalogue.entry("lenet").sha256
    assert lenet.macs == catalogue.entry("lenet").macs
    assert remembered.known(task("zoo:nope")) is None
    assert remembered.known(task("zoo:lenet", inputs="x.npz")) is None


@pytest.mark.parametrize("name", ["lenet", "bert-base", "gnmt", "ncf", "resnet18"])
def test_what_the_catalogue_says_is_what_reading_the_network_says(
    name: str, tmp_path: Path
) -> None:
    from onnxprof.model.sources.policy import Resolved
    from onnxprof.zoo.materialisation import hollow

    made = task(f"zoo:{name}", (2,))
    found = Resolved(hollow(name, tmp_path), name, made.model)
    (job,) = jobs_of(inspect_found(found, made.options), made.options, CPU, ())
    facts = Remembered.of(tmp_path).known(made)
    assert facts is not None
    asked, read_ = request_of(made, facts, 2), request(job)
    assert (asked.batch, dict(asked.dims)) == (read_.batch, dict(read_.dims))


def test_an_axis_that_a_network_may_lack_is_left_out(tmp_path: Path) -> None:
    made = Task(
        task("zoo:lenet", dims=(("sequence", 9),)).options, ("sequence",), "cpu:fake", "cpu"
    )
    facts = Remembered.of(tmp_path).known(made)
    assert facts is not None
    assert facts.dims == ()


def test_a_file_of_holes_takes_no_room_and_has_the_size_of_the_network(tmp_path: Path) -> None:
    from onnxprof.zoo.materialisation import hollow

    path = hollow("resnet18", tmp_path)
    status = path.stat()
    assert status.st_size == catalogue.entry("resnet18").bytes
    if hasattr(status, "st_blocks"):
        assert status.st_blocks * 512 < status.st_size / 4
