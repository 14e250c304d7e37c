"""Sweeps that are killed at random moments and resumed: nothing is lost, nothing is left behind.

100 kills in `make test-hostile`, one of each kind in `make test`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest
from support.sweeps.killed import WAYS, Trial, killed_and_resumed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc, /dev/shm")
#: So many lines a sweep of three jobs prints, and a few more: some kills come too late.
_FAKE_LINES, _REAL_LINES = 60, 90


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_sweep_is_resumed(way: str, tmp_path: Path) -> None:
    seed = random.randrange(1000)
    killed_and_resumed(Trial(tmp_path), way, random.Random(seed), _FAKE_LINES)


@pytest.mark.hostile
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(15))
def test_75_kills_of_sweeps_of_fake_jobs(seed: int, way: str, tmp_path: Path) -> None:
    killed_and_resumed(Trial(tmp_path), way, random.Random(f"{way}{seed}"), _FAKE_LINES)


@pytest.mark.hostile
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", range(5))
def test_25_kills_of_sweeps_of_real_jobs(seed: int, way: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    killed_and_resumed(Trial(tmp_path, "ort"), way, random.Random(f"{way}{seed}"), _REAL_LINES)
