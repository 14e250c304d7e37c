"""Matrix products and tensor contractions; products of quantised matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Formula, Work
from onnxprof.cost.operators.elementwise import TANH_GELU, activation

#: Scaling to the output's quantisation: a product, the zero point, rounding and two limits.
REQUANTISE = Work(adds=1, multiplies=1, comparisons=3)


def activated(call: Call) -> Work:
    """The activation that an operator applies to its output, named by its attribute."""
    name = call.text("activation")
    work = activation(name)
    if work is None:
        raise Unknown(f"the activation {name!r} is not modelled")
    return work * call.out_elements()


def products(call: Call, left: int = 0, *, turned: bool = False) -> Size:
    """Multiply-accumulates of a matrix product: for each output, the length of the inner axis."""
    shape = call.shape(left)
    if not shape:
        raise Unknown("a factor is a scalar")
    inner = shape[-2] if turned and len(shape) > 1 else shape[-1]
    return call.out_elements() * inner


def _matmul(call: Call) -> Work:
    return Work(macs=products(call))


def scaled(call: Call, name: str) -> int:
    """1 where a factor other than 1 is applied."""
    return int(call.number(name, 1.0) != 1.0)


def gemm(call: Call) -> Work:
    """alpha · A · B + beta · C."""
    out, bias = call.out_elements(), call.has(2) and call.number("beta", 1.0) != 0.0
    factors = scaled(call, "alpha") * out
    if bias:
        factors = factors + scaled(call, "beta") * call.elements(2)
    macs = products(call, turned=bool(call.integer("transA", 0)))
    return Work(macs=macs, adds=out if bias else 0, multiplies=factors)


def _fused_gemm(call: Call) -> Work:
    return gemm(call) + activated(call)


def _fused_matmul(call: Call) -> Work:
    shape, turned = call.shape(0), bool(call.integer("transA", 0))
    if call.integer("transBatchA", 0) and len(shape) > 2:
        # the first axis is moved behind the other batch axes, before the last one
        shape = (*shape[1:-1], shape[0], shape[-1])
    inner = shape[-2] if turned and len(shape) > 1 else shape[-1]
    out = call.out_elements()
    return Work(macs=out * inner, multiplies=scaled(call, "alpha") * out)


def _fused_matmul_activation(call: Call) -> Work:
    return _fused_matmul(call) + activated(call)


def _gemm_fast_gelu(call: Call) -> Work:
    return (
        Work(macs=products(call)) + (TANH_GELU + Work(adds=int(call.has(2)))) * call.out_elements()
    )


def einsum(call: Call) -> Work:
    """From left to right in pairs; a label is summed as soon as no later operand has it."""
    terms, result = _equation(call)
    sizes: dict[str, Size] = {}
    for position, labels in enumerate(terms):
        for label, size in zip(labels, call.shape(position), strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    left, work = terms[0], _summed(terms[0], {*result, *"".join(terms[1:])}, sizes)
    left = "".join(label for label in left if label in {*result, *"".join(terms[1:])})
    for position in range(1, len(terms)):
        kept = {*result, *"".join(terms[position + 1 :])}
        every = dict.fromkeys(left + terms[position])
        size = product(sizes[label] for label in every)
        work = work + (Work(multiplies=size) if kept >= set(every) else Work(macs=size))
        left = "".join(label for label in every if label in kept)
    return work


def _summed(labels: str, kept: set[str], sizes: Mapping[str, Size]) -> Work:
    """The sums within one operand; the diagonal of a repeated label is only picked out."""
    before = product(sizes[label] for label in dict.fromkeys(labels))
    after = product(sizes[label] for label in dict.fromkeys(labels) if label in kept)
    return Work(adds=before - after)


def _equation(call: Call) -> tuple[list[str], str]:
    """Labels of each operand and of the result; those that `...` stands for are digits."""
    text = call.text("equation").replace(" ", "")
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    if "…" in text or len(terms) != call.given():
        raise Unknown("its equation does not fit its operands")
    widest = ""
    for position, term in enumerate(terms):
        hidden = len(call.shape(position)) - len(term.replace("...", ""))
        dots = "".join(chr(0x2460 + i) for i in range(hidden))[::-1]
        widest = max(widest, dots, key=len)
        terms[position] = term.replace("...", dots)
        if len(terms[position]) != len(call.shape(position)):
            raise Unknown("its equation does not fit its operands")
    if arrow:
        return terms, result.replace("...", widest)
    counts = Counter("".join(term for term in terms))
    return terms, widest + "".join(sorted(c for c in counts if counts[c] == 1 and c.isascii()))


def _qlinear_matmul(call: Call) -> Work:
    return Work(macs=products(call)) + REQUANTISE * call.out_elements()


def _scaled_matmul(call: Call, bias: int, factors: int = 1) -> Work:
    """An integer product, scaled to floating point."""
    out = call.out_elements()
    adds = out if call.has(bias) else 0
    return Work(macs=products(call), adds=adds, multiplies=factors * out)


def _to_float(call: Call) -> Work:
    return _scaled_matmul(call, bias=6)


def _dynamic(call: Call) -> Work:
    """The factor on the left is quantised on the way."""
    size = call.elements(0)
    quantised = Work(adds=size, divisions=size, comparisons=5 * size)
    return _scaled_matmul(call, bias=4) + quantised


def packed(call: Call, rows: Size | None = None, columns: Size | None = None) -> Work:
    """Weights of few bits: each is scaled and shifted once a call, and multiplied for each row."""
    inner = call.required("K")
    columns = call.required("N") if columns is None else columns
    rows = product(call.shape(0)[:-1]) if rows is None else rows
    weights = columns * inner
    return Work(macs=rows * weights, adds=weights, multiplies=weights)


def _nbits(call: Call) -> Work:
    bias = call.out_elements() if call.has(5) else 0
    return packed(call) + Work(adds=bias)


def _bnb4(call: Call) -> Work:
    """The elements are looked up, then scaled."""
    weights = call.required("N") * call.required("K")
    rows = product(call.shape(0)[:-1])
    return Work(macs=rows * weights, multiplies=weights)


def _block_quantised(call: Call) -> Work:
    """8- or 4-bit floating-point weights [N, K], each scaled once a call."""
    fp8 = call.layer.op_type.endswith("Fp8Weight")
    weights = call.out()[-1] * call.shape(0)[-1]
    bias = call.out_elements() if call.has(4 if fp8 else 5) else 0
    # the input is rounded to 8 bits and scaled back
    rounded = call.elements(0) if fp8 and call.has(3) else 0
    return Work(
        macs=products(call),
        adds=bias,
        multiplies=weights + rounded,
        divisions=rounded,
        comparisons=rounded,
    )


def _qgemm(call: Call) -> Work:
    out = call.out_elements()
    macs = products(call, turned=bool(call.integer("transA", 0)))
    ending = REQUANTISE * out if call.has(7) else Work(multiplies=out)
    return Work(macs=macs, adds=out if call.has(6) else 0) + ending


def _float8(call: Call) -> Work:
    return gemm(call) + activated(call)


def _qordered(call: Call) -> Work:
    out = call.out_elements()
    return Work(macs=products(call), adds=(call.has(5) + call.has(6)) * out) + REQUANTISE * out


def _mlp(call: Call) -> Work:
    """Gate and value from one input, the gate's SiLU times the value."""
    out, width = call.out_elements(), call.elements(0)
    both = packed(call) * 2
    adds = out * (call.has(5) + call.has(8)) + (width if call.has(1) else 0)
    gate = activation(call.text("activation", "silu") or "silu")
    if gate is None:
        raise Unknown(f"the activation {call.text('activation')!r} is not modelled")
    ending = (gate + Work(multiplies=1)) * out
    return both + Work(adds=adds) + ending + (_rms(call) if call.has(2) else Work())


def _qkv(call: Call) -> Work:
    """Three products of one normalised input."""
    work = packed(call, columns=call.required("Nq") + 2 * call.required("Nkv"))
    biases = sum(call.out_elements(i) for i in range(3) if call.has((5, 8, 11)[i]))
    skip = call.elements(0) if call.has(1) else 0
    return work + _rms(call) + Work(adds=biases + skip)


def _rms(call: Call) -> Work:
    """Root-mean-square normalisation of the input's rows."""
    size, rows = call.elements(0), product(call.shape(0)[:-1])
    return Work(multiplies=3 * size, adds=size, divisions=2 * rows, exponentials=rows)


OPERATORS: Mapping[str, Formula] = {
    "MatMul": _matmul,
    "Gemm": gemm,
    "Einsum": einsum,
    "MatMulInteger": _matmul,
    "QLinearMatMul": _qlinear_matmul,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "TransposeMatMul": _fused_matmul,
    "FusedMatMulActivation": _fused_matmul_activation,
    "GemmFastGelu": _gemm_fast_gelu,
    "GemmFloat8": _float8,
    "QGemm": _qgemm,
    "MatMulInteger16": _matmul,
    "MatMulIntegerToFloat": _to_float,
    "DynamicQuantizeMatMul": _dynamic,
    "MatMulNBits": _nbits,
    "MatMulBnb4": _bnb4,
    "MatMulBlockQuantizedFp8Weight": _block_quantised,
    "MatMulBlockQuantizedFp4Weight": _block_quantised,
    "MatMulNBitsMlp": _mlp,
    "MatMulNBitsQkv": _qkv,
    "QOrderedMatMul": _qordered,
}
