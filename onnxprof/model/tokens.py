"""How many tokens a model's inputs hold: new ones, those of the past, and both."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from onnxprof.records.layer import LayerTable, Tensor

_PAST = re.compile(r"past|(^|[._])cache", re.IGNORECASE)
_NOT_PAST = re.compile(r"total|present|position", re.IGNORECASE)
_IDS = re.compile(r"input_?ids|inputs_?embeds|decoder_input|tokens?$", re.IGNORECASE)
#: Axes of a cache [batch, heads, tokens, head], or of keys and values together.
_CACHE_RANKS = (4, 5)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Lengths of a model's inputs, as far as axes and names say."""

    longest: int
    """The longest axis that was given a size, else the usual length of an input."""
    past: int = 0
    """Tokens that the model's caches hold already."""
    new: int = 0
    total: int = 0
    """Of the past and new ones."""

    def of(self, name: str) -> tuple[int, str]:
        """The length that an input of this name holds, and what it is."""
        if _PAST.search(name):
            return self.past, "tokens of the past"
        if "total" in name and self.total:
            return self.total, "tokens, those of the past included"
        return self.longest, "the length of the inputs"


def tokens_of(table: LayerTable, inputs: Sequence[Tensor]) -> Tokens:
    """The lengths of a table's inputs; 0 for those that nothing says."""
    past = _past(table, inputs)
    new = next((n for t in inputs if _IDS.search(t.name) and (n := _size(t, 1))), 0)
    return Tokens(_longest(table, inputs), past, new, _named(table, "total") or past + new)


def _past(table: LayerTable, inputs: Sequence[Tensor]) -> int:
    """By an axis that is named after the past, else by the caches' next to last axis."""
    named = [s for n, s in table.dims if _PAST.search(n) and not _NOT_PAST.search(n)]
    if named:
        return max(named)
    caches = (t for t in inputs if _PAST.search(t.name) and not _NOT_PAST.search(t.name))
    sizes = [_size(t, -2) for t in caches if t.shape is not None and len(t.shape) in _CACHE_RANKS]
    return max(sizes, default=0)


def _named(table: LayerTable, word: str) -> int:
    return max((size for name, size in table.dims if word in name.lower()), default=0)


def _size(tensor: Tensor, axis: int) -> int:
    shape = tensor.shape
    size = shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else 0
    return size if isinstance(size, int) else 0


def _longest(table: LayerTable, inputs: Sequence[Tensor]) -> int:
    """The longest named axis, else axis 1 of the first input that has an axis 1, else 1."""
    if table.dims:
        return max(size for _, size in table.dims)
    shapes = [t.shape for t in inputs if t.shape is not None and len(t.shape) > 1]
    second = shapes[0][1] if shapes else 1
    return second if isinstance(second, int) else 1
