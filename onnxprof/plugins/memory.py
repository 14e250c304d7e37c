"""Memory that runs out: how a runtime says so, and what a run could have less of."""

from __future__ import annotations

import re
import shlex

from onnxprof.errors import OnnxprofError
from onnxprof.records.run import Request

#: What the remedy of a backend tells to use: it does not know the request. `sized` names its sizes.
SMALLER = "smaller sizes with --batch, --dim or --phase"
#: Where no size can be smaller.
_MORE = "a machine or device with more memory"
#: The largest axes that are named.
_MOST_AXES = 3
_EXHAUSTED = re.compile(
    r"Failed to allocate memory|Available memory of \d+ is smaller|[Oo]ut of memory"
    r"|bad_alloc|bad allocation|STATUS_ALLOC_FAILED|OutOfMemory"
    r"|can't allocate memory|not enough memory: you tried"
)


def is_exhausted(error: BaseException) -> bool:
    """Whether an exception of a runtime says that memory of the host or a device ran out."""
    return isinstance(error, MemoryError) or bool(_EXHAUSTED.search(str(error)))


def smaller(asked: Request) -> str:
    """What to use in place of what was asked: `smaller sizes than --batch 8 --dim past=512`.

    Sizes of 1 or less are none to reduce; of the axes the largest are named.
    """
    axes = sorted((pair for pair in asked.dims if pair[1] > 1), key=lambda pair: -pair[1])
    words = [
        *([f"--phase {asked.phase}"] if asked.phase else []),
        *([f"--batch {asked.batch}"] if asked.batch > 1 else []),
        *(f"--dim {shlex.quote(f'{name}={size}')}" for name, size in axes[:_MOST_AXES]),
    ]
    return f"smaller sizes than {' '.join(words)}" if words else _MORE


def sized(error: OnnxprofError, instead: str) -> OnnxprofError:
    """The error, with what a backend left open in its remedy."""
    error.remedy = error.remedy.replace(SMALLER, instead)
    return error
