"""Plots on sheets of paper: strips, tiles, and where they are cut."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from test_plot import chain

from onnxprof.publish.drawing import plot, strips
from onnxprof.publish.pdf import plot as plot_pdf
from onnxprof.publish.pdf import typesetter
from onnxprof.testing import sample_run


def test_a_plot_is_a_page_of_its_own_size_in_vectors() -> None:
    table = sample_run(batch=8).table
    drawing = plot.draw(plot.plan(table), table, "模型")
    made = plot_pdf.manuscript(drawing, "模型", 8)
    assert "var(" not in made.data
    document = typesetter.compile_pdf(made)
    assert document == typesetter.compile_pdf(made)
    (page,) = PdfReader(io.BytesIO(document)).pages
    assert (page.mediabox.width, page.mediabox.height) == (255, 211.5)
    assert not page.images
    shown = page.extract_text()
    assert "Conv" in shown
    assert "/block/relu_1" in shown
    assert "\\u6a21" in shown


def test_texts_of_a_plot_are_words_at_places_in_points() -> None:
    table = sample_run(batch=8).table
    drawing = plot.draw(plot.plan(table), table, "a  <b> & c")
    data = json.loads(plot_pdf.manuscript(drawing, "m", 8).data)
    ((tile,),) = data["sheets"]
    assert "<text" not in tile["svg"]
    assert len(tile["texts"]) == drawing.count("<text")
    assert tile["texts"][0] == ["h", 15.0, 19.5, "a <b> & c"]
    assert data["styles"]["h"] == [10.5, "#1b1d20", 600, False]
    assert data["styles"]["s"] == [7.125, "#5b6168", 400, True]
    typesetter.compile_pdf(plot_pdf.manuscript(drawing, "m", 8))


def test_a_plot_too_long_for_a_sheet_is_strips_on_sheets_of_paper() -> None:
    table = chain(120, ((0, 3), (40, 44)))
    drawing = plot.draw(plot.plan(table), table, "m")
    made = plot_pdf.manuscript(drawing, "m", 1)
    pages = PdfReader(io.BytesIO(typesetter.compile_pdf(made))).pages
    assert 2 < len(pages) < 6, "two strips a page"
    for number, page in enumerate(pages, 1):
        assert float(page.mediabox.height) == pytest.approx(841.89, abs=0.1)
        assert f"{number} / {len(pages)}" in page.extract_text()
    shown = "\n".join(page.extract_text() for page in pages).split()
    assert [word for word in shown if re.fullmatch(r"n\d+", word)] == [f"n{i}" for i in range(120)]
    tiles = [tile for sheet in json.loads(made.data)["sheets"] for tile in sheet]
    boxes = [tile["svg"].count('class="b"') for tile in tiles]
    assert sum(boxes) == 120, "no box is cut"
    assert all(tile["y"] + tile["height"] < 841.89 - 30 for tile in tiles)
    assert sum(len(tile["svg"]) for tile in tiles) < 1.5 * len(drawing), "each has its own part"


def test_sheets_lie_across_where_that_takes_fewer() -> None:
    def sheets(width: int, height: int) -> tuple[float, int]:
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"/>'
        data = json.loads(plot_pdf.manuscript(svg, "m", 1).data)
        return data["width"], len(data["sheets"])

    assert sheets(1640, 16_000) == (841.89, 15), "upright it would be two tiles wide, and 20"
    assert sheets(400, 6_000)[0] == 595.28


def test_a_plot_wider_than_a_sheet_is_tiled_across() -> None:
    text = '<svg xmlns="http://www.w3.org/2000/svg" width="9000" height="900" viewBox="0 0 1 1"/>'
    data = json.loads(plot_pdf.manuscript(text, "m", 1).data)
    assert data["width"] == 841.89
    assert len(data["sheets"]) == 6
    (first,), (second,) = data["sheets"][:2]
    assert first["width"] < 841.89 - 60
    assert 'viewBox="0 0' in first["svg"]
    assert 'viewBox="0 0' not in second["svg"]
    typesetter.compile_pdf(plot_pdf.manuscript(text, "m", 1))


@given(
    st.lists(st.tuples(st.floats(0, 5000), st.floats(1, 60)), max_size=60),
    st.floats(300, 2000),
)
def test_strips_hold_everything_and_are_no_taller_than_a_sheet(
    places: list[tuple[float, float]], most: float
) -> None:
    boxes = [(low, low + tall) for low, tall in places]
    found = strips.cuts(boxes, [], 5100, most)
    ends = [0.0, *found, 5100.0]
    assert all(0 < b - a <= most + 1e-6 for a, b in pairwise(ends))


def test_strips_are_cut_where_the_fewest_edges_cross() -> None:
    boxes = [(i * 60.0, i * 60.0 + 42) for i in range(40)]
    lines = [(a * 60.0 + 42, b * 60.0) for a, b in ((10, 20), (11, 19), (21, 30))]
    (first, *_) = strips.cuts(boxes, lines, 2400, 1500)
    assert first == 21 * 60 - 9, "between the skips, in the middle of the gap"
    (first, *_) = strips.cuts(boxes, [], 2400, 1500, [18 * 60.0, 20 * 60.0])
    assert first == 20 * 60 - 9, "above the last box that leads"
