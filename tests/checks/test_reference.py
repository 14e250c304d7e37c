"""A run's outputs against the reference: real models, wrong backends, references that fail."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from support.networks import models
from support.runs.jobs import job

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.checks.reference import check, warnings_of
from onnxprof.jobs.child import perform
from onnxprof.jobs.parent import run_isolated
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.processes.confined import Limits
from onnxprof.records.parity import Parity
from onnxprof.records.step import Granularity
from onnxprof.records.warning import WarningKind
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

BATCH = 2
#: Runs as onnxruntime does, and tells something else; or dies where it is the reference.
LIAR = """
import os, signal
from contextlib import contextmanager
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.records.step import Granularity

class Lying:
    def __init__(self, session):
        self.infer, self.outputs = session.infer, session.outputs
        self._session = session

    def values(self):
        return {name: array * 1.01 for name, array in self._session.values().items()}

class Liar(OrtBackend):
    name = "liar"

    @contextmanager
    def open(self, workload):
        with super().open(workload) as session:
            yield Lying(session)

class Brittle(OrtBackend):
    name = "brittle"

    @contextmanager
    def open(self, workload):
        def die(self, workload):
            os.kill(os.getpid(), signal.SIGKILL)
        with super().open(workload) as session:
            yield session
        OrtBackend.open = die
"""


@pytest.fixture
def liar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plugin"
    info = folder / "liar-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "liar_backend.py").write_text(textwrap.dedent(LIAR))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: liar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[onnxprof.backends]\nliar = liar_backend:Liar\nbrittle = liar_backend:Brittle\n"
    )
    monkeypatch.syspath_prepend(str(folder))  # a spawned process takes the path over
    return folder


def workload(made: onnx.ModelProto, folder: Path, **options) -> Workload:
    model = open_model(str(models.save(made, folder)))
    table = inspect(model, BATCH)
    return Workload(prepare(model, BATCH, {}), table, generate(table), threads=1, **options)


def parity_of(made: onnx.ModelProto, folder: Path, **options) -> Parity:
    asked = workload(made, folder, **options)
    with OrtBackend().open(asked) as session:
        session.infer()
        values = session.values()
    return check(asked, values)


@pytest.mark.parametrize("granularity", Granularity)
@pytest.mark.parametrize("build", [models.lenet, models.attention, models.branching])
def test_onnxruntime_agrees_with_itself(build, granularity: Granularity, tmp_path: Path) -> None:
    parity = parity_of(build(), tmp_path, granularity=granularity)
    assert parity.passed is True
    assert parity.reference.startswith("onnxruntime 1.")
    assert all(output.max_rel < 1e-5 for output in parity.outputs)
    assert list(warnings_of(parity)) == []


def test_the_reference_is_on_the_cpu_whatever_was_asked_for(tmp_path: Path) -> None:
    """A workload for a GPU's own timer, with the outputs that the CPU gives."""
    asked = workload(models.lenet(), tmp_path)
    with OrtBackend().open(asked) as session:
        session.infer()
        values = session.values()
    on_gpu = replace(asked, provider="cuda", device="cuda:0:nvidia-h200", timer="cupti")
    parity = check(on_gpu, values)
    assert parity.reason == ""
    assert parity.passed is True


def test_quantised(tmp_path: Path) -> None:
    assert parity_of(models.quantised(), tmp_path).passed is True


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("FLOAT16", np.float16), ("BFLOAT16", ml_dtypes.bfloat16), ("BOOL", bool), ("STRING", object)],
)
def test_outputs_of_many_types(dtype: str, expected: type, tmp_path: Path) -> None:
    kind = getattr(onnx.TensorProto, dtype)
    made = models.model(
        [models.node("Cast", ["x"], ["y"], "cast", to=kind)],
        [models.value("x", ["N", 4])],
        [models.value("y", ["N", 4], kind)],
    )
    asked = workload(made, tmp_path)
    with OrtBackend().open(asked) as session:
        session.infer()
        (told,), values = session.outputs(), session.values()
    assert told.shape == values["y"].shape == (2, 4)
    assert values["y"].dtype == expected
    assert check(asked, values).passed is True


def test_sequences_are_passed_over_and_say_so(tmp_path: Path) -> None:
    made = models.model(
        [
            models.node("SequenceConstruct", ["x", "x"], ["s"], "pack"),
            models.node("Relu", ["x"], ["y"], "relu"),
        ],
        [models.value("x", ["N", 4])],
        [
            onnx.helper.make_tensor_sequence_value_info("s", models.FLOAT, None),
            models.value("y", ["N", 4]),
        ],
    )
    parity = parity_of(made, tmp_path)
    assert [(o.name, o.passed) for o in parity.outputs] == [("s", None), ("y", True)]
    assert "no tensor" in parity.outputs[0].note
    assert parity.passed is True


