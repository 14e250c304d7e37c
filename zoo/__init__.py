"""The networks that come with onnxprof: catalogue, skeletons, materialisation.

    >>> from onnxprof import zoo
    >>> path = zoo.materialise("squeezenet")

Importing this package imports nothing else; each name loads what it needs on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxprof.zoo.catalogue import entries, entry, names
    from onnxprof.zoo.declaration import Entry
    from onnxprof.zoo.materialisation import digest, materialise

__all__ = ["Entry", "digest", "entries", "entry", "materialise", "names"]

_HOMES = {
    **dict.fromkeys(("Entry", "entries", "entry", "names"), "onnxprof.zoo.catalogue"),
    **dict.fromkeys(("digest", "materialise"), "onnxprof.zoo.materialisation"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
