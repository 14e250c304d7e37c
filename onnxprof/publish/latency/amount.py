"""How much a run was asked to sample, in words."""

from __future__ import annotations

from onnxprof.publish.text.safe import counted
from onnxprof.records.run import Request


def amount_text(asked: Request) -> str:
    """`1,000 iterations, warm-up of 5 inferences`; empty where the budget decided it."""
    parts = [counted(asked.iterations, "iteration", "iterations")] if asked.iterations else []
    if asked.warmup is not None:
        parts.append(f"warm-up of {counted(asked.warmup, 'inference', 'inferences')}")
    parts += [f"{asked.duration:g} s of sampling at least"] if asked.duration else []
    parts += [f"then {asked.streams} at a time"] if asked.streams else []
    return ", ".join(parts)
