"""The slowest layers of runs as a figure of Plotly's: bars of medians, whiskers from p5 to p95."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.analysis.reconcile import CLOSING, TimedRow, reconcile
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.publish.text.sentences import runtime
from onnxprof.records.run import Run

_LONGEST = 40
_ROW_PIXELS, _FRAME_PIXELS = 22, 160


def figure(runs: Sequence[Run], limit: int = 20) -> dict[str, Any]:
    """A trace for each run with times, over the layers that are slowest in any of them."""
    timed = [run for run in runs if run.timings is not None]
    rows = [_by_name(run) for run in timed]
    shown = _slowest(rows, limit)
    traces = [_trace(run, its, shown, len(timed)) for run, its in zip(timed, rows, strict=True)]
    return {"data": traces, "layout": _layout(timed, shown)}


def _by_name(run: Run) -> dict[str, TimedRow]:
    rows = reconcile(run).rows
    timed = (row for row in rows if row.median_ns is not None and row.status not in CLOSING)
    return {row.name: row for row in timed}


def _slowest(rows: Sequence[dict[str, TimedRow]], limit: int) -> list[str]:
    """Names of layers, the slowest first."""
    most: dict[str, int] = {}
    for its in rows:
        for name, row in its.items():
            most[name] = max(most.get(name, 0), row.rank_ns)
    return sorted(most, key=lambda name: -most[name])[: max(1, limit)]


def _trace(run: Run, rows: dict[str, TimedRow], shown: Sequence[str], runs: int) -> dict[str, Any]:
    found = [rows.get(name) for name in shown]
    medians = [_ms(row.median_ns) if row else None for row in found]
    high = [_reach(row.p95_ns, row.median_ns) if row else None for row in found]
    low = [_reach(row.median_ns, row.p5_ns) if row else None for row in found]
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "name": _safe(_title(run)),
        "y": list(range(len(shown))),
        "hovertext": [_safe(name) for name in shown],
        "x": medians,
        "error_x": {"type": "data", "array": high, "arrayminus": low, "thickness": 1},
        "showlegend": runs > 1,
    }
    return trace


def _layout(runs: Sequence[Run], shown: Sequence[str]) -> dict[str, Any]:
    """Layers by number, since names that are cut may be alike."""
    title = _title(runs[0]) if len(runs) == 1 else ""
    names = [_safe(shortened(printable(name), _LONGEST)) for name in shown]
    ticks = {"tickmode": "array", "tickvals": list(range(len(shown))), "ticktext": names}
    return {
        "title": {"text": _safe(title)},
        "xaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "automargin": True, **ticks},
        "barmode": "group",
        "height": _FRAME_PIXELS + _ROW_PIXELS * len(shown) * max(1, len(runs)),
    }


def _title(run: Run) -> str:
    asked = run.request
    return f"{asked.model_name}, {asked.sizes}, {runtime(asked)}"


def _safe(text: str) -> str:
    """Text that Plotly shows as it is: it reads some tags of HTML."""
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def _reach(end: int | None, start: int | None) -> float | None:
    return None if end is None or start is None else (end - start) / 1e6
