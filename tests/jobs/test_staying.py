"""One process for all sizes of a model: what stays, what does not, and what a crash costs."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import models
from support.runs.jobs import job as planned

from onnxprof.jobs import parent as module
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import may_share, staying
from onnxprof.jobs.sweep import plan, sweep
from onnxprof.machine import memory
from onnxprof.measure.budget import Budget
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.store.folder import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
BATCHES = (1, 2, 3, 4, 5)

#: A backend that writes down who measures which batch, and does what BATCH=deed says.
WITNESSED = """
import os, signal
from contextlib import contextmanager
from pathlib import Path
from onnxprof.errors import BackendError
from onnxprof.testing import FakeBackend

HOARD = []

class Witnessed(FakeBackend):
    def __init__(self):
        super().__init__(name="witnessed")

    def caches(self):
        return [Path(os.environ["WITNESSED_FILE"]).parent]

    def begin(self):
        pass

    def lasts(self, provider):
        return os.environ.get("WITNESSED_LASTS", "yes") == "yes"

    @contextmanager
    def open(self, workload):
        batch = workload.table.batch
        with open(os.environ["WITNESSED_FILE"], "a") as file:
            file.write(f"{batch} {os.getpid()}\\n")
        deeds = os.environ.get("WITNESSED_DEEDS", "").split()
        deed = dict(pair.split("=") for pair in deeds).get(str(batch), "")
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "refuse":
            raise BackendError("will not")
        if deed == "hoard":
            HOARD.append(bytearray(os.urandom(1 << 20) * 160))
        with super().open(workload) as session:
            yield session
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "witnessed_backend.py").write_text(textwrap.dedent(WITNESSED))
    info = tmp_path / "witnessed-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: witnessed\nVersion: 1.0\n")
    entry = "[onnxprof.backends]\nwitnessed = witnessed_backend:Witnessed\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "out").mkdir()
    monkeypatch.setenv("WITNESSED_FILE", str(tmp_path / "out" / "who.txt"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return tmp_path


def swept(place: Path, **changes: object) -> dict[int, str]:
    """The outcome of each batch: empty for a run with times, else why there is none."""
    path = models.save(models.linear(), place)
    asked = {"backend": "witnessed", "batches": BATCHES, "budget": Budget(0.05), "threads": 1}
    options = Options((str(path),), parity=False, verify=False, **(asked | changes))
    outcomes = sweep(plan(options), Limits(60), Store(place / "runs"), lambda *_: None)
    return {each.run.request.batch: each.run.failure for each in outcomes}


def who(place: Path) -> dict[int, str]:
    """The process that measured each batch."""
    lines = (place / "out" / "who.txt").read_text().splitlines()
    return {int(batch): pid for batch, pid in map(str.split, lines)}


def test_one_process_measures_all_sizes_of_a_model(place: Path) -> None:
    assert swept(place) == dict.fromkeys(BATCHES, "")
    assert len(set(who(place).values())) == 1


def test_a_process_that_is_killed_loses_the_batch_that_it_was_at(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITNESSED_DEEDS", "3=kill")
    found = swept(place)
    assert [batch for batch, failure in found.items() if failure] == [3]
    assert "SIGKILL" in found[3]
    seen = who(place)
    assert seen[1] == seen[2] == seen[3] != seen[4] == seen[5]
    assert len(list(Store(place / "runs").paths())) == len(BATCHES)


@pytest.mark.parametrize("deed", ["refuse", "hoard"])
def test_after_an_error_or_with_more_memory_a_process_takes_no_further_job(
    place: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setenv("WITNESSED_DEEDS", f"2={deed}")
    found = swept(place)
    assert [b for b, failure in found.items() if failure] == ([2] if deed == "refuse" else [])
    seen = who(place)
    assert seen[1] == seen[2] != seen[3] == seen[4] == seen[5]


def test_a_backend_without_a_word_has_a_process_for_each(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WITNESSED_LASTS", "no")
    swept(place)
    assert len(set(who(place).values())) == len(BATCHES)


def test_processes_whose_differences_count_are_not_shared(place: Path) -> None:
    swept(place, processes=2)
    lines = (place / "out" / "who.txt").read_text().splitlines()
    assert len({line.split()[1] for line in lines}) == 2 * len(BATCHES)


def test_a_process_that_waits_ends_with_the_body(place: Path) -> None:
    path = models.save(models.linear(), place)
    asked = Options((str(path),), backend="witnessed", budget=Budget(0.05), threads=1)
    (job,) = plan(replace(asked, parity=False, verify=False))
    with staying() as measure:
        assert isinstance(measure(job, Limits(60), lambda *_: None), Run)
        (pid,) = map(int, who(place).values())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_is_killed_while_it_waits_costs_nothing(place: Path) -> None:
    path = models.save(models.linear(), place)
    asked = Options(
        (str(path),), backend="witnessed", batches=(1, 2), budget=Budget(0.05), threads=1
    )
    first, second = plan(replace(asked, parity=False, verify=False))
    with staying() as measure:
        measure(first, Limits(60), lambda *_: None)
        os.kill(int(who(place)[1]), signal.SIGKILL)
        assert measure(second, Limits(60), lambda *_: None).request.batch == 2
    assert who(place)[1] != who(place)[2]


def test_memory_of_a_process_that_measured_before_is_said_to_be_so(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    path = models.save(models.lenet(), tmp_path)
    options = Options((str(path),), batches=(1, 2), budget=Budget(0.3), threads=1, parity=False)
    outcomes = sweep(plan(options), Limits(60), Store(tmp_path / "runs"), lambda *_: None)
    absent = [
        [each.what for each in one.run.telemetry.absent] for one in outcomes if one.run.telemetry
    ]
    assert ["peak memory of this size alone" in whats for whats in absent] == [False, True]


def test_another_model_thread_count_or_limit_has_a_process_of_its_own(tmp_path: Path) -> None:
    job = planned(models.save(models.linear(), tmp_path))
    other = planned(models.save(models.lenet(), tmp_path, "other.onnx"))
    limits = Limits(60)
    like = module._likeness(job, limits)
    at_four = replace(job, table=replace(job.table, batch=4), options=replace(job.options))
    assert module._likeness(at_four, limits) == like
    assert like == module._likeness(replace(job, follows=True), limits)
    others: list[tuple[Job, Limits]] = [
        (other, limits),
        (job.asking(threads=2), limits),
        (job, Limits(61)),
    ]
    assert all(module._likeness(*each) != like for each in others)


def test_which_of_our_backends_share_a_process(tmp_path: Path) -> None:
    job = planned(models.save(models.linear(), tmp_path))
    assert may_share(job)
    assert not may_share(job.asking(processes=2))
    assert may_share(job.asking(backend="openvino"))
    assert may_share(job.asking(backend="torch"))
    assert not may_share(job.asking(backend="torch", provider="compile"))
    for provider in ("cuda", "tensorrt", "openvino"):
        assert not may_share(job.asking(provider=provider))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own peak")
def test_the_peak_begins_anew() -> None:
    hoard = bytearray(os.urandom(1 << 20) * 64)
    high = memory.peak_resident_bytes()
    del hoard
    memory.give_back()
    assert memory.forget_peak()
    assert memory.peak_resident_bytes() < high - (32 << 20)
