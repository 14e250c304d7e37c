"""Tables and texts as plain text, without a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Columns where nothing says how many.
USUAL_WIDTH = 80


def plain_text(*parts: RenderableType, width: int = USUAL_WIDTH) -> str:
    """Tables and texts as plain text, `width` columns wide."""
    import io

    from rich.console import Console

    sink = io.StringIO()
    # What rich finds in the environment, a notebook or a terminal, bears on nothing.
    console = Console(
        file=sink, width=width, highlight=False, force_terminal=False, force_jupyter=False
    )
    for part in parts:
        console.print(part, markup=False)
    return sink.getvalue()
