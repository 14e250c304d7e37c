"""An icicle as inline SVG, styled by `where.css`: places are in per cent, so it fits any width.

Each rectangle is a drawing of its own, which cuts what does not fit into it. The page's script
draws the same for other runs and for scopes (`site/assets/where.js`).
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from onnxprof.publish.icicle.layout import Rectangle, laid_out
from onnxprof.publish.icicle.tree import Tree
from onnxprof.publish.text.numbers import percent_cell, three, unit_for
from onnxprof.publish.text.safe import counted, shortened

#: Pixels of a level, with the gap below it.
LEVEL = 23
#: Shares of the width from which a rectangle has a text, and from which on a narrow page, too.
TEXT, WIDE_TEXT = 0.022, 0.075
#: Shares of the median from which a colour counts, as in the plot.
SHARES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
#: Letters of a label, and of a name in a title.
LABEL, LONGEST = 60, 160

Goal = Callable[[Rectangle], str]
"""Where the link of a rectangle leads."""


def drawing(tree: Tree, total_ns: int, goal: Goal) -> str:
    """The markup of a tree; empty without steps that take time."""
    found = laid_out(tree)
    if not tree.whole_ns or not found:
        return ""
    height = LEVEL * (1 + max(each.level for each in found))
    body = "".join(_rectangle(each, tree.whole_ns, total_ns, goal(each)) for each in found)
    return (
        f'<svg class="icicle" width="100%" height="{height}" role="document" '
        f'aria-label="Time by module scope">{body}</svg>'
    )


def _rectangle(each: Rectangle, whole: int, total: int, goal: str) -> str:
    part = each.part
    width = part.ns / whole
    label = f'<text x="5" y="15">{escape(shortened(part.name, LABEL))}</text>'
    text = escape(words(each, total))
    inner = ' tabindex="-1"' if each.level else ""
    inner += f' data-layer="{escape(part.layer)}"' if part.layer else ""
    return (
        f'<a href="{escape(goal)}"{inner} aria-label="{text}"><title>{text}</title>'
        f'<svg class="{_classes(each, width, total)}" x="{_percent(each.start_ns / whole)}" '
        f'y="{LEVEL * each.level}" width="{_percent(width)}" height="{LEVEL - 1}">'
        f'<rect width="100%" height="100%"/>{label if width >= TEXT else ""}</svg></a>'
    )


def words(each: Rectangle, total_ns: int) -> str:
    """What is said of a rectangle: its name from the top, time, share, how many steps."""
    unit, size = unit_for(total_ns)
    part = each.part
    name = part.name if each.is_rest else part.where
    share = f", {percent_cell(part.ns / total_ns)} %" if total_ns else ""
    steps = "" if each.is_closing or part.row >= 0 else f", {counted(part.steps, 'step', 'steps')}"
    return f"{shortened(name, LONGEST)}: {three(part.ns / size)} {unit}{share}{steps}"


def _classes(each: Rectangle, width: float, total: int) -> str:
    share = each.part.ns / total if total else 0.0
    heat = "cold" if each.is_closing else f"h{sum(share >= least for least in SHARES)}"
    return f"{heat} thin" if TEXT <= width < WIDE_TEXT else heat


def _percent(share: float) -> str:
    return f"{round(100 * share, 3):g}%"
