"""A quantised network against its float original: the part of a comparison below its table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from onnxprof.compare.changes import CONVERSIONS, Pair, Row
from onnxprof.compare.quantised.gains import Blocked, Gains, LayerError, LayerGain, Reason
from onnxprof.compare.quantised.match import Evidence
from onnxprof.publish.text import numbers
from onnxprof.publish.text.safe import in_markdown, printable, shortened

#: Columns of the CSV where a pair is a quantised network and its original.
COLUMNS = (
    *("ran_as", "matched_by", "conversions_ms", "gained_ms"),
    *("own_sqnr_db", "sqnr_db", "max_abs"),
)
_WIDTH = 79
#: Least and largest width of the operators that ran.
_RAN_AS = (10, 24)
#: Least width of names, and the place of the gain among the figures.
_NAMES, _GAINED = 20, 3
#: Notes of one kind that are shown; JSON has all.
_NOTES = 6
_REASONS = {
    Reason.NOT_FUSED: "ran in float between DequantizeLinear and QuantizeLinear",
    Reason.OUTPUT: "ran in float: its inputs are quantised, its output is not",
    Reason.INPUT: "ran in float: its output or an input is quantised, another input is not",
}
LEGEND = (
    "gained: float time less quantised time and Q/DQ, steps of their own that quantise or"
    " dequantise for the layer."
)
_ERROR_LEGEND = (
    " SQNR: signal over quantisation noise at the layer's output, in dB; own: with the float"
    " network's values as the layer's inputs; max: the largest difference of an element."
)


def heading(gains: Gains) -> str:
    """How much was matched, and how."""
    how = f"{gains.by_structure} by structure" if gains.by_structure else "all by name"
    side = "AB"[gains.float_side]
    return (
        f"Quantised against float ({side}): {gains.matched} of {gains.layers} layers matched,"
        f" {how}; {numbers.percent(gains.part_of_time)} of the float layers' time"
    )


def table(
    pair: Pair, unit: str, unit_ns: float, digits: int, limit: int | None
) -> Iterator[RenderableType]:
    """Heading, table and notes for a terminal; nothing for other pairs."""
    gains = pair.quantised
    if gains is None:
        return
    yield Text(heading(gains), style="bold")
    yield _grid(gains, unit, unit_ns, digits, limit)
    notes = Table.grid(padding=(0, 1))
    for text in notes_of(pair, unit, unit_ns, digits):
        notes.add_row(Text("!"), Text(text), style="yellow")
    if notes.row_count:
        yield notes
    yield Text(legend(gains), style="dim")


def legend(gains: Gains) -> str:
    """What the columns mean."""
    star = " * matched by structure, not by name." if gains.by_structure else ""
    return LEGEND + star + (_ERROR_LEGEND if _has_errors(gains) else "")


def _has_errors(gains: Gains) -> bool:
    return any(row.error is not None for row in gains.rows)


def _shown(gains: Gains, limit: int | None) -> tuple[list[LayerGain], int]:
    """(rows that gained or lost most, in the order of the network; how many others there are)."""
    ranked = sorted(gains.rows, key=lambda row: -abs(row.gained_ns or 0.0))
    kept = {row.layers for row in (ranked if limit is None else ranked[:limit])}
    shown = [row for row in gains.rows if row.layers in kept]
    return shown, len(gains.rows) - len(shown)


def _heads(gains: Gains, unit: str) -> tuple[str, ...]:
    sides = "AB"[gains.float_side], "BA"[gains.float_side]
    times = (*(f"{side} {unit}" for side in sides), "Q/DQ", "gained")
    return (*times, "own", "SQNR", "max") if _has_errors(gains) else times


def _cells(row: LayerGain, gains: Gains, unit_ns: float, digits: int) -> tuple[str, ...]:
    def time(ns: float | None, sign: str = "") -> str:
        return "" if ns is None else f"{ns / unit_ns:{sign}.{digits}f}"

    times = (time(row.float_ns), time(row.quantised_ns))
    beside = time(row.conversions_ns) if row.conversions_ns else ""
    figures = (*times, beside, time(row.gained_ns, "+"))
    return (*figures, *_error_texts(row.error)) if _has_errors(gains) else figures


def _error_texts(error: LayerError | None) -> tuple[str, str, str]:
    if error is None:
        return "", "", ""
    return decibels(error.own_sqnr_db), decibels(error.sqnr_db), f"{error.max_abs:.2g}"


def decibels(value: float | None) -> str:
    """A ratio in dB with one digit; `exact` where nothing differs."""
    return "exact" if value is None else f"{value:.1f}"


def _grid(gains: Gains, unit: str, unit_ns: float, digits: int, limit: int | None) -> Table:
    shown, rest = _shown(gains, limit)
    digits = max(0, digits - 1) if _has_errors(gains) else digits
    heads = _heads(gains, unit)
    lines = [_cells(row, gains, unit_ns, digits) for row in shown]
    widths = [max(map(len, column)) for column in zip(heads, *lines, strict=True)]
    names, kinds = _widths(shown, _WIDTH - sum(widths) - 2 * len(widths))
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column("layer", no_wrap=True)
    if kinds:
        grid.add_column("ran as", no_wrap=True)
    justify: Literal["right"] = "right"
    for head, width in zip(heads, widths, strict=True):
        grid.add_column(head, justify=justify, no_wrap=True, min_width=width)
    for row, line in zip(shown, lines, strict=True):
        style = "" if row.gained_ns is None else "green" if row.gained_ns > 0 else "red"
        cells = [Text(text, style=style if i == _GAINED else "") for i, text in enumerate(line)]
        ran_as = [Text(_ran_as(row, kinds))] if kinds else []
        grid.add_row(Text(_marked(row, names)), *ran_as, *cells)
    if rest:
        grid.add_row(Text(f"({rest} more rows)"), style="dim")
    return grid


def _widths(rows: Sequence[LayerGain], room: int) -> tuple[int, int]:
    """Widths of names and of the operators that ran; the latter 0 where there is no room."""
    longest = max((len(_marked(row, 80)) for row in rows), default=0)
    kinds = max((len(_ran_as(row, _RAN_AS[1])) for row in rows), default=0)
    left = room - 2
    names = min(longest, max(_NAMES, left - kinds))
    kinds = min(max(kinds, len("ran as")), left - names)
    return (names, kinds) if kinds >= _RAN_AS[0] else (min(longest, max(_NAMES, room)), 0)


def _marked(row: LayerGain, longest: int) -> str:
    """The name; a star where names say nothing of the counterpart."""
    mark = "*" if row.evidence is Evidence.STRUCTURE else ""
    return _name(row, longest - len(mark)) + mark


def _name(row: LayerGain, longest: int) -> str:
    more = f" +{len(row.layers) - 1}" if len(row.layers) > 1 else ""
    return shortened(printable(row.layers[0]), longest - len(more)) + more


def _ran_as(row: LayerGain, longest: int) -> str:
    kinds = [printable(kind) for kind in row.ran_as]
    text = "+".join(kinds)
    if len(text) <= longest or len(kinds) < 2:
        return shortened(text, longest)
    return shortened(kinds[0], longest - 3) + f" +{len(kinds) - 1}"


def notes_of(pair: Pair, unit: str, unit_ns: float, digits: int) -> Iterator[str]:
    """What blocked fusion, the longest first, and the steps that only quantise or dequantise."""
    gains = pair.quantised
    assert gains is not None

    def time(ns: float) -> str:
        return f"{ns / unit_ns:.{digits}f} {unit}"

    blocked = sorted(gains.blocked, key=lambda b: -(b.ns + b.conversions_ns))
    for item in blocked[:_NOTES]:
        yield printable(_blocked_text(item, time(item.ns), time(item.conversions_ns)))
    if len(blocked) > _NOTES:
        cost = sum(item.ns + item.conversions_ns for item in blocked[_NOTES:])
        yield f"{len(blocked) - _NOTES} more layers ran in float beside Q/DQ: {time(cost)}"
    if gains.conversions:
        latency = (pair.latency.b_ns if gains.float_side == 0 else pair.latency.a_ns) or 0.0
        share = numbers.percent(gains.conversions_ns / latency) if latency else ""
        longest = sorted(gains.conversions, key=lambda c: -c.ns)[:3]
        told = ", ".join(f"{c.step} {time(c.ns)}" for c in longest)
        count = len(gains.conversions)
        yield printable(
            f"{count} step{'' if count == 1 else 's'} only quantise or dequantise:"
            f" {time(gains.conversions_ns)}, {share} of the quantised network; longest: {told}"
        )


def _blocked_text(item: Blocked, ns: str, beside: str) -> str:
    text = f"{item.layer} ({item.operator}) {_REASONS[item.reason]}: {ns}"
    count = len(item.conversions)
    steps = f"{count} Q/DQ step{'' if count == 1 else 's'}"
    return f"{text}, and {beside} in its {steps}" if count else text


def markdown(pair: Pair, unit: str, unit_ns: float, digits: int) -> Iterator[str]:
    """Heading, table and notes as Markdown lines; nothing for other pairs."""
    gains = pair.quantised
    if gains is None:
        return
    heads = _heads(gains, unit)
    yield from (f"**{in_markdown(heading(gains))}**", "")
    yield f"| layer | ran as | {' | '.join(heads)} |"
    yield f"| --- | --- | {' | '.join(['---:'] * len(heads))} |"
    for row in gains.rows:
        cells = (_name(row, 80), "+".join(row.ran_as), *_cells(row, gains, unit_ns, digits))
        yield f"| {' | '.join(map(in_markdown, cells))} |"
    yield ""
    yield from (f"> {in_markdown(text)}  " for text in notes_of(pair, unit, unit_ns, digits))
    yield from ("", f"<sub>{in_markdown(legend(gains))}</sub>", "")


def csv_fields(pair: Pair, row: Row) -> dict[str, Any]:
    """The further columns of a row."""
    gains = pair.quantised
    if gains is None:
        return dict.fromkeys(COLUMNS)
    if row.name == CONVERSIONS:
        return dict.fromkeys(COLUMNS) | {"conversions_ms": gains.conversions_ns / 1e6}
    mine = next((gain for gain in gains.rows if gain.layers == row.layers and row.layers), None)
    if mine is None:
        return dict.fromkeys(COLUMNS)
    record = _record(mine)
    error: Mapping[str, Any] = record["error"] or {}
    return {
        "ran_as": ";".join(mine.ran_as),
        **{key: record[key] for key in ("matched_by", "conversions_ms", "gained_ms")},
        **{key: error.get(key) for key in ("own_sqnr_db", "sqnr_db", "max_abs")},
    }


def plain(gains: Gains) -> dict[str, Any]:
    """All of it as dicts, lists and numbers."""
    return {
        "float_side": "ab"[gains.float_side],
        "layers": gains.layers,
        "matched": gains.matched,
        "by_structure": gains.by_structure,
        "part_of_time": gains.part_of_time,
        "conversions_ms": gains.conversions_ns / 1e6,
        "rows": [_record(row) for row in gains.rows],
        "conversions": [
            {"step": c.step, "operator": c.operator, "layer": c.layer, "ms": c.ns / 1e6}
            for c in gains.conversions
        ],
        "blocked": [_blocked_record(item) for item in gains.blocked],
    }


def _record(row: LayerGain) -> dict[str, Any]:
    error = row.error
    return {
        "layers": list(row.layers),
        "ran_as": list(row.ran_as),
        "matched_by": None if row.evidence is None else row.evidence.value,
        "float_ms": _ms(row.float_ns),
        "quantised_ms": _ms(row.quantised_ns),
        "conversions_ms": row.conversions_ns / 1e6,
        "gained_ms": _ms(row.gained_ns),
        "error": None
        if error is None
        else {
            "own_sqnr_db": _finite(error.own_sqnr_db),
            "sqnr_db": _finite(error.sqnr_db),
            "max_abs": error.max_abs,
        },
    }


def _finite(value: float | None) -> float | str | None:
    """JSON knows no infinity: `-inf` is noise without a signal, None no noise."""
    return str(value) if value in (float("inf"), float("-inf")) else value


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6


def _blocked_record(item: Blocked) -> dict[str, Any]:
    return {
        "layer": item.layer,
        "operator": item.operator,
        "reason": item.reason.value,
        "ms": item.ns / 1e6,
        "conversions": list(item.conversions),
        "conversions_ms": item.conversions_ns / 1e6,
    }


def has_any(pairs: Sequence[Pair]) -> bool:
    """Whether a pair is a quantised network and its original."""
    return any(pair.quantised is not None for pair in pairs)
