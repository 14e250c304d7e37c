"""What killed processes had begun to write into a store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from onnxprof.store.upkeep.leftovers import remove_leftovers
from onnxprof.sweeps.status.file import FOLDER

NAME = ".0123456789abcdef.tmp"


def old(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (1e9, 1e9))
    return path


def test_old_temporary_files_go_wherever_they_are(tmp_path: Path) -> None:
    left = [old(tmp_path / NAME), old(tmp_path / "m" / "cpu" / NAME), old(tmp_path / FOLDER / NAME)]
    assert sorted(remove_leftovers(tmp_path)) == sorted(left)
    assert not any(path.exists() for path in left)


def test_a_young_one_may_be_at_work(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"half")
    assert remove_leftovers(tmp_path) == []
    assert (tmp_path / NAME).exists()


@pytest.mark.posix
def test_nothing_else_is_touched(tmp_path: Path) -> None:
    names = ("run.parquet", "notes.tmp", ".secret.tmp", ".0123456789abcdef.tmp.bak", "a" + NAME)
    kept = [old(tmp_path / name) for name in names]
    folder = tmp_path / "m" / NAME
    folder.mkdir(parents=True)
    outside = old(tmp_path.parent / f"{tmp_path.name}-outside")
    (tmp_path / "link").symlink_to(tmp_path.parent)
    (tmp_path / ".fedcba9876543210.tmp").symlink_to(outside)
    assert remove_leftovers(tmp_path) == []
    assert all(path.exists() for path in (*kept, folder, outside))


def test_a_store_that_is_not_there_yet_has_none(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "none") == []
