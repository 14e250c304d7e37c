"""Versions of a runtime in folders of their own, installed by pip from a folder of wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from support import versions

from onnxprof.errors import BackendError, UsageError
from onnxprof.model.sources.policy import LIMIT, OFFLINE
from onnxprof.runtimes import overlay as overlays
from onnxprof.runtimes import pip
from onnxprof.runtimes.overlay import (
    kept,
    lacking,
    overlay,
    place,
    refuse_another,
    refuse_unused,
)
from onnxprof.runtimes.wanted import Wanted

pytestmark = pytest.mark.skipif(find_spec("pip") is None, reason="needs pip")
ONE = Wanted("fakert", "1.0")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that pip takes packages from, and a cache of its own."""
    folder = tmp_path / "index"
    for version in ("1.0", "1.1", "1.2", "2.0rc1"):
        versions.wheel(folder, version)
    versions.wheel(folder, "0.9", tags="cp27-cp27m-win32")
    versions.offline_index(folder, monkeypatch)
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    return folder


def left(folder: Path) -> list[str]:
    """What lies beside overlays, locks left out."""
    found = (entry.name for entry in folder.iterdir()) if folder.is_dir() else ()
    return [name for name in found if not name.endswith(".lock")]


def test_a_version_is_installed_once_and_read_by_its_own_metadata(index, monkeypatch) -> None:
    said: list[str] = []
    found = overlay(ONE, said.append)
    assert (found.package, found.version, found.title) == ("fakert", "1.0", "fakert 1.0")
    assert found.path == place(ONE)
    assert found.modules == {"fakert"}
    assert str(found.path) in said[-1]
    assert "remove that folder" in said[-1]
    assert left(overlays.folder()) == [found.path.name]
    assert [path for path, size in kept() if size > 100] == [found.path]
    monkeypatch.setattr(pip, "run", lambda *_, **__: pytest.fail("pip ran again"))
    assert overlay(ONE, said.append) == found


def test_its_place_names_version_python_and_platform(index) -> None:
    name = place(Wanted("fakert", "1.2")).name
    assert name.startswith(f"fakert-1.2-{sys.implementation.cache_tag}")
    assert place(ONE) != place(Wanted("fakert", "1.1"))


def test_a_version_that_is_not_there_names_those_near_it(index) -> None:
    with pytest.raises(BackendError) as caught:
        overlay(Wanted("fakert", "1.7"), lambda _: None)
    assert str(caught.value) == (
        "fakert 1.7: the index has no such version with a wheel. Near it there are 1.0, 1.1, 1.2"
    )
    assert left(overlays.folder()) == []


def test_a_version_without_a_wheel_for_this_python_says_which_it_has(index) -> None:
    with pytest.raises(BackendError, match="no wheel for this Python") as caught:
        overlay(Wanted("fakert", "0.9"), lambda _: None)
    assert "its wheels are for cp27" in str(caught.value)


def test_a_package_that_is_not_there(index) -> None:
    with pytest.raises(BackendError, match="the index has no package fakert-gpu"):
        overlay(Wanted("fakert-gpu", "1.0"), lambda _: None)


def test_no_code_of_a_source_distribution_runs(index, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    source = tmp_path / "fakert-3.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(ran)!r}, 'w')\n")
    with tarfile.open(index / "fakert-3.0.tar.gz", "w:gz") as archive:
        archive.add(source, "fakert-3.0")
    with pytest.raises(BackendError, match="wheel"):
        overlay(Wanted("fakert", "3.0"), lambda _: None)
    assert not ran.exists()


def test_a_yanked_version_is_installed_where_it_is_named_and_that_is_said(
    index, tmp_path: Path, monkeypatch
) -> None:
    link = '<a href="{}" data-yanked="wrong results">{}</a>'
    wheel = next(index.glob("fakert-1.1-*"))
    page = tmp_path / "links.html"
    page.write_text(link.format(wheel.as_uri(), wheel.name))
    monkeypatch.setenv("PIP_FIND_LINKS", str(page))
    said: list[str] = []
    overlay(Wanted("fakert", "1.1"), said.append)
    assert "fakert 1.1 was yanked by its makers" in said


def test_offline_means_no_download_but_what_is_there_is_used(index, monkeypatch) -> None:
    overlay(ONE, lambda _: None)
    monkeypatch.setenv(OFFLINE, "1")
    overlay(ONE, lambda _: None)
    with pytest.raises(BackendError, match=f"not in the cache, and {OFFLINE} is set") as caught:
        overlay(Wanted("fakert", "1.1"), lambda _: None)
    assert str(place(Wanted("fakert", "1.1"))) in caught.value.remedy


def test_without_pip_it_says_how_to_get_it(index, monkeypatch) -> None:
    monkeypatch.setattr(pip, "find_spec", lambda _: None)
    with pytest.raises(BackendError, match="pip is not installed") as caught:
        overlay(ONE, lambda _: None)
    assert "ensurepip" in caught.value.remedy


