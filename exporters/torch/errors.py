"""Errors of torch's exporter as ours, in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

from onnxprof.errors import ExportError

_OPERATOR = re.compile(r"OpOverload\(op='([\w.]+)', overload='(\w+)'\)")
_SPECIALISED = re.compile(
    r"specializ|Constraints violated|Not all values of|conflicts between user-specified ranges",
    re.IGNORECASE,
)


def insists_on_sizes(error: BaseException) -> bool:
    """Whether the error says that the module works at the traced sizes only."""
    return any(_SPECIALISED.search(str(cause)) for cause in _causes(error))


def translated(error: BaseException, target: str) -> ExportError:
    """The error of the exporter as one of ours, with its remedy."""
    causes = list(_causes(error))
    for cause in causes:
        match = _OPERATOR.search(str(cause))
        if match and "No ONNX function found" in str(cause):
            operator = match[1] if match[2] == "default" else f"{match[1]}.{match[2]}"
            return ExportError(
                f"torch's exporter has no translation of operator {operator}",
                where=target,
                remedy="Write that part of forward with other operators, or try a newer torch",
            )
    root = causes[-1]
    line = next((line for line in str(root).splitlines() if line.strip()), "")
    return ExportError(
        f"torch cannot export it: {type(root).__name__}: {line.strip()}",
        where=target,
        remedy="forward must be traceable by torch.export; --debug shows the whole error",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its chain of causes, the first cause last."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__
