"""Which operators are rewritten before OpenVINO reads a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnxprof.backends.openvino.rewrites.grouped import grouped
from onnxprof.backends.openvino.rewrites.nodes import MICROSOFT
from onnxprof.backends.openvino.rewrites.rotary import rotary
from onnxprof.records.layer import LayerTable, Tensor

#: Attributes whose defaults the frontend does not know, or takes for others.
_DEFAULTS: Mapping[str, Mapping[str, int | float]] = {
    "RotaryEmbedding": {"interleaved": 0},
    "EmbedLayerNormalization": {"epsilon": 1e-12},
    "SkipLayerNormalization": {"epsilon": 1e-12},
    "SkipSimplifiedLayerNormalization": {"epsilon": 1e-12},
    "SimplifiedLayerNormalization": {"epsilon": 1e-5},
}
#: Operators by the name under which the frontend knows them.
_RENAMED = {"TransposeMatMul": "FusedMatMul"}
#: onnxruntime's own that stand in the default domain, too.
_MOVED = ("SimplifiedLayerNormalization",)


def rewrite(model: Any, table: LayerTable) -> bool:
    """Rewrite a model's nodes in place; returns whether anything was changed.

    `table` has the shapes at the sizes that the model will be compiled for.
    """
    if not any(o.domain == MICROSOFT for o in model.opset_import):
        return False
    tensors = {t.name: t for layer in table for t in (*layer.inputs, *layer.outputs)}
    changed = [_graph(graph, tensors) for graph in _graphs(model.graph)]
    return any(changed)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _graph(graph: Any, tensors: Mapping[str, Tensor]) -> bool:
    changed = False
    made: list[Any] = []
    masks: dict[tuple[Any, ...], str] = {}
    for node in graph.node:
        if node.domain == MICROSOFT or node.op_type in _MOVED:
            changed = _completed(node) or changed
            parts = _parts(node, tensors, masks)
            if parts is not None:
                made.extend(parts)
                changed = True
                continue
        made.append(node)
    if len(made) != len(graph.node):
        kept = [type(node).FromString(node.SerializeToString()) for node in made]
        del graph.node[:]
        graph.node.extend(kept)
    return changed


def _parts(
    node: Any, tensors: Mapping[str, Tensor], masks: dict[tuple[Any, ...], str]
) -> list[Any] | None:
    """The nodes in place of one; None where it stays as it is."""
    if node.op_type == "GroupQueryAttention":
        return grouped(node, tensors, masks)
    return rotary(node, tensors) if node.op_type == "RotaryEmbedding" else None


def _completed(node: Any) -> bool:
    """Write out the defaults that the frontend lacks, and give the operator its other name."""
    from onnx import helper

    given = {attribute.name for attribute in node.attribute}
    missing = {n: v for n, v in _DEFAULTS.get(node.op_type, {}).items() if n not in given}
    node.attribute.extend(helper.make_attribute(name, value) for name, value in missing.items())
    renamed = _RENAMED.get(node.op_type)
    if renamed:
        node.op_type = renamed
    return bool(missing or renamed)
