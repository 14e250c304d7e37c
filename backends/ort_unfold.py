"""A model in which an If with a constant condition is replaced by its branch.

onnxruntime does the same while loading. Here it makes the branch's tensors visible: the values
inside of a subgraph are no outputs of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
from onnx import numpy_helper

from onnxprof.backends.ort_topology import graph_attributes


def unfolded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, or a copy of it in which the branches that are taken stand in the main graph.

    The If itself stays as an Identity of its name, one for each further result. Branches
    whose names would clash with the main graph's stay where they are.
    """
    if not any(True for _ in _known_branches(model.graph)):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    while found := next(_known_branches(made.graph), None):
        _put_in_place(made.graph, *found)
    return made


def _known_branches(graph: onnx.GraphProto) -> Iterator[tuple[int, onnx.GraphProto]]:
    """Each If whose branch is known and can be moved: its place, and the branch."""
    known = _conditions(graph)
    there = {name for node in graph.node for name in node.output}
    there |= {tensor.name for tensor in graph.initializer} | {i.name for i in graph.input}
    for place, node in enumerate(graph.node):
        if node.op_type != "If" or node.domain or node.input[0] not in known:
            continue
        wanted = "then_branch" if known[node.input[0]] else "else_branch"
        branch = next((a.g for a in graph_attributes(node) if a.name == wanted), None)
        if branch is not None and not there & _own(branch):
            yield place, branch


def _conditions(graph: onnx.GraphProto) -> Mapping[str, bool]:
    """Constant bools of one element."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    return {
        name: bool(numpy_helper.to_array(tensor).all())
        for name, tensor in stored.items()
        if tensor.data_type == onnx.TensorProto.BOOL and max(tensor.dims, default=1) == 1
    }


def _own(branch: onnx.GraphProto) -> set[str]:
    names = {name for node in branch.node for name in node.output if name}
    return names | {tensor.name for tensor in branch.initializer}


def _put_in_place(graph: onnx.GraphProto, place: int, branch: onnx.GraphProto) -> None:
    node = graph.node[place]
    results = [
        onnx.helper.make_node(
            "Identity", [inner.name], [outer], name=f"{node.name}{f'#{i}' if i else ''}"
        )
        for i, (inner, outer) in enumerate(zip(branch.output, node.output, strict=False))
        if outer
    ]
    nodes = [*graph.node[:place], *branch.node, *results, *graph.node[place + 1 :]]
    graph.initializer.extend(branch.initializer)
    graph.sparse_initializer.extend(branch.sparse_initializer)
    kept = [onnx.NodeProto.FromString(each.SerializeToString()) for each in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def node_names(graph: onnx.GraphProto) -> set[str]:
    """Names of all nodes, those of subgraphs as well."""
    inner = (node_names(a.g) for node in graph.node for a in graph_attributes(node))
    return {node.name for node in graph.node}.union(*inner)
