"""From the names of models in a plan to references: families and patterns of the zoo, files."""

from __future__ import annotations

import glob
import os
from fnmatch import fnmatchcase
from pathlib import Path

from onnxprof import folders
from onnxprof.errors import UsageError
from onnxprof.model.sources.resolve import is_remote, refuse_form
from onnxprof.zoo import catalogue

_FAMILY = "family="


def references(name: str, folder: Path) -> list[str]:
    """The models that a name of a plan stands for; empty for a pattern of files without a match.

    `folder` is where files are looked for. Raises UsageError for what the zoo does not have, and
    for what cannot be a model's name elsewhere.
    """
    if name.startswith("zoo:"):
        return [f"zoo:{network}" for network in _of_zoo(name.removeprefix("zoo:"))]
    if is_remote(name):
        refuse_form(name)
        return [name]
    path = os.path.join(folder, folders.expanded(name))
    if glob.has_magic(name) and not os.path.exists(path):
        found = glob.glob(path, recursive=True)
        return sorted(os.path.normpath(file) for file in found if os.path.isfile(file))
    return [os.path.normpath(path)]


def _of_zoo(text: str) -> list[str]:
    if text.startswith(_FAMILY):
        return _of_family(text.removeprefix(_FAMILY))
    if not glob.has_magic(text):
        return [catalogue.entry(text).name]
    found = [name for name in catalogue.names() if fnmatchcase(name, text)]
    if not found:
        raise UsageError(f"no network of the zoo matches {text!r}", remedy="See onnxprof zoo list")
    return found


def _of_family(text: str) -> list[str]:
    found = [entry.name for entry in catalogue.entries() if fnmatchcase(entry.family, text)]
    if not found:
        known = ", ".join(catalogue.FAMILIES)
        raise UsageError(f"the zoo has no family {text!r}", remedy=f"It has: {known}")
    return found
