"""Convolutions. A tap that falls on padding counts: the kernel is multiplied as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Formula, Work
from onnxprof.cost.operators.elementwise import SILU
from onnxprof.cost.operators.matmul import REQUANTISE, activated


def taps(call: Call, weights: int = 1) -> Size:
    """Multiply-accumulates: for each output a kernel [channels of a group, …spatial axes]."""
    return call.out_elements() * product(call.shape(weights)[1:])


def _bias(call: Call, position: int) -> Size:
    return call.out_elements() if call.has(position) else 0


def _conv(call: Call) -> Work:
    return Work(macs=taps(call), adds=_bias(call, 2))


def _fused(call: Call) -> Work:
    """With a tensor that is added and an activation."""
    return _conv(call) + Work(adds=_bias(call, 3)) + activated(call)


def _nhwc(call: Call) -> Work:
    """onnxruntime keeps the kernel as [outputs, channels of a group, …] here, too."""
    return _conv(call)


def transposed(call: Call, weights: int = 1, bias: int = 2) -> Work:
    """Each input is multiplied by a kernel [inputs, outputs of a group, …spatial axes]."""
    macs = call.elements(0) * product(call.shape(weights)[1:])
    return Work(macs=macs, adds=_bias(call, bias))


def _dynamic_pads(call: Call) -> Work:
    return transposed(call, bias=3)


def _integer(call: Call) -> Work:
    return Work(macs=taps(call))


def _quantised(call: Call) -> Work:
    work = Work(macs=taps(call, 3), adds=_bias(call, 8))
    return work + REQUANTISE * call.out_elements()


def _quantised_transposed(call: Call) -> Work:
    macs = call.elements(0) * product(call.shape(3)[1:])
    return Work(macs=macs, adds=_bias(call, 8)) + REQUANTISE * call.out_elements()


def _deformed(call: Call) -> Work:
    """Each tap of each group of offsets is interpolated between the corners that surround it."""
    kernel, spatial = call.shape(1), len(call.shape(0)) - 2
    places = product((call.out()[0], *call.out()[2:], *kernel[2:]))
    corners = 2**spatial
    values = places * call.shape(0)[1]
    sampled = Work(adds=(corners - 1) * values, multiplies=corners * values)
    shifts = Work(adds=spatial * places * call.integer("offset_group", 1))
    masked = Work(multiplies=values) if call.has(4) else Work()
    return Work(macs=taps(call), adds=_bias(call, 3)) + sampled + shifts + masked


def causal(call: Call) -> Work:
    """One kernel a channel over the last inputs; weights [channels, 1, …taps]."""
    macs = call.out_elements() * product(call.shape(1)[2:])
    silu = call.text("activation").lower() in ("silu", "swish")
    ending = SILU * call.out_elements() if silu else Work()
    return Work(macs=macs, adds=_bias(call, 2)) + ending


def _varlen_causal(call: Call) -> Work:
    macs = call.out_elements() * product(call.shape(1)[2:])
    silu = call.text("activation").lower() in ("silu", "swish")
    ending = SILU * call.out_elements() if silu else Work()
    return Work(macs=macs, adds=_bias(call, 3)) + ending


def _words(call: Call) -> Work:
    """Characters looked up, a convolution over them, tanh, and the maximum over each word."""
    words = product(call.shape(0)[:2])
    kernel = call.shape(1)
    places = words * (call.shape(0)[2] - kernel[2] + 1)
    values = places * kernel[0]
    return Work(
        macs=values * product(kernel[1:]),
        adds=values,
        exponentials=values,
        comparisons=values - words * kernel[0],
    )


OPERATORS: Mapping[str, Formula] = {
    "Conv": _conv,
    "ConvTranspose": transposed,
    "ConvInteger": _integer,
    "QLinearConv": _quantised,
    "DeformConv": _deformed,
    "CausalConvWithState": causal,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "FusedConv": _fused,
    "Conv": _fused,
    "ConvTranspose": transposed,
    "ConvTransposeWithDynamicPads": _dynamic_pads,
    "NhwcConv": _nhwc,
    "NhwcFusedConv": _fused,
    "QLinearConv": _quantised,
    "QLinearConvTranspose": _quantised_transposed,
    "CausalConvWithState": causal,
    "VarlenCausalConvWithState": _varlen_causal,
    "WordConvEmbedding": _words,
}
