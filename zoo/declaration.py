"""Records of the zoo's networks: inputs, published figures, sources of the graphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, slots=True)
class Fill:
    """Sensible values for an input; the model file has them in its metadata."""

    kind: str
    """`normal`, `uniform` (low to high), `integers` (low to high - 1), `constant` (low),
    or `range` (low, low + 1, … along the last axis)."""
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Input:
    """A graph input."""

    name: str
    shape: tuple[str | int, ...]
    """Axis 0 is `batch`; another symbol has its default size in `Entry.dims`. An axis may be a sum
    of symbols, `past_sequence_length + sequence_length`."""
    dtype: str = "float32"
    fill: Fill | None = None
    """Values for the input; None for standard normal values."""

    @property
    def kind(self) -> str:
        """Its dtype and shape."""
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    def __str__(self) -> str:
        return f"{self.name}: {self.kind}"


@dataclass(frozen=True, slots=True)
class Published:
    """Figures that others published; 0 where they give none."""

    parameters: int = 0
    macs: int = 0
    source: str = ""
    departure: str = ""
    """Why a counted figure is more than 1 % away; empty where none is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One network."""

    name: str
    title: str
    task: str
    paper: str
    year: int
    inputs: tuple[Input, ...]
    definition: str
    """Where the graph comes from."""
    published: Published = Published()
    licence: str = "Apache-2.0"
    """Licence of the definition."""
    dims: tuple[tuple[str, int], ...] = ()
    """Default sizes of symbolic axes other than the batch."""
    family: str = ""
    """The module of `families/` that declares it."""
    parameters: int = 0
    """Elements of all weights, batch-norm statistics included."""
    macs: int = 0
    """Multiply-accumulates of one inference at batch 1, see `onnxprof.cost`."""
    nodes: int = 0
    opset: int = 0
    bytes: int = 0
    """Size of the materialised file, external data included."""
    sha256: str = ""
    """Digest of the materialised file."""
    data_bytes: int = 0
    """Size of the file of external data; 0 where the model file has the weights itself."""
    data_sha256: str = ""
    """Digest of the file of external data, which is named after it; empty where there is none."""

    @property
    def data_name(self) -> str:
        """The name of the file of external data; empty where there is none."""
        return data_name(self.name, self.data_sha256) if self.data_sha256 else ""


def data_name(network: str, sha256: str) -> str:
    """The name of the file that holds a network's weights, by the file's digest."""
    return f"{network}-{sha256[:12]}.onnx.data"


def size_of(axis: str | int, sizes: Mapping[str, int]) -> int:
    """The size of an axis: a number, or a symbol or a sum of symbols that have one.

    Raises KeyError for a symbol without a size.
    """
    if isinstance(axis, int):
        return axis
    return sum(sizes[symbol] for symbol in axis.split(" + "))


@dataclass(frozen=True, slots=True)
class Source:
    """How a network's graph is made. Called by maintainers only; imports what it needs itself."""

    build: Callable[[Entry], ModelProto]
    gains: tuple[tuple[str, float], ...] = ()
    """(pattern of tensor names, factor on the values); 1.0 for tensors without a pattern."""
    shifts: tuple[tuple[str, float], ...] = ()
    """(pattern of tensor names, term added to the values), to keep outputs away from 0."""
    apart: bool = False
    """Whether the weights lie in a file beside the model (external data), as those of large
    networks do: a runtime maps that file, and 2 GiB are no limit."""

    def gain(self, tensor: str) -> float:
        """The factor on one tensor's values."""
        return _matching(self.gains, tensor, 1.0)

    def shift(self, tensor: str) -> float:
        """The term that is added to one tensor's values, after the factor."""
        return _matching(self.shifts, tensor, 0.0)


def _matching(values: tuple[tuple[str, float], ...], tensor: str, default: float) -> float:
    return next((value for pattern, value in values if re.fullmatch(pattern, tensor)), default)
