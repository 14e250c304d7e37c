"""A model as it answers queries: which batch runs, and threads of its own for each session."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable, PreparedModel
from onnxprof.scenarios import systems
from onnxprof.scenarios.systems import ModelSystem
from onnxprof.testing import FakeBackend


class Recording(FakeBackend):
    """Notes what is opened and which of it infers."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Workload] = []
        self.closed = 0
        self.ran: Counter[int] = Counter()

    @contextmanager
    def open(self, workload: Workload) -> Iterator[SimpleNamespace]:
        self.opened.append(workload)
        batch = workload.table.batch
        yield SimpleNamespace(infer=lambda: self.ran.update([batch]))
        self.closed += 1


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Recording:
    made = Recording()
    monkeypatch.setattr(registry, "backend", lambda _: made)
    return made


def test_samples_run_at_the_least_batch_that_holds_them(backend: Recording, tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    one = job(path, "fake")
    jobs = tuple(replace(one, table=replace(one.table, batch=size)) for size in (1, 2, 4))
    with ModelSystem(jobs, is_concurrent=True).opened() as session:
        for samples in (1, 2, 3, 4, 1):
            session(samples)
    assert backend.ran == {1: 2, 2: 1, 4: 2}
    assert backend.closed == 3
    assert {work.concurrent for work in backend.opened} == {True}
    assert {work.own_process for work in backend.opened} == {True}


def test_the_model_is_fed_as_it_is_profiled(backend: Recording, tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    with systems.ModelSystem((job(path, "fake", seed=3),), is_concurrent=False).opened():
        (work,) = backend.opened
    assert work.inputs["Input3"].shape == (2, 1, 28, 28)
    assert not work.concurrent


OPTIONS = """
from dataclasses import replace
from onnxprof.backends.ort.runtime.session import _options
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable, PreparedModel
work = Workload(PreparedModel(b"", None), LayerTable((), 1), {}, 3, own_process=True)
alone = _options(work, work.model)
shared = _options(replace(work, concurrent=True), work.model)
print(alone.use_per_session_threads, shared.use_per_session_threads, shared.intra_op_num_threads)
"""


def test_concurrent_sessions_of_onnxruntime_have_threads_of_their_own() -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    done = subprocess.run([sys.executable, "-c", OPTIONS], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "3"], done.stderr


def test_concurrent_sessions_of_openvino_are_bound_to_no_cores() -> None:
    pytest.importorskip("openvino", reason="needs openvino")
    from onnxprof.backends.openvino.settings import properties

    work = Workload(PreparedModel(b"", Path()), LayerTable((), 1), {}, 3)
    assert "ENABLE_CPU_PINNING" not in properties(work, None, "CPU", False)
    both = properties(replace(work, concurrent=True), None, "CPU", False)
    assert both["ENABLE_CPU_PINNING"] is False
