"""Resampling of images: each output is a weighted sum of the elements around its place."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import product
from onnxprof.cost.base.work import Estimate, Formula, Work


def _weighted(taps: int) -> Work:
    return Work(adds=taps - 1, multiplies=taps)


def _resize(call: Call) -> Estimate:
    """Axes that keep their size take no part; without interpolation elements are picked."""
    mode = call.text("mode", "nearest") or "nearest"
    out, shape = call.out(), call.shape()
    if mode == "nearest":
        return Estimate(reads={0: call.out_elements()})
    resized = sum(a != b for a, b in zip(out, shape, strict=True))
    taps = {"linear": 2, "bilinear": 2, "cubic": 4}.get(mode)
    if taps is None:
        raise Unknown(f"the mode {mode!r} is not modelled")
    if not resized:
        return Estimate()
    return Estimate(_weighted(taps**resized) * product(out))


def _grid_sample(call: Call) -> Work:
    """Coordinates are scaled once a place, then each channel is interpolated."""
    grid = call.shape(1)
    spatial = len(grid) - 2
    places = Work(adds=1, multiplies=1) * (product(grid[:-1]) * spatial)
    mode = call.text("mode", "linear") or "linear"
    taps = {"nearest": 0, "cubic": 4, "bicubic": 4}.get(mode, 2)
    if not taps:
        return places + Work(comparisons=product(grid[:-1]) * spatial)
    return places + _weighted(taps**spatial) * call.out_elements()


def _rois(call: Call) -> Estimate:
    """Bilinear samples in each bin of each box, then their mean or the largest of them."""
    out, ratio = call.out_elements(), call.integer("sampling_ratio", 0)
    if ratio < 1:
        raise Unknown("the number of samples in a bin depends on the boxes (sampling_ratio is 0)")
    samples = ratio * ratio
    if call.text("mode", "avg") == "max":
        ending = Work(comparisons=samples - 1)
    else:
        ending = Work(adds=samples - 1, divisions=1)
    return Estimate((_weighted(4) * samples + ending) * out)


def _crop_and_resize(call: Call) -> Work:
    return _weighted(1 if call.text("mode", "bilinear") == "nearest" else 4) * call.out_elements()


def _affine_grid(call: Call) -> Work:
    """Each place is multiplied by theta [rows, rows + 1]."""
    return Work(macs=call.out_elements() * call.shape(0)[-1])


def _columns(call: Call) -> Work:
    """Overlapping blocks are added into the image."""
    return Work(adds=call.elements())


OPERATORS: Mapping[str, Formula] = {
    "Resize": _resize,
    "Upsample": _resize,
    "GridSample": _grid_sample,
    "RoiAlign": _rois,
    "AffineGrid": _affine_grid,
    "Col2Im": _columns,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    "Resize": _resize,
    "Upsample": _resize,
    "GridSample": _grid_sample,
    "CropAndResize": _crop_and_resize,
}
