"""Positions of boxes and edges in a layered graph; the only module that uses graphlay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.errors import UsageError

Point = tuple[float, float]
Edge = tuple[int, int]

#: Larger graphs are not laid out, since that takes too long for a page; measured: 1,000 boxes
#: take 0.5 s, 3,000 take 3 s on one core.
MAX_BOXES = 3_000
MAX_DUMMIES = 60_000

_OPTIONS: dict[str, Any] = {
    "direction": "topbottom",
    "spacing": {"layer_gap": 16.0, "node_gap": 20.0, "dummy_gap": 10.0, "stub": 6.0},
    "limits": {"max_dummies": MAX_DUMMIES},
}


@dataclass(frozen=True, slots=True)
class Box:
    """Size of a node in CSS pixels."""

    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """Top left corners of the boxes, points of the edges, and the size of the drawing."""

    corners: tuple[Point, ...]
    paths: tuple[tuple[Point, ...], ...]
    width: float
    height: float
    layered: bool
    """False where the graph was too large to lay out, and the boxes stand in one column."""


def lay_out(boxes: Sequence[Box], edges: Sequence[Edge]) -> Drawing:
    """Place the boxes top to bottom along the edges, deterministically.

    A graph that is too large is stacked in the given order instead. Raises
    UsageError if the engine is not installed.
    """
    if not boxes:
        return Drawing((), (), 0.0, 0.0, True)
    if len(boxes) > MAX_BOXES:
        return _column(boxes, edges)
    return _layered(boxes, edges)


def _layered(boxes: Sequence[Box], edges: Sequence[Edge]) -> Drawing:
    try:
        import graphlay
    except ImportError as error:
        raise UsageError(
            "the model plot needs graphlay, which is not installed",
            remedy='pip install "onnxprof[site]"',
        ) from error
    nodes = [{"size": {"width": b.width, "height": b.height}, "shape": "box"} for b in boxes]
    links = [{"source": a, "target": b, "weight": 1.0} for a, b in edges]
    try:
        layout = graphlay.layout({"nodes": nodes, "edges": links}, options=_OPTIONS)
    except graphlay.GraphlayError:
        return _column(boxes, edges)
    return _shifted(boxes, layout.raw)


def _shifted(boxes: Sequence[Box], raw: dict[str, Any]) -> Drawing:
    """Move the engine's drawing to the origin and round it to half pixels."""
    low, high = raw["bounds"]["min"], raw["bounds"]["max"]

    def at(x: float, y: float) -> Point:
        return round(2 * (x - low["x"])) / 2, round(2 * (y - low["y"])) / 2

    corners = tuple(
        at(node["center"]["x"] - box.width / 2, node["center"]["y"] - box.height / 2)
        for box, node in zip(boxes, raw["nodes"], strict=True)
    )
    paths = tuple(tuple(at(p["x"], p["y"]) for p in edge["points"]) for edge in raw["edges"])
    return Drawing(corners, paths, high["x"] - low["x"], high["y"] - low["y"], True)


def _column(boxes: Sequence[Box], edges: Sequence[Edge], gap: float = 14.0) -> Drawing:
    """One box below the other, with edges only between neighbours."""
    width = max(box.width for box in boxes)
    corners: list[Point] = []
    y = 0.0
    for box in boxes:
        corners.append(((width - box.width) / 2, y))
        y += box.height + gap
    paths = tuple(
        ((width / 2, corners[b][1] - gap), (width / 2, corners[b][1])) if b == a + 1 else ()
        for a, b in edges
    )
    return Drawing(tuple(corners), paths, width, y - gap, False)
