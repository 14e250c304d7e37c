"""Layers of a model and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from onnxprof.records.elements.table import element_bits

#: One axis: the size, the name of a symbolic size, or None if not known.
Dim = int | str | None
#: A tensor's axes; None where not even the rank is known.
Shape = tuple[Dim, ...] | None


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value that flows between layers."""

    name: str
    dtype: str = ""
    """NumPy's name (`float32`), or `sequence(float32)`, `optional(int64)`; empty if unknown."""
    shape: Shape = None
    value: tuple[int, ...] | None = None
    """The contents of a shape operand, resolved at the table's batch size."""
    observed: bool = False
    """Whether the shape was seen at run time rather than inferred."""

    @property
    def element_bits(self) -> int:
        """Bits that an element takes, packed types below 8; 0 for texts and unknown types."""
        return element_bits(self.dtype)

    @property
    def is_static(self) -> bool:
        """Whether every axis has a known size."""
        return self.shape is not None and all(isinstance(d, int) for d in self.shape)


def placed(tensors: Sequence[Tensor], absent: Sequence[int]) -> list[Tensor | None]:
    """Tensors by operator position, None where an optional one is left out."""
    if not absent:
        return list(tensors)
    found: list[Tensor | None] = list(tensors)
    for position in sorted(absent):
        found.insert(position, None)
    return found


class LayerKind(StrEnum):
    """What a row of the layer table stands for."""

    INPUT = "input"
    INITIALIZER = "initializer"
    SHAPE_OPERAND = "shape_operand"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Layer:
    """One row of the layer table: a node of the ONNX graph, or a tensor that is given."""

    name: str
    """Unique among the nodes of a table; the model that a runtime loads uses this name, too."""
    kind: LayerKind
    layer_type: str
    """Coarse class (`Conv`, `ElementWise`, …), or `Input`, `Initializer`, `ShapeOperand`."""
    op_type: str = ""
    """ONNX operator; empty for what is not a node."""
    domain: str = ""
    """Operator domain; empty for the default domain."""
    opset: int = 0
    """Version of the domain that the model imports; 0 for what is not a node."""
    inputs: tuple[Tensor, ...] = ()
    """Inputs that are present, in operator order."""
    outputs: tuple[Tensor, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """Attribute names and their values as text."""
    given_name: str = ""
    """The node's name in the file; empty where the file gives none."""
    parent: str = ""
    """The control-flow layer whose subgraph holds this one; empty at the top level."""
    subgraph: str = ""
    """The attribute of `parent` that holds the subgraph: `body`, `then_branch`; else empty."""
    absent_inputs: tuple[int, ...] = ()
    """Positions of optional inputs that the node leaves out."""
    absent_outputs: tuple[int, ...] = ()
    """The same of its outputs."""


@dataclass(frozen=True, slots=True)
class LayerTable:
    """Every layer of a model at one batch size, in first-appearance order."""

    layers: tuple[Layer, ...]
    batch: int
    dims: tuple[tuple[str, int], ...] = ()
    """Sizes given to symbolic axes other than the batch."""
    obstacle: str = ""
    """Why the model keeps the batch of the file, with the layer; empty if it was re-batched."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """Declarations of the file that its graph contradicts; not stored with a run."""

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    @property
    def sizes(self) -> str:
        """`batch 8`, `batch 1, sequence=128`."""
        axes = (f"{name}={size}" for name, size in self.dims)
        return ", ".join((f"batch {self.batch}", *axes))

    @property
    def nodes(self) -> tuple[Layer, ...]:
        """The layers that are nodes of the graph, in file order."""
        return tuple(layer for layer in self.layers if layer.kind is LayerKind.NODE)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Identity and size of the measured model file."""

    name: str
    reference: str
    """`zoo:NAME`, or the file that the user named; runs keep only the file's name."""
    sha256: str
    """Digest of the model file, followed by its external data in order of first use."""
    file_bytes: int
    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    producer: str = ""
    graph_name: str = ""
    parameters: int = 0
    """Elements of all weights, see `onnxprof.model.graph.parameters`."""


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model as a runtime is to load it: unique node names, the batch carried through."""

    source: Path | bytes
    """The path of an unchanged file, or the changed model, serialised."""
    folder: Path
    """The folder of the external data of `source`."""
    free_dims: tuple[tuple[str, int], ...] = ()
    """Sizes of the symbolic axes that are still free in `source`, the batch among them."""
