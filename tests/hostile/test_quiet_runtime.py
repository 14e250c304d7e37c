"""onnxruntime leaves no usage data behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.networks import models


def test_no_telemetry_file(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = models.save(models.linear(), tmp_path)
    place = tmp_path / "home"
    place.mkdir()
    names = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")
    environment = os.environ | dict.fromkeys(names, str(place))
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    words = ("profile", str(path), "--batch", "1", "--budget", "0.1", "--no-wait", "--store")
    command = [sys.executable, "-m", "onnxprof", *words, str(tmp_path / "runs")]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [p for p in place.rglob("*") if "icrosoft" in str(p) or "onnxruntime" in str(p)] == []
