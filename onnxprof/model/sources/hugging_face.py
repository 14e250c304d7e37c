"""`hf:ORG/REPO/FILE[@REV]`: one file of a Hugging Face repository, with its external data.

The huggingface_hub package downloads and caches; its variables (HF_ENDPOINT, HF_HOME, HF_TOKEN,
HF_HUB_OFFLINE) apply. Cached files are named after their digests (SHA-256 of large files, Git's
SHA-1 of small ones), which are checked on each use.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from onnxprof import folders
from onnxprof.errors import ModelError, OnnxprofError, UsageError
from onnxprof.model.sources.beside import data_files
from onnxprof.model.sources.policy import (
    Progress,
    Resolved,
    check_size,
    is_offline,
    refuse_path,
    unreachable,
)
from onnxprof.processes.confined import Limits, confined
from onnxprof.zoo import cache

_REFERENCE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>.+)", re.ASCII | re.DOTALL)
_COMMIT = re.compile("[0-9a-f]{40}")
_TRUE = ("1", "true", "yes", "on")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Place:
    """A file of a repository at a revision."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.file}@{self.revision}"


def fetch(text: str, progress: Progress | None = None) -> Resolved:
    """The file and its external data, from the cache or downloaded into it.

    The returned reference names the commit. Raises UsageError for an invalid reference, ModelError
    where the file cannot be downloaded or has another digest.
    """
    place = parsed(text)
    hub = _library(place)
    with _explained(place):
        _, size = _located(hub, place)
        # asked for by its branch, so that the cache remembers what the branch was
        path = _got(hub, place, size, 0, progress)
        pinned = _Place(place.repo, place.file, _commit_of(path, place))
        beside = confined(partial(data_files, path, str(pinned)), Limits(), "reading", str(pinned))
        data = [posixpath.join(posixpath.dirname(pinned.file), name) for name in beside]
        if data:
            path = _assembled(hub, pinned, path, data, progress)
    return Resolved(path, _name(place), str(pinned))


def parsed(text: str) -> _Place:
    """The file that a reference names, by its form. Raises UsageError."""
    given, _, revision = text.rpartition("@") if "@" in text else (text, "", "")
    match = _REFERENCE.fullmatch(given)
    if match is None or not match["file"].lower().endswith((".onnx", ".ort", ".pb")):
        raise UsageError(
            "this names no model file of a repository",
            where=f"hf:{text}",
            remedy="Write hf:ORG/REPO/FILE.onnx, and @REVISION behind it if need be",
        )
    refuse_path(f"hf:{text}", match["file"])
    if revision:
        refuse_path(f"hf:{text}", revision)
    return _Place(match["repo"], match["file"], revision or "main")


def _name(place: _Place) -> str:
    """The model's name: the file's stem; a leading `model` becomes the repository's name."""
    stem = posixpath.splitext(posixpath.basename(place.file))[0]
    repo = place.repo.partition("/")[2]
    return repo + stem.removeprefix("model") if stem.startswith("model") else stem


def _library(place: _Place) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UsageError(
            "hf: needs the package huggingface_hub",
            where=str(place),
            remedy='Install it with pip install "onnxprof[hub]", or download the file by hand',
        ) from None
    return huggingface_hub


def _endpoint() -> str | None:
    """The server's address from HF_ENDPOINT, read at each call; None for the default."""
    return os.environ.get("HF_ENDPOINT") or None


def _options(place: _Place) -> dict[str, Any]:
    return {"revision": place.revision, "cache_dir": folders.chosen(folders.HUGGING_FACE)}


def _offline() -> bool:
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    forbidden = (os.environ.get(name, "").strip().lower() in _TRUE for name in names)
    return is_offline() or any(forbidden)


def _located(hub: Any, place: _Place) -> tuple[str, int]:
    """(commit, size in bytes) of a file at a revision; (commit, 0) where it is cached.

    A cached commit needs no request. A branch is looked up, or taken from the cache where there
    is no network.
    """
    from huggingface_hub import errors

    cached = _cached(hub, place)
    if cached and (_offline() or _COMMIT.fullmatch(place.revision)):
        return cached, 0
    if _offline():
        raise unreachable(str(place), "HF_HUB_OFFLINE is set", _by_hand(place))
    url = hub.hf_hub_url(place.repo, place.file, revision=place.revision, endpoint=_endpoint())
    try:
        facts = hub.get_hf_file_metadata(url, library_name="onnxprof")
    except (errors.HTTPError, OSError) as error:
        answered = getattr(error, "response", None)
        if cached and (answered is None or answered.status_code >= 500):
            return cached, 0
        if answered is None:
            raise unreachable(
                str(place), f"there is no connection ({_line(error)})", _by_hand(place)
            ) from None
        raise
    if not _COMMIT.fullmatch(facts.commit_hash or ""):
        raise ModelError("the server names no commit", where=f"{place}, {url}")
    there = _cached(hub, _Place(place.repo, place.file, facts.commit_hash))
    return facts.commit_hash, 0 if there else facts.size or 0


def _cached(hub: Any, place: _Place) -> str:
    """The commit of the cached file; empty where there is none."""
    path = hub.try_to_load_from_cache(place.repo, place.file, **_options(place))
    if not isinstance(path, str):
        return ""
    return _commit_of(Path(path), place)


