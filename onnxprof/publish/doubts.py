"""Why a row's time does not say how it ranks, in words."""

from __future__ import annotations

from onnxprof.reconcile import Doubt

#: What `?` behind a time means.
DOUBTFUL = "Too few samples, too scattered ones, or too short a time, for a rank"


def doubt_text(doubt: Doubt) -> str:
    """Why a row's rank is in doubt: `4 samples, p95 5.0 times p5`."""
    count = f"{doubt.samples} sample{'' if doubt.samples == 1 else 's'}"
    if doubt.samples < 2:
        return count
    if not doubt.spread:
        return f"{count}, too short to be told from 0"
    if doubt.spread == float("inf"):
        return f"{count}, some of them 0"
    return f"{count}, p95 {doubt.spread:.3g} times p5"
