"""Resize and Upsample: torch's kernels where equivalent, else one matrix product an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table, sized
from onnxprof.backends.torch.ops.shape import numbers
from onnxprof.errors import BackendError

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Resizing of one axis; hashable, so that weights are computed once."""

    size: int
    out: int
    scale: float
    mode: str
    coordinates: str
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    roi: tuple[float, float] = (0.0, 1.0)
    extrapolation: float = 0.0


def _sources(axis: _Axis) -> Weights:
    """The position of each output element on the input's axis (ONNX, Resize)."""
    x = np.arange(axis.out, dtype=np.float64)
    kind, scale, length = axis.coordinates, axis.scale, axis.scale * axis.size
    if kind == "half_pixel" or (kind == "pytorch_half_pixel" and length > 1):
        return (x + 0.5) / scale - 0.5
    if kind == "pytorch_half_pixel":
        return np.full(axis.out, -0.5)
    if kind == "half_pixel_symmetric":
        centre = axis.size / 2 * (1 - axis.out / length)
        return centre + (x + 0.5) / scale - 0.5
    if kind == "align_corners":
        return x * (axis.size - 1) / (length - 1) if length != 1 else np.zeros(axis.out)
    if kind == "tf_crop_and_resize":
        start, end = axis.roi
        if length <= 1:
            return np.full(axis.out, 0.5 * (start + end) * (axis.size - 1))
        return start * (axis.size - 1) + x * (end - start) * (axis.size - 1) / (length - 1)
    return x / scale


def _nearest(at: Weights, how: str) -> Weights:
    if how == "floor":
        return np.floor(at)
    if how == "ceil":
        return np.ceil(at)
    half_up = np.floor(at + 0.5)
    return half_up if how == "round_prefer_ceil" else np.ceil(at - 0.5)


def _kernel(distance: Weights, mode: str, a: float) -> Weights:
    """A triangle, or Keys' cubic (1981) with coefficient `a`."""
    d = np.abs(distance)
    if mode == "linear":
        return np.asarray(np.maximum(0, 1 - d))
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


