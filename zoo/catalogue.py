"""Looking up the networks of the zoo.

Counts and digests (`skeletons/index.json`) are written by `onnxprof zoo export`; all other facts
are in `families/`. Importing this imports neither onnx nor numpy.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

from onnxprof.zoo.declaration import Entry, Fill, Input, Published, Source

__all__ = ["Entry", "Fill", "Input", "Published", "entries", "entry", "names", "sources"]

SKELETONS = Path(__file__).parent / "skeletons"
INDEX = SKELETONS / "index.json"
#: Modules of `families/`, in the catalogue's order.
FAMILIES = (
    "light",
    "keras_mnist",
    "small_images",
    "imagenet",
    "vision",
    "mlperf_vision",
    "language",
    "mlperf_language",
    "decoders",
    "towers",
)


@cache
def _declared() -> tuple[Entry, ...]:
    modules = ((family, import_module(f"onnxprof.zoo.families.{family}")) for family in FAMILIES)
    return tuple(
        replace(entry, family=family) for family, module in modules for entry in module.ENTRIES
    )


def names() -> tuple[str, ...]:
    """The names of all networks, in the catalogue's order."""
    return tuple(entry.name for entry in _declared())


def titles() -> dict[str, str]:
    """The titles of all networks by name; the quickest to ask, without their figures."""
    return {entry.name: entry.title for entry in _declared()}


@cache
def entries() -> tuple[Entry, ...]:
    """Every network with its figures."""
    index = json.loads(INDEX.read_text("utf-8")) if INDEX.exists() else {}
    return tuple(replace(entry, **index.get(entry.name, {})) for entry in _declared())


def entry(name: str) -> Entry:
    """The network of that name. Raises UsageError for a name that the zoo does not have."""
    match = next((entry for entry in entries() if entry.name == name), None)
    if match is None:
        raise _unknown(name)
    return match


def plain(name: str) -> str:
    """A network's name without the prefix `zoo:`, which commands of the zoo accept."""
    return name.removeprefix("zoo:")


def sources() -> dict[str, Source]:
    """Where the graph of each network comes from."""
    every: dict[str, Source] = {}
    for family in FAMILIES:
        every |= import_module(f"onnxprof.zoo.families.{family}").SOURCES
    return {name: every[name] for name in names()}


def skeleton_path(name: str) -> Path:
    """Where the skeleton of a network lies."""
    return SKELETONS / f"{name}.onnx"


def _unknown(name: str) -> Exception:
    from difflib import get_close_matches

    from onnxprof.errors import UsageError

    close = get_close_matches(name.lower(), names(), n=3, cutoff=0.3)
    hint = f"The closest of its {len(names())} names: {', '.join(close)}. " if close else ""
    return UsageError(
        "the zoo has no such network", where=f"zoo:{name}", remedy=f"{hint}See onnxprof zoo list"
    )
