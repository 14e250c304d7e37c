"""What of a run was not checked, in words that stand beside its grade."""

from __future__ import annotations

from onnxprof.records.run import Run

#: How the verdict of a step begins that was checked by values.
_CHECKED = ("verified", "refuted")


def unchecked_text(run: Run) -> str:
    """`outputs not compared, steps not checked`; empty where both were, and without times.

    A published bound has neither outputs nor steps of its own.
    """
    if run.timings is None or run.request.is_published:
        return ""
    tied = [step.verdict for step in run.steps if step.layers]
    parts = []
    if not run.is_wrong and (run.parity is None or run.parity.passed is None):
        parts.append("outputs not compared")
    if tied and not any(verdict.startswith(_CHECKED) for verdict in tied):
        parts.append("steps not checked")
    return ", ".join(parts)
