"""Where nothing can be written is noticed before anything is measured."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from support.networks import models

from onnxprof.cli.main import _run
from onnxprof.errors import StoreError, UsageError
from onnxprof.publish.site.build import build_site
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def test_a_store_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    pytest.importorskip("onnxruntime")
    path = models.save(models.linear(), tmp_path)
    monkeypatch.setattr("onnxprof.sweeps.here.Here.run", lambda *_: pytest.fail("measured"))
    assert _run(["profile", str(path), "--batch", "1", "--store", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}: runs cannot be saved: " in told
    assert "Choose another folder with --store" in told


def test_a_store_below_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="runs cannot be saved") as caught:
        Store(tmp_path / "file" / "runs").check_writable()
    assert caught.value.where == str(tmp_path / "file")


def test_a_full_disk_is_noticed_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("onnxprof.store.folder._write_synced", full)
    with pytest.raises(StoreError, match="No space left") as caught:
        Store(tmp_path).check_writable()
    assert caught.value.where == str(tmp_path)
    assert "Free some space" in caught.value.remedy


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in ("there", "new", "new/deeper"):
        Store(tmp_path / folder).check_writable()
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_a_site_on_a_full_disk_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("onnxprof.publish.site.build.write", full)
    with pytest.raises(UsageError, match="no space is left there") as caught:
        build_site([sample_run()], tmp_path / "site")
    assert caught.value.where == str(tmp_path / "site")
    assert caught.value.remedy == "Free some, or name a folder elsewhere"
    assert list(tmp_path.iterdir()) == []


def read_only(*_: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_read_only_store_is_noticed_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxprof.store.folder._write_synced", read_only)
    with pytest.raises(StoreError, match="Read-only file system") as caught:
        Store(tmp_path).check_writable()
    assert caught.value.where == str(tmp_path)
    assert "Choose another folder with --store" in caught.value.remedy


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StoreError, match="Permission denied"):
            Store(tmp_path / "runs").check_writable()
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_compare_looks_before_it_measures(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    path = models.save(models.linear(), tmp_path)
    monkeypatch.setattr("onnxprof.jobs.in_turn.alternate", lambda *_, **__: pytest.fail("measured"))
    monkeypatch.setattr("onnxprof.jobs.sweep.plan", lambda *_: pytest.fail("planned"))
    store = path if kind == "file" else tmp_path / "runs"
    if kind == "read-only":
        monkeypatch.setattr("onnxprof.store.folder._write_synced", read_only)
    assert _run(["compare", str(path), str(path), "--store", str(store)]) == 2
    told = capsys.readouterr().err
    assert f"{store}: runs cannot be saved: " in told
    assert "Choose another folder with --store" in told
