"""Traced models whose steps can be checked, as they are or changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.graphs.walk import INSERTED, MOVERS
from onnxprof.model.feeds import generate
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.provenance.verify.outcomes import BY_VALUE
from onnxprof.records.step import Step
from support.runs.ort_runs import workload

#: Of the elements that layers yield: networks of the zoo, and others.
ZOO_BAR, BAR = 0.99, 0.97


class Checked:
    """A traced model whose steps can be checked, as they are or changed."""

    def __init__(self, job: Workload) -> None:
        self.job = job
        with OrtBackend().open_traced(job) as session:
            session.infer()
            self.trace = session.trace()
            self.proof = session.proof()
        self.feeds = [job.inputs, generate(job.table, 1)]

    def __enter__(self) -> Checked:
        return self

    def __exit__(self, *_: object) -> None:
        self.proof.close()

    def steps(self, bounds: Bounds | None = None, runs: int = 2) -> tuple[Step, ...]:
        return self.proof.check(self.trace.steps, self.feeds[:runs], bounds or Bounds())

    def claim(self, layers: dict[int, Sequence[str]]) -> None:
        """Let steps claim other layers."""
        changed = [
            replace(c, layers=tuple(layers.get(c.step, c.layers))) for c in self.proof.claims
        ]
        self.proof.claims = changed
        steps = [
            replace(s, layers=c.layers) for s, c in zip(self.trace.steps, changed, strict=True)
        ]
        self.trace = replace(self.trace, steps=tuple(steps))

    def step(self, layer: str) -> int:
        return next(i for i, step in enumerate(self.trace.steps) if layer in step.layers)


def opened(path: Path, batch: int = 1) -> Checked:
    return Checked(workload(path, batch))


def share(job: Workload, steps: Sequence[Step]) -> float:
    """The verified part of the elements that executed layers yield."""
    sizes = {
        layer.name: sum(prod(d for d in t.shape or () if isinstance(d, int)) for t in layer.outputs)
        for layer in job.table.nodes
    }
    owned = [(sum(sizes.get(name, 0) for name in s.layers), s.verdict) for s in steps]
    total = sum(size for size, _ in owned)
    return sum(size for size, verdict in owned if verdict == "verified") / max(1, total)


def assert_true(checked: Checked, steps: Sequence[Step]) -> None:
    """Nothing refuted, nothing tied anew, no layer twice, no stray step but inserted ones."""
    assert [step for step in steps if step.verdict.startswith("refuted")] == []
    assert [step for step in steps if step.evidence == BY_VALUE] == []
    claims = Counter(name for step in steps for name in step.layers)
    assert max(claims.values()) == 1
    assert {s.op_type for s in steps if not s.layers} <= INSERTED | MOVERS
    known = {layer.name for layer in checked.job.table.nodes}
    assert claims.keys() | set(checked.trace.folded) <= known


def swapped(checked: Checked, one: str, other: str) -> tuple[int, int]:
    """Let the steps of two layers claim each other's layers."""
    first, second = checked.step(one), checked.step(other)
    steps = checked.trace.steps
    checked.claim({first: steps[second].layers, second: steps[first].layers})
    return first, second
