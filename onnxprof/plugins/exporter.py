"""The protocol of an exporter: from a framework to ONNX files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from onnxprof.records.device import Availability


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An input of a network that is to be exported."""

    name: str
    dtype: str
    """As NumPy calls it."""
    shape: tuple[int | str, ...]
    """The axes; a symbol is an axis whose size stays free."""

    def symbols(self) -> dict[int, str]:
        """The symbols by the number of their axis."""
        return {axis: size for axis, size in enumerate(self.shape) if isinstance(size, str)}

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export, and where to."""

    target: str
    path: str
    """The ONNX file to write; weights too big for it go into a file beside it."""
    opset: int
    inputs: tuple[InputSpec, ...] = ()
    """The inputs that the user declares; those that a target declares itself take precedence."""
    batch: str = "batch"
    """The symbol of the batch axis; empty where the batch is to be fixed at 1."""
    batches: tuple[int, ...] = ()
    """Batch sizes at which the framework's own outputs are wanted."""
    dims: tuple[tuple[str, int], ...] = ()
    """Sizes of the other symbols, at which samples are computed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Inputs, and the outputs that the framework computes from them."""

    batch: int
    inputs: Mapping[str, NDArray[Any]]
    """By the input names of the ONNX file."""
    outputs: tuple[NDArray[Any], ...]
    """In the order of the ONNX file's outputs."""


@runtime_checkable
class Exporter(Protocol):
    """One framework: turns a network into an ONNX file.

    The constructor is cheap and imports nothing. `export` runs in a process of its own.
    """

    name: str

    def availability(self) -> Availability:
        """Whether the framework is installed, and if not, what to install. Never raises."""

    def accepts(self, target: str) -> bool:
        """Whether a target looks like one of this framework's; loads nothing."""

    def export(self, request: ExportRequest) -> Sequence[Sample]:
        """Write the file; give a sample for each batch size that the network takes.

        Raises ExportError.
        """
