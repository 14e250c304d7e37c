"""`hub:NAME[@OPSET]`: a model of the ONNX Model Zoo, its SHA-256 checked.

The zoo is a manifest, `ONNX_HUB_MANIFEST.json`, and the files that it names with size and
digest. The client `onnx.hub` left the onnx package in 2026 (onnx/onnx pull request 7678), and
GitHub stopped serving the files; the zoo's own mirror on Hugging Face has them. So the manifest
is read at a pinned commit, and files from any mirror must have its digests.
As in `onnx.hub`, names are matched without case and the largest opset wins.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from onnxprof import folders
from onnxprof.errors import ModelError, UsageError
from onnxprof.model.sources.policy import (
    Progress,
    Resolved,
    check_size,
    is_offline,
    megabytes,
    refuse_path,
    unreachable,
)
from onnxprof.zoo import cache

MANIFEST = "ONNX_HUB_MANIFEST.json"
#: The last commit that changed the zoo: the notice of its deprecation, July 2025.
COMMIT = "b1eeaa1ac722dcc1cd1a8284bde34393dab61c3d"
MANIFEST_BASE = f"https://raw.githubusercontent.com/onnx/models/{COMMIT}"
#: The zoo's mirror, whose files are checked against the manifest's digests.
FILES_BASE = "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main"
#: Environment variable with a folder or an address that has the manifest and the files.
BASE = "ONNXPROF_HUB"

_MAX_MANIFEST = 16 << 20
_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the manifest lists it."""

    name: str
    path: str
    opset: int
    sha256: str
    size: int
    """Bytes; 0 where the manifest does not say."""


def fetch(text: str, progress: Progress | None = None) -> Resolved:
    """The file of a model of the zoo, downloaded on first use.

    Raises UsageError for an unknown name, ModelError where the model cannot be downloaded or
    has another digest than the manifest, StoreError where the cache cannot be written.
    """
    name, _, opset = text.partition("@")
    reference = f"hub:{text}"
    model = choose(listed(reference), name, opset, reference)
    pinned = f"hub:{model.name}@{model.opset}"
    folder = _local_base()
    path = _in_folder(folder, model, pinned) if folder else _cached(model, pinned, progress)
    return Resolved(path, Path(model.path).stem, pinned)


def listed(reference: str) -> list[Listed]:
    """Every model of the manifest. Raises ModelError where that cannot be downloaded or read."""
    text = _manifest(reference)
    try:
        entries = json.loads(text)
        return [model for entry in entries if (model := _entry(entry)) is not None]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"the manifest cannot be read ({type(error).__name__}: {error})",
            where=f"{reference}, {_base() or MANIFEST_BASE}/{MANIFEST}",
            remedy=f"Check what {BASE} points to",
        ) from None


def _entry(entry: dict[str, Any]) -> Listed | None:
    """The model that an entry describes; None for an entry without a digest to check."""
    facts = entry["metadata"]
    sha256 = str(facts.get("model_sha", "")).lower()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        return None
    size = facts.get("model_bytes")
    return Listed(
        str(entry["model"]),
        str(entry["model_path"]),
        int(entry["opset_version"]),
        sha256,
        size if isinstance(size, int) and size > 0 else 0,
    )


def choose(models: list[Listed], name: str, opset: str, reference: str) -> Listed:
    """The model of that name at an opset, or at its largest. Raises UsageError."""
    named = [model for model in models if model.name.lower() == name.strip().lower()]
    fitting = [model for model in named if opset in ("", str(model.opset))]
    if fitting:
        return max(fitting, key=lambda model: model.opset)
    if named:
        there = ", ".join(str(opset) for opset in sorted({model.opset for model in named}))
        raise UsageError(
            f"there is no opset {opset} of it", where=reference, remedy=f"It has {there}"
        )
    raise UsageError(
        "the ONNX Model Zoo has no such model",
        where=reference,
        remedy=_hint(name, {model.name for model in models}),
    )


def _hint(name: str, known: set[str]) -> str:
    from difflib import get_close_matches

    lowered = {model.lower(): model for model in sorted(known)}
    close = get_close_matches(name.lower(), lowered, n=5, cutoff=0.4)
    offered = [lowered[model] for model in close] or sorted(known)[:5]
    return f"It has {', '.join(offered)}, …; see its manifest at {_base() or MANIFEST_BASE}"


def _base() -> str:
    return os.environ.get(BASE, "").strip().rstrip("/")


def _local_base() -> Path | None:
    base = _base()
    if not base or re.match("https?://", base):
        return None
    return folders.expanded(base.removeprefix("file://"))


