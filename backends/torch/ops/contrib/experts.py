"""Mixtures of experts, with weights as they are or packed to few bits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Table
from onnxprof.backends.torch.ops.contrib.packed import unpacked
from onnxprof.errors import BackendError


@dataclass(frozen=True, slots=True)
class Layout:
    """What the attributes say about the experts."""

    k: int
    activation: str
    fusion: int
    """0: two products, 1: gate and value interleaved in one, 2: the gate's half first."""
    alpha: float
    beta: float
    limit: float
    normalised: bool

    def chosen(self, router: Any) -> tuple[Any, Any]:
        """Weights and numbers of the experts of each token [tokens, k]."""
        best, which = torch.topk(torch.softmax(router.float(), -1), self.k, -1)
        return best / best.sum(-1, keepdim=True) if self.normalised else best, which

    def activated(self, x: Any, third: Any) -> Any:
        """The inner result of an expert; `third` is that of a third matrix, or None."""
        if self.activation != "swiglu":
            done = _ACTIVATIONS[self.activation](x)
            return done if third is None else done * third
        if self.fusion == 0:
            gate, value = x, third
        elif self.fusion == 1:
            gate, value = x[..., 0::2], x[..., 1::2]
        else:
            gate, value = x.chunk(2, -1)
        if not math.isinf(self.limit):
            gate, value = gate.clamp(max=self.limit), value.clamp(-self.limit, self.limit)
        return gate * torch.sigmoid(self.alpha * gate) * (value + self.beta)


def _gelu(x: Any) -> Any:
    return F.gelu(x)


def _relu(x: Any) -> Any:
    return F.relu(x)


def _silu(x: Any) -> Any:
    return F.silu(x)


def _same(x: Any) -> Any:
    return x


_ACTIVATIONS = {"relu": _relu, "gelu": _gelu, "silu": _silu, "identity": _same}


def _layout(
    k: int, activation_type: str, swiglu_fusion: int, activation_alpha: float,
    activation_beta: float, swiglu_limit: float, normalize_routing_weights: int, sparse: int,
) -> Layout:  # fmt: skip
    if sparse or activation_type not in (*_ACTIVATIONS, "swiglu"):
        raise BackendError(f"experts with {'a sparse mixer' if sparse else activation_type!r}")
    return Layout(
        k, activation_type, swiglu_fusion, activation_alpha, activation_beta, swiglu_limit,
        bool(normalize_routing_weights),
    )  # fmt: skip


def _mixed(x: Any, router: Any, layout: Layout, expert: Any, mixing: Any = None) -> Any:
    """`expert(number, rows)` is run on the tokens that chose it; the results are added up.

    `mixing`, if given, holds the weights of the results in place of the router's.
    """
    flat = x.reshape(-1, x.shape[-1])
    shares, which = layout.chosen(router)
    if mixing is not None:
        shares = mixing.float().gather(-1, which)
    done = torch.zeros(flat.shape, dtype=torch.float32, device=x.device)
    for number in range(router.shape[-1]):
        tokens, place = torch.nonzero(which == number, as_tuple=True)
        if tokens.numel():
            result = expert(number, flat[tokens]).float()
            done.index_add_(0, tokens, result * shares[tokens, place, None])
    return done.to(x.dtype).reshape(x.shape)


def _at(parameter: Any, number: int) -> Any:
    return None if parameter is None else parameter[number]


def _moe(
    x: Any, router: Any, first: Any, first_bias: Any, second: Any, second_bias: Any = None,
    third: Any = None, third_bias: Any = None, *, k: int = 1, activation_type: str = "relu",
    swiglu_fusion: int = 0, activation_alpha: float = 1.0, activation_beta: float = 0.0,
    swiglu_limit: float = math.inf, normalize_routing_weights: int = 0, use_sparse_mixer: int = 0,
) -> Any:  # fmt: skip
    layout = _layout(k, activation_type, swiglu_fusion, activation_alpha, activation_beta,
                     swiglu_limit, normalize_routing_weights, use_sparse_mixer)  # fmt: skip

    def expert(number: int, rows: Any) -> Any:
        inner = F.linear(rows, first[number], _at(first_bias, number))
        other = None if third is None else F.linear(rows, third[number], _at(third_bias, number))
        inner = layout.activated(inner, other)
        return F.linear(inner, second[number], _at(second_bias, number))

    return _mixed(x, router, layout, expert)


def _scaled(packed: Any, scales: Any, zeros: Any, number: int, bits: int) -> Any:
    """The weights of one expert [out, in]: a scale for each row, or for each block of a row."""
    whole = unpacked(packed[number], bits).float()
    scale = scales[number].float()
    scale = scale.unsqueeze(-1) if scale.dim() == 1 else scale
    size = -(-whole.shape[-1] // scale.shape[-1])
    zero = float(1 << (bits - 1))
    if zeros is not None:
        held = zeros[number]
        held = held.unsqueeze(-1) if held.dim() == 1 else held
        if held.shape != scale.shape:
            held = unpacked(held, bits).reshape(scale.shape[0], -1)[:, : scale.shape[-1]]
        zero = held.float().repeat_interleave(size, -1)[:, : whole.shape[-1]]
    return (whole - zero) * scale.repeat_interleave(size, -1)[:, : whole.shape[-1]]


def _qmoe(
    x: Any, router: Any, first: Any, first_scale: Any, first_bias: Any, second: Any,
    second_scale: Any, second_bias: Any = None, third: Any = None, third_scale: Any = None,
    third_bias: Any = None, first_zero: Any = None, second_zero: Any = None,
    third_zero: Any = None, mixing: Any = None, *, k: int = 1, activation_type: str = "relu",
    swiglu_fusion: int = 0,
    activation_alpha: float = 1.0, activation_beta: float = 0.0, swiglu_limit: float = math.inf,
    normalize_routing_weights: int = 0, use_sparse_mixer: int = 0, expert_weight_bits: int = 4,
    block_size: int = 0, quant_type: str = "int", accuracy_level: int = 0,
    weights_prepacked: int = 0,
) -> Any:  # fmt: skip
    # onnxruntime's CPU kernel divides the chosen experts' weights by their sum, asked to or not
    del block_size, accuracy_level, normalize_routing_weights
    if quant_type != "int" or weights_prepacked > 0:
        raise BackendError("weights of QMoE in floating-point or prepacked form")
    layout = _layout(k, activation_type, swiglu_fusion, activation_alpha, activation_beta,
                     swiglu_limit, 1, use_sparse_mixer)  # fmt: skip
    bits = expert_weight_bits

    def product(rows: Any, held: Any, scale: Any, zero: Any, bias: Any, number: int) -> Any:
        made = _scaled(held, scale, zero, number, bits)
        bias = _at(bias, number)
        return F.linear(rows.float(), made, None if bias is None else bias.float())

    def expert(number: int, rows: Any) -> Any:
        inner = product(rows, first, first_scale, first_zero, first_bias, number)
        other = None
        if third is not None:
            other = product(rows, third, third_scale, third_zero, third_bias, number)
        inner = layout.activated(inner, other)
        return product(inner, second, second_scale, second_zero, second_bias, number)

    return _mixed(x, router, layout, expert, mixing)


def table() -> Table:
    """Operator to function."""
    return {"MoE": _moe, "QMoE": _qmoe}
