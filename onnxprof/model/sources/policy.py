"""Limits on downloads: whether any are allowed, their size, and valid file names."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnxprof.errors import ModelError, UsageError

#: Called with the name of a file that is downloaded or made, bytes done and bytes in all.
Progress = Callable[[str, int, int], None]
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
    """The error for a model that is not in the cache and cannot be downloaded."""
    offline = f"{OFFLINE} is set" if is_offline() else why
    return ModelError(f"not in the cache, and {offline}", where=reference, remedy=remedy)
