"""A stranger's package with a backend that has no CPU: every command works without --device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from support.networks import models
from support.places import ROOT
from test_plugins import distribution

PLUGIN = """
    from contextlib import contextmanager

    from onnxprof.records.device import Availability, Device
    from onnxprof.testing import FakeBackend

    class Xpu(FakeBackend):
        def __init__(self):
            super().__init__(name="xpu")

        def availability(self):
            return tuple(Availability("xpu", d.id, True, "xpurt 1.0") for d in self.devices())

        def devices(self):
            return tuple(Device(f"xpu:{i}:acme-x1", "xpu", "Acme X1", 8 << 30) for i in range(2))

        def _session(self, workload, traced_cost_ns):
            self.step_ns = [1000] * len(workload.table.nodes)
            return super()._session(workload, traced_cost_ns)

    class Gone(Xpu):
        def __init__(self):
            super().__init__()
            self.name = "gone"

        def availability(self):
            return (Availability("gone", "xpu", False, "no driver of Acme's", "Install it"),)

        def devices(self):
            return ()
"""
POINTS = """
    [onnxprof.backends]
    xpu = acme_plugin:Xpu
    gone = acme_plugin:Gone
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in `site`, and a model."""
    root = tmp_path_factory.mktemp("acme")
    distribution(root / "site", "acme", POINTS, "1.0")
    (root / "site" / "acme_plugin.py").write_text(dedent(PLUGIN))
    models.save(models.lenet(), root, "net.onnx")
    for rest in ("", "--device all --store every"):
        measured = f"profile net.onnx --backend xpu --batch 1,2 --budget 0.1 {rest}"
        done = command(root, *measured.split())
        assert done.returncode == 0, done.stderr
    return root


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = ROOT
    path = os.pathsep.join((str(folder / "site"), str(root)))
    return subprocess.run(
        [sys.executable, "-m", "onnxprof", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )


def test_its_first_device_is_measured_on(folder: Path) -> None:
    done = command(folder, *["runs", "list", "--format", "json"])
    runs = json.loads(done.stdout)
    assert {run["device"] for run in runs} == {"xpu:0:acme-x1"}, runs
    shown = command(folder, "runs", "show").stdout
    assert "--device xpu" in shown
    assert "Acme X1" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        "profile net.onnx --backend xpu --device xpu:1:acme-x1 --batch 1 --budget 0.1 --store one",
        "compare net.onnx net.onnx --backend xpu --processes 2 --budget 0.1 --threshold 10",
        "align every --over batch",
        "site build --store every",
        "runs export -o all.csv",
        "doctor",
    ],
)
def test_every_command_takes_it(folder: Path, arguments: str) -> None:
    done = command(folder, *arguments.split())
    assert done.returncode == 0, done.stderr
    assert "onnxprof: no" not in done.stderr


@pytest.mark.parametrize("name", ["profile net.onnx", "compare net.onnx net.onnx"])
def test_without_a_device_the_backends_reason_is_told(folder: Path, name: str) -> None:
    done = command(folder, *name.split(), "--backend", "gone")
    assert done.returncode == 2
    assert done.stderr == "onnxprof: gone: no driver of Acme's. Install it\n"


def test_tensorrt_without_a_device_tells_what_it_lacks(folder: Path) -> None:
    done = command(folder, "profile", "net.onnx", "--backend", "tensorrt", "--batch", "1")
    assert "'cpu'" not in done.stderr
