"""Work, ceilings and memory of every row of every run of a model, for the panel of its page.

The page asks for them when a layer is chosen. The figures are those of the CSV files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pages.embed import Pool, body_rows, embedded
from onnxprof.publish.tables.identity import Cell
from onnxprof.publish.tables.timings import RowsOf
from onnxprof.publish.text.safe import in_page

SCRIPT = "facts.js"
#: The columns of `TimingRow.reasons` that are given, by the key that the script knows.
_COLUMNS = {"flops": 0, "bytes": 1, "bound": 3, "part": 4, "alive": 5}


def script(page: ModelPage, rows_of: RowsOf) -> Iterator[tuple[str, str]]:
    """The file, where the page has a good run."""
    if any(entry.result for entry in page.entries):
        yield SCRIPT, f"onnxprof.facts(0,{embedded(facts(page, rows_of))});\n"


def facts(page: ModelPage, rows_of: RowsOf) -> dict[str, Any]:
    """Columns over the rows of each run, in the order of `embed.page_data`; equal ones once.

    A run has the number of a column by key: FLOPs, bytes moved, what binds a step, its part of
    the possible, bytes alive while it runs. A failed run has none.
    """
    columns = Pool()
    runs = [_run(entry, rows_of, columns) for entry in page.entries]
    return {"runs": runs, "columns": [list(column) for column in columns.places]}


def _run(entry: Entry, rows_of: RowsOf, columns: Pool) -> dict[str, int]:
    if entry.result is None:
        return {}
    known = {id(found.row): found.reasons for found in rows_of(entry.run)}
    cells = [known[id(row)] for row in body_rows(entry.result)]
    found = {key: _column(cells, place) for key, place in _COLUMNS.items()}
    return {key: columns.place(column) for key, column in found.items() if any(column)}


def _column(cells: Sequence[Sequence[Cell]], place: int) -> tuple[Cell, ...]:
    return tuple(_plain(row[place]) for row in cells)


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return float(f"{cell:.4g}")
    return in_page(cell) if isinstance(cell, str) else cell
