"""`inspect` of damaged models: an answer each time, nothing read outside, and a small parent.

2,000 mutants in `make test-hostile`, a few in `make test`. The kernel's own account of files that
are opened (inotify, and strace where it is installed) sees what libraries in C++ do, too.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.places import ROOT
from watching import outsiders, planted, traced, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify")

DRIVER = Path(__file__).with_name("inspecting.py")
_MOST_PARENT_BYTES = 500_000_000


def inspected(folder: Path, seed: int, count: int) -> dict[str, Any]:
    outside, log = planted(folder), folder / "opened.log"
    words = traced(log)
    command = [*words, sys.executable, str(DRIVER), str(folder), str(seed), str(count)]
    with watched(outside) as opened:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert opened == []
    if words:
        assert outsiders(log, folder) == set()
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["peak_bytes"] < _MOST_PARENT_BYTES
    assert sum(found["seen"].values()) == count
    return found


def test_damaged_models_are_listed_or_refused(tmp_path: Path) -> None:
    assert inspected(tmp_path, random.randrange(1000), 40)["seen"].keys() == {"refused", "listed"}


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(8))
def test_2000_damaged_models_are_listed_or_refused(seed: int, tmp_path: Path) -> None:
    inspected(tmp_path, 2000 + seed, 250)


def test_the_watch_sees_who_opens_a_file(tmp_path: Path) -> None:
    planted(tmp_path)
    log = tmp_path / "log"
    command = [*traced(log), "cat", str(tmp_path / "models" / "link")]
    with watched(tmp_path / "outside") as opened:
        subprocess.run(command, capture_output=True, check=True)
    assert opened == ["secret.bin"]
    if log.exists():
        assert any(path.endswith("models/link") for path in _all(log))


def _all(log: Path) -> set[str]:
    return set(re.findall(r'"([^"]*)"', log.read_text()))
