"""A site is replaced whole: readers, kills, other builds and interrupts notwithstanding."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.sites import contents
from typer.testing import CliRunner

from onnxprof.cli.commands.site import app
from onnxprof.processes import device_lock
from onnxprof.publish.disk import process_pool, swap
from onnxprof.publish.site import build
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(params=[True, False], ids=["exchange", "rename"])
def exchange(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """With the system's exchange of two folders, and without."""
    if not request.param:
        monkeypatch.setattr(swap, "_exchanged", lambda folder, out: False)
    return request.param


def test_a_site_is_replaced_whole(tmp_path: Path, exchange: bool) -> None:
    out = tmp_path / "out"
    for name in ("one", "two", "three"):
        build.build_site([sample_run(name)], out)
        assert [path.name for path in (out / "models").iterdir()] == [name]
        assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["out"]


def test_a_reader_always_finds_a_site(tmp_path: Path) -> None:
    out, folder = tmp_path / "out", tmp_path / "next"
    build.build_site([], out)
    folder.mkdir()
    (folder / swap.MARKER).write_text("")
    if not swap._exchanged(folder, out):
        pytest.skip("this system cannot exchange two folders")
    missed: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            if not (out / swap.MARKER).is_file():
                missed.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(200):
        swap.swap(folder, out)
    done.set()
    reader.join()
    assert missed == []


def test_what_a_killed_build_left_is_swept(tmp_path: Path) -> None:
    old, young = (tmp_path / f".out-building-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (0, 0))
    build.build_site([], tmp_path / "out")
    assert not old.exists()
    assert young.exists(), "it may be another build's"


def test_a_second_build_waits_for_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, store = tmp_path / "out", Store(tmp_path / "runs")
    store.save(sample_run("a"))
    first = device_lock.held(str(out), print)
    first.__enter__()

    def ends(_: float) -> None:
        first.__exit__(None, None, None)

    clock = SimpleNamespace(monotonic=time.monotonic, strftime=time.strftime, sleep=ends)
    monkeypatch.setattr(device_lock, "time", clock)
    made = CliRunner().invoke(app, ["build", "--store", str(store.root), "--out", str(out)])
    assert made.exit_code == 0, made.output
    assert made.stderr.count("waiting for") == 1
    assert (out / "index.html").is_file()


def interrupted(work: object, orders: Sequence[object]) -> Iterator[object]:
    yield from ()
    raise KeyboardInterrupt


def test_a_build_interrupted_in_its_workers_leaves_the_old_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.build_site([sample_run("old")], tmp_path / "out")
    before = contents(tmp_path / "out")
    monkeypatch.setattr(build, "WORTH_WORKERS", 1)
    monkeypatch.setattr(process_pool, "spread", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build.build_site([sample_run("new"), sample_run("newer")], tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["out"]
