"""`onnxprof runs pack` and `unpack`, and the commands that take an archive for a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.sites import runs
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.errors import OnnxprofError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


def invoke(*words: object) -> tuple[int, str]:
    """The exit code and everything that is printed, as `onnxprof` itself has it."""
    done = CliRunner().invoke(app, [str(word) for word in words], standalone_mode=False)
    if isinstance(done.exception, OnnxprofError):
        return done.exception.exit_code, str(done.exception)
    assert done.exception is None, done.exception
    return done.return_value or 0, done.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for run in runs():
        Store(tmp_path / "runs").save(run)
    return tmp_path / "runs"


@pytest.fixture
def packed(root: Path, tmp_path: Path) -> Path:
    output = tmp_path / "all.parquet"
    code, text = invoke("runs", "pack", root, "-o", output)
    assert code == 0
    assert f"{output}: {len(runs())} runs, " in text.replace("\n", "")
    assert "2 failed" in text
    return output


def test_lists_show_the_same(root: Path, packed: Path) -> None:
    listed = []
    for place in (root, packed):
        code, text = invoke("runs", "list", "--store", place, "--format", "json")
        assert code == 0
        listed.append([{**run, "path": ""} for run in json.loads(text)])
    assert listed[0] == listed[1]
    one = listed[0][0]["id"]
    assert invoke("runs", "show", one, "--store", packed)[0] == 0


def test_exports_are_the_same(root: Path, packed: Path) -> None:
    texts = [
        invoke("runs", "export", "--store", place, "--format", "csv", "--model", "alpha")[1]
        for place in (root, packed)
    ]
    assert texts[0] == texts[1]
    assert invoke("runs", "export", packed, "--model", "alpha")[1] == texts[0]


def test_runs_are_compared_and_aligned(root: Path, packed: Path) -> None:
    code, text = invoke("compare", packed, root, "--model", "beta")
    assert code == 0
    assert "same" in text
    assert invoke("align", packed, "--model", "alpha", "--batch", "8")[0] == 0


def test_a_site_of_an_archive_is_that_of_its_store(
    root: Path, packed: Path, tmp_path: Path
) -> None:
    sites = []
    for place in (root, packed):
        out = tmp_path / f"site-{place.name}"
        assert invoke("site", "build", "--store", place, "--out", out)[0] == 0
        files = [path for path in out.rglob("*") if path.is_file()]
        sites.append({path.relative_to(out): path.read_bytes() for path in files})
    assert sites[0] == sites[1]
    assert len(sites[0]) > 20


def test_a_folder_with_an_archive_is_a_store(packed: Path, tmp_path: Path) -> None:
    Store(packed.parent / "mixed").save(sample_run("beside"))
    packed.rename(packed.parent / "mixed" / "results.parquet")
    _, text = invoke("runs", "list", "--store", tmp_path / "mixed", "--format", "json")
    listed = json.loads(text)
    assert len(listed) == len(runs()) + 1
    assert sum("results.parquet" in run["path"] for run in listed) == len(runs())


def test_thinned_runs_say_so(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "few.parquet"
    code, text = invoke("runs", "pack", root, "-o", output, "--samples", 32, "--model", "beta")
    assert code == 0
    assert "1 thinned" in text
    _, shown = invoke("runs", "show", output)
    flat = " ".join(shown.split())
    assert "samples, thinned from 80" in flat
    assert "of 50 traced inferences are stored: evenly spaced ranks of each block" in flat


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("runs", "pack", "{root}", "-o", "x.csv"), "ends in .parquet"),
        (("runs", "pack", "{root}", "-o", "x.parquet", "--samples", "3"), "32 or more"),
        (("runs", "pack", "{root}/none", "-o", "x.parquet"), "no such folder"),
        (("runs", "pack", "{root}", "-o", "x.parquet", "--model", "none"), "no stored run"),
        (("runs", "unpack", "{root}/none.parquet"), "no such folder or archive"),
        (("runs", "tag", "{packed}", "t"), "archive cannot be changed"),
        (("runs", "remove", "{packed}", "--yes", "--model", "*"), "archive cannot be changed"),
        (("runs", "prune", "--keep", "1", "--store", "{packed}"), "archive cannot be changed"),
    ],
)
def test_what_is_refused(
    words: tuple[str, ...],
    said: str,
    root: Path,
    packed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = packed.read_bytes()
    code, text = invoke(*(word.format(root=root, packed=packed) for word in words))
    assert code == 2
    assert said in " ".join(text.split())
    assert packed.read_bytes() == before


def test_unpacking_gives_the_files_back(root: Path, packed: Path, tmp_path: Path) -> None:
    code, text = invoke("runs", "unpack", packed, "--into", tmp_path / "again")
    assert code == 0
    assert f"{len(runs())} new" in text
    files = {path.relative_to(root): path.read_bytes() for path in root.rglob("*.parquet")}
    again = tmp_path / "again"
    assert {p.relative_to(again): p.read_bytes() for p in again.rglob("*.parquet")} == files
    assert "0 new" in invoke("runs", "unpack", packed, "--into", again)[1]


def test_an_unreadable_run_is_named_and_the_exit_code_says_so(root: Path, tmp_path: Path) -> None:
    (root / "bad.parquet").write_bytes(b"PAR1 or not")
    code, text = invoke("runs", "pack", root, "-o", tmp_path / "all.parquet")
    assert code == 1
    assert "bad.parquet" in text
