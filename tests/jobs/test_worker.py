"""A measurement in its own process: what comes back, and what a crash, a hang or a flood costs."""

from __future__ import annotations

import ctypes
import re
import socket
import sys
import textwrap
from pathlib import Path

import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.errors import BackendError, ProcessEnded
from onnxprof.jobs.child import perform
from onnxprof.jobs.parent import run_isolated
from onnxprof.machine.other_programs import Others
from onnxprof.processes.confined import Limits
from onnxprof.processes.trial.probe import probe
from onnxprof.records.warning import WarningKind

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

#: The remedy of memory that runs out, for the jobs of these tests.
LESS = "Use smaller sizes than --batch 2"
linux = pytest.mark.skipif(sys.platform != "linux", reason="memory as Linux counts it")

#: A backend whose sessions do what the NAME of the model says.
ROGUE = """
import ctypes, os, signal, socket, time
from contextlib import contextmanager
from onnxprof.errors import BackendError
from onnxprof.plugins.memory import SMALLER
from onnxprof.testing import FakeBackend

class Rogue(FakeBackend):
    def __init__(self):
        super().__init__(name="rogue")

    def caches(self):
        named = os.environ.get("ROGUE_CACHE")
        return [named] if named else []

    @contextmanager
    def open(self, workload):
        deed = os.path.basename(str(workload.model.source)).split(".")[0]
        if deed == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if deed == "hang":
            time.sleep(3600)
        if deed == "flood":
            hoard = [bytearray(64 << 20) for _ in range(4096)]
        if deed == "device":
            raise BackendError("the device is full", remedy=f"Use {SMALLER}; see nvidia-smi")
        if deed == "bug":
            raise RuntimeError("a bug in a plugin")
        if deed == "exit":
            os._exit(3)
        if deed == "abort":
            os.write(2, b"earlier\\n\\x1b[31mterminate called: ")
            os.write(2, b"/build/src/core/thing.cc:12 boom\\x1b[0m\\n")
            os.write(1, b"what():  /home/someone/lib/libx.so: bad \\x00 node\\n\\n")
            os.abort()
        if deed == "terminate":
            ctypes.CDLL("libstdc++.so.6")._ZSt9terminatev()
        if deed == "killed":
            hoard = b"x" * (300 << 20)
            time.sleep(1)
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "chatter":
            for _ in range(4096):
                os.write(2, b"a line of a runtime that talks a lot\\n" * 32)
            os.abort()
        if deed == "write":
            open(os.environ["PLANTED"], "w").write("taken over")
        if deed == "dial":
            socket.create_connection(("127.0.0.1", int(os.environ["PLANTED"])), 5)
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
        ("flood", Limits(60, 2 << 30), f"{LESS}, or allow more with --memory"),
        ("device", Limits(60), f"the device is full. {LESS}; see nvidia-smi"),
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_crash_is_told_with_signal_memory_and_last_lines(rogue: Path) -> None:
    path = models.save(models.linear(), rogue, "abort.onnx")
    with pytest.raises(ProcessEnded) as caught:
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)
    text = str(caught.value)
    assert "ended by SIGABRT" in text
    assert text.endswith(
        "it printed last: earlier | terminate called: boom | what(): libx.so: bad node"
    )
    if sys.platform == "linux":
        peak = re.search(r"its memory had reached (\d+\.\d\d) GiB", text)
        assert peak
        assert 0.01 < float(peak[1]) < 8


@linux
def test_a_runtime_that_terminates_says_so(rogue: Path) -> None:
    try:
        ctypes.CDLL("libstdc++.so.6")
    except OSError as error:
        pytest.skip(str(error))
    path = models.save(models.linear(), rogue, "terminate.onnx")
    with pytest.raises(ProcessEnded, match=r"ended by SIGABRT.*last: terminate called without"):
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)


@linux
def test_a_process_that_the_system_kills_had_much_memory(rogue: Path) -> None:
    path = models.save(models.linear(), rogue, "killed.onnx")
    with pytest.raises(ProcessEnded) as caught:
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)
    text = str(caught.value)
    assert "SIGKILL, which is what the system sends when memory runs out" in text
    peak = re.search(r"its memory had reached (\d+\.\d\d) GiB", text)
    assert peak
    assert float(peak[1]) > 0.3


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_runtime_that_talks_a_lot_fills_nothing(
    rogue: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = models.save(models.linear(), rogue, "chatter.onnx")
    with pytest.raises(ProcessEnded) as caught:
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)
    assert len(str(caught.value)) < 800
    assert capfd.readouterr() == ("", "")


def _refused(rogue: Path, deed: str, monkeypatch: pytest.MonkeyPatch, planted: str) -> str:
    monkeypatch.setenv("PLANTED", planted)
    path = models.save(models.linear(), rogue, f"{deed}.onnx")
    with pytest.raises(BackendError) as caught:
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)
    return str(caught.value)


def test_a_backend_that_writes_outside_is_refused(
    rogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not (held := probe().promised.files).by:
        pytest.skip(f"writing is not fenced here: {held.why}")
    planted = rogue / "private" / "notes.txt"
    planted.parent.mkdir()
    planted.write_text("as it was")
    text = _refused(rogue, "write", monkeypatch, str(planted))
    assert text.startswith("a measuring process may not write notes.txt: ")
    assert "ONNXPROF_FENCE=off" in text
    assert planted.read_text() == "as it was"


def test_a_backend_that_dials_out_is_refused(rogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (held := probe().promised.network).by:
        pytest.skip(f"networks are not fenced here: {held.why}")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        text = _refused(rogue, "dial", monkeypatch, str(listener.getsockname()[1]))
        with pytest.raises(TimeoutError):
            listener.accept()
    assert "may not write there or use a network" in text


def test_caches_that_a_backend_names_may_be_written(
    rogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = rogue / "kept" / "cache"
    monkeypatch.setenv("PLANTED", str(kept / "compiled"))
    monkeypatch.setenv("ROGUE_CACHE", str(kept))
    path = models.save(models.linear(), rogue, "write.onnx")
    with pytest.raises(BackendError, match="AttributeError"):  # it opens no session
        run_isolated(job(path, "rogue"), Limits(60), lambda *_: None)
    assert (kept / "compiled").read_text() == "taken over"


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
