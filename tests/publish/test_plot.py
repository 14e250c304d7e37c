"""The model plot, its layout, and the small charts."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.golden import check_golden

from onnxprof.errors import UsageError
from onnxprof.publish.drawing import bars, layout, plot
from onnxprof.publish.text import numbers
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.testing import sample_table

HOSTILE = "<script>alert(1)</script>\"'&\x00\x1b\u202e\ud800\uffff名前" + "x" * 300


def chain(n: int, skips: tuple[tuple[int, int], ...] = ()) -> LayerTable:
    """So many layers in a row, with more edges from layer a to layer b."""
    layers = [Layer("x", LayerKind.INPUT, "Input", outputs=(Tensor("x", "float32", (1, 4)),))]
    for i in range(n):
        sources = ["x" if i == 0 else f"t{i - 1}", *(f"t{a}" for a, b in skips if b == i)]
        inputs = tuple(Tensor(name, "float32", (1, 4)) for name in sources)
        out = Tensor(f"t{i}", "float32", (1, 4))
        layers.append(Layer(f"n{i}", LayerKind.NODE, "Relu", "Relu", "", 17, inputs, (out,)))
    return LayerTable(tuple(layers), 1)


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_a_small_plot_is_as_it_was() -> None:
    table = sample_table(8)
    check_golden("plot_sample_b8.svg", plot.draw(plot.plan(table), table, "sample"))


def test_the_plot_shows_operators_names_and_shapes() -> None:
    table = sample_table(8)
    shown = texts(plot.draw(plot.plan(table), table, "sample"))
    assert {"Conv", "/block/conv_0", "8×4×8×8", "8×3×8×8"} <= set(shown)
    assert "w" not in shown, "weights are not drawn"


def test_one_plan_serves_every_batch_size() -> None:
    one, eight = sample_table(1), sample_table(8)
    assert plot.topology(one) == plot.topology(eight)
    assert plot.draw(plot.plan(one), eight, "m") == plot.draw(plot.plan(eight), eight, "m")


def test_hostile_names_stay_text() -> None:
    tensor = Tensor(HOSTILE, "float32", (1, HOSTILE))
    layers = (
        Layer(HOSTILE, LayerKind.INPUT, "Input", outputs=(tensor,)),
        Layer(HOSTILE, LayerKind.NODE, HOSTILE, HOSTILE, "", 1, (tensor,), (tensor,)),
    )
    svg = plot.draw(plot.plan(LayerTable(layers, 1)), LayerTable(layers, 1), HOSTILE)
    svg.encode("utf-8")
    assert "<script" not in svg
    ET.fromstring(svg)


def test_a_long_edge_becomes_a_reference_beside_its_consumer() -> None:
    table = chain(80, ((0, 79),))
    planned = plot.plan(table)
    assert len(planned.references) == 1
    assert "← n0" in texts(plot.draw(planned, table, "m"))
    assert not plot.plan(chain(80, ((60, 79),))).references


def test_a_subgraph_leads_to_the_layer_that_holds_it() -> None:
    inner = Layer("inner", LayerKind.NODE, "Relu", "Relu", outputs=(Tensor("i"),), parent="branch")
    branch = Layer("branch", LayerKind.NODE, "If", "If", outputs=(Tensor("o"),))
    assert plot.plan(LayerTable((inner, branch), 1)).edges == ((0, 1),)


def test_what_is_computed_from_constants_alone_is_not_drawn() -> None:
    weight, folded = Tensor("w", "float32", (4,)), Tensor("f", "float32", (4,))
    first = Layer("fold", LayerKind.NODE, "Neg", "Neg", "", 17, (weight,), (folded,))
    given = Layer("w", LayerKind.INITIALIZER, "Initializer", outputs=(weight,))
    x = Layer("x", LayerKind.INPUT, "Input", outputs=(Tensor("x"),))
    last = Layer("add", LayerKind.NODE, "Add", "Add", "", 17, (Tensor("x"), folded))
    noise = Layer("noise", LayerKind.NODE, "RandomNormal", "RandomNormal", "", 17)
    table = LayerTable((given, first, x, last, noise), 1)
    planned = plot.plan(table)
    assert planned.rows == (2, 3, 4)
    assert "batch 1, 3 layers, 1 constant, not drawn" in texts(plot.draw(planned, table, "m"))


def test_an_empty_table_has_an_empty_plot() -> None:
    empty = LayerTable((), 1)
    ET.fromstring(plot.draw(plot.plan(empty), empty, "m"))


def test_what_is_too_large_stands_in_one_column() -> None:
    n = layout.MAX_BOXES + 1
    drawing = layout.lay_out([layout.Box(10, 10)] * n, [(i, i + 1) for i in range(n - 1)])
    assert not drawing.layered
    assert len({x for x, _ in drawing.corners}) == 1
    table = chain(n)
    assert "file order" in plot.draw(plot.plan(table), table, "m")


def test_a_layout_is_the_same_every_time_and_boxes_do_not_overlap() -> None:
    boxes = [layout.Box(100, 30)] * 12
    edges = [(i, i + 1) for i in range(11)] + [(0, 5), (2, 9)]
    drawing = layout.lay_out(boxes, edges)
    assert drawing == layout.lay_out(boxes, edges)
    for i, (x, y) in enumerate(drawing.corners):
        for u, v in drawing.corners[:i]:
            assert abs(x - u) >= 100 or abs(y - v) >= 30


def test_without_graphlay_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "graphlay", None)
    with pytest.raises(UsageError, match=r"pip install \"onnxprof\[site\]\""):
        layout.lay_out([layout.Box(1, 1)], [])


def test_charts_are_as_they_were() -> None:
    lines = [
        bars.Line("cpu.ort", "CPU · <ort>", ((1, 2.0), (2, 3.5), (8, 12.0))),
        bars.Line("gpu.ort", "GPU · ort", ((1, 1.0), (8, 1.5))),
    ]
    made = [bars.panel("Latency, ms", lines, labelled=True), bars.sparkline(lines[0])]
    check_golden("charts.html", "\n".join([*made, bars.bar(0.25), ""]))


def test_one_batch_size_is_no_chart() -> None:
    assert bars.panel("Latency", [bars.Line("a", "a", ((1, 2.0),))]) == ""
    assert bars.sparkline(bars.Line("a", "a", ((1, 2.0),))) == ""


@given(st.floats(1e-9, 1e9), st.floats(1, 1e6))
def test_ticks_are_few_and_near_the_range(low: float, factor: float) -> None:
    marks = bars.ticks(low, low * factor)
    assert len(marks) <= 6
    assert all(low * 0.9 <= mark <= low * factor * 1.1 for mark in marks)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0004, "0.000"),
        (0.01234, "0.012"),
        (0.1234, "0.123"),
        (9.996, "10.0"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-1.5, "−1.50"),
    ],
)
def test_three_significant_digits(value: float, text: str) -> None:
    assert numbers.three(value) == text


@given(st.text())
def test_printable_text_is_valid_xml_and_utf8(text: str) -> None:
    shown = in_page(text)
    assert ET.fromstring(f"<a>{shown.replace('&', '').replace('<', '')}</a>") is not None
    assert "".join(numbers.pieces(text)) == shown
    assert numbers.softened(text).replace(numbers.ZERO_WIDTH, "") == shown


def test_slugs_are_safe_and_unique() -> None:
    taken: set[str] = set()
    for name in ("ResNet-50", "resnet-50", "a/b", "a b", "a_b", "名前", "", "con", ".", "../x"):
        slug = numbers.unique_slug(name, taken, name)
        assert slug
        assert slug not in taken
        assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        taken.add(slug)
    assert "con" not in taken
