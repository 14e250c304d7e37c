"""Names of ours for the operations of a model, so that OpenVINO says which layers it runs.

The frontend names an operation after its ONNX node, and the operations that it adds
`Reshape_96`, which is what an exporter may have called a node. Names are therefore replaced
once the model is read, while the tensors still say for sure which layer an operation is of.
Optimisation carries names along: an executed node lists those of all that it computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: From a mark to the layers that the operation computes, or is a part of.
Marks = Mapping[str, tuple[str, ...]]

MARK = "onnxprof~"
_MARKED = re.compile(rf"{MARK}\d+~")
#: What the runtime calls an operation that it adds: type and number.
_NUMBERED = re.compile(r"\b([A-Z][A-Za-z]*)_\d+(?![A-Za-z0-9])")
#: What is no operation: data, and the ends of the graph.
_DATA = frozenset({"Constant", "Parameter", "Result"})


def mark(model: Any, producers: Mapping[str, Sequence[str]]) -> Marks:
    """Rename every operation of a model that was just read, its subgraphs' as well.

    `producers` maps each tensor of the ONNX graph to the names of its layers.
    """
    made: dict[str, tuple[str, ...]] = {}
    for body in _bodies(model):
        for operation, layers in layers_of(list(body.get_ordered_ops()), producers):
            name = f"{MARK}{len(made)}~"
            made[name] = layers
            operation.set_friendly_name(name)
    return made


def layers_of(
    operations: Sequence[Any], producers: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each operation, in the order given, with the layers that it stands for.

    One that yields no tensor of the ONNX graph is a part of the layer that it works for.
    """
    known: dict[str, tuple[str, ...]] = {}
    for operation in reversed(operations):  # consumers first
        yielded = _unique(
            layer
            for output in operation.outputs()
            for tensor in sorted(output.get_names())
            for layer in producers.get(tensor, ())
        )
        known[operation.get_name()] = yielded or _served(operation, known)
    for operation in operations:
        if operation.get_type_name() not in _DATA:
            yield operation, known[operation.get_name()]


def _served(operation: Any, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The layers of the first reader that has any."""
    for output in operation.outputs():
        for reader in output.get_target_inputs():
            layers = known.get(reader.get_node().get_name(), ())
            if layers:
                return layers[:1]
    return ()


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _bodies(model: Any) -> Iterator[Any]:
    """A model and the bodies of its control flow, outermost first."""
    yield model
    for operation in model.get_ops():
        for body in _own_bodies(operation):
            yield from _bodies(body)


def _own_bodies(operation: Any) -> list[Any]:
    if operation.get_type_name() == "If" and hasattr(operation, "get_then_body"):
        return [operation.get_then_body(), operation.get_else_body()]
    return [operation.get_function()] if hasattr(operation, "get_function") else []


def marks_in(name: str) -> list[str]:
    """The marks that a name of the runtime's holds, in order."""
    return _MARKED.findall(name)


def readable(name: str, marks: Marks) -> str:
    """A name of the runtime's with layers in place of marks; empty where nobody knows it.

    The numbers that the runtime gives to its own operations differ from process to process, so
    they are left out.
    """
    if not all(marks.get(found) for found in marks_in(name)):
        return ""
    return "".join(
        marks[part][-1] if part in marks else _NUMBERED.sub(r"\1", part)
        for part in re.split(rf"({_MARKED.pattern})", name)
    )
