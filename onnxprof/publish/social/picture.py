"""A model's picture of 1200 by 630 points: its name, a latency, its slowest steps."""

from __future__ import annotations

import json
from typing import Any

from onnxprof.analysis.reconcile import Reconciliation
from onnxprof.publish.pages import embed
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pdf.glyphs import legible
from onnxprof.publish.pdf.typesetter import Form, Manuscript
from onnxprof.publish.text import numbers
from onnxprof.publish.text.safe import in_page, shortened

#: The picture's name beside a model's page.
NAME = "card.png"
_STEPS = 5


def manuscript(page: ModelPage, title: str) -> Manuscript:
    """What the picture of a model is set from; names are data, never source."""
    entry = page.first
    drawn: dict[str, Any] = {
        "site": _plain(title, 40),
        "name": _plain(page.facts.name, 48),
        "system": _plain(f"{page.systems[entry.system].label}, batch {entry.batch}", 90),
        **_figures(entry, entry.result),
    }
    data = json.dumps(drawn, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Manuscript("social.typ", data, entry.run.created, Form.PNG)


def _figures(entry: Entry, result: Reconciliation | None) -> dict[str, Any]:
    if result is None:
        return {"figure": "no times", "what": "the measurement failed", "steps": []}
    bound = "≥ " if entry.bound_ns is not None else ""
    if entry.wrong:
        what = "wrong outputs: the time counts for nothing"
    elif bound:
        what = "a published lower bound, no latency measured"
    else:
        what = f"median latency; {entry.known}" if entry.known else "sum of its steps"
    most = embed.longest(result)
    steps = [
        {
            "name": _plain(embed.culprit(row), 46),
            "share": f"{numbers.percent_cell(row.share or 0.0)} %",
            "bar": round(max(0.0, min(1.0, (row.share or 0.0) / most)), 4),
        }
        for row in embed.slowest(result, _STEPS)
    ]
    return {"figure": bound + numbers.duration(result.total_ns), "what": what, "steps": steps}


def _plain(text: str, longest: int) -> str:
    """Text that the picture's fonts can show whole and that fits a line."""
    return legible(shortened(in_page(text), longest))
