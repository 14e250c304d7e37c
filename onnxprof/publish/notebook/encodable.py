"""Tables and texts for a console that lacks characters: replaced before they are laid out.

A stand-in may be wider than what it stands for: replaced on the way out, it would shift columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Span, Text


def encodable(part: Any, encode: Callable[[str], str]) -> Any:
    """The renderable with every text as `encode` has it, styles kept; a table is changed itself."""
    if isinstance(part, str):
        return encode(part)
    if isinstance(part, Text):
        return _text(part, encode)
    if isinstance(part, Table):
        return _table(part, encode)
    if isinstance(part, Group):
        return Group(*(encodable(each, encode) for each in part.renderables), fit=part.fit)
    if isinstance(part, Padding):
        part.renderable = encodable(part.renderable, encode)
        return part
    return encodable(part.__rich__(), encode) if hasattr(part, "__rich__") else part


def _text(text: Text, encode: Callable[[str], str]) -> Text:
    parts = [encode(character) for character in text.plain]
    places = [0]
    for part in parts:
        places.append(places[-1] + len(part))
    made = text.blank_copy("".join(parts))
    last = len(parts)
    made.spans = [
        Span(places[min(span.start, last)], places[min(span.end, last)], span.style)
        for span in text.spans
    ]
    return made


def _table(table: Table, encode: Callable[[str], str]) -> Table:
    for column in table.columns:
        column.header = encodable(column.header, encode)
        column.footer = encodable(column.footer, encode)
        column._cells = [encodable(cell, encode) for cell in column._cells]
    if table.title is not None:
        table.title = encodable(table.title, encode)
    if table.caption is not None:
        table.caption = encodable(table.caption, encode)
    return table
