"""A model as it is at a commit of its git repository, written into a folder.

git is called with a list of arguments and no shell, and what the caller gives is never an option: a
reference is turned into a commit's digest first, and paths go to git behind that digest.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from onnxprof.errors import ModelError, UsageError
from onnxprof.model.sources.beside import data_files
from onnxprof.processes.confined import Limits, confined

#: A pointer of Git LFS is smaller than this and begins with this line (its specification, v1).
_POINTER_BYTES, _POINTER = 1024, b"version https://git-lfs.github.com/spec/v1"
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_PATIENCE_S = 600.0
#: No pager, prompt or lock of the index; messages in English, in whatever language the user works.
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a repository."""

    top: Path
    """The folder of the work tree."""
    reference: str
    """As the user named it."""
    digest: str

    @property
    def title(self) -> str:
        """The reference and the beginning of the digest."""
        short = self.digest[:10]
        return short if self.digest.startswith(self.reference) else f"{self.reference} ({short})"


def commit(folder: Path, reference: str) -> Commit:
    """The commit that a reference means in the repository that a folder belongs to.

    Raises UsageError where there is no repository or no such commit.
    """
    top = _line(folder, "rev-parse", "--show-toplevel")
    if top is None:
        raise UsageError(
            f"there is no folder or file {reference!r}, and no commit of that name, as the model is"
            " in no git repository",
            where="--baseline",
            remedy="Name a folder with the old model, or its file",
        )
    digest = None
    if _is_sane(reference):
        digest = _line(folder, "rev-parse", "--verify", "--quiet", f"{reference}^{{commit}}")
    if digest is None or not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"there is no folder, file or commit {reference!r}",
            where="--baseline",
            remedy="A shallow clone lacks most commits: git fetch --depth=1 origin REF, then"
            " --baseline FETCH_HEAD",
        )
    return Commit(Path(top), reference, digest)


def _is_sane(reference: str) -> bool:
    """Whether git can be given it as a reference: no name of one begins with a dash."""
    return bool(reference) and reference.isprintable() and not reference.startswith("-")


def written(at: Commit, model: Path, into: Path, limits: Limits) -> Path | None:
    """Write the model of a work tree, and its external data, as they are at a commit.

    Returns the file in `into`, which has the same name; None where the commit has no such file.
    Raises ModelError for a pointer of Git LFS, for data that the commit lacks, and as reading a
    model does.
    """
    inside = _inside(at, model)
    target = into / model.name
    if not _write(at, inside, target):
        return None
    work = partial(data_files, target, f"{inside} at {at.title}")
    for name in confined(work, limits, "reading", f"{inside} at {at.title}"):
        if (into / name).exists():  # the model's own bytes, as no file is named twice
            continue
        if not _write(at, inside.parent / name, into / name):
            raise ModelError(
                f"its external data {name!r} are not in that commit",
                where=f"{inside} at {at.title}",
                remedy="Commit the data with the model, or name a folder: --baseline DIR",
            )
    return target


def refuse_pointer(path: Path, where: str, remedy: str) -> None:
    """Raise ModelError for a file that is a pointer of Git LFS, not what it points to."""
    with path.open("rb") as file:
        start = file.read(_POINTER_BYTES + 1)
    if len(start) <= _POINTER_BYTES and start.startswith(_POINTER):
        raise ModelError("a pointer of Git LFS, not the file itself", where=where, remedy=remedy)


def _inside(at: Commit, model: Path) -> PurePosixPath:
    """The path of a file in its repository. Raises UsageError for one outside."""
    # the folder's links are followed, as git does; the file itself may be a link of the work tree
    place = model.parent.resolve() / model.name
    try:
        inside = PurePosixPath(place.relative_to(at.top.resolve()).as_posix())
    except ValueError:
        raise UsageError("not in the repository", where=str(model)) from None
    if not str(inside).isprintable():
        raise UsageError("git's protocol has no place for such a name", where=repr(str(inside)))
    return inside


def _write(at: Commit, inside: PurePosixPath, target: Path) -> bool:
    """Write a file of a commit; returns False where there is none."""
    blob = _blob(at, inside)
    if blob is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        done = _git(at.top, ["cat-file", "blob", blob], stdout=file)
    if done.returncode:
        raise _failed(done, inside, at)
    where = f"{inside} at {at.title}"
    remedy = (
        f"git lfs fetch origin {at.digest[:10]}, then git worktree add ../old {at.digest[:10]},"
        " and --baseline ../old"
    )
    refuse_pointer(target, where, remedy)
    return True


def _blob(at: Commit, inside: PurePosixPath) -> str | None:
    """The digest of a file of a commit, links within the repository followed; None for none."""
    question = f"{at.digest}:{inside}"
    asked = ["cat-file", "--batch-check", "--follow-symlinks"]
    done = _git(at.top, asked, f"{question}\n".encode())
    if done.returncode:
        raise _failed(done, inside, at)
    answer = done.stdout.decode("utf-8", "replace").rstrip("\n")
    if answer == f"{question} missing" or answer.startswith("notdir "):
        return None
    digest, _, rest = answer.partition(" ")
    kind = rest.partition(" ")[0] if _DIGEST.fullmatch(digest) else ""
    if kind == "blob":
        return digest
    raise ModelError(
        "a folder in that commit" if kind == "tree" else "no regular file in that commit",
        where=f"{inside} at {at.title}",
        remedy="Name a folder with the old model: --baseline DIR",
    )


def _failed(
    done: subprocess.CompletedProcess[bytes], inside: PurePosixPath, at: Commit
) -> ModelError:
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return ModelError(
        f"git does not give the file: {said[-1] if said else f'exit code {done.returncode}'}",
        where=f"{inside} at {at.title}",
    )


def _line(folder: Path, *arguments: str) -> str | None:
    """The line that git answers with; None where it fails. Raises UsageError where it is unsafe."""
    done = _git(folder, arguments)
    if b"dubious ownership" in done.stderr:
        raise UsageError(
            "git does not trust this repository, since another user owns it",
            where=str(folder),
            remedy="git config --global --add safe.directory, with the folder's full path",
        )
    text = os.fsdecode(done.stdout).removesuffix("\n")
    return text if done.returncode == 0 and text else None


def _git(
    folder: Path,
    arguments: Sequence[str],
    given: bytes = b"",
    stdout: IO[bytes] | int = subprocess.PIPE,
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            input=given,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **_QUIET},
            timeout=_PATIENCE_S,
            check=False,
        )
    except FileNotFoundError:
        raise UsageError(
            "git is not installed here",
            where="--baseline",
            remedy="Install it, or name a folder with the old model",
        ) from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"git took more than {_PATIENCE_S:.0f} s", where=str(folder)) from None
