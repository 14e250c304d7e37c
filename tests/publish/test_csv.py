"""The one CSV writer: line ends, quotes, untrusted names."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT

from onnxprof.publish.text.csv import csv_of_records, csv_parts, csv_text


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


def test_nobody_else_writes_csv() -> None:
    writers = [
        str(path.relative_to(ROOT))
        for top in ("onnxprof", "backends", "exporters", "zoo")
        for path in (ROOT / top).rglob("*.py")
        if "csv.writer(" in (text := path.read_text("utf-8")) or "DictWriter(" in text
    ]
    assert writers == ["onnxprof/publish/text/csv.py"]
