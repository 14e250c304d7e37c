"""A `sweep` over damaged models: each is measured or refused, and the sound one is measured.

300 mutants in `make test-hostile`, a few in `make test`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from watching import outsiders, planted, traced, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")

DRIVER = Path(__file__).with_name("sweeping.py")
#: The system's name stands in each run; a digest has OpenSSL read its settings.
_FACTS = {"/etc/os-release", "/etc/ssl/openssl.cnf", "/usr/lib/os-release"}
_MOST_PARENT_BYTES = 500_000_000


def swept(folder: Path, seed: int, count: int) -> dict[str, Any]:
    pytest.importorskip("onnxruntime")
    outside, log = planted(folder), folder / "opened.log"
    words = traced(log)
    command = [*words, sys.executable, str(DRIVER), str(folder), str(seed), str(count)]
    places = {"ONNXPROF_LOCKS": str(folder / "locks"), "ONNXPROF_CACHE": str(folder / "cache")}
    with watched(outside) as opened:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=os.environ | places
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert opened == []
    own = tuple(str(folder / name) for name in ("locks", "cache", "runs", "plan.toml"))
    if words:
        read = outsiders(log, folder) - _FACTS
        assert {path for path in read if not path.startswith(own)} == set()
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["sound"] == "finished"
    assert found["peak_bytes"] < _MOST_PARENT_BYTES
    seen = found["seen"]
    ends = (seen.get(kind, 0) for kind in ("finished", "failed", "skipped"))
    assert sum(ends) == count + 1
    return found


def test_a_sweep_over_damaged_models_measures_the_sound_one(tmp_path: Path) -> None:
    assert swept(tmp_path, 1, 8)["seen"]["failed"] > 0


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(6))
def test_300_damaged_models_are_swept(seed: int, tmp_path: Path) -> None:
    print(swept(tmp_path, 3000 + seed, 50))
