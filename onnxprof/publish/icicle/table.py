"""A run by module scope or by operator, on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rich import box
from rich.table import Table
from rich.text import Text

from onnxprof.analysis.reconcile import Reconciliation, Status, milliseconds
from onnxprof.publish.icicle.layout import laid_out
from onnxprof.publish.icicle.operators import by_operator, shown
from onnxprof.publish.icicle.tree import Part, grown
from onnxprof.publish.tables.run_summary import bar
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable, shortened

#: Of the latency: smaller parts are gathered unless every one is asked for.
LEAST = 0.02
#: Columns beside the names and the times: share, steps, bar, and the gaps.
_BESIDE = 35


class By(StrEnum):
    """What the times of a run are added up by."""

    SCOPE = "scope"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    level: int
    ns: int
    steps: int


def table(sums: Reconciliation, by: By, width: int = 80, *, every: bool = False) -> Table:
    """The times of a run added up; steps, interruptions and overhead are the total exactly.

    A scope's line is followed by those within it, in the order of the file; parts of less than 2 %
    are one line unless `every` one is asked for. The times are whole nanoseconds.
    """
    lines = _scopes(sums, every) if by is By.SCOPE else _operators(sums, every)
    whole = max(sum(line.ns for line in lines if not line.level), 1)
    closing = [
        _Line(row.name, 0, row.median_ns, 0)
        for row in sums.rows
        if row.status in (Status.INTERRUPTIONS, Status.OVERHEAD) and row.median_ns is not None
    ]
    times = [milliseconds(each.ns) for each in (*lines, *closing)]
    total = milliseconds(sums.total_ns)
    names = max(12, width - max(map(len, [*times, total])) - _BESIDE)
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in (by.value, "ms", "share", "steps", ""):
        is_left = heading in (by.value, "")
        made.add_column(heading, no_wrap=True, justify="left" if is_left else "right")
    for line in lines:
        _add(made, line, sums.total_ns, names, bar(line.ns / whole))
    made.add_section()
    for line in closing:
        _add(made, line, sums.total_ns, names, "", "dim")
    _add(made, _Line("(total)", 0, sums.total_ns, 0), sums.total_ns, names, "", "bold")
    return made


def _add(made: Table, line: _Line, total: int, names: int, drawn: str, style: str = "") -> None:
    room = max(names - 2 * line.level, 6)
    name = "  " * line.level + shortened(printable(line.name), room)
    share = percent(line.ns / total) if total else ""
    steps = f"{line.steps:,}" if line.steps else ""
    cells = (name, milliseconds(line.ns), share, steps)
    made.add_row(*map(Text, cells), Text(drawn, style="cyan"), style=style)


def _scopes(sums: Reconciliation, every: bool) -> list[_Line]:
    found = laid_out(grown(sums.rows), 0.0 if every else LEAST)
    return [_line(each.part, each.level) for each in found if not each.is_closing]


def _line(part: Part, level: int) -> _Line:
    return _Line(part.name, level, part.ns, part.steps)


def _operators(sums: Reconciliation, every: bool) -> list[_Line]:
    found = by_operator(sums.rows)
    kept = found if every else shown(found)
    return [_Line(each.operator, 0, each.ns, each.steps) for each in kept]
