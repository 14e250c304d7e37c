"""What rounding errors are relative to: steps that did their work on saturated or tiny values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.networks import models
from support.networks.models import node, value, weight
from support.runs.verified import assert_true, opened, swapped

from onnxprof.provenance.topology import GraphNode
from onnxprof.provenance.verify.likeness import Original, Sampled, likeness
from onnxprof.provenance.verify.moments import may_be_equal, moments
from onnxprof.provenance.verify.rounding import rounding_size
from onnxprof.provenance.verify.verdicts import TOLERANCES

SAME = TOLERANCES["float32"] / 4
#: Half the distance between numbers near one.
ROUNDING = 6e-8


def saturated(seed: int = 0) -> np.ndarray:
    """What a Sigmoid yields of some -12."""
    given = np.random.default_rng(seed).normal(-12, 1, 4096)
    return (1 / (1 + np.exp(-given))).astype(np.float32)


def rounded(array: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(9).choice([-ROUNDING, ROUNDING], array.shape)
    return (array + noise).astype(np.float32)


def test_rounding_errors_of_a_saturated_operator_are_those_of_one() -> None:
    wanted = saturated()
    assert likeness(Original(wanted), rounded(wanted)).error > SAME
    assert likeness(Original(wanted, 1.0), rounded(wanted)).error < SAME / 4
    assert likeness(Original(wanted, 1.0), saturated(1)).error > 4 * SAME


def test_sums_of_saturated_values_may_differ_by_rounding() -> None:
    wanted = saturated() / 1000
    mine, other = moments(wanted), moments(rounded(wanted))
    assert not may_be_equal(mine, other, SAME)
    assert may_be_equal(mine, other, SAME, Original(wanted, 1.0).rounding(wanted.dtype))


def test_tiny_elements_beside_large_ones_have_their_rounding_errors() -> None:
    wide = np.geomspace(1e-9, 1, 128).astype(np.float32)
    assert likeness(Original(wide), rounded(wide)).error < SAME
    assert likeness(Original(wide), wide[::-1].copy()).error > 0.3
    assert likeness(Original(wide), wide * np.float32(1.2)).error > 4 * SAME


def test_masks_hide_no_difference() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1000)).astype(np.float32)
    one[:500] = other[:500] = -1e9
    assert Sampled(one).largest < 10
    assert likeness(Original(one), other).error > 0.3


@pytest.mark.parametrize("empty", [np.zeros(0, np.float32), np.array(["a"]), np.array([np.nan])])
def test_the_largest_of_nothing(empty: np.ndarray) -> None:
    known = Sampled.of(empty)
    assert known is None or known.largest == 0


def test_signed_integers_stand_for_the_unsigned_ones_that_a_runtime_makes_of_them() -> None:
    signed = np.random.default_rng(0).integers(-128, 128, 1000).astype(np.int8)
    unsigned = (signed.astype(np.int16) + 128).astype(np.uint8)
    assert likeness(Original(signed), unsigned).error == 0
    assert likeness(Original(unsigned), signed).error == 0
    assert likeness(Original(signed), unsigned[::-1].copy()).error > 0.3
    assert likeness(Original(signed), (unsigned + 40).astype(np.uint8)).error > 0.2


SIZES = {"x": 12.0, "s": 1e-5, "c": 1e-5, "m": 1e-4, "r": 1e-4, "w": 1e-4, "plain": 1e-4}


def producers() -> Mapping[str, GraphNode]:
    made = [
        GraphNode("sigmoid", "Sigmoid", ("x",), ("s",)),
        GraphNode("concat", "Concat", ("s", "s"), ("c",)),
        GraphNode("silu", "Mul", ("x", "s"), ("m",)),
        GraphNode("view", "Reshape", ("m", "shape"), ("r",)),
        GraphNode("product", "MatMul", ("r", "r"), ("plain",)),
    ]
    return {name: each for each in made for name in each.outputs}


@pytest.mark.parametrize(
    ("tensor", "size"),
    [("x", 12.0), ("s", 1.0), ("c", 1.0), ("m", 12.0), ("r", 12.0), ("plain", 1e-4), ("?", 0.0)],
)
def test_roundings_are_handed_on(tensor: str, size: float) -> None:
    given = rounding_size(tensor, producers(), lambda name: SIZES.get(name, 0.0))
    assert given == pytest.approx(size)


def test_long_chains_end() -> None:
    chain = {f"t{i}": GraphNode(f"n{i}", "Add", (f"t{i - 1}",) * 2, (f"t{i}",)) for i in range(999)}
    assert rounding_size("t998", chain, lambda name: float(name[1:])) == 998


def detector(op_type: str) -> onnx.ModelProto:
    """Scores of classes that are all unlikely, beside boxes."""
    nodes = [
        node("Conv", ["x", "w0"], ["a"], "conv0"),
        node("Relu", ["a"], ["b"], "relu"),
        node("Conv", ["b", "w1", "low"], ["c"], "scores"),
        node("Conv", ["b", "w2"], ["d"], "boxes"),
        node(op_type, ["c"], ["e"], "squash"),
        node("Concat", ["d", "e"], ["f"], "both", axis=1),
        node("Transpose", ["f"], ["y"], "last", perm=[0, 2, 3, 1]),
    ]
    low = {"Sigmoid": -12.0, "HardSigmoid": -2.49}[op_type]
    stored = [weight(f"w{i}", 16, 16, 1, 1, seed=i) for i in range(3)]
    stored.append(numpy_helper.from_array(np.full(16, low, np.float32), "low"))
    return models.model(nodes, [value("x", ["N", 16, 12, 12])], [value("y", None)], stored)


@pytest.mark.parametrize("op_type", ["Sigmoid", "HardSigmoid"])
def test_unlikely_scores_are_verified_and_cannot_be_swapped(op_type: str, tmp_path: Path) -> None:
    with opened(models.save(detector(op_type), tmp_path)) as checked:
        steps = checked.steps()
        assert_true(checked, steps)
        assert {s.verdict for s in steps if s.layers} == {"verified"}
        right = [step.layers for step in checked.trace.steps]
        pair = swapped(checked, "scores", "boxes")
        steps = checked.steps()
    for i in pair:
        assert steps[i].layers in (right[i], ())
