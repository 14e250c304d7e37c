"""Which operators are rewritten before OpenVINO reads a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from onnxprof.backends.openvino.rewrites.constants import hold, stored
from onnxprof.backends.openvino.rewrites.experts import OLDEST, experts
from onnxprof.backends.openvino.rewrites.grouped import grouped
from onnxprof.backends.openvino.rewrites.nodes import MICROSOFT
from onnxprof.backends.openvino.rewrites.rotary import rotary
from onnxprof.backends.openvino.rewrites.weights import Weights
from onnxprof.model.graph.data_files import DataFolder
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
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


def rewrite(model: Any, table: LayerTable, data: DataFolder) -> bool:
    """Rewrite a model's nodes in place; returns whether anything was changed.

    `table` has the shapes at the sizes that the model will be compiled for, `data` reads the
    model's external data.
    """
    if not any(o.domain == MICROSOFT for o in model.opset_import):
        return False
    tensors = {t.name: t for layer in table for t in (*layer.inputs, *layer.outputs)}
    graphs = list(_graphs(model.graph))
    changed = hold(graphs, tensors)
    opset = max((o.version for o in model.opset_import if o.domain in DEFAULT_DOMAINS), default=0)
    rewriting = _Rewriting(tensors, Weights(stored(graphs), data), opset)
    rewritten = [rewriting.graph(graph) for graph in graphs]
    model.graph.initializer.extend(rewriting.weights.made)
    return changed or any(rewritten)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


@dataclass(frozen=True, slots=True)
class _Rewriting:
    """What is known of a model while its nodes are rewritten."""

    tensors: Mapping[str, Tensor]
    weights: Weights
    opset: int

    def graph(self, graph: Any) -> bool:
        """Rewrite the nodes of one graph, not of those inside; returns whether any was."""
        completed = replaced = False
        made: list[Any] = []
        masks: dict[tuple[Any, ...], str] = {}
        for node in graph.node:
            if node.domain == MICROSOFT or node.op_type in _MOVED:
                completed = _completed(node) or completed
                parts = self._parts(node, masks)
                if parts is not None:
                    made.extend(parts)
                    replaced = True
                    continue
            made.append(node)
        if replaced:
            kept = [type(node).FromString(node.SerializeToString()) for node in made]
            del graph.node[:]
            graph.node.extend(kept)
        return completed or replaced

    def _parts(self, node: Any, masks: dict[tuple[Any, ...], str]) -> list[Any] | None:
        """The nodes in place of one; None where it stays as it is."""
        if node.op_type == "GroupQueryAttention":
            return grouped(node, self.tensors, masks)
        if node.op_type in ("MoE", "QMoE") and self.opset >= OLDEST:
            return experts(node, self.tensors, self.weights)
        return rotary(node, self.tensors) if node.op_type == "RotaryEmbedding" else None


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
