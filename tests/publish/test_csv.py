"""The one CSV writer: line ends, quotes, untrusted names."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT

from onnxprof.publish.text.csv import (
    csv_of_records,
    csv_parts,
    csv_text,
    for_spreadsheets,
    spreadsheet_name,
    spreadsheet_parts,
    spreadsheet_variant,
)


@pytest.mark.parametrize(
    ("text", "differs"),
    [
        ("a,b\r\n-1.5,x\r\n", False),
        ("a,b\r\n=1,x\r\n", True),
        ("a,b\r\n-x,1\r\n", True),
        ("a,b\r\n1\u00d72,x\r\n", True),
    ],
)
def test_a_variant_is_there_where_a_spreadsheet_reads_otherwise(text: str, differs: bool) -> None:
    assert spreadsheet_variant(text) == (for_spreadsheets(text) if differs else "")


def test_every_line_ends_in_crlf() -> None:
    assert csv_text(("a", "b"), [(1, "x"), (None, 0.5)]) == "a,b\r\n1,x\r\n,0.5\r\n"
    assert csv_text(("a", "b"), ()) == "a,b\r\n"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("a,b", '"a,b"'),
        ('"', '""""'),
        ("two\nlines", '"two\nlines"'),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb", "a\\rb"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_reader_or_terminal_would_obey_is_quoted_or_escaped(cell: str, written: str) -> None:
    assert csv_text(("x", "y"), [(cell, 1)]) == f"x,y\r\n{written},1\r\n"


@given(st.lists(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))), min_size=2))
def test_printable_names_come_back(names: list[str]) -> None:
    text = csv_text(names, [names])
    assert list(csv.reader(io.StringIO(text, newline=""))) == [names, names]


def test_records_need_every_column() -> None:
    assert csv_of_records(("b", "a"), [{"a": 1, "b": 2, "c": 3}]) == "b,a\r\n2,1\r\n"
    with pytest.raises(KeyError, match="b"):
        csv_of_records(("b",), [{"a": 1}])


def test_parts_come_before_the_last_row_is_asked_for() -> None:
    asked: list[int] = []

    def rows() -> Iterator[tuple[str]]:
        for number in range(100):
            asked.append(number)
            yield ("x" * 10_000,)

    parts = csv_parts(("a",), rows())
    first = next(parts)
    assert len(asked) < 10
    assert first + "".join(parts) == csv_text(("a",), rows())


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=SUM(A1:A9)", "'=SUM(A1:A9)"),
        ("-x", "'-x"),
        ("+1", "'+1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("a,=b", "a,=b"),
        ("a;=b", "a;'=b"),
        ("a\n=b", "a\n'=b"),
        ('="x"', '\'="x"'),
        ('"=x', '"=x'),
        ("-1", "-1"),
        ("-0.000123", "-0.000123"),
        ("-1.5e-07", "-1.5e-07"),
        ("-1;-2", "-1;-2"),
        ("--1", "'--1"),
        ("[[1,-3]]", "[[1,-3]]"),
        ("x=1", "x=1"),
        ("名前", "名前"),
    ],
)
def test_no_cell_becomes_a_formula(cell: str, safe: str) -> None:
    plain = csv_text(("a", "b", "c"), [(cell, 1, cell)])
    text = for_spreadsheets(plain)
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:], newline="")))
    assert rows == [["a", "b", "c"], [safe, "1", safe]]
    assert list(csv.reader(io.StringIO(plain, newline="")))[1] == [cell, "1", cell]


@given(st.lists(st.text("=+-@;,\"'\n\t1.e x"), min_size=2, max_size=4))
def test_whatever_a_cell_holds_it_is_no_formula_and_its_text_stays(cells: list[str]) -> None:
    text = for_spreadsheets(csv_text(("x",) * len(cells), [cells]))
    rows = list(csv.reader(io.StringIO(text[1:], newline="")))
    # a tab is an escape in every CSV
    known = [cell.replace("\t", "\\t") for cell in cells]
    for cell, made in zip(known, rows[1], strict=True):
        assert not re.match(r"[=+@\t]|-(?!\d+(\.\d+)?(e[+-]?\d+)?(;|$))", made)
        assert re.sub(r"(^|[;\n])'(?=[=+@-])", r"\1", made) == re.sub(
            r"(^|[;\n])'(?=[=+@-])", r"\1", cell
        )


def test_a_tab_in_front_is_guarded_where_it_is_not_escaped() -> None:
    assert for_spreadsheets("a\r\n\t=1\r\n") == "\ufeffa\r\n'\t=1\r\n"


def test_parts_of_a_table_are_guarded_as_the_whole() -> None:
    parts = list(csv_parts(("n",), [("=1" * 20_000,), ("-x",), ("y",)] * 3))
    assert len(parts) > 1
    assert "".join(spreadsheet_parts(parts)) == for_spreadsheets("".join(parts))


def test_the_variant_is_named_so() -> None:
    assert spreadsheet_name("a.b1.csv") == "a.b1.spreadsheet.csv"


def test_nobody_else_writes_csv() -> None:
    writers = [
        str(path.relative_to(ROOT))
        for top in ("onnxprof", "backends", "exporters", "zoo")
        for path in (ROOT / top).rglob("*.py")
        if "csv.writer(" in (text := path.read_text("utf-8")) or "DictWriter(" in text
    ]
    assert writers == ["onnxprof/publish/text/csv.py"]
