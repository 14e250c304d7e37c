"""The layers of each step and whether they were verified, for terminals, CSV or JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.publish.text.csv import csv_of_records
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.records.run import Request
from onnxprof.records.step import Step

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("step", "op_type", "layers", "share", "confidence", "verdict", "reason", "evidence")
VERIFIED, REFUTED, UNCHECKED = "verified", "refuted", "not checked"
#: Styles of the outcomes in the table.
_STYLES = {VERIFIED: "green", REFUTED: "bold red", UNCHECKED: "yellow"}
_NAMES, _WIDEST_STEP = 44, 30


@dataclass(frozen=True, slots=True)
class Checked:
    """A step and the outcome of verifying its layers."""

    step: Step
    outcome: str
    """One of VERIFIED, REFUTED, UNCHECKED; empty for a step without layers."""
    reason: str
    share: float | None
    """Part of the time of all steps; None without times."""


def rows(steps: Sequence[Step], times: Sequence[float] = ()) -> list[Checked]:
    """A row per step, in order; `times` are those of the steps, in any unit."""
    total = sum(times)
    return [
        Checked(step, *_parted(step), times[i] / total if total else None)
        for i, step in enumerate(steps)
    ]


def _parted(step: Step) -> tuple[str, str]:
    outcome, _, reason = step.verdict.partition(": ")
    return outcome, reason


def verified_share(checked: Sequence[Checked]) -> float | None:
    """The verified part of the time of all steps with layers; None without times."""
    claims = [row for row in checked if row.outcome]
    total = sum(row.share or 0.0 for row in claims)
    if not total:
        return None
    return sum(row.share or 0.0 for row in claims if row.outcome == VERIFIED) / total


def summary(checked: Sequence[Checked]) -> str:
    """How many steps and how much of their time is verified, in one sentence."""
    counts = Counter(row.outcome for row in checked if row.outcome)
    claims = sum(counts.values())
    if not claims:
        return f"None of {len(checked)} steps is tied to a layer."
    part = verified_share(checked)
    time = "" if part is None else f", {percent(part)} of their time"
    others = [f"{counts[kind]} {kind}" for kind in (REFUTED, UNCHECKED) if counts[kind]]
    more = f"; {', '.join(others)}" if others else ""
    stray = len(checked) - claims
    inserted = f"; {stray} {'belongs' if stray == 1 else 'belong'} to no layer" if stray else ""
    steps = "step" if claims == 1 else "steps"
    return f"{counts[VERIFIED]} of {claims} {steps} with layers verified{time}{more}{inserted}."


def reasons(checked: Sequence[Checked]) -> list[str]:
    """Reasons why steps were not verified, without repeats, in the order of the steps."""
    return list(dict.fromkeys(row.reason for row in checked if row.reason))


def to_table(checked: Sequence[Checked], title: str) -> Table:
    """A terminal table with a line per step; numbers in brackets refer to `reasons`."""
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, box=None, title_justify="left", pad_edge=False)
    made.add_column("step", overflow="fold", max_width=_WIDEST_STEP)
    made.add_column("operator", overflow="fold")
    made.add_column("layers", overflow="fold", ratio=1)
    made.add_column("share", justify="right", no_wrap=True)
    made.add_column("verdict", no_wrap=True)
    numbers = {reason: f" [{i}]" for i, reason in enumerate(reasons(checked), 1)}
    for row in checked:
        verdict = f"{row.outcome or 'no layer'}{numbers.get(row.reason, '')}"
        share = "" if row.share is None else percent(row.share)
        name = printable(shortened(row.step.name, 2 * _WIDEST_STEP))
        cells = (name, printable(row.step.op_type), _layers_text(row.step.layers), share)
        made.add_row(*map(Text, cells), Text(verdict, style=_STYLES.get(row.outcome, "dim")))
    return made


def _layers_text(layers: Sequence[str]) -> str:
    shown = [shortened(name, _NAMES) for name in layers[:3]]
    more = [f"{len(layers) - 3} more"] if len(layers) > 3 else []
    return printable(", ".join([*shown, *more]))


def to_csv(checked: Sequence[Checked]) -> str:
    """CSV with a row per step; names of layers are joined by `;`."""
    return csv_of_records(COLUMNS, map(_cells, checked))


def _cells(row: Checked) -> dict[str, str]:
    step = row.step
    return {
        "step": step.name,
        "op_type": step.op_type,
        "layers": ";".join(step.layers),
        "share": "" if row.share is None else f"{row.share:.6f}",
        "confidence": step.confidence.value,
        "verdict": row.outcome,
        "reason": row.reason,
        "evidence": step.evidence,
    }


def to_json(request: Request, checked: Sequence[Checked]) -> str:
    """The same as `plain`, as JSON."""
    return json.dumps(plain(request, checked), indent=2) + "\n"


def plain(request: Request, checked: Sequence[Checked]) -> dict[str, Any]:
    """The model, the verified share, and a dict for each step."""
    return {
        "model": request.model_name,
        "backend": request.backend,
        "provider": request.provider,
        "batch": request.batch,
        "dims": dict(request.dims),
        "phase": request.phase,
        "verified_share": verified_share(checked),
        "steps": [
            _cells(row) | {"layers": list(row.step.layers), "share": row.share} for row in checked
        ],
    }
