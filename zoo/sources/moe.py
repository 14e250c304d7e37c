"""A layer's mixture of experts, as onnxruntime-genai's model builder lays it out, for maintainers.

A norm, the router's product, one MoE (com.microsoft) for all experts, and the residual sum. The
experts are SwiGLU networks whose gate and value are interleaved in one matrix; with four bits,
QMoE, in blocks of `BLOCK`, symmetric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from onnxprof.zoo.declaration import Entry, Source

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

#: Weights that share a scale.
BLOCK = 32

_OPSET, _IR = 21, 10
_MICROSOFT = "com.microsoft"
_TEXT = ("batch", "sequence")


@dataclass(frozen=True, slots=True)
class Experts:
    """Sizes of a mixture of experts."""

    width: int
    inner: int
    """Width within an expert."""
    experts: int
    chosen: int
    """Experts that a token passes through."""


def moe_source(sizes: Experts, *, quantised: bool = False, apart: bool = False) -> Source:
    """A block of these sizes, of float32 or, quantised, with experts of four bits."""
    return Source(partial(_build, sizes, quantised), apart=apart)


def _build(sizes: Experts, quantised: bool, entry: Entry) -> ModelProto:
    from onnx import TensorProto, helper

    width, real = sizes.width, TensorProto.FLOAT
    whole: list[str | int | None] = [*_TEXT, width]
    weights, mixture = (_packed if quantised else _plain)(sizes)
    graph = helper.make_graph(
        [
            helper.make_node(
                "SimplifiedLayerNormalization",
                ["hidden_states", "norm.weight"],
                ["norm/output_0"],
                "norm",
                axis=-1,
                epsilon=1e-5,
                stash_type=1,
            ),
            helper.make_node(
                "Reshape",
                ["norm/output_0", "tokens"],
                ["router/Reshape/output_0"],
                "router/Reshape",
            ),
            helper.make_node(
                "MatMul",
                ["router/Reshape/output_0", "router.weight"],
                ["router/MatMul/output_0"],
                "router/MatMul",
            ),
            mixture,
            helper.make_node("Add", ["hidden_states", "experts/output_0"], ["output"], "residual"),
        ],
        entry.name,
        [helper.make_tensor_value_info("hidden_states", real, whole)],
        [helper.make_tensor_value_info("output", real, whole)],
        [
            _weight("norm.weight", (width,)),
            helper.make_tensor("tokens", TensorProto.INT64, [2], [-1, width]),
            _weight("router.weight", (width, sizes.experts)),
            *weights,
        ],
        value_info=[
            helper.make_tensor_value_info(name, real, whole)
            for name in ("norm/output_0", "experts/output_0")
        ],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR)


def _weight(name: str, dims: Sequence[int], *, packed: bool = False) -> TensorProto:
    from onnx import TensorProto

    code = TensorProto.UINT8 if packed else TensorProto.FLOAT
    return TensorProto(name=name, dims=dims, data_type=code)


def _shapes(sizes: Experts) -> dict[str, tuple[int, int, int]]:
    """Shapes of the experts' two matrices, [experts, out, in]; gate and value are one matrix."""
    return {
        "experts.gate_up_proj": (sizes.experts, 2 * sizes.inner, sizes.width),
        "experts.down_proj": (sizes.experts, sizes.width, sizes.inner),
    }


def _plain(sizes: Experts) -> tuple[list[TensorProto], NodeProto]:
    """Weights of float32 and the node that reads them."""
    weights = [_weight(name, dims) for name, dims in _shapes(sizes).items()]
    first, second = (weight.name for weight in weights)
    return weights, _mixture("MoE", [first, "", second], sizes)


def _packed(sizes: Experts) -> tuple[list[TensorProto], NodeProto]:
    """Weights of four bits, their scales, and the node that reads them."""
    weights = []
    for name, (experts, outputs, inputs) in _shapes(sizes).items():
        weights.append(_weight(f"{name}_Q4", (experts, outputs, inputs // 2), packed=True))
        weights.append(_weight(f"{name}_scales", (experts, outputs, inputs // BLOCK)))
    names = [weight.name for weight in weights]
    return weights, _mixture(
        "QMoE", [*names[:2], "", *names[2:]], sizes, expert_weight_bits=4, block_size=BLOCK
    )


def _mixture(operator: str, weights: list[str], sizes: Experts, **attributes: Any) -> NodeProto:
    from onnx import helper

    return helper.make_node(
        operator,
        ["norm/output_0", "router/MatMul/output_0", *weights],
        ["experts/output_0"],
        "experts",
        domain=_MICROSOFT,
        activation_type="swiglu",
        swiglu_fusion=1,
        k=sizes.chosen,
        normalize_routing_weights=1,
        **attributes,
    )
