"""Phases side by side for programs: CSV and JSON, durations in nanoseconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from onnxprof.analysis.reconcile import milliseconds
from onnxprof.compare.growth.orders import Fit
from onnxprof.compare.growth.phases import Column, Phases
from onnxprof.compare.growth.rows import Growth, GrowthRow
from onnxprof.compare.systems import labels
from onnxprof.compare.table import RowKind
from onnxprof.publish.text.csv import csv_text
from onnxprof.store.summary import short_id

#: Columns of the CSV: a row a phase and block, one without layers for the model.
COLUMNS = (
    *("model", "system", "batch", "phase", "kind", "layers", "operators", "ms"),
    *("low_ms", "high_ms", "tokens_per_s", "time_order", "cost_order"),
)


def to_csv(every: Sequence[Phases]) -> str:
    """CSV: a row a phase and block, and one without layers for the model."""
    return csv_text(COLUMNS, (row for phases in every for row in _csv_rows(phases)))


def _csv_rows(phases: Phases) -> Iterator[tuple[object, ...]]:
    orders = {
        (growth.over, row.layers): order_cells(row)
        for growth in phases.growths
        for row in growth.rows
    }
    for place, column in enumerate(phases.columns):
        asked, (low, high) = column.run.request, column.interval_ns
        head = phases.model, labels([column.run])[0], asked.batch, asked.phase
        rate = "" if column.tokens_per_s is None else f"{column.tokens_per_s:.6g}"
        whole = milliseconds(column.latency_ns), milliseconds(low), milliseconds(high)
        yield *head, RowKind.TOTAL.value, "", "", *whole, rate, "", ""
        for row in phases.rows:
            names = ";".join(row.layers), ";".join(row.operators)
            order = orders.get((column.phase.kind, row.layers), ("", ""))
            yield (
                *head,
                row.kind.value,
                *names,
                milliseconds(row.times_ns[place]),
                "",
                "",
                "",
                *order,
            )


def order_cells(row: GrowthRow) -> tuple[str, str]:
    """The orders of time and cost, as a CSV has them; an unknown one is empty."""
    return str(int(row.fit.order)), "" if row.cost is None else str(int(row.cost))


def plain(every: Sequence[Phases]) -> list[dict[str, Any]]:
    """All of it as dicts, lists and numbers."""
    return [_plain(phases) for phases in every]


def _plain(phases: Phases) -> dict[str, Any]:
    return {
        "model": phases.model,
        "system": labels(phases.runs[:1])[0],
        "columns": [_plain_column(column) for column in phases.columns],
        "rows": [
            {
                "kind": row.kind.value,
                "layers": list(row.layers),
                "operators": list(row.operators),
                "times_ns": list(row.times_ns),
            }
            for row in phases.rows
        ],
        "growths": [_plain_growth(growth) for growth in phases.growths],
    }


def _plain_column(column: Column) -> dict[str, Any]:
    return {
        "phase": str(column.phase),
        "run": short_id(column.run.request),
        "batch": column.run.request.batch,
        "latency_ns": column.latency_ns,
        "interval_ns": list(column.interval_ns),
        "tokens_per_s": column.tokens_per_s,
    }


def _plain_growth(growth: Growth) -> dict[str, Any]:
    return {
        "kind": str(growth.over),
        **plain_growth(growth),
    }


def plain_growth(growth: Growth) -> dict[str, Any]:
    """Sizes, orders and times of a growth over any axis."""
    return {
        "sizes": list(growth.sizes),
        "latencies_ns": list(growth.latencies_ns),
        "fit": _plain_fit(growth.fit),
        "sums": [_plain_row(row) for row in growth.sums],
        "rows": [_plain_row(row) for row in growth.rows],
    }


def _plain_row(row: GrowthRow) -> dict[str, Any]:
    return {
        "layers": list(row.layers),
        "operators": list(row.operators),
        "times_ns": list(row.times_ns),
        "fit": _plain_fit(row.fit),
        "cost_order": None if row.cost is None else int(row.cost),
        "agrees": row.agrees,
    }


def _plain_fit(fit: Fit) -> dict[str, Any]:
    return {
        "order": int(fit.order),
        "coefficients_ns": list(fit.coefficients),
        "misfit": fit.misfit,
    }
