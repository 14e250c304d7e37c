"""What a process with untrusted input sends: records and arrays, and nothing that acts when read.

Python's own way to send objects lets the sender choose a function for the reader to call. A
runtime that a model took over would be outside of its fences by that.
"""

from __future__ import annotations

import builtins
import io
import pickle
import sys
from multiprocessing.connection import Connection
from typing import Any

from onnxprof.errors import ProcessEnded

#: What may be made by name: types without an effect of their own, and how numpy makes arrays.
_TYPES = {
    "builtins": ("bytearray", "complex", "frozenset", "object", "range", "set", "slice"),
    "collections": ("Counter", "OrderedDict", "deque"),
    "fractions": ("Fraction",),
    "numpy": ("dtype", "ndarray"),
    "onnxprof.errors": ("_rebuild",),
}
_PATHS = ("PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
_TYPES |= dict.fromkeys(("pathlib", "pathlib._local"), _PATHS)
_ARRAYS = ("_reconstruct", "_frombuffer", "scalar")
for _core in ("numpy.core", "numpy._core"):
    _TYPES |= dict.fromkeys((f"{_core}.multiarray", f"{_core}.numeric"), _ARRAYS)
#: Packages whose classes may be made: ours, and element types that numpy lacks.
_PACKAGES = ("onnxprof.", "ml_dtypes")
_MOST_BYTES = 1 << 30


def received(channel: Connection) -> Any:
    """The next object that a process sent.

    Raises EOFError and OSError where there is none, and ProcessEnded where it is more than
    records, arrays and Python's plain types.
    """
    data = channel.recv_bytes(_MOST_BYTES)
    try:
        return _Reader(io.BytesIO(data)).load()
    except (EOFError, OSError, MemoryError):
        raise
    except Exception as error:
        raise ProcessEnded(f"a process sent what it may not: {error}") from None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _TYPES.get(module, ()):
            return super().find_class(module, name)
        ours = module.startswith(_PACKAGES)
        if (ours or module in sys.modules) and "." not in name:
            found = super().find_class(module, name)
            is_own = isinstance(found, type) and found.__module__ == module
            if is_own and (ours or issubclass(found, BaseException)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name}")


def is_plain(error: BaseException) -> bool:
    """Whether an error can be sent as it is: one of Python's own."""
    return getattr(builtins, type(error).__name__, None) is type(error)