@lru_cache(maxsize=256)
def _weights(axis: _Axis) -> Weights:
    """Shape [out, size]; rows add up to 1."""
    at = _sources(axis)
    weights = np.zeros((axis.out, axis.size))
    rows = np.arange(axis.out)
    if axis.mode == "nearest":
        weights[rows, np.clip(_nearest(at, axis.nearest), 0, axis.size - 1).astype(int)] = 1
        return weights
    stretch = min(axis.scale, 1.0) if axis.antialias else 1.0
    reach = math.ceil((1 if axis.mode == "linear" else 2) / stretch)
    for step in range(-reach, reach + 2):
        place = np.floor(at) + step
        part = _kernel((at - place) * stretch, axis.mode, axis.cubic)
        if axis.exclude_outside:
            part = np.where((place >= 0) & (place < axis.size), part, 0)
        np.add.at(weights, (rows, np.clip(place, 0, axis.size - 1).astype(int)), part)
    total = weights.sum(1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


@lru_cache(maxsize=256)
def _on_device(axis: _Axis, dtype: Any, device: Any) -> Any:
    """Indices for the nearest mode, else the weights."""
    weights = _weights(axis)
    if axis.mode == "nearest":
        return torch.from_numpy(weights.argmax(1)).to(device)
    return torch.from_numpy(weights).to(device, dtype)


def _by_axes(x: Any, axes: dict[int, _Axis]) -> Any:
    dtype = x.dtype
    for number, axis in axes.items():
        if axis.mode == "nearest":
            x = x.index_select(number, _on_device(axis, None, x.device))
        elif axis.out != axis.size or axis.coordinates == "tf_crop_and_resize":
            wide = x if x.is_floating_point() else x.float()
            weights = _on_device(axis, wide.dtype, x.device)
            x = torch.matmul(wide.movedim(number, -1), weights.t()).movedim(-1, number)
    outside = {n: a for n, a in axes.items() if a.coordinates == "tf_crop_and_resize"}
    for number, axis in outside.items():
        at = _sources(axis)
        beyond = torch.from_numpy((at < 0) | (at > axis.size - 1)).to(x.device)
        shape = [-1 if i == number else 1 for i in range(x.dim())]
        x = torch.where(beyond.reshape(shape), axis.extrapolation, x)
    return x if x.dtype == dtype else x.round().to(dtype)


def _fast(x: Any, axes: dict[int, _Axis]) -> Any | None:
    """torch's bilinear kernel on the last two axes; None where it is not equivalent."""
    if set(axes) != {2, 3} or x.dim() != 4 or not x.is_floating_point():
        return None
    one = axes[2]
    half = one.coordinates == "half_pixel" or (
        one.coordinates == "pytorch_half_pixel" and min(a.out for a in axes.values()) > 1
    )
    plain = not (one.antialias or one.exclude_outside) and one.mode == "linear"
    if not plain or not (half or one.coordinates == "align_corners"):
        return None
    out = [axes[2].out, axes[3].out]
    if any(a.scale * a.size != a.out for a in axes.values()) and not half:
        return None
    if one.coordinates == "align_corners":
        return torch.nn.functional.interpolate(x, out, mode="bilinear", align_corners=True)
    return torch._C._nn.upsample_bilinear2d(x, out, False, axes[2].scale, axes[3].scale)


def _plan(x: Any, scales: Sequence[float] | None, sizes: Sequence[int] | None,
          where: Sequence[int], policy: str) -> list[tuple[int, int, float]]:  # fmt: skip
    """Axis, output size and scale of each axis that is resized."""
    if scales is not None:
        return [
            (axis, math.floor(x.shape[axis] * scale), scale)
            for axis, scale in zip(where, scales, strict=True)
        ]
    if sizes is None:
        raise BackendError("Resize with neither scales nor sizes")
    if policy == "stretch":
        return [(a, s, s / x.shape[a]) for a, s in zip(where, sizes, strict=True)]
    ratios = [s / x.shape[a] for a, s in zip(where, sizes, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    return [(a, math.floor(x.shape[a] * scale + 0.5), scale) for a in where]


def _resize(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, antialias: int = 0,
    axes: Sequence[int] | None = None, coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Any:  # fmt: skip
    where = [axis % x.dim() for axis in axes] if axes else list(range(x.dim()))
    scaled = None if scales is None else numbers(scales)
    wanted = None if sizes is None else numbers(sizes)
    whole = [0.0] * len(where) + [1.0] * len(where)
    box = (numbers(roi) if roi is not None else []) or whole
    planned = _plan(x, scaled or None, wanted or None, where, keep_aspect_ratio_policy)
    crop = coordinate_transformation_mode == "tf_crop_and_resize"
    made = {
        number: _Axis(
            *(x.shape[number], out, scale, mode, coordinate_transformation_mode, nearest_mode),
            *(cubic_coeff_a, bool(exclude_outside), bool(antialias)),
            (box[i], box[len(where) + i]),
            extrapolation_value,
        )
        for i, (number, out, scale) in enumerate(planned)
        if crop or out != x.shape[number] or scale != 1
    }
    resized = _fast(x, made)
    return _by_axes(x, made) if resized is None else resized


def _resize_10(x: Any, scales: Any, *, mode: str = "nearest") -> Any:
    return _resize(
        x, None, scales, coordinate_transformation_mode="asymmetric", mode=mode,
        nearest_mode="floor",
    )  # fmt: skip


def _upsample_7(x: Any, *, scales: Sequence[float], mode: str = "nearest") -> Any:
    return _resize_10(x, torch.tensor(list(scales)), mode=mode)


def table() -> Table:
    """Operator to function."""
    return {
        "Resize": {10: sized(_resize_10, 1), 11: sized(_resize, 1, 2, 3)},
        "Upsample": {7: _upsample_7, 9: sized(_resize_10, 1)},
    }
