"""Stores that become one: what is new, what is there, what cannot be read, and interrupts."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.runs.ceilings import ceilings
from support.runs.scenarios import scenario_run

from onnxprof.errors import StoreError
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.store import tags
from onnxprof.store.beside import ceilings as stored_ceilings
from onnxprof.store.beside import scenarios as stored_scenarios
from onnxprof.store.folder import Filters, Store, scan
from onnxprof.store.upkeep import merge as merging
from onnxprof.store.upkeep.merge import Merged, merge
from onnxprof.testing import sample_run


def contents(root: Path) -> Counter[bytes]:
    return Counter(path.read_bytes() for path in Store(root).paths())


def counts(merged: Merged) -> tuple[int, int, int, int]:
    return merged.new, merged.there, len(merged.unreadable), merged.tags


@pytest.fixture
def a(tmp_path: Path) -> Path:
    store = Store(tmp_path / "a")
    for batch in (1, 2):
        store.save(sample_run("net", batch))
    return store.root


@pytest.fixture
def b(tmp_path: Path, a: Path) -> Path:
    """One run that `a` has, one of the same request and second as one of `a`, one that failed."""
    store = Store(tmp_path / "b")
    shutil.copy(next(Store(a).paths()), _made(store.root) / "renamed.parquet")
    store.save(sample_run("net", 2, seed=7))
    store.save(dataclasses.replace(sample_run("lost"), timings=None, failure="it broke"))
    return store.root


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def test_each_content_once_and_nothing_overwritten(a: Path, b: Path, tmp_path: Path) -> None:
    wanted = contents(a) | contents(b)
    before = contents(a)
    assert counts(merge([b], a)) == (2, 1, 0, 0)
    assert contents(a) == wanted
    assert before - contents(a) == Counter()
    names = sorted(path.name for path in Store(a).paths())
    assert sum(name.endswith("-2.parquet") for name in names) == 1
    assert sum(name.endswith("-failed.parquet") for name in names) == 1
    assert counts(merge([b], a)) == (0, 3, 0, 0)
    assert counts(merge([a], a)) == (0, 4, 0, 0)
    both = tmp_path / "both"
    assert counts(merge([a, b], both)) == (4, 3, 0, 0)
    assert contents(both) == wanted
    assert all(len(path.relative_to(both).parts) == 4 for path in Store(both).paths())


def test_what_cannot_be_read_is_named_and_left_out(a: Path, b: Path) -> None:
    paths = list(Store(b).paths())
    damaged = next(path for path in paths if path.name.startswith("b0002"))
    column = pq.ParquetFile(damaged).metadata.row_group(0).column(4)
    data = bytearray(damaged.read_bytes())
    data[column.data_page_offset + column.total_compressed_size // 2] ^= 16  # not in the summary
    damaged.write_bytes(data)
    (b / "no.parquet").write_bytes(b"no run")
    assert len(scan([b])[1]) == 1
    merged = merge([b], a)
    assert counts(merged) == (1, 1, 2, 0)
    assert {problem.where for problem in merged.unreadable} == {str(damaged), str(b / "no.parquet")}


def test_tags_come_along_and_the_latest_word_counts(a: Path, b: Path) -> None:
    shared = [run for run in scan([b])[0] if run.path.name == "renamed.parquet"]
    tags.change(shared, "v1", is_set=True)
    tags.change(scan([b], Filters(batch=(2,)))[0], "v2", is_set=True)
    assert counts(merge([b], a)) == (2, 1, 0, 2)
    found = sorted(run.tags for run in scan([a])[0])
    assert found == [(), (), ("v1",), ("v2",)]
    tags.change(scan([a])[0], "v2", is_set=False)
    assert counts(merge([b], a)) == (0, 3, 0, 0)
    assert sorted(run.tags for run in scan([a])[0]) == [(), (), (), ("v1",)]


def test_ceilings_come_along(a: Path, b: Path) -> None:
    path = stored_ceilings.save(b, ceilings())
    (path.parent / "bad.json").write_text("{}")
    merged = merge([b], a)
    assert merged.beside["ceilings"] == 1
    assert [problem.where for problem in merged.unreadable] == [str(path.parent / "bad.json")]
    assert stored_ceilings.stored([a])[0] == stored_ceilings.stored([b])[0]
    assert merge([b], a).beside["ceilings"] == 0


def test_scenarios_come_along(a: Path, b: Path) -> None:
    stored_scenarios.save(b, scenario_run(Scenario.SERVER))
    assert merge([b], a).beside["scenarios"] == 1
    assert [run for _, run in stored_scenarios.stored([a])[0]] == [scenario_run(Scenario.SERVER)]
    assert merge([b], a).beside["scenarios"] == 0


@pytest.mark.parametrize("moment", range(4))
def test_an_interrupted_merge_leaves_whole_files_and_goes_on(a: Path, b: Path, moment: int) -> None:
    wanted = contents(a) | contents(b)

    def interrupt(number: int, count: int) -> None:
        assert count == 3
        if number == moment:
            raise KeyboardInterrupt

    if moment < 3:
        with pytest.raises(KeyboardInterrupt):
            merge([b], a, interrupt)
    else:
        merge([b], a, interrupt)
    assert scan([a])[1] == []
    assert not list(a.rglob("*.tmp"))
    merge([b], a)
    assert contents(a) == wanted


def test_a_target_that_cannot_be_written_is_an_error(
    a: Path, b: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise StoreError("the run cannot be saved: No space left on device", where="x")

    before = contents(a)
    monkeypatch.setattr(merging, "write_new", full)
    with pytest.raises(StoreError, match="No space left"):
        merge([b], a)
    assert contents(a) == before


def test_files_of_the_target_are_read_only_where_the_size_is_that_of_a_source(
    a: Path, b: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Counter[str] = Counter()
    real = tags.digest_of
    monkeypatch.setattr(tags, "digest_of", lambda file: read.update([file]) or real(file))
    merge([b], a)
    sizes = {path.stat().st_size for path in Store(b).paths()}
    assert set(read) <= {str(path) for path in Store(a).paths() if path.stat().st_size in sizes}
    assert set(read.values()) == {1}


KILLED = """
import os, signal, sys
from pathlib import Path
from onnxprof.store.upkeep.merge import merge
def stop(event, arguments, left=[int(sys.argv[3])]):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".tmp"):
        left[0] -= 1
    if event in ("os.link", "os.remove") and not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(stop)
merge([Path(sys.argv[1])], Path(sys.argv[2]))
"""


@pytest.mark.posix
@pytest.mark.parametrize("moment", [1, 2])
def test_a_killed_merge_leaves_whole_files_and_is_continued(a: Path, b: Path, moment: int) -> None:
    wanted = contents(a) | contents(b)
    command = [sys.executable, "-c", KILLED, str(b), str(a), str(moment)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert len(list(a.rglob("*.tmp"))) == 1
    assert scan([a])[1] == []
    assert contents(a) < wanted
    assert merge([b], a).new == 3 - moment
    assert contents(a) == wanted
