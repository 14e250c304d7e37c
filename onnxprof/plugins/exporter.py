"""What an exporter implements: from a framework to ONNX files."""

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
    """A symbol is an axis whose size stays free."""

    def symbols(self) -> dict[int, str]:
        """The free axes."""
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
    """As the user declares them; an exporter whose targets declare their own takes those."""
    batch: str = "batch"
    """The symbol of the batch axis; empty where the batch is to be fixed at 1."""
    batches: tuple[int, ...] = ()
    """Batch sizes at which the framework's own outputs are wanted."""
    dims: tuple[tuple[str, int], ...] = ()
    """Sizes to try of the other symbols."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a framework computes from some inputs."""

    batch: int
    inputs: Mapping[str, NDArray[Any]]
    """By the names that the ONNX file has."""
    outputs: tuple[NDArray[Any], ...]
    """In the order of the ONNX file's outputs."""


@runtime_checkable
class Exporter(Protocol):
    """One framework: turns a network into an ONNX file.

    Constructing it is cheap and imports nothing. `export` runs in a process of its own.
    """

    name: str

    def availability(self) -> Availability:
        """Whether the framework is here, and if not, what to install. Never raises."""

    def accepts(self, target: str) -> bool:
        """Whether a target looks like one of this framework's; loads nothing."""

    def export(self, request: ExportRequest) -> Sequence[Sample]:
        """Write the file; give a sample for each batch size that the network takes.

        Raises ExportError.
        """
