"""A measurement in its own process: what comes back, and what a crash, a hang or a flood costs."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.errors import BackendError
from onnxprof.jobs.child import perform
from onnxprof.jobs.parent import run_isolated
from onnxprof.machine.other_programs import Others
from onnxprof.processes.confined import Limits
from onnxprof.records.warning import WarningKind

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

#: A backend whose sessions do what the NAME of the model says.
ROGUE = """
import os, signal, time
from contextlib import contextmanager
from onnxprof.testing import FakeBackend

class Rogue(FakeBackend):
    def __init__(self):
        super().__init__(name="rogue")

    @contextmanager
    def open(self, workload):
        deed = os.path.basename(str(workload.model.source)).split(".")[0]
        if deed == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if deed == "hang":
            time.sleep(3600)
        if deed == "flood":
            hoard = [bytearray(64 << 20) for _ in range(4096)]
        if deed == "bug":
            raise RuntimeError("a bug in a plugin")
        if deed == "exit":
            os._exit(3)
        yield super()
"""


@pytest.fixture
def rogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rogue_backend.py").write_text(textwrap.dedent(ROGUE))
    info = tmp_path / "rogue-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rogue\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[onnxprof.backends]\nrogue = rogue_backend:Rogue\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # a spawned process takes the path over
    return tmp_path


def test_a_run_comes_back_whole(tmp_path: Path) -> None:
    told: list[str] = []
    path = models.save(models.lenet(), tmp_path)
    run = run_isolated(job(path), Limits(120), lambda phase, _: told.append(phase))
    assert run.request.batch == run.table.batch == 2
    assert run.timings is not None
    assert run.timings.latency_ns.size >= 6
    assert run.timings.step_ns.shape[0] == len(run.steps)
    assert told[0] == "preparing"
    assert run.model.reference == path.name  # and not where it lies
    assert "measuring" in told


def test_run_time_shapes_fill_the_table(tmp_path: Path) -> None:
    nodes = [
        models.node("NonZero", ["x"], ["where"], "where"),
        models.node("Cast", ["where"], ["y"], "cast", to=models.FLOAT),
    ]
    made = models.model(nodes, [models.value("x", ["N", 4])], [models.value("y", None)])
    run = perform(job(models.save(made, tmp_path)), lambda *_: None)
    where = next(layer for layer in run.table.nodes if layer.name == "where").outputs[0]
    assert where.is_static
    assert where.observed
    assert where.shape is not None
    assert where.shape[0] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")
@pytest.mark.parametrize(
    ("deed", "limits", "message"),
    [
        ("crash", Limits(60), "ended by SIGSEGV"),
        ("hang", Limits(4), "stopped after 4 s, while "),
        ("flood", Limits(60, 2 << 30), "out of memory"),
        ("bug", Limits(60), "RuntimeError: a bug in a plugin"),
        ("exit", Limits(60), "exit code 3"),
    ],
)
def test_what_goes_wrong_in_the_process_is_told_in_one_line(
    rogue: Path, deed: str, limits: Limits, message: str
) -> None:
    path = models.save(models.linear(), rogue, f"{deed}.onnx")
    with pytest.raises(BackendError) as caught:
        run_isolated(job(path, "rogue"), limits, lambda *_: None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_others_at_work_are_noticed() -> None:
    import multiprocessing
    import time

    spinner = multiprocessing.get_context("spawn").Process(target=_spin, args=(2.5,))
    spinner.start()
    time.sleep(1.0)
    others = Others()
    with others.watched():
        time.sleep(1.0)
    spinner.join()
    told = list(others.warnings())
    assert [w.kind for w in told] == [WarningKind.BUSY_MACHINE]
    assert told[0].value > 0.25


def _spin(seconds: float) -> None:
    import time

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass
