"""Whether a layer mixes the items of a batch, judged by the axes that its operator works over.

A batch axis is one whose size is a multiple of the prime that was traced through the graph.
The rules follow from the operator specifications (https://onnx.ai/onnx/operators); mixing that
depends on values is checked by running the model (`onnxprof.checks.batches`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from onnx import NodeProto

from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.rebatch.trace import marks
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.records.layer import Shape

_SOFTMAX = ("Softmax", "LogSoftmax", "Hardmax")
#: Before this opset, softmax operators worked over all axes from `axis` on.
_ONE_AXIS_SINCE = 13
_TRAINING_SINCE, _TRAINING_ATTRIBUTE_SINCE = 7, 14
_POOLS = ("AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
_CONVOLUTIONS = ("Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "DeformConv")
_LAYER_NORMS = ("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
_RECURRENT = ("LSTM", "GRU", "RNN")

_OVER = "works over the batch"
_WITHIN = "normalises over the batch"


class Mixing:
    """Rules by operator, for the nodes of a graph whose batch is the prime."""

    def __init__(self, prime: int, opset: int, dependent: set[str]) -> None:
        self._prime, self._opset, self._dependent = prime, opset, dependent

    def reason(self, node: NodeProto, scope: Scope) -> str:
        """How the node mixes items of the batch, in words; empty where that is not certain."""
        if not self._dependent.intersection(node.input) or not node.output:
            return ""
        given = [scope.shape(name) if name else None for name in node.input]
        if self._is_product(node, scope, given):
            return "combines every item of the batch with every other"
        if node.domain not in DEFAULT_DOMAINS:
            return ""
        check = _CHECKS.get(node.op_type)
        if check is not None and (why := check(self, node, scope, given)):
            return why
        return self._reduction(node, scope, given)

    def _is_product(self, node: NodeProto, scope: Scope, given: Sequence[Shape]) -> bool:
        most = max((len(marks(shape, self._prime)) for shape in given), default=0)
        made = (name for name in node.output if name in self._dependent)
        return most == 1 and any(len(marks(scope.shape(n), self._prime)) > 1 for n in made)

    def _marks(self, shape: Shape) -> tuple[int, ...]:
        return marks(shape, self._prime)

    def _reduction(self, node: NodeProto, scope: Scope, given: Sequence[Shape]) -> str:
        if not node.op_type.startswith("Reduce") or given[0] is None:
            return ""
        axes = _reduced(node, scope, len(given[0]))
        whole = len(axes) == len(given[0])
        if whole and node.op_type in ("ReduceMax", "ReduceMin"):
            return ""  # how exporters write dynamic quantisation, which only values tell apart
        return _OVER if set(axes).intersection(self._marks(given[0])) else ""

    def softmax(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Softmax works over one axis; before opset 13 over all axes from `axis` on."""
        single = self._opset >= _ONE_AXIS_SINCE
        axis = _axis(node, given[0], -1 if single else 1)
        return self._touches(given[0], axis, None if single else -1, _WITHIN)

    def one_axis(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """ArgMax, ArgMin and TopK work over one axis."""
        default = -1 if node.op_type == "TopK" else 0
        return self._touches(given[0], _axis(node, given[0], default), None, _OVER)

    def cumulative(self, _: NodeProto, scope: Scope, given: Sequence[Shape]) -> str:
        """CumSum works over one axis, which is an operand."""
        value = scope.value_of(_.input[1]) if len(_.input) > 1 else None
        if value is None or given[0] is None or value.dtype == object:
            return ""
        return self._touches(given[0], int(value.flat[0]) % len(given[0]), None, _OVER)

    def layer_norm(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Layer normalisation works over all axes from `axis` on."""
        return self._touches(given[0], _axis(node, given[0], -1), -1, _WITHIN)

    def batch_norm(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Batch normalisation in training mode computes mean and variance over the batch."""
        if self._opset >= _TRAINING_ATTRIBUTE_SINCE:
            training = bool(_attribute(node, "training_mode", 0))
        else:
            training = sum(map(bool, node.output)) > 1 and self._opset >= _TRAINING_SINCE
        met = training and self._marks(given[0])
        return "normalises over the batch (training mode)" if met else ""

    def spatial(self, _: NodeProto, __: Scope, given: Sequence[Shape]) -> str:
        """Convolutions and pools work over all axes from 2 on."""
        return self._touches(given[0], 2, -1, _OVER)

    def channels(self, _: NodeProto, __: Scope, given: Sequence[Shape]) -> str:
        """LRN, instance and group normalisation work over all axes from 1 on."""
        return self._touches(given[0], 1, -1, _WITHIN)

    def product(self, _: NodeProto, __: Scope, given: Sequence[Shape]) -> str:
        """MatMul sums over the left operand's last axis and the right one's last but one."""
        left, right = given[0], given[1] if len(given) > 1 else None
        last = self._touches(left, len(left or ()) - 1, None, _OVER)
        return last or self._touches(right, max(len(right or ()) - 2, 0), None, _OVER)

    def gemm(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Gemm sums as MatMul does, with either operand transposed by an attribute."""
        left = 0 if _attribute(node, "transA", 0) else 1
        right = 1 if _attribute(node, "transB", 0) else 0
        other = given[1] if len(given) > 1 else None
        return self._touches(given[0], left, None, _OVER) or self._touches(
            other, right, None, _OVER
        )

    def einsum(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Einsum sums over the letters that are missing from its output."""
        equation = str(_text(node, "equation")).replace(" ", "")
        terms, arrow, out = equation.partition("->")
        if not arrow or "." in equation:
            return ""
        for term, shape in zip(terms.split(","), given, strict=False):
            if any(axis < len(term) and term[axis] not in out for axis in self._marks(shape)):
                return _OVER
        return ""

    def recurrent(self, node: NodeProto, _: Scope, given: Sequence[Shape]) -> str:
        """Recurrent operators work over the axis of time."""
        return self._touches(given[0], 1 if _attribute(node, "layout", 0) else 0, None, _OVER)

    def repeated(self, node: NodeProto, scope: Scope, given: Sequence[Shape]) -> str:
        """Tile of a batch axis repeats the batch as a whole: copies of an item lie apart."""
        times = scope.value_of(node.input[1]) if len(node.input) > 1 else None
        if times is None or times.dtype == object:
            return ""
        met = [a for a in self._marks(given[0]) if a < times.size and int(times.flat[a]) > 1]
        return "repeats the batch as a whole, so that copies of an item lie apart" if met else ""

    def _touches(self, shape: Shape, first: int, last: int | None, why: str) -> str:
        """`why` if axis `first` (or any from it on, with `last` -1) is the batch; else empty."""
        met = [a for a in self._marks(shape) if a == first or (last is not None and a >= first)]
        return why if met else ""


_Rule = Callable[[Mixing, NodeProto, Scope, Sequence[Shape]], str]
_RULES: dict[tuple[str, ...], _Rule] = {
    _SOFTMAX: Mixing.softmax,
    ("ArgMax", "ArgMin", "TopK"): Mixing.one_axis,
    ("CumSum",): Mixing.cumulative,
    _LAYER_NORMS: Mixing.layer_norm,
    ("BatchNormalization",): Mixing.batch_norm,
    (*_POOLS, *_CONVOLUTIONS): Mixing.spatial,
    ("LRN", "InstanceNormalization", "GroupNormalization"): Mixing.channels,
    ("MatMul", "MatMulInteger", "QLinearMatMul"): Mixing.product,
    ("Gemm",): Mixing.gemm,
    ("Einsum",): Mixing.einsum,
    _RECURRENT: Mixing.recurrent,
    ("Tile",): Mixing.repeated,
}
_CHECKS = {operator: check for operators, check in _RULES.items() for operator in operators}


def _reduced(node: NodeProto, scope: Scope, rank: int) -> list[int]:
    """The axes that a reduction works over; empty where they are not known."""
    given = _ints(node, "axes")
    if len(node.input) > 1 and node.input[1]:
        value = scope.value_of(node.input[1])
        if value is None or value.dtype == object:
            return []
        given = [int(v) for v in value.flat]
    if not given:
        return [] if _attribute(node, "noop_with_empty_axes", 0) else list(range(rank))
    return [axis % rank for axis in given] if rank else []


def _axis(node: NodeProto, shape: Shape, default: int) -> int:
    rank = len(shape or ())
    return int(_attribute(node, "axis", default)) % rank if rank else 0


def _attribute(node: NodeProto, name: str, default: int) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def _text(node: NodeProto, name: str) -> str:
    values: Iterator[bytes] = (a.s for a in node.attribute if a.name == name)
    return next(values, b"").decode("utf-8", "replace")


def _ints(node: NodeProto, name: str) -> list[int]:
    return [int(v) for a in node.attribute if a.name == name for v in a.ints]
