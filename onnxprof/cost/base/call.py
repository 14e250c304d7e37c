"""A layer as the formulas see it: sizes and attributes by position and name."""

from __future__ import annotations

from collections.abc import Callable

from onnxprof.cost.base.expression import Size, product
from onnxprof.records.layer import Layer, Tensor, placed


class Unknown(Exception):
    """A shape, a value or an attribute that a formula needs is not known; says which."""


#: The sizes of a tensor's axes. Raises Unknown.
Sizes = tuple[Size, ...]
SizesOf = Callable[[Tensor], Sizes]


def static_sizes(tensor: Tensor) -> Sizes:
    """The sizes of a tensor all of whose axes are known. Raises Unknown."""
    if tensor.shape is None:
        raise Unknown(f"the shape of {tensor.name} is unknown")
    for size in tensor.shape:
        if not isinstance(size, int):
            raise Unknown(f"the shape of {tensor.name} has the size {size or '?'}")
    return tensor.shape  # type: ignore[return-value]


class Call:
    """One layer's operands and attributes. Every method raises Unknown for what is not known."""

    __slots__ = ("_attributes", "_sizes", "inputs", "layer", "outputs")

    def __init__(self, layer: Layer, sizes: SizesOf = static_sizes) -> None:
        self.layer = layer
        self.inputs = placed(layer.inputs, layer.absent_inputs)
        self.outputs = placed(layer.outputs, layer.absent_outputs)
        self._attributes = dict(layer.attributes)
        self._sizes = sizes

    def has(self, position: int) -> bool:
        """Whether an optional input is given."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def yields(self, position: int) -> bool:
        """Whether an optional output is asked for."""
        return position < len(self.outputs) and self.outputs[position] is not None

    def input(self, position: int) -> Tensor:
        """An input."""
        if not self.has(position) or (tensor := self.inputs[position]) is None:
            raise Unknown(f"it has no input {position}")
        return tensor

    def shape(self, position: int = 0) -> Sizes:
        """Sizes of an input."""
        return self._sizes(self.input(position))

    def out(self, position: int = 0) -> Sizes:
        """Sizes of an output."""
        tensor = self.outputs[position] if position < len(self.outputs) else None
        if tensor is None:
            raise Unknown(f"it has no output {position}")
        return self._sizes(tensor)

    def elements(self, position: int = 0) -> Size:
        """Number of elements of an input."""
        return product(self.shape(position))

    def out_elements(self, position: int = 0) -> Size:
        """Number of elements of an output."""
        return product(self.out(position))

    def given(self) -> int:
        """Number of inputs that are present."""
        return len(self.layer.inputs)

    def value(self, position: int) -> tuple[int, ...] | None:
        """Contents of an operand where the table has them."""
        return self.inputs[position].value if self.has(position) else None  # type: ignore[union-attr]

    def text(self, name: str, default: str = "") -> str:
        """An attribute as text."""
        text = self._attributes.get(name, default)
        if text.startswith("@"):
            raise Unknown(f"{name} is an attribute of the function that it stands in")
        return text

    def integer(self, name: str, default: int) -> int:
        """A whole number."""
        text = self.text(name)
        return int(text) if text else default

    def required(self, name: str) -> int:
        """A whole number without default."""
        text = self.text(name)
        if not text:
            raise Unknown(f"it has no attribute {name}")
        return int(text)

    def number(self, name: str, default: float) -> float:
        """A floating-point number."""
        text = self.text(name)
        return float(text) if text else default

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts or numbers; empty without the attribute."""
        text = self.text(name)
        if "…" in text:
            raise Unknown(f"{name} is stored in part")
        return tuple(part for part in text.strip("[]").split(",") if part)

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers; empty without the attribute."""
        return tuple(map(int, self.texts(name)))

    def length(self, name: str) -> int:
        """How many items a list has, also where only its first ones are stored."""
        text = self.text(name)
        if "… " in text:
            return int(text.rpartition("… ")[2].split()[0])
        return len(self.texts(name))

    def axis(self, name: str, default: int, rank: int) -> int:
        """An axis, counted from the front."""
        axis = self.integer(name, default)
        if not -rank <= axis < max(rank, 1):
            raise Unknown(f"axis {axis} is not one of {rank}")
        return axis % max(rank, 1)
