"""Where the files of the package are: in its own folder or, in a checkout, beside it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path


@cache
def folder(name: str = "") -> Path:
    """The package's own folder, or one of those that belong to it: `site`, `zoo`.

    A checkout holds a symbolic link to such a folder. Where git wrote the link as a file of text,
    as on Windows, the folder beside the package is meant.
    """
    package = Path(str(files("onnxprof")))
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
