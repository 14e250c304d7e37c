"""What a release asks of git."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.release.errors import ReleaseError


def git(root: Path, *words: str) -> str:
    """Output of a git command, which must succeed."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {' '.join(words[:2])}: {done.stderr.strip() or done.returncode}")
    return done.stdout.rstrip("\n")


def branch(root: Path) -> str:
    """The branch that is checked out, in a tree without changes."""
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        first = "\n  ".join(changed[:5])
        raise ReleaseError(f"The tree is not clean; commit or remove:\n  {first}")
    name = git(root, "branch", "--show-current")
    if not name:
        raise ReleaseError(
            "No branch is checked out; a release is a commit of one: git switch main"
        )
    return name


def tags(root: Path) -> list[str]:
    """Every tag."""
    return git(root, "tag", "--list").splitlines()


@contextmanager
def apart(root: Path, folder: Path) -> Iterator[Path]:
    """HEAD checked out in a folder of its own, which is gone afterwards."""
    git(root, "worktree", "add", "--quiet", "--detach", str(folder), "HEAD")
    try:
        yield folder
    finally:
        git(root, "worktree", "remove", "--force", str(folder))
