"""One system over sizes of an axis, for programs: CSV and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from onnxprof.analysis.reconcile import milliseconds
from onnxprof.analysis.statistics.lines import Line
from onnxprof.compare.growth.rows import over_axis
from onnxprof.compare.scaling import STRAIGHT, Point, ScaledRow, Scaling
from onnxprof.compare.table import RowKind
from onnxprof.compare.verdict import Verdict
from onnxprof.publish.phases.data import order_cells, plain_growth
from onnxprof.publish.text.csv import csv_text

#: Columns of the CSV: a row a size and block, one without layers for the model.
COLUMNS = (
    *("model", "system", "axis", "size", "kind", "layers", "operators", "ms", "low_ms", "high_ms"),
    *("per_s", "gain_percent", "gain_low_percent", "gain_high_percent", "verdict"),
    *("fixed_ms", "fixed_low_ms", "fixed_high_ms"),
    *("item_ms", "item_low_ms", "item_high_ms", "misfit", "saturated_at"),
    *("time_order", "cost_order"),
)


def to_csv(every: Sequence[Scaling]) -> str:
    """CSV: a row a size and block, and one without layers for the model."""
    return csv_text(COLUMNS, (row for scaling in every for row in _csv_rows(scaling)))


def _csv_rows(scaling: Scaling) -> Iterator[tuple[object, ...]]:
    growth = over_axis(scaling)
    grown = {row.layers: order_cells(row) for row in growth.rows} if growth else {}
    for place, point in enumerate(scaling.points):
        head = scaling.model, scaling.system, scaling.axis, point.size
        low, high = point.interval_ns
        gains = (point.gain, *(point.gain_interval or (None, None)))
        percents = ("" if gain is None else f"{100 * gain:.6g}" for gain in gains)
        yield (
            *(*head, RowKind.TOTAL.value, "", "", milliseconds(point.latency_ns)),
            *(milliseconds(low), milliseconds(high), f"{point.rate:.6g}", *percents),
            point.verdict.value if point.verdict else "",
            *_line_cells(scaling.line),
            scaling.saturated,
            *("", ""),
        )
        for row in scaling.rows:
            names = ";".join(row.layers), ";".join(row.operators)
            blank = ("",) * 7
            timed = milliseconds(row.times_ns[place]), *blank
            tail = row.saturated, *grown.get(row.layers, ("", ""))
            yield *head, row.kind.value, *names, *timed, *_line_cells(row.line), *tail


def _line_cells(line: Line) -> tuple[str, ...]:
    figures = (line.fixed_ns, *line.fixed_interval, line.item_ns, *line.item_interval)
    shown = ("" if not math.isfinite(ns) else f"{ns / 1e6:.6f}" for ns in figures)
    return *shown, f"{line.misfit:.4g}"


def plain(every: Sequence[Scaling], limit_ns: int | None = None) -> list[dict[str, Any]]:
    """All of it as dicts, lists and numbers, durations in nanoseconds."""
    return [_plain(scaling, limit_ns) for scaling in every]


def _plain(scaling: Scaling, limit_ns: int | None) -> dict[str, Any]:
    within = None if limit_ns is None else scaling.within(limit_ns)
    return {
        "model": scaling.model,
        "system": scaling.system,
        "axis": scaling.axis,
        "points": [_plain_point(point) for point in scaling.points],
        "line": _plain_line(scaling.line),
        "is_straight": scaling.is_straight,
        "straight_within": STRAIGHT,
        "best": scaling.best.size,
        "alike": list(scaling.alike),
        "saturated_at": scaling.saturated,
        "within_limit": within.size if within else None,
        "rows": [_plain_row(row) for row in scaling.rows],
        "growth": None if (growth := over_axis(scaling)) is None else plain_growth(growth),
    }


def _plain_point(point: Point) -> dict[str, Any]:
    return {
        "size": point.size,
        "latency_ns": point.latency_ns,
        "interval_ns": list(point.interval_ns),
        "samples": point.samples,
        "per_s": point.rate,
        "gain": point.gain,
        "gain_interval": list(point.gain_interval) if point.gain_interval else None,
        "verdict": (point.verdict or Verdict.UNDECIDED).value if point.gain is not None else None,
    }


def _plain_line(line: Line) -> dict[str, Any]:
    return {
        "fixed_ns": line.fixed_ns,
        "fixed_interval_ns": _known(line.fixed_interval),
        "item_ns": line.item_ns,
        "item_interval_ns": _known(line.item_interval),
        "misfit": line.misfit,
        "half_size": line.half_size,
    }


def _known(interval: tuple[float, float]) -> list[float] | None:
    return list(interval) if math.isfinite(sum(interval)) else None


def _plain_row(row: ScaledRow) -> dict[str, Any]:
    return {
        "kind": row.kind.value,
        "layers": list(row.layers),
        "operators": list(row.operators),
        "times_ns": list(row.times_ns),
        "line": _plain_line(row.line),
        "saturated_at": row.saturated,
    }
