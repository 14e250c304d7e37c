"""When a build finds that the site is there already, and when it does not."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from support.places import ROOT
from support.sites import contents

from onnxprof.publish.disk import cache
from onnxprof.publish.site import build, model_files
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    store = Store(tmp_path / "runs")
    for run in (sample_run("a", 1), sample_run("a", 2), sample_run("b", 1)):
        store.save(run)
    return store


def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that a site is written in from now on."""
    begun: list[Path] = []
    plain = build.scaffold

    def spy(out: Path):
        begun.append(out)
        return plain(out)

    monkeypatch.setattr(build, "scaffold", spy)
    return begun


def test_a_site_that_is_as_it_would_be_is_left_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build.build_from_stores([store.root], tmp_path / "out")
    before = contents(tmp_path / "out")
    begun = builds(monkeypatch)
    again = build.build_from_stores([store.root], tmp_path / "out")
    assert again == dataclasses.replace(first, reused=first.models)
    assert begun == []
    store.save(sample_run("a", 4))
    build.build_from_stores([store.root], tmp_path / "out")
    assert len(begun) == 1
    assert contents(tmp_path / "out") != before
    build.build_from_stores([store.root], tmp_path / "out", title="Another")
    assert len(begun) == 2


@pytest.mark.posix
@pytest.mark.parametrize("harm", ["edit", "remove", "add", "link"])
def test_a_site_that_was_touched_is_made_again(store: Store, tmp_path: Path, harm: str) -> None:
    out = tmp_path / "out"
    build.build_from_stores([store.root], out)
    before = contents(out)
    page = out / "models" / "a" / "index.html"
    facts = page.stat()
    if harm == "edit":  # of the same length and time
        page.write_bytes(page.read_bytes()[::-1])
        os.utime(page, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    elif harm == "remove":
        page.unlink()
    elif harm == "add":
        (out / "more.html").write_text("x")
    else:
        page.unlink()
        page.symlink_to(tmp_path / "elsewhere")
    build.build_from_stores([store.root], out)
    assert contents(out) == before


def test_a_site_with_a_problem_is_never_left_alone(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build.build_from_stores([store.root], tmp_path / "out")
    monkeypatch.setattr(model_files, "misfit", lambda run: "odd" * (run.request.batch == 2))
    store.save(sample_run("a", 4))
    begun = builds(monkeypatch)
    first = build.build_from_stores([store.root], tmp_path / "out")
    again = build.build_from_stores([store.root], tmp_path / "out")
    assert len(begun) == 2
    assert first.problems
    assert again.problems == first.problems


def test_whatever_a_page_is_made_of_counts_for_the_cache() -> None:
    known = {path.resolve() for path in cache.sources()}
    folders = [ROOT / "site" / "templates", ROOT / "site" / "assets"]
    made_of = {p for folder in folders for p in folder.rglob("*") if p.is_file()}
    assert any(path.parent.name == "parts" for path in made_of)
    assert made_of <= known
