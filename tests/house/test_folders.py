"""Where things are kept: one reader for every variable, and `~` is a home folder everywhere."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from onnxprof import folders, zoo
from onnxprof.backends.tensorrt import backend
from onnxprof.model.sources import hugging_face, onnx_hub
from onnxprof.processes import device_lock
from onnxprof.publish.disk.cache import user_cache
from onnxprof.zoo.cache import folder as zoo_folder

PLACES: dict[str, list[Callable[[], Path]]] = {
    "ONNXPROF_STORE": [folders.store],
    "ONNXPROF_CACHE": [
        zoo_folder,
        onnx_hub._folder,
        lambda: user_cache().folder,
        lambda: backend.cache_file("10.0", "cuda:0"),
    ],
    "ONNXPROF_LOCKS": [device_lock.folder],
    "HF_HUB_CACHE": [
        lambda: Path(hugging_face._options(hugging_face._Place("a/b", "c", "d"))["cache_dir"])
    ],
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("variable", PLACES)
def test_a_tilde_is_the_home_folder(
    variable: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "~/c")
    for place in PLACES[variable]:
        assert place().is_relative_to(home / "c")


@pytest.mark.parametrize("variable", ["ONNXPROF_STORE", "ONNXPROF_CACHE", "ONNXPROF_LOCKS"])
@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_variable_is_as_good_as_none(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable, raising=False)
    usual = [place() for place in PLACES[variable]]
    monkeypatch.setenv(variable, text)
    assert [place() for place in PLACES[variable]] == usual


def test_a_model_is_made_below_a_home_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", "~/c")
    monkeypatch.chdir(home)
    assert zoo.materialise("lenet").is_relative_to(home / "c" / "zoo")
    assert not (home / "~").exists()


def test_a_home_folder_in_the_hubs_address(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("~/mirror", "file://~/mirror"):
        monkeypatch.setenv("ONNXPROF_HUB", text)
        assert onnx_hub._local_base() == home / "mirror"


def test_unknown_users_stay_as_they_are_written() -> None:
    assert folders.expanded("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")


def test_no_other_module_reads_a_folder_from_the_environment(repository: Path) -> None:
    names = {folders.STORE, folders.CACHE, folders.LOCKS, folders.HUGGING_FACE}
    for top in ("onnxprof", "backends", "exporters", "zoo"):
        for path in (repository / top).rglob("*.py"):
            if path.name == "folders.py":
                continue
            tree = ast.parse(path.read_text("utf-8"))
            texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
            assert not texts & names, path
            calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            assert "expanduser" not in calls, path


def test_options_know_home_folders_too(home: Path) -> None:
    # A shell leaves `--store=~/runs` as it is.
    assert folders.store("~/runs") == home / "runs"