def _manifest(reference: str) -> bytes:
    folder = _local_base()
    if folder:
        try:
            return (folder / MANIFEST).read_bytes()
        except OSError as error:
            raise ModelError(
                f"cannot be read: {error.strerror}",
                where=str(folder / MANIFEST),
                remedy=f"Set {BASE}",
            ) from None
    url = f"{_base() or MANIFEST_BASE}/{MANIFEST}"
    target = _folder() / f"manifest-{hashlib.sha256(url.encode()).hexdigest()[:12]}.json"
    if target.is_file():
        return target.read_bytes()
    _refuse_offline(reference, url)
    with _opened(url, reference) as answer:
        data: bytes = answer.read(_MAX_MANIFEST + 1)
    if len(data) > _MAX_MANIFEST:
        raise ModelError(f"the manifest is larger than {megabytes(_MAX_MANIFEST)}", where=url)
    json_or_error(data, url)
    with cache.storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = cache.partial(target)
        partial.write_bytes(data)
        os.replace(partial, target)
    return data


def json_or_error(data: bytes, url: str) -> None:
    """Raise ModelError for an answer that is not JSON, such as a login page."""
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        raise ModelError("the answer is no manifest", where=url, remedy=f"Check {BASE}") from None


def _in_folder(folder: Path, model: Listed, reference: str) -> Path:
    """The path of a model in the user's mirror. Raises ModelError where its digest is wrong."""
    refuse_path(reference, model.path)
    path = folder / model.path
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError("it lies outside the mirror's folder", where=str(path))
    if not path.is_file():
        raise ModelError("no such file", where=str(path), remedy=f"Put it there, or unset {BASE}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        raise _different(reference, str(path), digest, model)
    return path


def _cached(model: Listed, reference: str, progress: Progress | None) -> Path:
    refuse_path(reference, model.path)
    target = _folder() / f"{Path(model.path).stem}-{model.sha256[:12]}.onnx"
    if _is_intact(target, model):
        return target
    url = f"{_base() or FILES_BASE}/{quote(model.path)}"
    _refuse_offline(reference, url, target)
    check_size(reference, model.size)
    with cache.storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with cache.locked(target):
            if not _is_intact(target, model):
                _download(url, target, model, reference, progress)
    return target


def _download(
    url: str, target: Path, model: Listed, reference: str, progress: Progress | None
) -> None:
    cache.drop_partials(target)
    partial = cache.partial(target)
    try:
        with _opened(url, reference) as answer, partial.open("wb") as file:
            digest = _copied(answer, file, model, reference, progress)
        if digest != model.sha256:
            raise _different(reference, url, digest, model)
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    cache.stamp(target)


def _copied(
    answer: IO[bytes], file: IO[bytes], model: Listed, reference: str, progress: Progress | None
) -> str:
    """Copy the answer, no byte more than the manifest says; returns its SHA-256."""
    digest, done = hashlib.sha256(), 0
    while chunk := _read(answer, reference):
        done += len(chunk)
        if model.size and done > model.size:
            break
        if not model.size:
            check_size(reference, done)
        file.write(chunk)
        digest.update(chunk)
        if progress:
            progress(model.name, done, model.size)
    if model.size and done != model.size:
        held = f"more than {model.size}" if done > model.size else str(done)
        raise ModelError(
            f"the download has {held} bytes where the manifest says {model.size}; it was removed",
            where=reference,
            remedy="Try again; a mirror that cuts files or answers with a page is of no use",
        )
    return digest.hexdigest()


def _read(answer: IO[bytes], reference: str) -> bytes:
    from http.client import HTTPException

    try:
        return answer.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise ModelError(
            f"the download broke off ({error}); what was there was removed",
            where=reference,
            remedy="Try again",
        ) from None


def _is_intact(target: Path, model: Listed) -> bool:
    try:
        if cache.is_stamped(target):
            return True
        with target.open("rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == model.sha256
    except OSError:
        return False
    if intact:
        cache.stamp(target)
    return intact


def _different(reference: str, where: str, digest: str, model: Listed) -> ModelError:
    return ModelError(
        f"the file has SHA-256 {digest[:12]}…, not the manifest's {model.sha256[:12]}…",
        where=f"{reference}, {where}",
        remedy="Do not use it: it is damaged, or it was tampered with",
    )


def _folder() -> Path:
    return folders.cache() / "hub"


def _refuse_offline(reference: str, url: str, target: Path | None = None) -> None:
    if is_offline():
        raise unreachable(reference, "", _by_hand(url, target))


def _by_hand(url: str, target: Path | None = None) -> str:
    place = (
        f"put it at {target}"
        if target
        else f"put it and the models into a folder, name it in {BASE}"
    )
    return f"On a machine with network fetch {url}, then {place}"


@contextmanager
def _opened(url: str, reference: str) -> Iterator[IO[bytes]]:
    """A server's answer. Raises ModelError where it refuses or cannot be reached."""
    try:
        # The schemes are http and https only: `_local_base` has taken the rest.
        answer = urlopen(Request(url, headers={"User-Agent": "onnxprof"}), timeout=_TIMEOUT_SECONDS)
    except HTTPError as error:
        raise ModelError(
            f"the server answered {error.code} {error.reason}",
            where=f"{reference}, {url}",
            remedy=f"Name a mirror in {BASE}, or give the file's path",
        ) from None
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise unreachable(reference, f"there is no connection ({reason})", _by_hand(url)) from None
    with answer:
        yield answer
