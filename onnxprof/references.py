"""What a user may write where a model is asked for, and the file that it stands for.

`PATH`, `zoo:NAME`, `hub:NAME[@OPSET]` (the ONNX Model Zoo) and `hf:ORG/REPO/FILE[@REV]`
(Hugging Face). Nothing is downloaded that was not asked for by name, and nothing without its
size being known and its digest checked. A file that bears the reference's name is a path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import ModelError, UsageError

#: Called with what is being fetched or made, bytes done and bytes in all.
Progress = Callable[[str, int, int], None]

SCHEMES = ("zoo", "hub", "hf")
#: Environment variable that forbids any download.
OFFLINE = "ONNXPROF_OFFLINE"
#: Environment variable with the most bytes that one reference may download, as 2e9 or 8G.
LIMIT = "ONNXPROF_MAX_DOWNLOAD"
#: Above the largest file of the ONNX Model Zoo (0.7 GB) and most networks of Hugging Face.
DEFAULT_LIMIT = 4 * 10**9
_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True)
class Resolved:
    """The file behind a reference."""

    path: Path
    name: str
    """What the model is called in tables and in the store."""
    reference: str
    """The reference with its revision filled in, so that it means the same file tomorrow."""


def resolve(reference: str, progress: Progress | None = None) -> Resolved:
    """Find, make or download the file that a reference stands for.

    Raises UsageError for a reference that makes no sense or may not be downloaded, ModelError
    where there is no such model or its bytes are wrong, StoreError where the cache cannot be
    written.
    """
    path = Path(reference)
    scheme, separator, rest = reference.partition(":")
    if not separator or scheme not in SCHEMES or _is_file(path):
        _refuse_absent(path, reference)
        return Resolved(path, path.stem or path.name, reference)
    if scheme == "zoo":
        return _from_zoo(rest, progress)
    if scheme == "hub":
        from onnxprof.modelhub import fetch

        return fetch(rest, progress)
    from onnxprof.huggingface import fetch as fetch_hf

    return fetch_hf(rest, progress)


def is_remote(reference: str) -> bool:
    """Whether a reference names a model by a scheme, not by a path."""
    return reference.partition(":")[0] in SCHEMES and ":" in reference


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a NUL: open_model says so
        return False


def _refuse_absent(path: Path, reference: str) -> None:
    """Raise ModelError where there is nothing of that name, with what may have been meant."""
    try:
        if path.exists():
            return
    except (OSError, ValueError):  # too long, or with a NUL: open_model says so
        return
    raise ModelError("there is no such file", where=reference, remedy=_meant(reference))


def _meant(reference: str) -> str:
    if re.match(r"\w+://", reference):
        return "Download it first; zoo:NAME, hub:NAME and hf:ORG/REPO/FILE are fetched for you"
    name = reference.removesuffix(".onnx")
    if not re.fullmatch(r"[\w.-]+", name):
        return "Check the path"
    from difflib import get_close_matches

    from onnxprof.zoo.catalogue import names

    close = get_close_matches(name.lower(), names(), n=3, cutoff=0.8 if name != reference else 0.6)
    close = [name.lower()] if name.lower() in close else close
    meant = f"Did you mean {' or '.join(f'zoo:{each}' for each in close)}? " if close else ""
    return f"{meant}onnxprof zoo list has the networks that come with onnxprof"


def _from_zoo(name: str, progress: Progress | None) -> Resolved:
    from onnxprof.zoo import materialise

    told = (lambda done, total: progress(name, done, total)) if progress else None
    return Resolved(Path(materialise(name, told)), name, f"zoo:{name}")


def is_offline() -> bool:
    """Whether the user has forbidden downloads."""
    return os.environ.get(OFFLINE, "").strip().lower() in ("1", "true", "yes", "on")


def check_size(reference: str, size: int) -> None:
    """Raise UsageError for a download above the bound."""
    bound = limit()
    if size > bound:
        raise UsageError(
            f"the download would take {megabytes(size)}, more than the {megabytes(bound)} allowed",
            where=reference,
            remedy=f"Allow it with {LIMIT}={-(-size // 10**9)}G",
        )


def limit() -> int:
    """The bound on a download in bytes. Raises UsageError for a setting that is no size."""
    text = os.environ.get(LIMIT, "").strip().upper().removesuffix("B")
    unit = _UNITS.get(text[-1:], 1)
    try:
        return int(float(text[:-1] if unit > 1 else text) * unit) if text else DEFAULT_LIMIT
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text!r} is no size", where=LIMIT, remedy="Write a number of bytes, or 8G"
        ) from None


def megabytes(size: int) -> str:
    """`435.9 MB`, as every message here puts a size."""
    return f"{size / 1e6:,.1f} MB"


def refuse_path(reference: str, file: str) -> None:
    """Raise UsageError for a file name that could lead out of the repository's folder."""
    parts = file.split("/")
    if any(part in ("", ".", "..") for part in parts) or not file.isprintable() or "\\" in file:
        raise UsageError(
            f"{file!r} is no file of a repository",
            where=reference,
            remedy="Write its path with forward slashes, as the repository's page shows it",
        )


def unreachable(reference: str, why: str, remedy: str) -> ModelError:
    """The error for a model that is neither in the cache nor to be had from the network."""
    offline = f"{OFFLINE} is set" if is_offline() else why
    return ModelError(f"not in the cache, and {offline}", where=reference, remedy=remedy)
