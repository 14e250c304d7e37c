"""Labels of a roofline's slopes."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from onnxprof.publish.roofline.labels import ASIDE, Place, Slope, places

ANGLE = 40.0
RISE = math.tan(math.radians(ANGLE))


def slope(label: str, height: float, length: float = 420.0) -> Slope:
    """A slope that begins so far above the foot of the drawing."""
    return Slope(label, 60.0, 388.0 - height, 60.0 + length, 388.0 - height - length * RISE)


def box(place: Place, label: str) -> tuple[float, float, float, float]:
    """The rectangle of a label along the slopes and across them."""
    turn = math.radians(ANGLE)
    along = place.x * math.cos(turn) - place.y * math.sin(turn)
    across = place.x * math.sin(turn) + place.y * math.cos(turn) + place.aside
    return along, along + 6 * len(label), across - 9, across + 3


def overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


@pytest.mark.parametrize("gap", [4.0, 8.0, 12.0, 16.0, 24.0, 60.0])
def test_no_label_covers_another(gap: float) -> None:
    labels = ("L1 412 GB/s", "L2 203 GB/s", "L3 97.4 GB/s", "main 61.0 GB/s")
    slopes = [slope(label, gap * (4 - i)) for i, label in enumerate(labels)]
    boxes = [box(place, label) for place, label in zip(places(slopes, ANGLE), labels, strict=True)]
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]


def test_every_label_stands_on_its_slope() -> None:
    slopes = [slope("L1 412 GB/s", 40), slope("main 61.0 GB/s", 10)]
    for each, place in zip(slopes, places(slopes, ANGLE), strict=True):
        assert place.aside in ASIDE
        assert each.x1 <= place.x <= each.x2
        assert each.y1 - place.y == pytest.approx((place.x - each.x1) * RISE)


def test_a_slope_alone_has_its_label_above_its_beginning() -> None:
    (place,) = places([slope("L1, L2, L3 40.0 GB/s", 40)], ANGLE)
    assert place.aside == ASIDE[0]
    assert place.x == pytest.approx(60 + 0.03 * 420)


def test_a_slope_shorter_than_its_label_has_one_all_the_same() -> None:
    assert len(places([slope("L1 412 GB/s", 40, length=10)], ANGLE)) == 1
    assert places([], ANGLE) == []
