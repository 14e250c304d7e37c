"""Marks: names given to a model's operations, so that OpenVINO reports which layers it runs.

The frontend names an operation after the ONNX node, and added operations like `Reshape_96`,
which may also be the name of a node. So names are replaced by marks once the model is read, while
the tensors still identify the layer of an operation. Optimisation keeps names: an executed node
lists the marks of all operations that it computes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

#: From a mark to the layers that the operation computes or is a part of.
Marks = Mapping[str, tuple[str, ...]]

MARK = "onnxprof~"
#: The ending of marks of operations that yield no tensor of the ONNX graph.
INNER = "i~"
_MARKED = re.compile(rf"{MARK}\d+i?~")
#: Types of nodes that are no operations: data, and the ends of the graph.
_DATA = frozenset({"Constant", "Parameter", "Result"})


def mark(model: Any, producers: Mapping[str, Sequence[str]]) -> Marks:
    """Rename every operation of a model that was just read, subgraphs included.

    `producers` maps each tensor of the ONNX graph to the names of its layers.
    """
    made: dict[str, tuple[str, ...]] = {}
    for body in _bodies(model):
        for operation in body.get_ops():
            if (
                operation.get_type_name() == "Constant"
            ):  # a constant in a file may be named like a mark
                operation.set_friendly_name("data")
        for operation, layers in layers_of(list(body.get_ordered_ops()), producers):
            ends = any(name in producers for o in operation.outputs() for name in o.get_names())
            name = f"{MARK}{len(made):06}{'~' if ends else INNER}"  # sorted as text, too
            made[name] = layers
            operation.set_friendly_name(name)
    return made


def layers_of(
    operations: Sequence[Any], producers: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Operations, in the given order, with the layers that they belong to.

    An operation that yields no tensor of the ONNX graph belongs to the layer of its readers.
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


def is_inner(mark: str) -> bool:
    """Whether a mark is of an operation inside a layer rather than the one with the output."""
    return mark.endswith(INNER)


def anonymous(names: str) -> str:
    """A list of operations without the names that the runtime made up, which may change."""
    marks = sorted(marks_in(names))
    return ",".join((*marks, "*") if has_unmarked(names) else marks)


def has_unmarked(names: str) -> bool:
    """Whether a list of operations has one without a mark, made by the runtime."""
    return bool(names) and any(not _MARKED.search(part) for part in names.split(","))