def _commit_of(path: Path, place: _Place) -> str:
    """The commit of a cached file: the name of the snapshot folder that it lies in."""
    return path.parents[place.file.count("/")].name


def _got(hub: Any, place: _Place, size: int, before: int, progress: Progress | None) -> Path:
    """Download a file unless it is cached, and check its digest; returns its path.

    `before` is how many bytes the same reference has downloaded, which count towards the bound.
    """
    if size:
        check_size(str(place), before + size)
    bar = _bar(progress, posixpath.basename(place.file))
    path = Path(
        hub.hf_hub_download(
            repo_id=place.repo,
            filename=place.file,
            endpoint=_endpoint(),
            local_files_only=_offline(),
            library_name="onnxprof",
            tqdm_class=bar,
            **_options(place),
        )
    )
    _check(path, place)
    return path


def _bar(progress: Progress | None, name: str) -> Any:
    """A subclass of tqdm that reports to `progress` and draws nothing."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):  # type: ignore[misc,type-arg,unused-ignore]
        def __init__(self, *positional: Any, **named: Any) -> None:
            named.pop("name", None)
            super().__init__(*positional, **{**named, "disable": True})
            self.wanted, self.done = int(named.get("total") or 0), int(named.get("initial") or 0)

        def update(self, n: float | None = 1) -> None:
            self.done += int(n or 0)
            if progress:
                progress(name, self.done, self.wanted)

    return Bar


def _check(path: Path, place: _Place) -> None:
    """Compare a cached file with the digest in its name. Removes it, and raises, if they differ."""
    try:
        blob = Path(os.readlink(path)).name
    except OSError:  # a cache without links does not say
        return
    if re.fullmatch("[0-9a-f]{64}", blob):
        digest = hashlib.sha256()
    elif re.fullmatch("[0-9a-f]{40}", blob):
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    else:
        return
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob:
        for damaged in (path.parent / os.readlink(path), path):
            with suppress(OSError):
                damaged.unlink()
        raise ModelError(
            f"the file's digest is {digest.hexdigest()[:12]}…, not {blob[:12]}…; it was removed",
            where=str(place),
            remedy="Try again; it was cut short or tampered with",
        )


def _assembled(
    hub: Any, place: _Place, path: Path, data: list[str], progress: Progress | None
) -> Path:
    """The path of a model that has its external data beside it as regular files.

    Runtimes and our own checks need this; the library's cache has symbolic links only. The files
    are hard links to the cached ones, or copies where the disk does not support hard links.
    """
    root = folders.cache() / "hf" / place.repo.replace("/", "--") / place.revision
    target = _laid(path, root / place.file)
    total = path.stat().st_size
    for name in data:
        at = _Place(place.repo, name, place.revision)
        _, size = _located(hub, at)
        _laid(_got(hub, at, size, total, progress), root / name)
        total += size
    return target


def _laid(source: Path, target: Path) -> Path:
    real = source.resolve()
    with cache.storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and target.samefile(real):
            return target
        partial = cache.partial(target)
        partial.unlink(missing_ok=True)
        try:
            os.link(real, partial)
        except OSError:
            shutil.copyfile(real, partial)
        os.replace(partial, target)
        partial.unlink(missing_ok=True)  # replacing a link by another to the same file is a no-op
    return target


@contextmanager
def _explained(place: _Place) -> Iterator[None]:
    """Turn the library's errors into ours, with what to do."""
    from huggingface_hub import errors

    try:
        yield
    except OnnxprofError:
        raise
    except errors.GatedRepoError:
        raise ModelError(
            "access to this repository must be asked for",
            where=str(place),
            remedy="Accept its terms on its page, then log in (hf auth login, or HF_TOKEN)",
        ) from None
    except errors.RepositoryNotFoundError:
        raise _private(place) from None
    except errors.RevisionNotFoundError:
        raise ModelError(
            "no such revision", where=str(place), remedy="Check what is behind @"
        ) from None
    except errors.EntryNotFoundError:
        raise _absent(place) from None
    except errors.HFValidationError as error:
        raise UsageError(str(error).splitlines()[0], where=str(place)) from None
    except (errors.HTTPError, OSError, ValueError) as error:
        if getattr(getattr(error, "response", None), "status_code", 0) in (401, 403):
            raise _private(place) from None
        raise ModelError(
            f"the download failed ({_line(error)})",
            where=str(place),
            remedy=f"Try again. {_by_hand(place)}",
        ) from None


def _private(place: _Place) -> ModelError:
    return ModelError(
        "no such repository, or a private one",
        where=str(place),
        remedy="Check the name; for a private one log in (hf auth login, or HF_TOKEN)",
    )


def _absent(place: _Place) -> ModelError:
    return ModelError(
        "the repository has no such file at this revision",
        where=str(place),
        remedy="Check the name; files often lie in the folder onnx/",
    )


def _by_hand(place: _Place) -> str:
    return (
        f"On a machine with network: hf download {place.repo} {place.file} "
        f"--revision {place.revision}; then copy its cache here, or give the file's path"
    )


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
