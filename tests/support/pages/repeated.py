"""Runs of one request, one after the other."""

from __future__ import annotations

import dataclasses

from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


def day(number: int) -> str:
    """When the run of a day in January 2026 was stored."""
    return f"2026-01-{number:02d}T03:04:05Z"


def good(number: int, scale: float = 1.0, model: str = "m", batch: int = 1, **facts: str) -> Run:
    """A right run of that day; other facts of its environment by name."""
    run = sample_run(model, batch, created=day(number), scale=scale, seed=number)
    environment = tuple((dict(run.environment) | facts).items())
    return dataclasses.replace(run, environment=environment)


def failed(number: int, model: str = "m", batch: int = 1) -> Run:
    """A run of that day without times."""
    run = good(number, model=model, batch=batch)
    return dataclasses.replace(run, timings=None, steps=(), failure="killed <by> signal 9")


def wrong(number: int, scale: float = 1.0, model: str = "m") -> Run:
    """A run of that day whose outputs are not the reference's."""
    output = OutputParity("y", 0.5, 0.25, tolerance=1e-3, passed=False)
    parity = Parity("onnxruntime", (output,))
    return dataclasses.replace(good(number, scale, model), parity=parity)


def at(run: Run, created: str) -> Run:
    """The run as stored at another time."""
    return dataclasses.replace(run, created=created)
