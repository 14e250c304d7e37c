"""A first look that has the values at the ends of claims alone: it passes nothing in doubt."""

from __future__ import annotations

import numpy as np

from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.boundary import Layers
from onnxprof.provenance.verify.verdicts import Claim, Evidence, Observed, Outcome, check

#: Two layers, of which a step claims both.
ORIGINAL = Graph(
    (
        GraphNode("relu", "Relu", ("x",), ("t",)),
        GraphNode("add", "Add", ("t", "x"), ("y",)),
    ),
    frozenset(),
    ("y",),
)
CLAIM = Claim(0, (0,), ("relu", "add"))
ENDS = frozenset({"x", "y"})


def evidence(reads: tuple[str, ...], *, only_sure: bool, off: float = 0.0) -> Evidence:
    """Of a step that reads these of the tensors a to c, which have the values of x, t and y."""
    executed = Graph((GraphNode("step", "Fused", reads, ("c",)),), frozenset(), ("c",))
    runs = []
    for seed in range(2):
        x = np.random.default_rng(seed).normal(size=200).astype(np.float32)
        t = np.maximum(x, 0)
        values = {"x": x, "t": t, "y": t + x}
        original = {n: v for n, v in values.items() if n in ENDS or not only_sure}
        runs.append(Observed(original, {"a": x, "b": t, "c": (t + x) * np.float32(1 + off)}))
    return Evidence(ORIGINAL, executed, runs, only_sure=only_sure)


def outcome(*reads: str, only_sure: bool, off: float = 0.0) -> Outcome:
    (verdict,) = check(evidence(reads, only_sure=only_sure, off=off), [CLAIM])
    return verdict.outcome


def test_a_step_that_reads_what_its_layers_read_passes() -> None:
    assert outcome("a", only_sure=True) is Outcome.VERIFIED


def test_a_step_that_reads_more_is_left_for_all_values() -> None:
    assert outcome("a", "b", only_sure=True) is Outcome.UNCHECKED
    assert outcome("a", "b", only_sure=False) is Outcome.REFUTED, "another step computed t"


def test_an_error_that_is_not_small_is_left_for_all_values() -> None:
    within = 3e-3  # of the 4e-3 that are allowed
    assert outcome("a", only_sure=False, off=within) is Outcome.VERIFIED
    assert outcome("a", only_sure=True, off=within) is not Outcome.VERIFIED


def test_the_ends_of_layers_are_what_others_read_and_yield() -> None:
    layers = Layers(ORIGINAL)
    assert layers.ends(("add", "relu")) == ["x", "y"]
    assert layers.ends(("relu",)) == ["x", "t"]
    assert [node.name for node in layers.covered(("add", "relu", "no such"))] == ["relu", "add"]
