"""Gates whose outcome is known, from scripted runs, without measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxprof.analysis.intervals import trimmed_means
from onnxprof.analysis.processes import merge
from onnxprof.compare.changes import Pair, compare
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.gate.cases import Case, Gated, Outcome, outcome_of
from onnxprof.gate.rule import Rule, judge, spread
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

PAIRS = 10


def run(name: str, scale: float, seed: int, layers: Sequence[str] = ()) -> Run:
    """Ten scripted processes, whose layers have other names if wanted."""
    made = merge([sample_run(name, 1, scale=scale, seed=100 * seed + i) for i in range(PAIRS)])
    return renamed(made, layers) if layers else made


def renamed(made: Run, layers: Sequence[str]) -> Run:
    """The run with other names of its nodes."""
    names = dict(zip((layer.name for layer in made.table.nodes), layers, strict=False))
    table = replace(
        made.table,
        layers=tuple(replace(x, name=names.get(x.name, x.name)) for x in made.table.layers),
    )
    steps = tuple(
        replace(step, layers=tuple(names.get(n, n) for n in step.layers)) for step in made.steps
    )
    return replace(made, table=table, steps=steps)


def pair(name: str, ratio: float, layers: Sequence[str] = ()) -> Pair:
    """A model, and one all of whose layers take so many times as long."""
    sides = [run(name, scale, seed, layers) for seed, scale in ((1, 1.0), (2, ratio))]
    return compare([([sides[0]], [sides[1]])], 0.02).pairs[0]


def case(
    model: str = "models/net.onnx",
    ratio: float = 1.0,
    scatter: float = 0.01,
    *,
    name: str = "net",
    layers: Sequence[str] = (),
    rule: Rule | None = None,
    origin: str = "main (0123456789)",
) -> Case:
    """A case whose new version is slower by a ratio, on a machine whose processes scatter."""
    rng = np.random.default_rng(0)
    noise = spread(rng.normal(0, scatter * 2**0.5, PAIRS))
    apart = rng.normal(0, scatter * 2**0.5, PAIRS)
    centred = apart - trimmed_means(apart[None], 0.1)
    judged = judge(centred + np.log(ratio), noise, rule or Rule(0.05, 0.01))
    outcome = outcome_of(judged.verdict)
    return Case(model, 1, outcome, origin, noise, judged, pair(name, ratio, layers))


def gated(*cases: Case, required: Requirement | None = None, limit: float = 0.05) -> Gated:
    """A gate of these cases."""
    rule = Rule(limit, 0.01, max(1, sum(c.judgement is not None for c in cases)))
    return Gated(cases, rule, required, PAIRS, 1.0)


NEW = Case("models/new.onnx", None, Outcome.NEW, "main (0123456789)")
UNCHANGED = Case("models/old.onnx", None, Outcome.UNCHANGED, "main (0123456789)")
FAILED = Case("models/bad.onnx", None, Outcome.FAILED, "main (0123456789)", why="it is damaged")
