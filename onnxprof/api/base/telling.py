"""What a function has to say beside its result: as Python's warnings, at the caller's line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from types import FrameType

from onnxprof.api.base.door import in_python
from onnxprof.publish.text.safe import printable


def warn(text: str, kind: type[Warning] = UserWarning) -> None:
    """Warn at the line outside of onnxprof that asked for the work."""
    frame: FrameType | None = sys._getframe()
    level = 1
    while frame is not None and _is_ours(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(printable(in_python(text)), kind, stacklevel=level)


def warn_each(texts: Iterable[str]) -> None:
    """The same for each text, once."""
    for text in dict.fromkeys(texts):
        warn(text)


def _is_ours(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name == "onnxprof" or name.startswith("onnxprof.")
