"""What a program wrote about a step it measured, and the layers of a model by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from onnxprof.records.layer import LayerTable

#: How TensorRT's parser calls a node that has no name, before the name of its first output.
UNNAMED = "node_of_"
#: Operators that runtimes put into the step before them.
APPENDED = frozenset(
    {"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "PRelu", "HardSigmoid"}
    | {"HardSwish", "Gelu", "Mish", "Softplus", "Mul", "Add", "Sub", "Div", "BatchNormalization"}
)


class Names:
    """The layers of a model by every name that another program may know them by."""

    def __init__(self, table: LayerTable) -> None:
        self._layers: dict[str, tuple[str, ...]] = {}
        self._tensors: dict[str, str] = {}
        given: dict[str, list[str]] = defaultdict(list)
        for layer in table.nodes:
            for tensor in layer.outputs[:1]:
                self._layers.setdefault(UNNAMED + tensor.name, (layer.name,))
            self._tensors |= {tensor.name: layer.name for tensor in layer.outputs}
            if layer.given_name:
                given[layer.given_name].append(layer.name)
        self._layers |= {layer.name: (layer.name,) for layer in table.nodes}
        self._layers |= {name: tuple(layers) for name, layers in given.items()}

    def resolved(self, names: Iterable[str]) -> tuple[str, ...]:
        """The layers that go by these names; a name that several share stands for all of them."""
        layers = (layer for name in names for layer in self._layers.get(name, ()))
        return tuple(dict.fromkeys(layers))

    def named(self, name: str) -> tuple[str, ...]:
        """The layers that go by a name, or else the one that yields a tensor of that name."""
        return self.resolved((name,)) or self.producer(name)

    def producer(self, tensor: str) -> tuple[str, ...]:
        """The layer that yields a tensor; nothing for one that no layer yields."""
        return (self._tensors[tensor],) if tensor in self._tensors else ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which layers a step is said to compute."""

    source: str
    """What names them, in a few words: `metadata`, `node's name`."""
    layers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """The ONNX names that were read, those unknown to the model among them."""
    exact: bool = True
    """Whether the runtime states the layers; False where only a name resembles a layer's name."""
    grows: bool = False
    """Whether activations behind the layers may be fused into the step without being named."""
    takes: tuple[str, ...] = ()
    """Operators that are fused in behind the layers where the graph has them, in this order."""
    works_for: int = 0
    """1: the step works for the next unit with known layers, too; -1: for the one before."""
    fills: bool = False
    """Whether the step may be any layers that no other step names; execution order decides."""
    operators: tuple[str, ...] = ()
    """ONNX operators that the step may compute, where no name tells the layer."""
