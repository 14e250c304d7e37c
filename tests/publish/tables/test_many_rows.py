"""Our layout of tables of many rows beside rich's, which it must not differ from."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.publish.tables.many_rows import Cell, Column, ManyRows

COLUMNS = (Column("n", "right"), Column("±", "right", min_width=6), Column("name"))
PLAIN: list[tuple[Cell, ...]] = [("1", "0.4 %", "conv"), ("1024", "", "a longer name")]
GRADED: list[tuple[Cell, ...]] = [("1", "● solid ±0.4 %", "a"), ("2", "◐ rough 751–776", "○")]
RED: list[tuple[Cell, ...]] = [*PLAIN, (Text("7", style="red"), "x", Text("failed", style="red"))]


def printed(part: RenderableType, **options: Any) -> str:
    sink = io.StringIO()
    Console(**{"file": sink, "width": 80, "highlight": False} | options).print(part, markup=False)
    return sink.getvalue()


def by_rich(table: ManyRows) -> RenderableType:
    return Group(Text(table.heading, style="bold"), table._by_rich())


@pytest.mark.parametrize("rows", [PLAIN, RED, GRADED, []])
@pytest.mark.parametrize("width", [80, 36, 20])
def test_text_is_that_of_rich(rows: list[tuple[Cell, ...]], width: int) -> None:
    table = ManyRows("a heading of some length", COLUMNS, rows)
    assert printed(table, width=width) == printed(by_rich(table), width=width)


@pytest.mark.parametrize("name", ["网络", "e\u0301", "[red]x[/]", ":smile:", "x" * 90])
def test_names_that_only_rich_can_measure(name: str) -> None:
    table = ManyRows(name, COLUMNS, [("1", "2", name)])
    assert printed(table) == printed(by_rich(table))


def test_colours_are_those_of_rich() -> None:
    table = ManyRows("heading", COLUMNS, RED)
    options = {"force_terminal": True, "color_system": "truecolor"}
    assert printed(table, **options) == printed(by_rich(table), **options)


@pytest.mark.parametrize("rows", [RED, GRADED])
def test_rich_lays_out_no_row_where_it_need_not(
    monkeypatch: pytest.MonkeyPatch, rows: list[tuple[Cell, ...]]
) -> None:
    laid: list[Table] = []
    monkeypatch.setattr(Table, "__rich_console__", lambda self, *_: laid.append(self) or iter(()))
    printed(ManyRows("heading", COLUMNS, rows * 100))
    assert not laid
