"""Operators of detectors and image networks: resizing, sampling, regions of interest, boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import F, torch
from onnxprof.backends.torch.base.operator import Table, on_host


def _grid_sample(
    x: Any, grid: Any, *, align_corners: int = 0, mode: str = "linear", padding_mode: str = "zeros"
) -> Any:
    known = {"linear": "bilinear", "cubic": "bicubic"}
    mode = known.get(mode, mode)
    return F.grid_sample(x, grid, mode, padding_mode, bool(align_corners))


def _roi_align(
    x: Any, rois: Any, batch: Any, *, coordinate_transformation_mode: str = "half_pixel",
    mode: str = "avg", output_height: int = 1, output_width: int = 1, sampling_ratio: int = 0,
    spatial_scale: float = 1.0,
) -> Any:  # fmt: skip
    """Samples on a grid in every bin, then mean or maximum (He et al. 2017).

    If the number of samples depends on the region, regions are computed one by one.
    """
    half = coordinate_transformation_mode == "half_pixel"
    corners = rois * spatial_scale - (0.5 if half else 0.0)
    size = corners[:, 2:] - corners[:, :2]
    if not half:
        size = size.clamp(min=1.0)
    bins = size / torch.tensor([output_width, output_height], dtype=x.dtype, device=x.device)
    shape = (output_height, output_width)
    if sampling_ratio > 0:
        counts = (sampling_ratio, sampling_ratio)
        return _aligned(x, batch, corners, bins, shape, counts, mode)
    per_bin = torch.ceil(bins).clamp(min=1).int().tolist()
    regions = zip(batch.split(1), corners.split(1), bins.split(1), per_bin, strict=True)
    parts = [_aligned(x, n, c, b, shape, (wide, high), mode) for n, c, b, (wide, high) in regions]
    return torch.cat(parts) if parts else x.new_zeros(0, x.shape[1], *shape)


def _aligned(x: Any, batch: Any, corners: Any, bins: Any, shape: tuple[int, int],
             counts: tuple[int, int], mode: str) -> Any:  # fmt: skip
    """Sample every bin of the regions at `counts` (across, down) points."""
    high, wide = shape
    across, down = counts
    xs = corners[:, :1] + _points(wide, across, x) * bins[:, :1]
    ys = corners[:, 1:2] + _points(high, down, x) * bins[:, 1:]
    lines, line_weights = _neighbours(ys, x.shape[2])
    columns, column_weights = _neighbours(xs, x.shape[3])
    where = batch.long().reshape(-1, 1, 1)
    parts = [
        (ly.unsqueeze(2) * lx.unsqueeze(1)).unsqueeze(1)
        * x[where, :, row.unsqueeze(2), column.unsqueeze(1)].permute(0, 3, 1, 2)
        for row, ly in zip(lines, line_weights, strict=True)
        for column, lx in zip(columns, column_weights, strict=True)
    ]
    split = [part.reshape(part.shape[0], part.shape[1], high, down, wide, across) for part in parts]
    if mode == "max":  # over weighted corners, as in the reference implementation
        return torch.stack(split).amax(0).amax((3, 5))
    total = split[0] + split[1] + split[2] + split[3]
    return total.mean((3, 5))


def _points(bins: int, per_bin: int, x: Any) -> Any:
    """Centres of `per_bin` equal parts of every bin, in bins."""
    return (
        (torch.arange(bins * per_bin, dtype=x.dtype, device=x.device) + 0.5) / per_bin
    ).unsqueeze(0)


def _neighbours(at: Any, size: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """The two samples beside each point and their weights; nothing beyond one pixel outside."""
    inside = ((at >= -1.0) & (at <= size)).to(at.dtype)
    at = at.clamp(0, size - 1)
    low = at.floor()
    high = (low + 1).clamp(max=size - 1)
    share = at - low
    return (low.long(), high.long()), ((1 - share) * inside, share * inside)


def _max_roi_pool(
    x: Any, rois: Any, *, pooled_shape: Sequence[int], spatial_scale: float = 1.0
) -> Any:
    """Bins of whole pixels (Girshick 2015); rois hold batch, x1, y1, x2, y2."""
    pooled = []
    for number, *corners in rois.tolist():
        x1, y1, x2, y2 = (math.floor(c * spatial_scale + 0.5) for c in corners)
        plane = x[int(number)]
        rows = _bins(y1, max(y2 - y1 + 1, 1), pooled_shape[0], plane.shape[1])
        columns = _bins(x1, max(x2 - x1 + 1, 1), pooled_shape[1], plane.shape[2])
        cells = [_largest(plane[:, r, c]) for r in rows for c in columns]
        pooled.append(torch.stack(cells, 1).reshape(plane.shape[0], *pooled_shape))
    return torch.stack(pooled)


def _bins(start: int, length: int, count: int, size: int) -> list[slice]:
    def bounded(at: int) -> int:
        return min(max(at + start, 0), size)

    return [
        slice(bounded(i * length // count), bounded(-(-(i + 1) * length // count)))
        for i in range(count)
    ]


def _largest(part: Any) -> Any:
    return part.amax((1, 2)) if part.numel() else part.new_zeros(part.shape[0])


def _corners(boxes: Any, center_point_box: int) -> Any:
    """Boxes as x1, y1, x2, y2 with the smaller first."""
    if center_point_box:
        half = boxes[..., 2:] / 2
        return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)
    low = torch.minimum(boxes[..., :2], boxes[..., 2:])
    return torch.cat([low, torch.maximum(boxes[..., :2], boxes[..., 2:])], -1)


def _non_max_suppression(
    boxes: Any, scores: Any, most: Any = None, iou: Any = None, least: Any = None, *,
    center_point_box: int = 0,
) -> Any:  # fmt: skip
    """Greedy, class by class, on the host, since a choice depends on the earlier ones."""
    limit = 0 if most is None else int(most.reshape(-1)[0])
    overlap = 0.0 if iou is None else float(iou.reshape(-1)[0])
    floor = None if least is None else float(least.reshape(-1)[0])
    corners, ranked = _corners(boxes, center_point_box).cpu(), scores.cpu()
    kept = [
        [n, c, i]
        for n in range(ranked.shape[0])
        for c in range(ranked.shape[1])
        for i in (_suppressed(corners[n], ranked[n, c], limit, overlap, floor) if limit else ())
    ]
    return torch.tensor(kept, dtype=torch.int64).reshape(-1, 3).to(boxes.device)


def _suppressed(boxes: Any, scores: Any, limit: int, overlap: float, floor: float | None,
                ) -> list[int]:  # fmt: skip
    order = torch.sort(scores, descending=True, stable=True).indices
    if floor is not None:
        order = order[scores[order] > floor]
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while order.numel() and len(kept) < limit:
        best = int(order[0])
        kept.append(best)
        rest = order[1:]
        low = torch.maximum(boxes[best, :2], boxes[rest, :2])
        high = torch.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = (high - low).clamp(min=0).prod(1)
        union = area[best] + area[rest] - shared
        order = rest[~((shared > 0) & (shared / union > overlap))]
    return kept


def _deform_conv(
    x: Any, w: Any, offset: Any, b: Any = None, mask: Any = None, *,
    dilations: Sequence[int] | None = None, group: int = 1,
    kernel_shape: Sequence[int] | None = None, offset_group: int = 1,
    pads: Sequence[int] | None = None, strides: Sequence[int] | None = None,
) -> Any:  # fmt: skip
    """Samples at shifted places, then one product (Dai et al. 2017); 2-D."""
    del kernel_shape
    (dy, dx), (sy, sx) = dilations or (1, 1), strides or (1, 1)
    top, left = (pads or (0, 0, 0, 0))[:2]
    n, c, h, wide = x.shape
    kh, kw = w.shape[2:]
    out_h, out_w = offset.shape[2:]
    shift = offset.reshape(n, offset_group, kh * kw, 2, out_h, out_w)
    rows, columns = torch.meshgrid(
        torch.arange(kh, device=x.device) * dy, torch.arange(kw, device=x.device) * dx,
        indexing="ij",
    )  # fmt: skip
    ys = torch.arange(out_h, device=x.device).reshape(-1, 1) * sy - top
    xs = torch.arange(out_w, device=x.device).reshape(1, -1) * sx - left
    at_y = rows.reshape(-1, 1, 1) + ys + shift[:, :, :, 0]
    at_x = columns.reshape(-1, 1, 1) + xs + shift[:, :, :, 1]
    grid = torch.stack([2 * at_x / max(wide - 1, 1) - 1, 2 * at_y / max(h - 1, 1) - 1], -1)
    planes = x.reshape(n * offset_group, c // offset_group, h, wide)
    flat = grid.reshape(n * offset_group, kh * kw * out_h, out_w, 2)
    sampled = F.grid_sample(planes, flat, "bilinear", "zeros", True)
    sampled = sampled.reshape(n, offset_group, c // offset_group, kh * kw, out_h, out_w)
    if mask is not None:
        sampled = sampled * mask.reshape(n, offset_group, 1, kh * kw, out_h, out_w)
    sampled = sampled.reshape(n, group, c // group * kh * kw, out_h * out_w)
    weights = w.reshape(1, group, w.shape[0] // group, -1)
    out = torch.matmul(weights, sampled).reshape(n, w.shape[0], out_h, out_w)
    return out if b is None else out + b.reshape(-1, 1, 1)


def table() -> Table:
    """Operator to function."""
    return {
        "GridSample": _grid_sample, "RoiAlign": _roi_align, "MaxRoiPool": _max_roi_pool,
        "NonMaxSuppression": on_host(_non_max_suppression, 2, 3, 4), "DeformConv": _deform_conv,
    }  # fmt: skip
