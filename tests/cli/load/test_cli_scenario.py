"""`onnxprof scenario` as a user runs it, on real LoadGen and onnxruntime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models

from onnxprof.store.beside.scenarios import stored

pytest.importorskip("mlperf_loadgen", reason="needs onnxprof[loadgen]")
pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

#: A backend whose sessions crash once LoadGen has begun.
CRASHING = """
from contextlib import contextmanager
from types import SimpleNamespace
from onnxprof.testing import FakeBackend
from support.runs.scenarios import Failing

class Crashing(FakeBackend):
    def __init__(self):
        super().__init__(name="crashing")

    @contextmanager
    def open(self, workload):
        with Failing("crashes").opened() as serve:
            yield SimpleNamespace(infer=lambda: serve(1))
"""


def start(*arguments: object, folder: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onnxprof", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*arguments: object, folder: Path, **options) -> tuple[int, str, str]:
    """A command; in a process of its own where that is given options."""
    if not options:
        done = inside(*arguments, folder=folder)
        return done.code, done.out, done.err
    process = start(*arguments, folder=folder, **options)
    out, err = process.communicate(timeout=240)
    return process.returncode, out, err


def scenario(name: str, folder: Path, *arguments: object, **options) -> tuple[int, str, str]:
    given = ("--scenario", name, "--duration", "0.2", "--threads", "1")
    return run("scenario", "lenet.onnx", *given, *arguments, folder=folder, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "arguments", "unit"),
    [
        ("single-stream", (), "at the 90th percentile"),
        ("multi-stream", ("--max-batch", 8), "at the 99th percentile"),
        ("offline", ("--max-batch", 4, "--sessions", 2), "samples/s"),
        ("server", ("--target-latency", 60_000, "--rate", 200), "queries/s"),
    ],
)
def test_from_a_file_to_a_result_that_is_stored(
    name: str, arguments: tuple[object, ...], unit: str, folder: Path
) -> None:
    code, out, err = scenario(name, folder, *arguments)
    assert f"{name} load on lenet: 0.2 s at least, 1 thread" in err
    assert "LoadGen-style, not an MLPerf result. Quick" in out
    assert unit in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())
    ((_, found),), problems = stored([folder / "runs"])
    assert problems == []
    assert found.answer is not None
    assert code == int(not found.valid)  # on a busy machine a run may end too early
    assert found.floor is not None
    assert dict(found.environment)["runtime"].startswith("onnxruntime")
    code, again, _ = run("scenarios", "show", folder=folder)
    assert (code, again) == (0, out)


def test_the_rate_is_searched_for(folder: Path) -> None:
    code, out, err = scenario("server", folder, "--target-latency", 60_000, "--format", "json")
    assert code == 0, err
    (made,) = json.loads(out)
    assert made["valid"] is True
    assert made["scheduled_rate"] > 0
    assert made["record"]["probes"]


def test_a_latency_that_nothing_meets_is_a_measured_no(folder: Path) -> None:
    code, out, err = scenario("server", folder, "--target-latency", 0.000001)
    assert code == 1, err
    text = " ".join(out.split())
    assert "no rate is in time: at" in text
    assert "no: the percentile is above the target latency" in text


def test_lists_and_the_matrix(folder: Path) -> None:
    code, out, err = run("scenarios", "list", folder=folder)
    assert (code, out) == (0, "")
    assert "`onnxprof scenario MODEL` makes one" in err
    assert scenario("offline", folder)[0] in (0, 1)
    code, out, _ = run("scenarios", "list", folder=folder)
    assert "offline" in out
    assert run("scenarios", "matrix", "-o", "m.csv", folder=folder)[0] == 0
    assert (folder / "m.csv").read_text().startswith("id,created,scenario,model")
    code, out, _ = run("scenarios", "matrix", folder=folder)
    assert "offline: samples a second" in out


def test_a_session_that_crashes_amid_queries_is_a_record(folder: Path) -> None:
    (folder / "crashing_backend.py").write_text(textwrap.dedent(CRASHING))
    info = folder / "crashing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[onnxprof.backends]\ncrashing = crashing_backend:Crashing\n"
    )
    tests = Path(__file__).resolve().parents[2]
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(folder), str(tests)))}
    code, out, err = scenario("offline", folder, "--backend", "crashing", env=env)
    assert (code, out) == (2, "")
    assert "was ended by SIGSEGV, while" in err
    ((path, found),), _ = stored([folder / "runs"])
    assert "SIGSEGV" in found.failure
    assert path.name.endswith("-failed.json")


def test_an_interrupt_leaves_nothing_behind(folder: Path) -> None:
    # a short path: sockets lie below it
    with tempfile.TemporaryDirectory(prefix="s") as temporary:
        env = os.environ | {"TMPDIR": temporary}
        given = ("scenario", "lenet.onnx", "--scenario", "offline", "--duration", "60")
        process = start(*given, "--threads", "1", folder=folder, env=env)
        end = time.monotonic() + 120
        while not list(Path(temporary).glob("onnxprof-*/mlperf_log_detail.txt")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        left = list(Path(temporary).glob("onnxprof-*"))
    assert process.returncode == 130
    assert err.endswith("onnxprof: interrupted\n")
    assert stored([folder / "runs"]) == ([], [])
    assert left == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scenario", "both"), "Choose single-stream, multi-stream, server or offline"),
        (("--scenario", "server"), "Add --target-latency MS"),
        (("--scenario", "offline", "--duration", "0"), "--duration 0 is no time at all"),
        (("--scenario", "offline", "--format", "xml"), "Choose table, csv or json"),
        (("--scenario", "offline", "--backend", "nobody"), "no backend is called 'nobody'"),
    ],
)
def test_bad_use_is_one_line(arguments: tuple[str, ...], words: str, folder: Path) -> None:
    code, out, err = run("scenario", "lenet.onnx", *arguments, folder=folder)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert words in err


def test_a_model_without_a_batch_is_refused(folder: Path) -> None:
    from support.networks import mixing_models

    models.save(mixing_models.attention(), folder, "lenet.onnx")
    code, out, err = scenario("offline", folder, "--max-batch", 2)
    assert (code, out) == (2, "")
    assert "stays at batch 1" in err
    assert "Use --max-batch 1" in err
    assert stored([folder / "runs"]) == ([], [])
