"""Tags of stored runs: what they hold on to, and what several writers leave."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from onnxprof.errors import StoreError, UsageError
from onnxprof.store import index, lines, tags
from onnxprof.store.folder import Filters, Store, load, scan
from onnxprof.store.select import select
from onnxprof.testing import sample_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    store = Store(tmp_path / "runs")
    for batch in (1, 2, 4):
        store.save(sample_run("net", batch))
    return store.root


def tagged(root: Path) -> dict[str, tuple[str, ...]]:
    return {run.path.name: run.tags for run in scan([root])[0] if run.tags}


def change(root: Path, tag: str, *, is_set: bool = True, **filters: tuple[int, ...]) -> int:
    runs = scan([root], Filters(**filters))[0]
    return len(tags.change(runs, tag, is_set=is_set))


def test_a_tag_is_given_once_and_taken_again(root: Path) -> None:
    before = {path: path.read_bytes() for path in Store(root).paths()}
    assert change(root, "v1", batch=(1, 2)) == 2
    assert change(root, "v1") == 1
    assert change(root, "v1", is_set=False, batch=(2,)) == 1
    assert change(root, "v1", is_set=False, batch=(2,)) == 0
    names = {path.name[:5]: path for path in before}
    assert tagged(root) == {names[n].name: ("v1",) for n in ("b0001", "b0004")}
    assert {path: path.read_bytes() for path in before} == before
    assert len((root / tags.NAME).read_bytes().splitlines()) == 4


def test_a_filter_is_a_whole_tag_or_a_pattern(root: Path) -> None:
    change(root, "v1.2", batch=(1,))
    change(root, "v1", batch=(2,))

    def batches(*given: str) -> list[int]:
        return [run.request.batch for run in scan([root], Filters(tag=given))[0]]

    assert batches("v1") == [2]
    assert batches("v1*") == [1, 2]
    assert batches("v1", "v1.2") == [1, 2]
    assert batches("V1") == []
    said: list[str] = []
    assert [r.request.batch for r in select("tag:v1.2", [root], say=said.append)] == [1]
    with pytest.raises(UsageError):
        select("tag:v2", [root], say=said.append)


def test_moved_and_renamed_runs_keep_their_tags(root: Path, tmp_path: Path) -> None:
    change(root, "v1", batch=(1,))
    path = next(path for path in Store(root).paths() if path.name.startswith("b0001"))
    path.rename(path.with_name("renamed.parquet"))
    assert tagged(root) == {"renamed.parquet": ("v1",)}
    shutil.copytree(root, tmp_path / "moved")
    assert tagged(tmp_path / "moved") == {"renamed.parquet": ("v1",)}


def test_a_part_of_a_store_shows_the_tags_of_the_store(root: Path) -> None:
    change(root, "v1", batch=(1,))
    assert len(tagged(root / "net")) == 1
    folder = next(Store(root).paths()).parent
    assert change(folder, "v2") == 3
    assert not (folder / tags.NAME).exists()
    assert {"v1", "v2"} == {tag for theirs in tagged(root).values() for tag in theirs}


def test_runs_that_lie_elsewhere_have_their_tags_beside_them(root: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(next(Store(root).paths()), flat / "a.parquet")
    assert change(flat, "v1") == 1
    assert (flat / tags.NAME).exists()
    assert tagged(flat) == {"a.parquet": ("v1",)}


def test_two_runs_of_one_second_are_told_apart(root: Path) -> None:
    first = Store(root).save(sample_run("net", 1, seed=1))
    second = Store(root).save(sample_run("net", 1, seed=2))
    tags.change([run for run in scan([root])[0] if run.path == second], "v1", is_set=True)
    assert tagged(root) == {second.name: ("v1",)}
    second.unlink()
    assert first.stat().st_size  # of the three, two are left under names that begin alike
    assert tagged(root) == {}


def test_files_are_read_only_where_there_is_a_doubt(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(root, "v1")
    read: Counter[str] = Counter()
    monkeypatch.setattr(tags, "digest_of", lambda file: read.update([file]) or "")
    assert len(tagged(root)) == 3
    assert not read


def test_the_latest_line_counts_in_any_order(root: Path) -> None:
    change(root, "v1")
    change(root, "v1", is_set=False, batch=(1,))
    place = root / tags.NAME
    expected = tagged(root)
    place.write_bytes(b"".join(reversed(place.read_bytes().splitlines(keepends=True))))
    assert tagged(root) == expected
    assert len(expected) == 2


def test_a_clock_that_was_ahead_does_not_keep_a_tag(root: Path) -> None:
    change(root, "v1", batch=(1,))
    place = root / tags.NAME
    line = json.loads(place.read_bytes())
    place.write_bytes(json.dumps(line | {"at": "2999-01-01T00:00:00.000000Z"}).encode() + b"\n")
    assert change(root, "v1", is_set=False) == 1
    assert tagged(root) == {}


WRITER = """
import sys
from pathlib import Path
from onnxprof.store import tags
line = tags.Tagging("2026-01-01T00:00:00.000000Z", sys.argv[2] * 64, "n" * 4000, 1, "t")
for _ in range(40):
    tags.append(Path(sys.argv[1]), [line, line])
