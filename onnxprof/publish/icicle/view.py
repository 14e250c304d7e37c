"""What a model's page shows of where the time of a run goes, and the rules its script goes by."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from onnxprof.analysis.reconcile import TimedRow
from onnxprof.publish.drawing.scopes import DEEPEST, MOST_MEMBERS
from onnxprof.publish.icicle import svg
from onnxprof.publish.icicle.layout import LEAST, Rectangle
from onnxprof.publish.icicle.operators import MOST, Sum, by_operator, shown
from onnxprof.publish.icicle.tree import MOST_NAMED, NO_LAYER, grown

_TABLE, _METHOD = "#timing", "../../method.html#overhead"


@dataclass(frozen=True, slots=True)
class View:
    """The icicle as markup, and the sums by operator with what comes besides the steps."""

    icicle: str
    operators: tuple[Sum, ...]
    most_ns: int
    """The longest of the sums."""


def view(rows: Sequence[TimedRow], total_ns: int) -> View:
    """Where the time of a run goes, from the rows that its page shows and those that close them."""
    tree = grown(rows)
    closing = [Sum(part.name, part.ns, 0) for part in tree.closing]
    sums = (*shown(by_operator(rows)), *closing)
    return View(
        svg.drawing(tree, total_ns, _goal), sums, max((each.ns for each in sums), default=0) or 1
    )


def _goal(each: Rectangle) -> str:
    return _METHOD if each.is_closing else _TABLE


def rules() -> str:
    """The rules of the drawing as JSON, for the script that draws other runs by them."""
    return json.dumps(
        {
            "level": svg.LEVEL,
            "least": LEAST,
            "text": svg.TEXT,
            "wide": svg.WIDE_TEXT,
            "label": svg.LABEL,
            "longest": svg.LONGEST,
            "shares": svg.SHARES,
            "most": MOST_MEMBERS,
            "deepest": DEEPEST,
            "named": MOST_NAMED,
            "no_layer": NO_LAYER,
            "operators": MOST,
            "closing": _METHOD,
        },
        separators=(",", ":"),
    )
