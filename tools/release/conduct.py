"""The way of a release: check, write, build and try beside the checkout; then commit and tag."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tools.release import changelog, versions
from tools.release.distributions import Distributions, build
from tools.release.errors import ReleaseError
from tools.release.git import apart, branch, git, tags
from tools.release.smoke import smoke

Say = Callable[[str], None]


@dataclass(frozen=True)
class Released:
    """What a release left: a tag of a branch, and files to publish."""

    version: str
    branch: str
    files: tuple[Path, Path]


def release(root: Path, wanted: str, *, offline: bool, say: Say) -> Released:
    """Make a release of HEAD; whatever fails, the checkout stays as it was."""
    version = versions.parsed(wanted)
    home = branch(root)
    date = datetime.now(UTC).date().isoformat()
    text = planned(root, version, date)
    say(f"{version}: the tree is clean, the tag is free, the changelog has something to say")
    with tempfile.TemporaryDirectory(prefix="onnxprof-release-") as made:
        scratch = Path(made).resolve()
        with apart(root, scratch / "checkout") as tree:
            versions.write(tree, version, date)
            (tree / "CHANGELOG.md").write_text(text, "utf-8", newline="\n")
            git(
                tree, "commit", "--quiet", "--all", "--no-verify", "--message", f"Release {version}"
            )
            commit = git(tree, "rev-parse", "HEAD")
            built = tried(tree, scratch, version, offline=offline, say=say)
        landed(root, commit, version, changelog.notes(text, version))
        return Released(version, home, kept(built, root / "dist"))


def landed(root: Path, commit: str, version: str, notes: str) -> None:
    """Set the tag and move the branch: both or neither."""
    tag, message = f"v{version}", f"onnxprof {version}\n\n{notes}"
    git(root, "tag", "--annotate", "--cleanup=verbatim", "--message", message, tag, commit)
    try:
        git(root, "merge", "--quiet", "--ff-only", commit)
    except ReleaseError:
        git(root, "tag", "--delete", tag)
        raise


def planned(root: Path, version: str, date: str) -> str:
    """The changelog as it will be; an error where the version or it cannot be released."""
    there = tags(root)
    if f"v{version}" in there:
        raise ReleaseError(f"The tag v{version} is there already; a release is never made again")
    last = versions.newest(there)
    if last and versions.order(version) < versions.order(last):
        raise ReleaseError(f"{version} is older than the newest release, {last}")
    agreed(root, versions.current(root))
    return changelog.released((root / "CHANGELOG.md").read_text("utf-8"), version, date)


def agreed(root: Path, version: str) -> None:
    """An error unless every file that repeats the version says this one."""
    other = {file: said for file, said in versions.stated(root).items() if said != version}
    if other:
        each = ", ".join(f"{file} {said}" for file, said in other.items())
        raise ReleaseError(f"Not of version {version}: {each}")


def verified(root: Path, tag: str, out: Path, *, offline: bool, say: Say) -> Released:
    """What the workflow runs at a tag: the tree says its version; build and try, change nothing."""
    if not tag.startswith("v"):
        raise ReleaseError(f"{tag!r} is no tag of a release: they begin with v, as in v1.2.3")
    version = versions.parsed(tag)
    agreed(root, version)
    if not changelog.notes((root / "CHANGELOG.md").read_text("utf-8"), version):
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")
    with tempfile.TemporaryDirectory(prefix="onnxprof-release-") as made:
        built = tried(root, Path(made).resolve(), version, offline=offline, say=say)
        return Released(version, "", kept(built, out))


def tried(tree: Path, scratch: Path, version: str, *, offline: bool, say: Say) -> Distributions:
    """The distributions of a tree, built and put to work."""
    built = build(tree, scratch / "dist", version, offline=offline)
    say(f"built {built.sdist.name} and {built.wheel.name}")
    smoke(built.wheel, version, scratch / "smoke", offline=offline)
    say("the wheel measured a model in a fresh environment")
    return built


def kept(built: Distributions, folder: Path) -> tuple[Path, Path]:
    """Copies that outlive the scratch folder, without files of other versions beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in (built.sdist, built.wheel):
        shutil.copyfile(path, folder / path.name)
    return folder / built.sdist.name, folder / built.wheel.name
