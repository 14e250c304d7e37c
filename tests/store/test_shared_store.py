"""A store in a shared folder or an object store: sent, fetched, and what happens when it fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from onnxprof.errors import StoreError, UsageError
from onnxprof.store.folder import load, scan
from onnxprof.store.shared import SharedStore, is_shared, shared
from onnxprof.testing import sample_run


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))


def folder(tmp_path: Path) -> SharedStore:
    return shared((tmp_path / "share").as_uri())


class Objects(fs.FileSystemHandler):
    """Objects in a dict: a folder is a prefix; what is in `broken` makes every write fail."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.broken = ""

    def get_type_name(self) -> str:
        return "objects"

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def _info(self, path: str) -> fs.FileInfo:
        if path not in self.held:
            return fs.FileInfo(path, fs.FileType.NotFound)
        return fs.FileInfo(path, fs.FileType.File, size=len(self.held[path]))

    def get_file_info_selector(self, selector: Any) -> list[fs.FileInfo]:
        return [
            self._info(path) for path in sorted(self.held) if path.startswith(selector.base_dir)
        ]

    def open_input_stream(self, path: str) -> Any:
        import pyarrow as pa

        return pa.PythonFile(pa.BufferReader(self.held[path]), mode="r")

    def open_output_stream(self, path: str, metadata: Any) -> Any:
        import io

        import pyarrow as pa

        if self.broken:
            raise OSError(self.broken)
        held = self.held

        class Sink(io.BytesIO):
            def close(self) -> None:
                if not self.closed:
                    held[path] = self.getvalue()
                super().close()

        return pa.PythonFile(Sink(), mode="w")

    def create_dir(self, path: str, recursive: bool) -> None:
        pass

    def delete_file(self, path: str) -> None:
        del self.held[path]

    def _never(self, *_: Any) -> Any:
        raise NotImplementedError

    delete_dir = delete_dir_contents = delete_root_dir_contents = move = copy_file = _never
    open_input_file = open_append_stream = normalize_path = _never


def objects(held: Objects) -> SharedStore:
    return shared("objects://bucket/runs", fs.PyFileSystem(held))


def test_a_run_is_there_and_in_the_mirror(tmp_path: Path) -> None:
    store = folder(tmp_path)
    store.check_writable()
    path = store.save(sample_run())
    there = tmp_path / "share" / path.relative_to(store.root)
    assert there.read_bytes() == path.read_bytes()
    assert load(there).request == sample_run().request
    assert not [each for each in (tmp_path / "share").rglob("*") if each.name.startswith(".")]


def test_what_others_put_there_is_fetched(tmp_path: Path) -> None:
    store = folder(tmp_path)
    there = tmp_path / "share" / "m" / "run.parquet"
    path = store.save(sample_run())
    there.parent.mkdir(parents=True)
    there.write_bytes(path.read_bytes())
    said: list[str] = []
    folder(tmp_path).synchronise(said.append)
    assert (store.root / "m" / "run.parquet").read_bytes() == path.read_bytes()
    assert "1 runs fetched, 0 sent" in said[0]
    folder(tmp_path).synchronise(said.append)
    assert len(said) == 1


def test_objects_are_written_whole_and_found_again(tmp_path: Path) -> None:
    held = Objects()
    store = objects(held)
    store.check_writable()
    assert held.held == {}
    path = store.save(sample_run())
    assert list(held.held.values()) == [path.read_bytes()]
    path.unlink()
    store.synchronise(lambda _: None)
    assert len(scan([store.root])[0]) == 1


def test_a_run_that_could_not_be_sent_is_kept_and_sent_later(tmp_path: Path) -> None:
    held = Objects()
    store = objects(held)
    held.broken = "no route to host"
    with pytest.raises(StoreError, match="no route to host"):
        store.save(sample_run())
    assert len(scan([store.root])[0]) == 1
    with pytest.raises(StoreError, match="cannot be used"):
        store.check_writable()
    held.broken = ""
    store.synchronise(lambda _: None)
    assert len(held.held) == 1


def test_two_writers_of_one_name_lose_nothing(tmp_path: Path) -> None:
    held = Objects()
    store = objects(held)
    path = store.save(sample_run())
    name = next(iter(held.held))
    held.held[name] = b"of another machine"
    path.unlink()
    store.save(sample_run())
    assert len(held.held) == 2
    assert held.held[name] == b"of another machine"


@pytest.mark.parametrize("url", ["nothing://bucket/runs", "://"])
def test_a_url_that_names_nothing_is_refused(url: str) -> None:
    assert is_shared(url)
    with pytest.raises(UsageError, match="names no store"):
        shared(url)
    assert not is_shared("runs")
