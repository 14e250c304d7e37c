"""Sizes that a node wants to be equal, as expressions in the free axes of the model's inputs.

What is read is a scope that was inferred with symbolic sizes. Rules are those of numpy's
broadcasting and of https://onnx.ai/onnx/operators; an axis of 1 that would be repeated is taken for
one that is as long as the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise, zip_longest

from onnxprof.model.graph.operators import STATE_INPUTS
from onnxprof.model.graph.outline import Outline
from onnxprof.model.shapes.idle import is_idle
from onnxprof.model.shapes.rules import sizes
from onnxprof.model.shapes.rules.call import Call, product
from onnxprof.model.shapes.rules.scope import Scope
from onnxprof.records.layer import Dim, Shape

Pairs = Iterator[tuple[Dim, Dim]]


@dataclass(frozen=True, slots=True)
class Demand:
    """A node wants two sizes to be equal."""

    node: str
    left: int | str
    right: int | str


def demands(
    graph: Outline, scope: Scope, opsets: Mapping[str, int], *, bodies: bool
) -> Iterator[Demand]:
    """What the nodes of a graph demand, in their order, then those in the graphs that nodes hold.

    Without `bodies` nothing of the latter: of several branches one alone runs. A branch that is
    known not to run demands nothing.
    """
    yield from _own(graph, scope, opsets)
    for index, position, inner in graph.inner() if bodies else ():
        if is_idle(graph.steps[index], position, scope):
            continue
        yield from demands(inner, scope.inner[index, position], opsets, bodies=True)


def _own(graph: Outline, scope: Scope, opsets: Mapping[str, int]) -> Iterator[Demand]:
    for step in graph.steps:
        rule = _RULES.get(step.op_type)
        if rule is None:
            continue
        call = Call(step.node, scope, opsets)
        for left, right in _shielded(rule, call):
            if left is None or right is None or left == right:
                continue
            if isinstance(left, int) and isinstance(right, int):
                continue  # no size of an axis changes that
            yield Demand(step.node.name, left, right)


def _shielded(rule: Callable[[Call], Pairs], call: Call) -> list[tuple[Dim, Dim]]:
    """Nothing is demanded where ill-formed attributes or operands make a rule fail."""
    try:
        return list(rule(call))
    except (ValueError, TypeError, IndexError, ZeroDivisionError):
        return []


def _alike(*shapes: Shape) -> Pairs:
    """Sizes of operands that are set against each other from their last axes on."""
    known = [shape for shape in shapes if shape is not None]
    columns = zip_longest(*(reversed(shape) for shape in known), fillvalue=1)
    for column in columns:
        wide = [size for size in column if size is not None and size != 1]
        yield from pairwise(wide)


def _broadcast(call: Call) -> Pairs:
    return _alike(*(call.shape(i) for i in range(len(call.node.input))))


def _expand(call: Call) -> Pairs:
    target = call.vector(1)
    return _alike(call.shape(0), None if target is None else tuple(target))


def _matmul(call: Call) -> Pairs:
    a, b = call.shape(0), call.shape(1)
    if not a or not b:
        return
    yield a[-1], b[-2] if len(b) > 1 else b[-1]
    yield from _alike(a[:-2], b[:-2])


def _gemm(call: Call) -> Pairs:
    a, b = call.shape(0), call.shape(1)
    if a and b and len(a) == len(b) == 2:
        yield a[0 if call.integer("transA") else 1], b[1 if call.integer("transB") else 0]


def _concat(call: Call) -> Pairs:
    shapes = [shape for i in range(len(call.node.input)) if (shape := call.shape(i)) is not None]
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        return
    joined = call.integer("axis") % len(shapes[0])
    for axis, column in enumerate(zip(*shapes, strict=True)):
        if axis != joined:
            yield from pairwise(size for size in column if size is not None)


def _reshape(call: Call) -> Pairs:
    """The same number of elements; where one size is left open, nothing is known."""
    data, target = call.shape(0), call.vector(1)
    if data is None or target is None or -1 in target or call.integer("allowzero"):
        return
    pairs = [
        (data[i] if i < len(data) else None) if size == 0 else size for i, size in enumerate(target)
    ]
    yield from _cancelled(data, pairs)


def _cancelled(data: Iterable[Dim], target: Iterable[Dim]) -> Pairs:
    left, right = list(data), list(target)
    for size in list(right):
        if size is not None and size in left:
            left.remove(size)
            right.remove(size)
    yield product(left), product(right)


def _squeeze(call: Call) -> Pairs:
    data = call.shape(0)
    axes = call.attribute("axes") or call.vector(1) or ()
    for axis in axes:
        if data is not None and isinstance(axis, int):
            yield data[axis], 1


def _channels(call: Call) -> Pairs:
    """A convolution's channels are those of its filters."""
    data, filters = call.shape(0), call.shape(1)
    if data is not None and filters is not None and len(data) > 2:
        yield data[1], sizes.multiply(filters[1], call.integer("group", 1))


def _normalised(call: Call) -> Pairs:
    data, scale = call.shape(0), call.shape(1)
    if data is not None and scale is not None and len(data) > 1 and len(scale) == 1:
        yield data[1], scale[0]


def _recurrent(call: Call) -> Pairs:
    """Features of the weights, and one state for each sequence."""
    data, weights = call.shape(0), call.shape(1)
    layout = 0 if call.integer("layout") else 1
    if data is None or len(data) != 3:
        return
    if weights is not None:
        yield data[2], weights[2]
    for position in STATE_INPUTS.get(call.node.op_type, ()):
        state = call.shape(position)
        if state is not None and len(state) == 3:
            yield data[layout], state[layout]


def _grouped(call: Call) -> Pairs:
    """The total is what a cache that grows holds with the new tokens in it."""
    query, key, past = call.shape(0), call.shape(1), call.shape(3)
    total = call.scalar(6)
    if query is None or total is None:
        return
    new = key[1] if key else query[1]
    yield total, sizes.add(past[2] if past else 0, new)
    yield query[0], past[0] if past else None


def _gathered(call: Call) -> Pairs:
    """Indices of as many items as the data has, for the axes that go batch by batch."""
    data, indices = call.shape(0), call.shape(1)
    count = call.integer("batch_dims")
    if data is not None and indices is not None:
        yield from zip(data[:count], indices[:count], strict=False)


_BROADCAST = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Mod", "Where", "Min", "Max", "Sum", "Mean", "PRelu"),
    *("And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "BitShift"),
    *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "BiasGelu"),
)
_RULES: Mapping[str, Callable[[Call], Pairs]] = {
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(("MatMul", "MatMulInteger"), _matmul),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("BatchNormalization", "InstanceNormalization"), _normalised),
    "Conv": _channels,
    "Expand": _expand,
    "Gemm": _gemm,
    "Concat": _concat,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "GroupQueryAttention": _grouped,
    "GatherND": _gathered,
}
