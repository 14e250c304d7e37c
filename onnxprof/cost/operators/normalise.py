"""Normalisations, softmax and losses.

Statistics are taken in two passes, mean before variance. A group of n elements takes n - 1
additions and a division for its mean, n differences, n squares, n - 1 additions and a division for
its variance, then epsilon, a square root and a reciprocal.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Formula, Work
from onnxprof.cost.operators.elementwise import SILU


def standardise(size: Size, groups: Size) -> Work:
    """Differences from the mean times the reciprocal deviation, over groups of elements."""
    return Work(
        adds=3 * size - groups,
        multiplies=2 * size,
        divisions=3 * groups,
        exponentials=groups,
    )


def rms(size: Size, groups: Size) -> Work:
    """Elements times the reciprocal root of their mean square, and times a scale."""
    return Work(adds=size, multiplies=3 * size, divisions=2 * groups, exponentials=groups)


def affine(size: Size, *, scaled: bool = True, shifted: bool = True) -> Work:
    """A scale and a shift for each element."""
    return Work(adds=size * shifted, multiplies=size * scaled)


def _groups(call: Call, default: int = -1) -> Size:
    """Number of groups where all axes from one on are normalised together."""
    shape = call.shape()
    return product(shape[: call.axis("axis", default, len(shape))])


def _batch(call: Call) -> Work:
    """Statistics are given: a factor and a shift a channel, applied to each element."""
    size = call.elements()
    if call.integer("training_mode", 0):
        groups = call.elements(1)
        return (
            standardise(size, groups) + affine(size) + Work(adds=2 * groups, multiplies=4 * groups)
        )
    channels = call.elements(1)
    factors = Work(adds=2, multiplies=1, divisions=1, exponentials=1) * channels
    return Work(adds=size, multiplies=size) + factors


def _layer(call: Call) -> Work:
    size = call.elements()
    return standardise(size, _groups(call)) + affine(size, shifted=call.has(2))


def _rms_norm(call: Call) -> Work:
    return rms(call.elements(), _groups(call))


def _instance(call: Call) -> Work:
    size = call.elements()
    return standardise(size, product(call.shape()[:2])) + affine(size)


def _instance_last(call: Call) -> Work:
    size, shape = call.elements(), call.shape()
    return standardise(size, shape[0] * shape[-1]) + affine(size)


def _group(call: Call) -> Work:
    size = call.elements()
    return standardise(size, call.shape()[0] * call.required("num_groups")) + affine(size)


def _contrib_group(call: Call) -> Work:
    size = call.elements()
    work = standardise(size, call.shape()[0] * call.required("groups")) + affine(size)
    return work + SILU * size if call.integer("activation", 0) else work


def _skip_group(call: Call) -> Work:
    return _contrib_group(call) + Work(adds=(1 + int(call.has(4))) * call.elements())


def _skip_layer(call: Call) -> Work:
    size = call.elements()
    skips = Work(adds=(1 + int(call.has(4))) * size)
    work = standardise(size, product(call.shape()[:-1]))
    return work + affine(size, shifted=call.has(3)) + skips


def _skip_rms(call: Call) -> Work:
    size = call.elements()
    return rms(size, product(call.shape()[:-1])) + Work(adds=(1 + int(call.has(3))) * size)


def _gated_rms(call: Call) -> Work:
    """Normalised, then times the activation of the gate."""
    size = call.elements()
    return rms(size, product(call.shape()[:-1])) + (SILU + Work(multiplies=1)) * size


def _rms_rotary(call: Call) -> Work:
    size = call.out_elements()
    width = call.shape(1)[-1]
    if not isinstance(width, int):
        raise Unknown("the length of its scale is not fixed")
    return rms(size, size // width) + Work(adds=size, multiplies=2 * size)


def _quantised_layer(call: Call) -> Work:
    size = call.out_elements()
    work = standardise(size, product(call.out()[:-1])) + affine(size, shifted=call.has(3))
    return work + Work(multiplies=2 * size, comparisons=3 * size)


def _mean_variance(call: Call) -> Work:
    """x - E(x) over the deviation; by default over all axes but the channels."""
    shape = call.shape()
    axes = call.integers("axes") or (0, 2, 3)
    over = {axis % len(shape) for axis in axes} if shape else set()
    size = call.elements()
    groups = product(length for at, length in enumerate(shape) if at not in over)
    return Work(
        adds=3 * size - groups,
        multiplies=size,
        divisions=size + 2 * groups,
        exponentials=groups,
    )


def _lp(call: Call) -> Work:
    """Each element over the norm of its row."""
    shape, size = call.shape(), call.elements()
    at = call.axis("axis", -1, len(shape))
    rows = product((*shape[:at], *shape[at + 1 :]))
    if call.integer("p", 2) == 1:
        return Work(adds=size - rows, divisions=size, comparisons=size)
    return Work(adds=size - rows, multiplies=size, divisions=size, exponentials=rows)


def _lrn(call: Call) -> Work:
    """x / (bias + alpha / size · sum of squares over neighbouring channels) ** beta."""
    size, near = call.elements(), call.required("size")
    return Work(adds=size * near, multiplies=2 * size, divisions=size, exponentials=size)


def rows(call: Call) -> Size:
    """Number of rows that a softmax works on: before opset 13 all later axes are one."""
    shape = call.shape()
    if call.layer.opset < 13 and not call.layer.domain:
        return product(shape[: call.axis("axis", 1, len(shape))])
    at = call.axis("axis", -1, len(shape))
    return product((*shape[:at], *shape[at + 1 :]))


def softmax_of(size: Size, count: Size) -> Work:
    """With the largest of each of `count` rows taken out first."""
    return Work(
        adds=2 * size - count,
        divisions=size,
        exponentials=size,
        comparisons=size - count,
    )


def softmax(call: Call) -> Work:
    """Softmax along an axis."""
    return softmax_of(call.elements(), rows(call))


def log_softmax_of(size: Size, count: Size) -> Work:
    """x - largest - log(sum of exponentials)."""
    return Work(
        adds=3 * size - count,
        exponentials=size + count,
        comparisons=size - count,
    )


def _log_softmax(call: Call) -> Work:
    return log_softmax_of(call.elements(), rows(call))


def _hardmax(call: Call) -> Work:
    return Work(comparisons=call.elements() - rows(call))


def _bias_softmax(call: Call) -> Work:
    size, shape = call.elements(), call.shape()
    count = product(shape[: call.axis("axis", 1, len(shape))])
    return softmax_of(size, count) + Work(adds=size)


def _quantised_softmax(call: Call) -> Work:
    size, shape = call.elements(), call.shape()
    at = call.axis("axis", -1, len(shape))
    after = call.integer("opset", 13) < 13
    count = product(shape[:at] if after else (*shape[:at], *shape[at + 1 :]))
    return softmax_of(size, count) + Work(adds=2, multiplies=2, comparisons=3) * size


def _loss_of(labels: Size, call: Call, weighted: bool) -> Work:
    """One element a label is picked, negated, weighted, then reduced."""
    reduction = call.text("reduction", "mean") or "mean"
    adds = labels if reduction == "none" else 2 * labels - 1
    return Work(
        adds=adds + (labels - 1 if weighted and reduction == "mean" else 0),
        multiplies=labels if weighted else 0,
        divisions=1 if reduction == "mean" else 0,
    )


def _negative_log_likelihood(call: Call) -> Work:
    return _loss_of(call.elements(1), call, call.has(2))


def _softmax_cross_entropy(call: Call) -> Work:
    labels = call.elements(1)
    return log_softmax_of(call.elements(), labels) + _loss_of(labels, call, call.has(2))


def _embeddings(call: Call) -> Work:
    """Words, positions and, where given, segments are added, then normalised."""
    size = call.out_elements()
    return (
        standardise(size, product(call.out()[:-1]))
        + affine(size)
        + Work(adds=(1 + int(call.has(4))) * size)
    )


def _quantised_embeddings(call: Call) -> Work:
    size, tables = call.out_elements(), 2 + int(call.has(4))
    return _embeddings(call) + Work(adds=tables * size, multiplies=tables * size)


OPERATORS: Mapping[str, Formula] = {
    "BatchNormalization": _batch,
    "LayerNormalization": _layer,
    "RMSNormalization": _rms_norm,
    "SimplifiedLayerNormalization": _rms_norm,
    "InstanceNormalization": _instance,
    "GroupNormalization": _group,
    "MeanVarianceNormalization": _mean_variance,
    "LpNormalization": _lp,
    "LRN": _lrn,
    "Softmax": softmax,
    "LogSoftmax": _log_softmax,
    "Hardmax": _hardmax,
    "NegativeLogLikelihoodLoss": _negative_log_likelihood,
    "SoftmaxCrossEntropyLoss": _softmax_cross_entropy,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "BatchNormalization": _batch,
    "InstanceNormalization": _instance_last,
    "LRN": _lrn,
    "GroupNorm": _contrib_group,
    "SkipGroupNorm": _skip_group,
    "SkipLayerNormalization": _skip_layer,
    "SkipSimplifiedLayerNormalization": _skip_rms,
    "GatedRMSNorm": _gated_rms,
    "RMSNormRotary": _rms_rotary,
    "QOrderedLayerNormalization": _quantised_layer,
    "BiasSoftmax": _bias_softmax,
    "QLinearSoftmax": _quantised_softmax,
    "EmbedLayerNormalization": _embeddings,
    "QEmbedLayerNormalization": _quantised_embeddings,
}