def test_random_numbers_have_no_reference(tmp_path: Path) -> None:
    made = models.model(
        [
            models.node("RandomNormalLike", ["x"], ["r"], "noise"),
            models.node("Add", ["x", "r"], ["y"], "add"),
        ],
        [models.value("x", ["N", 4])],
        [models.value("y", ["N", 4])],
    )
    parity = parity_of(made, tmp_path)
    assert parity.passed is None
    assert parity.reason == "RandomNormalLike noise draws random numbers"


def test_values_are_copies(tmp_path: Path) -> None:
    with OrtBackend().open(workload(models.lenet(), tmp_path)) as session:
        session.infer()
        first = session.values()["Plus214_Output_0"]
        kept = first.copy()
        first[:] = 0
        session.infer()
        assert np.array_equal(session.values()["Plus214_Output_0"], kept)


def test_a_reference_that_does_not_load_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = workload(models.lenet(), tmp_path)
    from onnxprof.plugins import registry
    from onnxprof.testing import FakeBackend

    monkeypatch.setattr(registry, "reference", lambda: FakeBackend(broken="no such kernel"))
    parity = check(asked, {"Plus214_Output_0": np.zeros((2, 10), np.float32)})
    assert parity.passed is None
    assert "no such kernel" in parity.reason


def test_a_backend_without_values_and_one_without_an_output(tmp_path: Path) -> None:
    asked = workload(models.lenet(), tmp_path)
    assert "hands out no outputs" in check(asked, {}).reason
    (output,) = check(asked, {"other": np.zeros(1)}).outputs
    assert (output.passed, output.note) == (None, "the backend does not hand it out")


def test_the_worst_output_is_named(tmp_path: Path) -> None:
    asked = workload(models.lenet(), tmp_path)
    parity = check(asked, {"Plus214_Output_0": np.zeros((3, 10), np.float32)})
    (warning,) = warnings_of(parity)
    assert warning.kind is WarningKind.PARITY_FAILED
    assert (warning.value, warning.subject) == (float("inf"), "Plus214_Output_0")
    assert "shape [3, 10]" in parity.outputs[0].note


def test_a_run_carries_its_parity_or_none(tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    run = perform(job(path), lambda *_: None)
    assert run.parity is not None
    assert run.parity.passed is True
    assert perform(job(path, parity=False), lambda *_: None).parity is None


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_reference_that_crashes_takes_no_measurement_with_it(liar: Path, tmp_path: Path) -> None:
    path = models.save(models.lenet(), tmp_path)
    run = run_isolated(job(path, "brittle", verify=False), Limits(60), lambda *_: None)
    assert run.timings is not None
    assert run.parity is not None
    assert run.parity.passed is None
    assert "SIGKILL" in run.parity.reason


def onnxprof(folder: Path, plugin: Path, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "onnxprof", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(plugin)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_fast_wrong_answer_is_marked_wherever_it_is_shown(liar: Path, tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    asked = ("--backend", "liar", "--batch", "1", "--budget", "0.1", "--threads", "1")
    code, out, err = onnxprof(tmp_path, liar, "profile", "lenet.onnx", *asked)
    assert code == 1, err
    assert "1 run stored in runs; 1 with wrong outputs" in err
    assert "this answer is wrong" in " ".join(out.split())
    ((run,), _) = load_all([tmp_path / "runs"])
    assert run.parity is not None
    (output,) = run.parity.outputs
    assert output.passed is False
    assert output.max_rel == pytest.approx(0.01, rel=0.01)
    assert [w.kind for w in run.warnings].count(WarningKind.PARITY_FAILED) == 1
    assert "gave wrong outputs" in onnxprof(tmp_path, liar, "runs", "list")[1]
    assert "not as the reference (error" in onnxprof(tmp_path, liar, "runs", "show")[1]
    traced = onnxprof(tmp_path, liar, "runs", "export", "--format", "chrome")[1]
    assert '"labels": "wrong outputs"' in traced
    code, _, err = onnxprof(tmp_path, liar, "profile", "lenet.onnx", *asked, "--no-parity")
    assert code == 0, err
    runs, _ = load_all([tmp_path / "runs"])
    assert sum(run.parity is None and "--no-parity" in run.command for run in runs) == 1
