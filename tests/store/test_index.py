"""The index of a store: what is opened again, what is believed, what it survives."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from onnxprof import folders
from onnxprof.store import index, parquet
from onnxprof.store.folder import Filters, Store, scan
from onnxprof.store.summary import Summary
from onnxprof.testing import sample_run

LONG_AGO = 1_700_000_000
COUNT = 80


class Opened(Counter[str]):
    """How often each file was opened for its summary."""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Opened:
    seen, read = Opened(), parquet.read_summaries

    def counted(path: Path) -> Summary:
        seen[path.name] += 1
        return read(path)

    monkeypatch.setattr(parquet, "read_summaries", counted)
    # a file's time of change is that of this test, whatever its time of writing says
    monkeypatch.setattr(index, "_UNSETTLED_NS", -(10**12))
    return seen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for model in ("a", "b"):
        path = store.save(sample_run(model))
        for i in range(COUNT // 2 - 1):
            shutil.copyfile(path, path.with_name(f"{path.stem}-{i:03}.parquet"))
    return store.root


def test_a_second_list_opens_nothing(root: Path, opened: Opened) -> None:
    first = scan([root])
    assert opened.total() == COUNT
    opened.clear()
    assert scan([root]) == first
    assert not opened
    assert {run.path for run in first[0]} == set(Store(root).paths())
    assert len(scan([root], Filters(model=("a",)))[0]) == COUNT // 2


def test_only_what_changed_is_opened(root: Path, opened: Opened) -> None:
    scan([root])
    opened.clear()
    first, second, *_ = Store(root).paths()
    first.unlink()
    new = Store(root).save(sample_run("c"))
    changed = Store(root.parent / "other").save(sample_run("d"))
    os.utime(changed, (LONG_AGO, LONG_AGO))
    changed.replace(second)
    runs, problems = scan([root])
    assert set(opened) == {new.name, second.name}
    assert {run.request.model_name for run in runs if run.path in (new, second)} == {"c", "d"}
    assert (len(runs), problems) == (COUNT, [])


def test_a_file_damaged_in_place_is_noticed(root: Path, opened: Opened) -> None:
    scan([root])
    path = next(Store(root).paths())
    seen = path.stat()
    copy = path.read_bytes()
    path.unlink()
    path.write_bytes(bytes(len(copy)))
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    runs, problems = scan([root])
    assert len(runs) == COUNT - 1
    assert [problem.where for problem in problems] == [str(path)]


def test_what_changed_a_moment_ago_is_not_kept(
    root: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_UNSETTLED_NS", 10**15)
    scan([root])
    scan([root])
    assert set(opened.values()) == {2}
    assert not (root / index.NAME).exists()


def test_few_runs_have_no_index(tmp_path: Path, opened: Opened) -> None:
    Store(tmp_path).save(sample_run())
    scan([tmp_path])
    assert not (tmp_path / index.NAME).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"Fake", b"Real"),
        lambda data: data.replace(b"[1,", b"[2,", 1),
        lambda data: b"[" * 100_000,
        lambda data: data + b" " * (COUNT * 5000 + 70_000),
        lambda data: b"\xff\n{}",
    ],
)
def test_a_damaged_index_is_made_anew(root: Path, opened: Opened, damage: object) -> None:
    first = scan([root])
    place = root / index.NAME
    good = place.read_bytes()
    assert callable(damage)
    place.write_bytes(damage(good))
    opened.clear()
    assert scan([root]) == first
    assert opened.total() == COUNT
    assert place.read_bytes() == good


def test_facts_of_the_wrong_type_are_not_believed(root: Path, opened: Opened) -> None:
    scan([root])
    place = root / index.NAME
    body = place.read_bytes().partition(b"\n")[2].replace(b'"Fake CPU"', b"7")
    place.write_bytes(index._head(body) + b"\n" + body)
    opened.clear()
    assert len(scan([root])[0]) == COUNT
    assert opened.total() == COUNT


@pytest.mark.posix
def test_an_index_that_is_a_pipe_is_not_opened(root: Path, opened: Opened) -> None:
    os.mkfifo(root / index.NAME)
    assert len(scan([root])[0]) == COUNT


def test_a_writer_that_is_stopped_leaves_the_old_index(
    root: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan([root])
    place = root / index.NAME
    good = place.read_bytes()
    entries = index.read(root, COUNT)

    def stopped(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(KeyboardInterrupt):
        index.write(root, dict(list(entries.items())[:5]), COUNT)
    assert place.read_bytes() == good
    assert not list(root.glob(".*.tmp"))


def test_a_store_that_cannot_be_written_has_its_index_in_the_cache(
    root: Path, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(folders.CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    first = scan([root])
    assert not (root / index.NAME).exists()
    assert len(list((tmp_path / "cache" / "indexes").iterdir())) == 1
    opened.clear()
    assert scan([root]) == first
    assert not opened


@pytest.mark.posix
def test_a_run_of_two_stores_counts_once(root: Path, opened: Opened) -> None:
    assert len(scan([root, root / "a"])[0]) == COUNT
    link = root / "link.parquet"
    link.symlink_to(next(Store(root).paths()))
    assert len(scan([root])[0]) == COUNT


def test_every_field_of_a_summary_comes_back(root: Path, opened: Opened) -> None:
    run = sample_run("whole", 3)
    request = dataclasses.replace(run.request, dims=(("n", 2),), threads=5, processes=3)
    path = Store(root).save(dataclasses.replace(run, request=request))
    (root / index.NAME).unlink(missing_ok=True)
    scan([root])
    entries = index.read(root, COUNT)
    assert entries[str(path.relative_to(root))][1] == parquet.read_summary(path)
