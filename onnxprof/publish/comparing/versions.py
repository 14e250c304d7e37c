"""Two versions of a runtime: times by operator, and the search for the first slow version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.compare.changes import Comparison, Pair, Row
from onnxprof.compare.versions.bisecting import Bisection, Step
from onnxprof.compare.versions.by_operator import OperatorTime, by_operator
from onnxprof.compare.versions.search import Mark
from onnxprof.publish.comparing import changes
from onnxprof.publish.text import numbers
from onnxprof.publish.text.csv import csv_of_records, dims_text
from onnxprof.publish.text.safe import in_markdown, printable, shortened

#: Columns of the CSV of a search, in order.
COLUMNS = ("step", "version", "good_ms", "ms", "ratio", "low", "high", "verdict", "outcome", "why")
#: Columns of the CSV of operators.
OPERATOR_COLUMNS = (
    *("model", "batch", "operator", "rows", "a_ms", "b_ms", "slower", "faster", "phase", "dims"),
)
#: Operators that are shown.
_OPERATORS = 6
_LONGEST = 24
_STYLES = {Mark.SLOW: "red", Mark.SKIPPED: "dim"}


def table(
    comparison: Comparison, bisection: Bisection | None, *, limit: int | None = 12
) -> RenderableType:
    """For a terminal of 80 columns: the comparison, its operators, the search if there was one."""
    parts: list[RenderableType] = [changes.table(comparison, limit=limit), ""]
    for pair in comparison.pairs:
        parts += [*_operators(pair, limit), ""]
    if bisection is not None:
        parts += [Text(printable(heading(bisection)), style="bold"), _steps(bisection)]
        parts += [Text(printable(text)) for text in (*_reasons(bisection), *outcome(bisection))]
    return Group(*parts)


def heading(bisection: Bisection) -> str:
    """What was looked for, and what was watched."""
    package, good = bisection.package, bisection.good
    return f"The first version of {package} that is slower than {good}, by {_watched(bisection)}"


def _watched(bisection: Bisection) -> str:
    row = bisection.watched
    return f"the layer {shortened(row.name, 40)}" if row.layers else "the model's latency"


def outcome(bisection: Bisection) -> Iterator[str]:
    """The result, in sentences."""
    found, package = bisection.found, bisection.package
    if found.open:
        yield (
            f"The first slow version is one of {', '.join((*found.open, found.slow))}:"
            f" {package} {found.good} is not slower, {found.slow} is, and those between could"
            " not be judged."
        )
    else:
        yield (
            f"The first slow version is {package} {found.slow}; {found.good} is the last that is"
            " not slower."
        )
    if bisection.has_more:
        part = numbers.percent(max(0.0, bisection.explained))
        yield (
            f"It has {part} of what {bisection.slow} lost; the rest came later: bisect from"
            f" {found.slow} to {bisection.slow}."
        )
    yield from (f"Not tried: {text}." for text in bisection.left_out)


def _reasons(bisection: Bisection) -> Iterator[str]:
    for step in bisection.steps:
        if step.reason:
            yield f"! {step.version} was skipped: {step.reason}"


def _steps(bisection: Bisection) -> Table:
    scale = _scale([step.row for step in bisection.steps] + [bisection.watched])
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    heads = ("step", "version", f"{bisection.good} {scale[0]}", f"its {scale[0]}", "paired")
    for head in (*heads, "95 % interval", "outcome"):
        justify: Literal["left", "right"] = "left" if head in ("version", "outcome") else "right"
        grid.add_column(head, justify=justify, no_wrap=True)
    for number, step in enumerate(_with_end(bisection)):
        cells = (str(number or "end"), step.version, *_figures(step.row, scale), _outcome(step))
        grid.add_row(*map(Text, cells), style=_STYLES.get(step.mark, ""))
    return grid


def _with_end(bisection: Bisection) -> tuple[Step, ...]:
    """The steps behind the slow end, which was measured first."""
    return (Step(bisection.slow, Mark.SLOW, bisection.watched), *bisection.steps)


def _outcome(step: Step) -> str:
    if step.row is None or step.mark is not Mark.GOOD:
        return step.mark.value
    return step.row.verdict.value


def _scale(rows: Sequence[Row | None]) -> tuple[str, float, int]:
    """Unit, its nanoseconds and digits for all of these times."""
    longest = max((row.b_ns or 0.0 for row in rows if row is not None), default=0.0)
    unit, ns = ("µs", 1e3) if longest < 1e6 else ("ms", 1e6)
    return unit, ns, max(0, 5 - len(str(int(longest / ns))))


def _figures(row: Row | None, scale: tuple[str, float, int]) -> tuple[str, ...]:
    if row is None:
        return ("", "", "", "")
    _, ns, digits = scale
    times = ("" if t is None else f"{t / ns:.{digits}f}" for t in (row.a_ns, row.b_ns))
    ratio = "" if row.ratio is None else f"{row.ratio:.3f}"
    between = "" if row.interval is None else "{:.3f}–{:.3f}".format(*row.interval)
    return (*times, ratio, between)


def _operators(pair: Pair, limit: int | None) -> Iterator[RenderableType]:
    found = by_operator(pair)
    shown = found if limit is None else found[:_OPERATORS]
    unit, ns, digits = _scale([pair.latency])
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column("by operator", no_wrap=True)
    for head in ("rows", f"A {unit}", f"B {unit}", "B - A", "slower", "faster"):
        grid.add_column(head, justify="right", no_wrap=True)
    for each in shown:
        grid.add_row(*map(Text, _operator_cells(each, ns, digits)))
    if len(found) > len(shown):
        grid.add_row(Text(f"({len(found) - len(shown)} more)"), style="dim")
    yield grid


def _operator_cells(each: OperatorTime, ns: float, digits: int) -> tuple[str, ...]:
    times = (f"{t / ns:.{digits}f}" for t in (each.a_ns, each.b_ns))
    more = f"{each.lost_ns / ns:+.{digits}f}"
    counts = (str(count or "") for count in (each.slower, each.faster))
    name = shortened(printable(each.operator), _LONGEST)
    return (name, str(each.blocks), *times, more, *counts)


def markdown(comparison: Comparison, bisection: Bisection | None, *, limit: int = 12) -> str:
    """The comparison for a pull request, its operators, and the search."""
    lines = [changes.markdown(comparison, limit=limit)]
    for pair in comparison.pairs:
        lines += [*_operators_markdown(pair), ""]
    if bisection is not None:
        lines += [f"**{in_markdown(heading(bisection))}**", "", *_steps_markdown(bisection), ""]
        told = (*_reasons(bisection), *outcome(bisection))
        lines += [f"{in_markdown(text)}  " for text in told]
    return "\n".join(lines).rstrip() + "\n"


def _operators_markdown(pair: Pair) -> Iterator[str]:
    unit, ns, digits = _scale([pair.latency])
    yield f"| operator | rows | A {unit} | B {unit} | B - A | slower | faster |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for each in by_operator(pair)[:_OPERATORS]:
        name, *figures = _operator_cells(each, ns, digits)
        yield f"| {' | '.join((in_markdown(name), *figures))} |"


def _steps_markdown(bisection: Bisection) -> Iterator[str]:
    scale = _scale([step.row for step in bisection.steps] + [bisection.watched])
    good = in_markdown(bisection.good)
    unit = scale[0]
    yield f"| step | version | {good} {unit} | its {unit} | paired | 95 % interval | outcome |"
    yield "| ---: | --- | ---: | ---: | ---: | ---: | --- |"
    for number, step in enumerate(_with_end(bisection)):
        cells = (str(number or "end"), step.version, *_figures(step.row, scale), _outcome(step))
        yield f"| {' | '.join(map(in_markdown, cells))} |"


def plain(comparison: Comparison, bisection: Bisection | None) -> dict[str, Any]:
    """The comparison as dicts, with `operators` in each pair, and the search."""
    whole = changes.plain(comparison)
    for record, pair in zip(whole["pairs"], comparison.pairs, strict=True):
        record["operators"] = [_operator(each) for each in by_operator(pair)]
    return whole | {"bisection": None if bisection is None else _plain(bisection)}


def _operator(each: OperatorTime) -> dict[str, Any]:
    return {
        "operator": each.operator,
        "rows": each.blocks,
        "a_ms": each.a_ns / 1e6,
        "b_ms": each.b_ns / 1e6,
        "slower": each.slower,
        "faster": each.faster,
    }


def _plain(bisection: Bisection) -> dict[str, Any]:
    return {
        "package": bisection.package,
        "good": bisection.good,
        "slow": bisection.slow,
        "layer": bisection.watched.name if bisection.watched.layers else None,
        "first_slow": bisection.found.slow,
        "last_good": bisection.found.good,
        "not_judged": list(bisection.found.open),
        "explained": bisection.explained,
        "steps": list(_records(bisection)),
        "left_out": list(bisection.left_out),
    }


def _records(bisection: Bisection) -> Iterator[dict[str, Any]]:
    for number, step in enumerate(_with_end(bisection)):
        row = step.row
        low, high = (row.interval if row else None) or (None, None)
        yield {
            "step": number,
            "version": step.version,
            "good_ms": None if row is None or row.a_ns is None else row.a_ns / 1e6,
            "ms": None if row is None or row.b_ns is None else row.b_ns / 1e6,
            "ratio": row.ratio if row else None,
            "low": low,
            "high": high,
            "verdict": row.verdict.value if row else None,
            "outcome": step.mark.value,
            "why": step.reason,
        }


def operators_csv(comparison: Comparison) -> str:
    """A row for each operator of each model, batch, phase and combination of sizes."""
    return csv_of_records(
        OPERATOR_COLUMNS,
        (
            {
                "model": pair.a[0].request.model_name,
                "batch": pair.a[0].request.batch,
                **_operator(each),
                "phase": pair.a[0].request.phase,
                "dims": dims_text(pair.a[0].request.dims),
            }
            for pair in comparison.pairs
            for each in by_operator(pair)
        ),
    )


def to_csv(comparison: Comparison, bisection: Bisection | None) -> str:
    """The rows of the comparison or, where versions were searched, a row for each of them."""
    if bisection is None:
        return changes.to_csv(comparison)
    return csv_of_records(COLUMNS, _records(bisection))