@pytest.mark.parametrize("error", [KeyboardInterrupt, UsageError("too large")])
def test_an_interrupted_install_leaves_nothing(index, monkeypatch, error) -> None:
    started: list[subprocess.Popen[str]] = []
    begin = subprocess.Popen

    def watched(*given, **named):
        started.append(begin(*given, **named))
        return started[-1]

    def interrupted(*_: object) -> None:
        raise error

    monkeypatch.setattr(pip.subprocess, "Popen", watched)
    monkeypatch.setattr(overlays, "_hear", interrupted)
    with pytest.raises(type(error) if isinstance(error, Exception) else error):
        overlay(ONE, lambda _: None)
    assert left(overlays.folder()) == []
    assert [process.poll() is not None for process in started] == [True]
    monkeypatch.undo()


def test_two_at_once_install_it_once(index, monkeypatch) -> None:
    asked: list[Sequence[str]] = []
    real, both = pip.run, threading.Barrier(2)

    def counted(words, *given, **named):
        asked.append(words)
        return real(words, *given, **named)

    monkeypatch.setattr(pip, "run", counted)
    monkeypatch.setattr(overlays, "_POLL_S", 0.02)
    found: list[object] = []

    def install() -> None:
        both.wait()
        found.append(overlay(ONE, lambda _: None))

    threads = [threading.Thread(target=install) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [words[0] for words in asked] == ["install"]
    assert found[0] == found[1]


def test_settings_of_pip_that_would_send_it_elsewhere_are_put_aside(index, monkeypatch) -> None:
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_PREFIX", str(index / "elsewhere"))
    assert overlay(ONE, lambda _: None).path.is_dir()
    assert not (index / "elsewhere").exists()


def test_what_it_requires_is_not_installed_but_noticed(index) -> None:
    versions.wheel(index, "4.0", requires=["surely-not-there>=2", "numpy<1"])
    found = overlay(Wanted("fakert", "4.0"), lambda _: None)
    assert left(overlays.folder()) == [found.path.name]
    texts = lacking(found)
    assert "requires surely-not-there, which is not installed" in texts
    assert any(text.startswith("has requirement numpy<1, but you have numpy") for text in texts)
    assert lacking(overlay(ONE, lambda _: None)) == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "  Downloading fakert-1.0-py3-none-any.whl (16.5 MB)",
            "downloading fakert-1.0-py3-none-any.whl (16.5 MB), to be installed apart",
        ),
        (
            "Downloading https://files.example/a/fakert-1.0-py3-none-any.whl (1.1 kB)",
            "downloading fakert-1.0-py3-none-any.whl (1.1 kB), to be installed apart",
        ),
        ("Downloading fakert-1.0-py3-none-any.whl", "downloading fakert-1.0-py3-none-any.whl, to"),
        ("  Using cached fakert-1.0-py3-none-any.whl (16.5 MB)", "installing fakert-1.0"),
        ("Downloading fakert-1.0-py3-none-any.whl.metadata (4.9 kB)", ""),
        ("Collecting fakert==1.0", ""),
    ],
)
def test_what_is_downloaded_is_said_with_its_size(line: str, told: str) -> None:
    said: list[str] = []
    overlays._hear(ONE, said.append, line)
    assert [text for text in said if text.startswith(told or "?")] == said
    assert bool(said) == bool(told)


def test_a_download_above_the_bound_is_refused(monkeypatch) -> None:
    monkeypatch.setenv(LIMIT, "10M")
    with pytest.raises(UsageError, match=r"16\.5 MB, more than the 10\.0 MB allowed"):
        overlays._hear(ONE, lambda _: None, "Downloading fakert-1.0-py3-none-any.whl (16.5 MB)")


def test_a_folder_that_cannot_be_written_is_named(index, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "file"))
    with pytest.raises(Exception, match="cannot install it there") as caught:
        overlay(ONE, lambda _: None)
    assert "ONNXPROF_CACHE" in str(caught.value)


def test_a_damaged_folder_says_to_remove_it(index) -> None:
    found = overlay(ONE, lambda _: None)
    for file in next(found.path.glob("*.dist-info")).iterdir():
        file.unlink()
    with pytest.raises(BackendError, match="holds no fakert") as caught:
        overlay(ONE, lambda _: None)
    assert "Remove it" in caught.value.remedy


def test_pip_runs_in_a_folder_of_its_own(index, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('the wrong pip')")
    monkeypatch.chdir(tmp_path)
    assert overlay(ONE, lambda _: None).path.is_dir()
    assert os.getcwd() == str(tmp_path)


def test_a_runtime_that_was_imported_from_elsewhere_is_refused(index, monkeypatch) -> None:
    found = overlay(ONE, lambda _: None)
    monkeypatch.delitem(sys.modules, "fakert", raising=False)
    refuse_another(found.path)
    with pytest.raises(BackendError, match="the backend x imports none of its modules"):
        refuse_unused(found.path, "x")
    module = ModuleType("fakert")
    monkeypatch.setitem(sys.modules, "fakert", module)
    module.__file__ = str(found.path / "fakert" / "__init__.py")
    refuse_another(found.path)
    refuse_unused(found.path, "x")
    module.__file__ = str(index / "fakert" / "__init__.py")
    with pytest.raises(BackendError, match="had imported fakert from elsewhere"):
        refuse_another(found.path)
