"""Ceilings on disk: they come back whole, the newest counts, a damaged file is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.runs.ceilings import KEY, ceilings, point

from onnxprof.errors import StoreError
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store.beside.ceilings import load, newest, save, stored
from onnxprof.store.folder import scan


def test_they_come_back_whole(tmp_path: Path) -> None:
    made = replace(
        ceilings(),
        warnings=(RunWarning(WarningKind.BUSY_MACHINE, 1.5),),
        datasheet=(("float32", "2 TFLOP/s"),),
    )
    path = save(tmp_path, made)
    assert load(path) == made
    assert path.relative_to(tmp_path).parts[:3] == ("ceilings", "cpu-fake", "fake")


def test_they_are_no_runs(tmp_path: Path) -> None:
    save(tmp_path, ceilings())
    assert scan([tmp_path]) == ([], [])


def test_the_newest_of_the_same_key_counts(tmp_path: Path) -> None:
    older = ceilings()
    newer = replace(older, created="2026-01-03T00:00:00Z")
    other = replace(newer, key=replace(KEY, threads=1), created="2026-02-01T00:00:00Z")
    for each in (newer, older, other):
        save(tmp_path, each)
    assert newest([tmp_path], KEY) == newer
    assert newest([tmp_path], replace(KEY, backend="ort")) is None
    assert stored([tmp_path]) == ([older, newer, other], [])


def test_an_earlier_file_is_never_overwritten(tmp_path: Path) -> None:
    assert save(tmp_path, ceilings()) != save(tmp_path, ceilings())
    assert len(stored([tmp_path])[0]) == 2


@pytest.mark.parametrize("damage", [
    "cut", "schema", "rounds", "negative", "copies", "cache", "name", "precision",
])  # fmt: skip
def test_a_damaged_file_is_named_and_not_believed(tmp_path: Path, damage: str) -> None:
    path = save(tmp_path, ceilings())
    facts = json.loads(path.read_text())
    first = facts["points"][0]
    changes = {
        "schema": {"schema": 99},
        "rounds": {"points": [first | {"short_ns": [1]}]},
        "negative": {"points": [first | {"flops": -1}]},
        "copies": {"points": [first | {"long": 2}]},
        "cache": {"caches": [{"name": "L1", "bytes": 0, "sharers": 1}]},
        "name": {"caches": [{"name": "\x1b[31m", "bytes": 9, "sharers": 1}]},
        "precision": {"points": [first | {"precision": "a|b\n"}]},
    }
    text = path.read_text()[:-20] if damage == "cut" else json.dumps(facts | changes[damage])
    path.write_text(text)
    with pytest.raises(StoreError, match=path.name):
        load(path)
    assert newest([tmp_path], KEY) is None
    good, bad = stored([tmp_path])
    assert (good, len(bad)) == ([], 1)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    import os

    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes here")
    folder = tmp_path / "ceilings" / "cpu-fake" / "fake"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "t2-cpu-x.json")
    assert len(stored([tmp_path])[1]) == 1


def test_refused_points_are_kept(tmp_path: Path) -> None:
    made: Ceilings = ceilings(point("matmul", 1, refused="no such kernel"))
    assert load(save(tmp_path, made)).points[0].refused == "no such kernel"
