"""Fourier transforms, windows, and operations on whole matrices.

A transform of n complex elements counts as 2 · n · ceil(log2 n) products and 3 · n · ceil(log2 n)
additions, the radix-2 count by which transforms are rated (http://www.fftw.org/speed/method.html).
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size, product
from onnxprof.cost.base.work import Formula, Work
from onnxprof.cost.operators.search import logarithm


def _transform(length: Size) -> Work:
    return Work(adds=3, multiplies=2) * (length * logarithm(length))


def _dft(call: Call) -> Work:
    """Transforms along one axis of [batch, …, 1 or 2]; a one-sided one is a whole one."""
    axis = call.value(2)
    shape, out = call.shape(), call.out()
    if call.has(2) and not axis:
        raise Unknown("the axis of the transform is data")
    at = (axis[0] if axis else call.integer("axis", 1 if call.layer.opset < 20 else -2)) % len(
        shape
    )
    given = call.value(1)
    inverse, onesided = call.integer("inverse", 0), call.integer("onesided", 0)
    length: Size = given[0] if given else (out if inverse and onesided else shape)[at]
    others = product(size for i, size in enumerate(shape[:-1]) if i != at)
    scaled = Work(divisions=2 * length) if inverse else Work()
    return (_transform(length) + scaled) * others


def _stft(call: Call) -> Work:
    """Frames [batch, frames, bins, 2], each times a window, then transformed."""
    batch, frames = call.out()[0], call.out()[1]
    length: Size
    if call.has(2):
        length = call.shape(2)[0]
    elif value := call.value(3):
        length = value[0]
    elif call.integer("onesided", 1):
        raise Unknown("the length of a frame is data")
    else:
        length = call.out()[2]
    window = Work(multiplies=length * call.shape(0)[-1]) if call.has(2) else Work()
    return (_transform(length) + window) * (batch * frames)


def _contrib_dft(call: Call) -> Work:
    """Rfft and Irfft over the last axes of the signal, all transformed together."""
    count = call.required("signal_ndim")
    inverse = call.layer.op_type == "Irfft"
    shape = call.out() if inverse else call.shape()
    if count != 1:
        raise Unknown("transforms over several axes are not modelled")
    return _transform(shape[-1]) * product(shape[:-1])


def _window(terms: int) -> Formula:
    """A sum of cosines for each place."""

    def formula(call: Call) -> Work:
        return Work(adds=terms, multiplies=2 * terms, divisions=1, exponentials=terms) * (
            call.out_elements()
        )

    return formula


def _mel(call: Call) -> Work:
    """Each weight is the smaller of two quotients, at least 0; band edges take a power."""
    bins, bands = call.out()
    weights = Work(adds=2, divisions=2, comparisons=2) * (bins * bands)
    return weights + Work(adds=2, multiplies=2, divisions=2, exponentials=2) * (bands + 2)


def _determinant(call: Call) -> Work:
    """By LU: n (n - 1) (2n - 1) / 6 multiply-accumulates, n (n - 1) / 2 quotients, the diagonal."""
    shape = call.shape()
    n, matrices = shape[-1], product(shape[:-2])
    macs = n * (n - 1) * (2 * n - 1) // 6
    return Work(macs=macs, multiplies=n - 1, divisions=n * (n - 1) // 2) * matrices


def _inverse(call: Call) -> Work:
    """By Gauss and Jordan: each of n pivots scales its row and clears the other n - 1."""
    shape = call.shape()
    n, matrices = shape[-1], product(shape[:-2])
    return Work(macs=n * n * (n - 1), divisions=n * n) * matrices


def _warping(call: Call) -> Work:
    """The least of three neighbours is added at each place."""
    return Work(adds=1, comparisons=2) * call.elements()


OPERATORS: Mapping[str, Formula] = {
    "DFT": _dft,
    "STFT": _stft,
    "HannWindow": _window(1),
    "HammingWindow": _window(1),
    "BlackmanWindow": _window(2),
    "MelWeightMatrix": _mel,
    "Det": _determinant,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "Rfft": _contrib_dft,
    "Irfft": _contrib_dft,
    "Inverse": _inverse,
    "DynamicTimeWarping": _warping,
}
