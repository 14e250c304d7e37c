"""What the tests of `runs import` share: models, recorded files, and runs made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.errors import UsageError
from onnxprof.imports import build as importing
from onnxprof.imports import files
from onnxprof.imports.build import Facts
from onnxprof.model.file import open_model
from onnxprof.records.run import Run
from onnxprof.records.warning import WarningKind
from support.networks import tensorrt_models
from support.places import DATA

TENSORRT = DATA / "tensorrt"
NAMES = tuple(tensorrt_models.MODELS)


def models_in(folder: Path) -> Path:
    """The folder, with the models that were profiled in it."""
    for name, build in tensorrt_models.MODELS.items():
        (folder / f"{name}.onnx").write_bytes(build().SerializeToString())
    return folder


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["runs", "import", *map(str, arguments)])


def refused(*arguments: Any) -> str:
    """What the one line on stderr says; any other exception is a bug."""
    done = invoke(*arguments)
    assert isinstance(done.exception, UsageError), done.output
    assert done.exception.exit_code == 2
    return str(done.exception)


def trtexec(name: str, *, times: bool = True) -> list[str]:
    given = ["--engine-layers", f"{TENSORRT / name}.layers.json"]
    given += ["--profile", f"{TENSORRT / name}.profile.json"]
    return given + (["--times", f"{TENSORRT / name}.times.json"] if times else [])


def made(models: Path, name: str = "residual", *, times: bool = True, batch: int = 2) -> Run:
    given = trtexec(name, times=times)
    reader = files.chosen(dict(zip(given[::2], given[1::2], strict=True)))
    facts = Facts(batch=batch, device_name="NVIDIA H200", created="2026-01-02T03:04:05Z")
    return importing.build(open_model(str(models / f"{name}.onnx")), reader, facts)


def imported_warning(run: Run) -> str:
    [warning] = [w for w in run.warnings if w.kind is WarningKind.IMPORTED]
    return warning.subject


def ort_profile(model: Path, folder: Path, inferences: int = 5) -> Path:
    ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    for _ in range(inferences):
        session.run(None, {"x": np.ones((2, 3, 16, 16), np.float32)})
    return Path(session.end_profiling())


def ort_run(models: Path, path: Path, batch: int = 2, name: str = "residual") -> Run:
    reader = files.chosen({"--ort-profile": str(path)})
    return importing.build(open_model(str(models / f"{name}.onnx")), reader, Facts(batch=batch))