"""


def test_writers_at_once_lose_no_line(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), digit]) for digit in "abcd"
    ]
    assert [writer.wait() for writer in writers] == [0] * 4
    found, problems = tags.read(tmp_path)
    assert problems == []
    assert Counter(line.run[0] for line in found) == dict.fromkeys("abcd", 80)


def test_a_writer_that_was_cut_off_costs_its_own_line_alone(root: Path) -> None:
    change(root, "v1")
    place = root / tags.NAME
    with place.open("ab") as file:
        file.write(b'{"at":"2026')
    assert scan([root])[1] == []
    assert change(root, "v2") == 3
    assert all(theirs == ("v1", "v2") for theirs in tagged(root).values())
    [problem] = scan([root])[1]
    assert str(problem).startswith(f"{place}: line 4 of the tags cannot be read")


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"at":"yesterday","run":"' + b"a" * 64 + b'","name":"n","file_bytes":1,"tag":"t"}',
        b'{"at":"9999-12-31T23:59:59.999999Z","run":"'
        + b"a" * 64
        + b'","name":"n","file_bytes":1,"tag":"t"}',
        b'{"at":"2026-01-01T00:00:00.000000Z","run":"../x","name":"n","file_bytes":1,"tag":"t"}',
        b'{"at":"2026-01-01T00:00:00.000000Z","run":"'
        + b"a" * 64
        + b'","name":"n","file_bytes":1,"tag":"\\u001b[31m"}',
    ],
)
def test_damaged_lines_are_named_and_the_others_count(root: Path, line: bytes) -> None:
    change(root, "v1")
    with (root / tags.NAME).open("ab") as file:
        file.write(line + b"\n" + line + b"\n")
    runs, problems = scan([root])
    assert all(run.tags == ("v1",) for run in runs)
    assert "line 4 and 1 more" in str(problems[0])


@pytest.mark.posix
def test_tags_that_are_a_link_or_a_pipe_are_not_opened(root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    place = root / tags.NAME
    place.symlink_to(victim)
    assert len(scan([root])[1]) == 1
    with pytest.raises(StoreError, match="tags cannot be saved"):
        change(root, "v1")
    assert victim.read_text() == "mine"
    place.unlink()
    os.mkfifo(place)
    assert len(scan([root])[1]) == 1
    with pytest.raises(StoreError, match="tags cannot be saved"):
        change(root, "v1")


def test_a_full_disk_leaves_no_half_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(root, "v1")
    before = (root / tags.NAME).read_bytes()
    write = os.write

    def short(handle: int, data: bytes) -> int:
        if len(data) < 100:
            raise OSError(28, "No space left on device")
        return write(handle, data[: len(data) - 50])

    monkeypatch.setattr(lines.os, "write", short)
    with pytest.raises(StoreError, match="No space left"):
        change(root, "v2")
    assert (root / tags.NAME).read_bytes() == before


@pytest.mark.parametrize("tag", ["", "a b", "a,b", "-x", "x" * 65, "\x1b[31m", "a\n", "*"])
def test_what_cannot_be_a_tag(tag: str) -> None:
    with pytest.raises(UsageError, match="cannot be a tag"):
        tags.checked(tag)


@pytest.mark.parametrize("tag", ["v1", "2026-01", "a/b@c:d+e.f_g", "größe"])
def test_what_can_be_a_tag(tag: str) -> None:
    assert tags.checked(tag) == tag


def test_tags_are_in_no_run_and_in_no_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_FEW", 1)
    monkeypatch.setattr(index, "_UNSETTLED_NS", -(10**12))
    change(root, "v1")
    scan([root])
    assert b"v1" not in (root / index.NAME).read_bytes()
    change(root, "v1", is_set=False)
    assert tagged(root) == {}
    change(root, "v1")
    (root / index.NAME).unlink()
    assert len(tagged(root)) == 3


def test_a_run_cannot_say_its_own_tags(tmp_path: Path) -> None:
    from onnxprof.store import parquet

    run = sample_run("net")
    path = Store(tmp_path).save(run)
    summary = parquet.read_summary(path)
    assert summary.tags == ()
    assert dataclasses.replace(load(path), timings=None) == dataclasses.replace(run, timings=None)
