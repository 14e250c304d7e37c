"""Reductions over axes, over windows and over whole channels."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Estimate, Formula, Work
from onnxprof.cost.operators.matmul import REQUANTISE


def _sizes(call: Call) -> tuple[Size, Size]:
    return call.elements(), call.out_elements()


def _sum(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(adds=size - out)


def mean(call: Call) -> Work:
    """A sum and a division for each output."""
    size, out = _sizes(call)
    return Work(adds=size - out, divisions=out)


def _extreme(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(comparisons=size - out)


def _prod(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(multiplies=size - out)


def _l1(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(adds=size - out, comparisons=size)


def _l2(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(adds=size - out, multiplies=size, exponentials=out)


def _sum_square(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(adds=size - out, multiplies=size)


def _log_sum(call: Call) -> Work:
    size, out = _sizes(call)
    return Work(adds=size - out, exponentials=out)


def _log_sum_exp(call: Call) -> Work:
    """With the largest taken out first, so that nothing overflows."""
    size, out = _sizes(call)
    return Work(adds=2 * size, exponentials=size + out, comparisons=size - out)


def _cumulative_sum(call: Call) -> Work:
    return Work(adds=_steps(call))


def _cumulative_product(call: Call) -> Work:
    return Work(multiplies=_steps(call))


def _steps(call: Call) -> Size:
    """Each element but the first along the axis; along which one is data, often unknown."""
    axis, shape = call.value(1), call.shape()
    size = product(shape)
    if not axis or not shape:
        return size
    at = axis[0] % len(shape)
    return size - product((*shape[:at], *shape[at + 1 :]))


def _quantised_mean(call: Call) -> Work:
    return mean(call) + REQUANTISE * call.out_elements()


def _all_finite(call: Call) -> Work:
    return Work(comparisons=sum(call.elements(i) for i in range(call.given())))


def _window(call: Call) -> int:
    kernel = call.integers("kernel_shape")
    if not kernel:
        raise Unknown("it has no attribute kernel_shape")
    return int(product(kernel))  # type: ignore[arg-type]


def largest(call: Call) -> Work:
    """One comparison fewer than the window has places."""
    return Work(comparisons=call.out_elements() * (_window(call) - 1))


def average(call: Call) -> Work:
    """Places on padding count, as in a convolution."""
    out = call.out_elements()
    return Work(adds=out * (_window(call) - 1), divisions=out)


def _p_norm(call: Call, size: Size, out: Size) -> Work:
    """The p-th root of a sum of p-th powers; squares are products, the root is one operation."""
    power = call.integer("p", 2)
    if power == 1:
        return Work(adds=size - out, comparisons=size)
    if power == 2:
        return Work(adds=size - out, multiplies=size, exponentials=out)
    return Work(adds=size - out, exponentials=size + out)


def _lp_pool(call: Call) -> Work:
    out = call.out_elements()
    return _p_norm(call, out * _window(call), out)


def _global_lp(call: Call) -> Work:
    return _p_norm(call, call.elements(), call.out_elements())


def _global_max(call: Call) -> Work:
    return Work(comparisons=call.elements() - call.out_elements())


def global_average(call: Call) -> Work:
    """The mean of each channel."""
    out = call.out_elements()
    return Work(adds=call.elements() - out, divisions=out)


def _in_integers(work: Formula) -> Formula:
    """In integers, then scaled."""

    def formula(call: Call) -> Work:
        inner = work(call)
        assert isinstance(inner, Work)
        return inner + REQUANTISE * call.out_elements()

    return formula


def _unpool(_: Call) -> Estimate:
    """Each value is written to where it was the largest; the rest is filled with zeros."""
    return Estimate(reads={2: 0})


def _rois(call: Call) -> Estimate:
    """Windows are as large as their boxes: at most each box has its whole image."""
    boxes, image = call.shape(1)[0], product(call.shape(0)[1:])
    return Estimate(Work(comparisons=boxes * image), bound="each box covers its whole image")


#: Pooling; onnxruntime's in NHWC and in blocks have the names of the standard ones.
_POOLS: Mapping[str, Formula] = {
    "MaxPool": largest,
    "AveragePool": average,
    "LpPool": _lp_pool,
    "GlobalMaxPool": _global_max,
    "GlobalAveragePool": global_average,
    "GlobalLpPool": _global_lp,
    "MaxUnpool": _unpool,
    "MaxRoiPool": _rois,
}
OPERATORS: Mapping[str, Formula] = {
    **_POOLS,
    "ReduceSum": _sum,
    "ReduceMean": mean,
    "ReduceMax": _extreme,
    "ReduceMin": _extreme,
    "ReduceProd": _prod,
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceSumSquare": _sum_square,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
    "ArgMax": _extreme,
    "ArgMin": _extreme,
    "CumSum": _cumulative_sum,
    "CumProd": _cumulative_product,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    **_POOLS,
    "NhwcMaxPool": largest,
    "MaxpoolWithMask": largest,
    "QLinearAveragePool": _in_integers(average),
    "QLinearGlobalAveragePool": _in_integers(global_average),
    "ReduceSumInteger": _sum,
    "QLinearReduceMean": _quantised_mean,
    "IsAllFinite": _all_finite,
}
