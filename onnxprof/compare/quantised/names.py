"""Names that quantisation tools derive from those of the float network."""

from __future__ import annotations

from collections.abc import Iterator

#: Endings that onnxruntime's and other tools put behind a name; several may follow one another.
_ENDINGS = (
    *("_QuantizeLinear_Output", "_QuantizeLinear_Input", "_DequantizeLinear_Output"),
    *("_QuantizeLinear", "_DequantizeLinear", "_output_quantized", "_output_scale_mul"),
    *("_scales_mul", "_cast_output", "_quantized", "_dequantized", "_quant", "_cast", "_scaled"),
    *("quant_scaled_output", "_bias_add", "_MatMul", "_Add", "_Transposed", "_q", "_dq", ":0"),
)
_BEGINNINGS = ("ConvBnFusion_W_", "ConvBnFusion_BN_B_")
_MOST = 6


def origins(name: str) -> Iterator[str]:
    """A name, then what it may have been before a tool added to it: `fc_MatMul_quant`, `fc`."""
    for _ in range(_MOST):
        if not name:
            return
        yield name
        shorter = _shorter(name)
        if shorter == name:
            return
        name = shorter


def _shorter(name: str) -> str:
    for beginning in _BEGINNINGS:
        if name.startswith(beginning):
            return name.removeprefix(beginning)
    for ending in _ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending)
    return name
