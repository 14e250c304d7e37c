"""Processes that are killed lose nothing that was stored or published before."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from support.networks import models
from test_limits import ended, started

from onnxprof.store import folder as store
from onnxprof.store.parquet import to_bytes
from onnxprof.testing import sample_run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX has them")


def killed_after(seconds: float, repository: Path, *words: str) -> None:
    process = started(repository, *words)
    time.sleep(seconds)
    process.kill()
    ended(process)


def profile_and_kill(rng: random.Random, repository: Path, folder: Path) -> None:
    path = models.save(models.lenet(), folder)
    runs = folder / "runs"
    words = ("--batch", "1,2,3,4", "--budget", "0.1", "--store", str(runs), "--no-wait")
    killed_after(rng.uniform(0.5, 5), repository, "profile", str(path), *words, "--no-telemetry")
    good, problems = store.load_all([runs])
    assert problems == []
    before = {path: path.read_bytes() for path in store.Store(runs).paths()}
    killed_after(rng.uniform(0.5, 3), repository, "profile", str(path), *words, "--no-telemetry")
    assert all(path.read_bytes() == data for path, data in before.items())
    again, problems = store.load_all([runs])
    assert problems == []
    assert len(again) >= len(good)


def build_and_kill(rng: random.Random, repository: Path, folder: Path) -> None:
    runs, site = folder / "runs", folder / "site"
    runs.mkdir(exist_ok=True)
    for batch in range(1, 4):
        (runs / f"{batch}.parquet").write_bytes(to_bytes(sample_run(batch=batch)))
    words = ("site", "build", "--store", str(runs), "--out", str(site))
    code, _, told = ended(started(repository, *words))
    assert code == 0, told
    (runs / "more.parquet").write_bytes(to_bytes(sample_run("more", seed=rng.randrange(99))))
    killed_after(rng.uniform(0.2, 2), repository, *words)
    assert (site / "index.html").read_text("utf-8").rstrip().endswith("</html>")
    code, _, told = ended(started(repository, *words))
    assert code == 0, told
    assert "more" in (site / "index.html").read_text("utf-8")


def test_a_killed_profile_loses_no_run(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    profile_and_kill(random.Random(1), repository, tmp_path)


def test_a_killed_build_leaves_the_old_site_or_the_new(repository: Path, tmp_path: Path) -> None:
    build_and_kill(random.Random(2), repository, tmp_path)


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(20))
def test_many_kills_of_profile(seed: int, repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    profile_and_kill(random.Random(100 + seed), repository, tmp_path)


@pytest.mark.hostile
@pytest.mark.parametrize("seed", range(14))
def test_many_kills_of_a_build(seed: int, repository: Path, tmp_path: Path) -> None:
    build_and_kill(random.Random(100 + seed), repository, tmp_path)
