"""A release from a clean repository to a tag, and that whatever fails changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from support.places import ROOT

from tools.release import changelog, versions
from tools.release.__main__ import main

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]
#: What git ignores, and what a release does not look at.
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", "*.egg-info", "build", "dist", "runs", "demo", "gallery*",
    "tests", "results", "benchmarks", ".*_cache", ".hypothesis",
)  # fmt: skip
CHANGE = "- A change that the tests made.\n"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def state(folder: Path) -> tuple[str, ...]:
    """All that a release may change, and what may be left of a failed one."""
    asked = (["rev-parse", "HEAD"], ["status", "--porcelain"], ["tag"], ["worktree", "list"])
    return tuple(git(folder, *words) for words in asked)


def copied(folder: Path) -> Path:
    """The tree as a repository of its own, on the branch `main`."""
    shutil.copytree(ROOT, folder, symlinks=True, ignore=LEFT_OUT)
    changes = folder / "CHANGELOG.md"
    changes.write_text(f"# Changelog\n\n## [Unreleased]\n\n### Added\n\n{CHANGE}", "utf-8")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "config", "user.name", "Tester")
    git(folder, "config", "user.email", "tester@example.invalid")
    git(folder, "config", "commit.gpgsign", "false")
    git(folder, "config", "tag.gpgsign", "false")
    commit(folder, "The tree")
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("release") / "original")


@pytest.fixture
def repo(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "repo", symlinks=True)
    return tmp_path / "repo"


def released(folder: Path, *words: str) -> int:
    return main([*words, "--offline", "--root", str(folder)])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, original: Path) -> Path:
    """A repository in which 7.8.9 has been released."""
    pytest.importorskip("build")
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("done") / "repo"
    shutil.copytree(original, folder, symlinks=True)
    assert released(folder, "7.8.9") == 0
    return folder


def test_the_commit_and_the_tag_are_there(done: Path) -> None:
    assert git(done, "log", "-1", "--format=%s") == "Release 7.8.9"
    assert git(done, "branch", "--show-current") == "main"
    assert git(done, "rev-parse", "v7.8.9^{commit}") == git(done, "rev-parse", "HEAD")
    assert git(done, "status", "--porcelain") == ""
    assert len(git(done, "worktree", "list").splitlines()) == 1
    assert CHANGE.strip() in git(done, "tag", "--list", "--format=%(contents)", "v7.8.9")


def test_the_version_stands_everywhere(done: Path) -> None:
    assert set(versions.stated(done).values()) == {"7.8.9"}
    text = (done / "CHANGELOG.md").read_text("utf-8")
    assert list(changelog.versions(text)) == ["Unreleased", "7.8.9"]
    assert changelog.notes(text, "Unreleased") == ""
    dated = changelog.versions(text)["7.8.9"]
    assert f"date-released: {dated}\n" in (done / "CITATION.cff").read_text("utf-8")


def test_both_distributions_are_kept(done: Path) -> None:
    names = sorted(path.name for path in (done / "dist").iterdir())
    assert names == ["onnxprof-7.8.9-py3-none-any.whl", "onnxprof-7.8.9.tar.gz"]
    with tarfile.open(done / "dist" / names[1]) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert not tops & {"tools", "tests", ".github"}


def test_the_tag_of_the_release_verifies_and_no_other(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(done)
    assert released(done, "--verify", "v7.8.8") == 1
    assert "Not of version 7.8.8: pyproject.toml 7.8.9" in capsys.readouterr().err
    assert released(done, "--verify", "7.8.9") == 1
    assert released(done, "--verify", "v7.8.9") == 0
    assert state(done) == before


@pytest.mark.parametrize("wanted", ["1.2", "one", "v1.02.3", "1.2.3.dev4", "1.2.3-rc1", "../1.2.3"])
def test_what_is_no_version(repo: Path, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(repo, wanted, "is no version", capsys)


def refused(repo: Path, wanted: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(repo)
    assert released(repo, wanted) == 1
    assert why in capsys.readouterr().err
    assert state(repo) == before
    assert not (repo / "dist").exists()


def test_a_tree_with_changes(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "stray.txt").write_text("x")
    refused(repo, "7.8.9", "?? stray.txt", capsys)


def test_no_branch(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repo, "switch", "--quiet", "--detach")
    refused(repo, "7.8.9", "No branch is checked out", capsys)


def test_a_tag_that_is_there(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repo, "tag", "v7.8.9")
    refused(repo, "v7.8.9", "v7.8.9 is there already", capsys)


def test_an_older_version(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repo, "tag", "v7.10.0")
    refused(repo, "7.9.9", "older than the newest release, 7.10.0", capsys)


def test_nothing_to_release(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repo / "CHANGELOG.md").write_text("# Changelog\n\n## [Unreleased]\n\n### Added\n", "utf-8")
    commit(repo, "Nothing")
    refused(repo, "7.8.9", "nothing under Unreleased", capsys)


def test_versions_that_differ(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    action = repo / "action.yml"
    action.write_text(action.read_text("utf-8").replace("[cpu]==", "[cpu]==6."), "utf-8")
    commit(repo, "Another version")
    refused(repo, "7.8.9", "action.yml 6.", capsys)


def test_a_build_that_fails(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("build")
    (repo / "setup.py").write_text("raise SystemExit('broken on purpose')\n", "utf-8")
    commit(repo, "Broken")
    refused(repo, "7.8.9", "broken on purpose", capsys)


def test_a_wheel_that_does_not_work(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("build")
    broken = repo / "onnxprof" / "cli" / "main.py"
    broken.write_text("raise SystemExit('the wheel is broken')\n", "utf-8")
    commit(repo, "Broken")
    refused(repo, "7.8.9", "the wheel is broken", capsys)
