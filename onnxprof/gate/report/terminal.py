"""A gate's outcome for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.compare.changes import Row
from onnxprof.gate.cases import Case, Gated, Outcome
from onnxprof.gate.report import layers, words
from onnxprof.publish.text import verdicts
from onnxprof.publish.text.safe import printable

_WIDTH = 79
#: Layers of one case.
_MOST = 12
_STYLES = {Outcome.SLOWER: "red", Outcome.FAILED: "red", Outcome.FASTER: "green"}


def rendered(gated: Gated) -> RenderableType:
    """Each case with its verdict, noise and layers, then the rule and the outcome."""
    parts = [part for case in gated.cases for part in _case(gated, case)]
    ending = Text(printable(f"Gate: {words.headline(gated)}."), style="bold")
    text = words.rule_text(gated)
    rule: list[RenderableType] = [Text(text, style="dim"), ""] if text else []
    return Group(*parts, *rule, ending)


def _case(gated: Gated, case: Case) -> Iterator[RenderableType]:
    yield Text(printable(case.title), style="bold")
    yield Text(printable(words.verdict_text(gated, case)), style=_STYLES.get(case.outcome, ""))
    if case.noise is not None:
        yield Text(f"{_capital(words.noise_text(gated, case.noise))}.", style="dim")
    if case.pair is not None:
        shown, called = words.rows(case, _MOST)
        if shown:
            yield ""
            yield Text(f"{words.layers_text(called, _more(case, len(shown), called))}:")
            yield _table(case, shown)
    if case.noise is not None and gated.is_blunt(case):
        yield Text(f"! {_capital(words.blunt_text(gated, case.noise))}.", style="yellow")
    yield from (Text(f"! {printable(text)}", style="yellow") for text in words.notes(case))
    yield ""


def _more(case: Case, shown: int, called: bool) -> int:
    """How many layers that changed are left out."""
    return len(words.rows(case, 1 << 20)[0]) - shown if called else 0


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _table(case: Case, shown: list[Row]) -> Table:
    pair = case.pair
    if pair is None:
        raise ValueError(case.title)
    scale = layers.Scale.of(pair)
    lines = [layers.cells(row, pair, scale, _WIDTH) for row in shown]
    heads = layers.heads(scale)
    figures = [line[1:] for line in lines]
    widths = [max(map(len, column)) for column in zip(heads[1:], *figures, strict=True)]
    room = max(12, _WIDTH - sum(widths) - 2 * len(widths))
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(heads[0], no_wrap=True)
    for head, width in zip(heads[1:], widths, strict=True):
        justify: Literal["left", "right"] = "left" if head == "verdict" else "right"
        grid.add_column(head, justify=justify, no_wrap=True, min_width=width)
    for row, line in zip(shown, lines, strict=True):
        cells = (layers.name(row, room), *line[1:])
        grid.add_row(*map(Text, cells), style=verdicts.STYLES.get(row.verdict, ""))
    return grid
