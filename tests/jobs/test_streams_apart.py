"""Several inferences at a time in a measuring process: threads, failures, what a crash costs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.jobs.sweep import measured
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.store import encoding

#: A backend whose sessions do what the NAME of the model says once there are several of them.
CROWDED = """
import os, signal, threading
from contextlib import contextmanager
from onnxprof.errors import BackendError
from onnxprof.testing import FakeBackend

class Crowded(FakeBackend):
    def __init__(self):
        super().__init__(name="crowded")

    @contextmanager
    def open(self, workload):
        deed = os.path.basename(str(workload.model.source)).split(".")[0]
        if workload.concurrent:
            assert workload.threads == 1, workload.threads
            assert threading.current_thread() is not threading.main_thread()
            if deed == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if deed == "refuse":
                raise BackendError("one is enough")
            if deed == "bug":
                raise ZeroDivisionError("a bug in a plugin")
        with super().open(workload) as session:
            yield session
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "crowded_backend.py").write_text(CROWDED)
    info = tmp_path / "crowded-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crowded\nVersion: 1.0\n")
    entry = "[onnxprof.backends]\ncrowded = crowded_backend:Crowded\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(tmp_path))  # a spawned process takes the path over
    return tmp_path


def measuring(place: Path, name: str, **changes: object) -> Run:
    path = models.save(models.linear(), place, f"{name}.onnx")
    given = {"streams": 2, "threads": 2, "parity": False, "verify": False, "telemetry": False}
    return measured(job(path, "crowded", **(given | changes)), Limits(60), lambda *_: None)


def test_streams_share_the_threads_and_are_kept_raw(place: Path) -> None:
    run = measuring(place, "well", iterations=30)
    load = run.concurrency
    assert load is not None
    assert (load.streams, load.threads, load.failure) == (2, 1, "")
    assert [len(stream) for stream in load.latency_ns] == [30, 30]
    stored = encoding.dumps(encoding.run_to_json(run))
    assert encoding.run_from_json(json.loads(stored)).concurrency == load


def test_none_are_measured_unless_asked_for(place: Path) -> None:
    run = measuring(place, "well", streams=0)
    assert run.concurrency is None
    assert "concurrency" not in encoding.run_to_json(run)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("deed", "reason"), [("refuse", "one is enough"), ("kill", "SIGKILL"), ("bug", "a bug")]
)
def test_streams_that_fail_cost_no_other_figure(place: Path, deed: str, reason: str) -> None:
    run = measuring(place, deed)
    load = run.concurrency
    assert load is not None
    assert load.latency_ns == ()
    assert reason in load.failure
    assert run.timings is not None
    assert run.timings.latency_ns.size > 5
    assert run.parity is None


def test_of_several_processes_one_has_the_streams(place: Path) -> None:
    run = measuring(place, "well", processes=2)
    assert run.request.processes == 2
    assert run.timings is not None
    assert set(run.timings.block_process) == {0, 1}
    assert run.concurrency is not None
    assert len(run.concurrency.latency_ns) == 2
