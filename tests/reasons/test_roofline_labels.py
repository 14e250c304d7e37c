"""Labels of a roofline's slopes."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from onnxprof.publish.roofline.labels import ASIDE, Place, Slope, boxes, places
from onnxprof.publish.roofline.names import Box, Mark, extent, placed

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
    found = [box(place, label) for place, label in zip(places(slopes, ANGLE), labels, strict=True)]
    assert not [pair for pair in combinations(found, 2) if overlap(*pair)]


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


def test_a_label_leaves_a_mark_alone_where_there_is_room() -> None:
    each = slope("main 61.0 GB/s", 40)
    (usual,) = places([each], ANGLE)
    mark = (usual.x + 20, usual.y - 30, 6.0)
    (moved,) = places([each], ANGLE, [mark])
    turn = math.radians(ANGLE)
    along = mark[0] * math.cos(turn) - mark[1] * math.sin(turn)
    across = mark[0] * math.sin(turn) + mark[1] * math.cos(turn)
    around = (along - 6, along + 6, across - 6, across + 6)
    assert overlap(box(usual, each.label), around)
    assert not overlap(box(moved, each.label), around)


def test_the_boxes_of_a_label_cover_it_from_end_to_end() -> None:
    each = slope("main 61.0 GB/s", 40)
    (place,) = places([each], ANGLE)
    found = boxes(each, place, ANGLE)
    assert found[0][0] <= place.x <= found[0][2]
    reach = found[-1][2] - found[0][0]
    assert reach >= 6 * len(each.label) * math.cos(math.radians(ANGLE))


def marked(x: float, y: float, text: str = "") -> Mark:
    return Mark(x, y, 12.0, text)


def test_names_stand_beside_their_marks_and_on_nothing() -> None:
    near = [marked(300, 200, "conv1 12 %"), marked(305, 206, "conv2 11 %")]
    names = list(placed(near, [], []))
    assert [name.text for name in names] == ["conv1 12 %", "conv2 11 %"]
    first, second = (extent(name.x, name.y, name.anchor, name.text) for name in names)
    assert not overlapping(first, second)


def test_a_name_goes_where_no_label_is_and_is_left_out_where_there_is_no_room() -> None:
    (plain,) = placed([marked(200, 200, "conv1 12 %")], [], [])
    assert plain.anchor == "start"
    label = extent(plain.x, plain.y, plain.anchor, plain.text)
    (moved,) = placed([marked(200, 200, "conv1 12 %")], [], [label])
    assert not overlapping(extent(moved.x, moved.y, moved.anchor, moved.text), label)
    assert list(placed([marked(200, 200, "conv1 12 %")], [], [(0, 0, 720, 430)])) == []


def test_a_name_covers_fewer_marks_where_it_can() -> None:
    others = [marked(260, 200)]
    (name,) = placed([marked(200, 200, "conv1 12 %")], others, [])
    assert not overlapping(extent(name.x, name.y, name.anchor, name.text), others[0].box)


def overlapping(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
