"""Our layout of a folded table beside rich's, which it must not differ from."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from onnxprof.publish.tables.grid import Column, Grid, plain

COLUMNS: tuple[Column, ...] = (("layer", 2, None), ("type", None, 12), ("tensors", 3, None))
WIDTHS = (40, 61, 80, 81, 120)
TEXT = st.text("ab/_.-1 ", max_size=90)
CELL = st.text("ab/_.-1 \n", max_size=60)
ROW = st.tuples(CELL, st.text("ab \n", max_size=18), CELL)


def by_rich(part: RenderableType, width: int) -> str:
    sink = io.StringIO()
    Console(file=sink, width=width, highlight=False).print(part, markup=False)
    return sink.getvalue()


@settings(max_examples=60)
@given(TEXT, st.lists(ROW, max_size=3), st.sampled_from(WIDTHS))
def test_a_table_is_that_of_rich(title: str, rows: list[tuple[str, str, str]], width: int) -> None:
    grid = Grid(title, COLUMNS, rows)
    made = plain(grid, width)
    assert made is None or made == by_rich(grid, width)


@settings(max_examples=60)
@given(CELL, st.sampled_from(WIDTHS))
def test_a_text_is_that_of_rich(text: str, width: int) -> None:
    assert plain(text, width) == by_rich(text, width)


def test_a_table_of_usual_names_needs_no_rich() -> None:
    rows = [("a/long/name/" * 9, "Conv-13", "in  x float32[1,3,8,8]\nout y float32[1,4,8,8]")]
    for width in WIDTHS:
        assert plain(Grid("net, batch 1", COLUMNS, rows), width)


@pytest.mark.parametrize("text", ["网络", "e\u0301", "a\tb", ":smile: x"])
def test_what_only_rich_can_measure_is_left_to_it(text: str) -> None:
    assert plain(text, 80) is None


@pytest.mark.parametrize("text", ["网络", "e\u0301", "a\tb"])
def test_a_table_that_only_rich_can_measure_is_left_to_it(text: str) -> None:
    assert plain(Grid("net", COLUMNS, [(text, "", "")]), 80) is None
    assert plain(Grid(text, COLUMNS, []), 80) is None


@pytest.mark.parametrize("columns", [(("two\nlines", 1, None),), (("wide", 1, None),) * 9])
def test_headings_that_do_not_fit_are_left_to_rich(columns: tuple[Column, ...]) -> None:
    assert plain(Grid("net", columns, [("x",) * len(columns)]), 20) is None
