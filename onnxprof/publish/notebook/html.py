"""Parts of HTML for a notebook: static, everything escaped, in the colours of the notebook.

Notebooks drop style sheets and scripts of pages that they do not trust, so styles stand at the
elements; text has the notebook's own colour, on light pages and on dark ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.publish.text.safe import in_page

#: Of a bar: seen on white and on black.
_BAR = "#5b8fd9"
_PADDED = "padding:0.1em 0.8em 0.1em 0"
_LEFT = f"text-align:left;{_PADDED}"
_RIGHT = f"text-align:right;font-variant-numeric:tabular-nums;{_PADDED}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    is_number: bool = False
    part: float | None = None
    """The length of a bar in place of the text, from 0 to 1."""


def escaped(text: str) -> str:
    """The text for an element or an attribute."""
    return escape(in_page(text), quote=True)


def paragraph(text: str, *, style: str = "") -> str:
    """A line of text."""
    return f'<p style="margin:0.3em 0;{style}">{escaped(text)}</p>'


def preformatted(text: str) -> str:
    """Text of a terminal as it is."""
    lines = "\n".join(escaped(line.rstrip()) for line in text.rstrip().splitlines())
    look = "line-height:1.2;overflow-x:auto;background:transparent;color:inherit"
    return f'<pre style="{look}">{lines}</pre>'


def table(heads: Sequence[Cell], rows: Sequence[Sequence[Cell]]) -> str:
    """A table with a heading for each column."""
    head = "".join(_cell(cell, "th") for cell in heads)
    body = "".join(f"<tr>{''.join(_cell(cell, 'td') for cell in row)}</tr>" for row in rows)
    look = "border-collapse:collapse;margin:0.3em 0"
    return f'<table style="{look}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(cell: Cell, tag: str) -> str:
    if cell.part is not None:
        return f'<{tag} style="min-width:8em">{_bar(cell.part)}</{tag}>'
    style = _RIGHT if cell.is_number else _LEFT
    return f'<{tag} style="{style}">{escaped(cell.text)}</{tag}>'


def _bar(part: float) -> str:
    width = 100 * max(0.0, min(1.0, part))
    return f'<div style="height:0.8em;width:{width:.1f}%;background:{_BAR}"></div>'
