"""Rules that look at the graph and the steps of one run: planted defects, and runs without them."""

from __future__ import annotations

import pytest
from support.runs.advised import MS, alone, found, run_of, table

from onnxprof.reasons.advice.advise import advise
from onnxprof.reasons.advice.base.finding import Finding, Rewrite, Unit

BN = ("wscale", "wbias", "wmean", "wvar")
CHAIN = [
    ("conv", "Conv", ("x", "wconv")),
    ("norm", "BatchNormalization", ("conv", *BN)),
    ("relu", "Relu", ("norm",)),
]


def between(finding: Finding, low_ms: float, high_ms: float) -> bool:
    """Whether the gain's interval holds both ends of this one, and is no more than half wider."""
    gain = finding.gain
    assert gain is not None
    reach = (high_ms - low_ms + 0.2 * high_ms) * MS
    holds = gain.low_ns <= low_ms * MS and gain.high_ns >= high_ms * MS
    return holds and gain.high_ns - gain.low_ns <= reach


def test_a_normalisation_behind_a_convolution_is_found() -> None:
    [finding] = found("unfused-batchnorm", alone(CHAIN, (5, 2, 1)))
    assert finding.layers == ("norm",)
    assert finding.steps == (1,)
    assert finding.rewrite is Rewrite.BATCHNORM
    assert between(finding, 0.65 * 2, 1.95 * 2)
    figures = {one.meaning: one for one in finding.evidence}
    assert figures["steps"].value == 1
    assert figures["their time"].unit is Unit.NS
    assert figures["their time"].value == pytest.approx(2 * MS, rel=0.03)
    assert figures["of the latency"].value == pytest.approx(2 / 8.05, rel=0.03)
    assert finding.share == pytest.approx(1.3 * 2 / 8.05, rel=0.03)


def test_a_normalisation_in_the_convolutions_step_is_none() -> None:
    run = run_of(table(CHAIN), [("Conv", ["conv", "norm"], 5), ("Relu", ["relu"], 1)])
    assert not found("unfused-batchnorm", run)


@pytest.mark.parametrize(
    "nodes",
    [
        [("pool", "MaxPool", ("x",)), ("norm", "BatchNormalization", ("pool", *BN))],
        [*CHAIN[:2], ("other", "Sigmoid", ("conv",))],  # two read what the convolution yields
        [CHAIN[0], ("norm", "BatchNormalization", ("conv", "x", *BN[1:]))],  # no constant
    ],
)
def test_a_normalisation_that_cannot_be_folded_is_none(nodes) -> None:
    assert not found("unfused-batchnorm", alone(nodes, [1.0] * len(nodes)))


def test_behind_a_gemm_no_safe_rewrite_is_known() -> None:
    nodes = [("fc", "Gemm", ("x", "wfc")), ("norm", "BatchNormalization", ("fc", *BN))]
    [finding] = found("unfused-batchnorm", alone(nodes, (2, 1)))
    assert finding.rewrite is None


def test_an_activation_of_its_own_is_found_also_behind_a_normalisation() -> None:
    [finding] = found("unfused-activation", alone(CHAIN, (5, 2, 1)))
    assert finding.layers == ("relu",)
    assert finding.rewrite is None
    assert finding.change.startswith("Use a runtime or mode")
    [of_ort] = found("unfused-activation", alone(CHAIN, (5, 2, 1), backend="ort"))
    assert of_ort.change.startswith("See why its Conv does not take it in")
    assert between(finding, 0.5, 1.05)


def test_an_activation_in_the_convolutions_step_or_behind_an_add_is_none() -> None:
    fused = run_of(table(CHAIN), [("Conv", ["conv", "norm", "relu"], 5)])
    assert not found("unfused-activation", fused)
    nodes = [("sum", "Add", ("x", "y")), ("relu", "Relu", ("sum",))]
    assert not found("unfused-activation", alone(nodes, (1, 1)))


def test_a_gate_that_the_convolutions_output_is_read_beside_is_none() -> None:
    nodes = [CHAIN[0], ("gate", "Sigmoid", ("conv",)), ("silu", "Mul", ("conv", "gate"))]
    assert not found("unfused-activation", alone(nodes, (2, 1, 1)))


def test_what_does_nothing_is_found() -> None:
    nodes = [
        CHAIN[0],
        ("same", "Identity", ("conv",)),
        ("cast", "Cast", ("same",)),
        ("half", "Cast", ("cast",)),
    ]
    run = alone(nodes, (2, 0.2, 0.3, 0.4), dtypes={"half": "float16"})
    [finding] = found("no-op", run)
    assert finding.layers == ("same", "cast")
    assert finding.rewrite is Rewrite.NO_OPS
    assert between(finding, 0.65 * 0.5, 1.95 * 0.5)
    assert not found("no-op", alone(CHAIN, (5, 2, 1)))


def test_what_gives_an_output_its_name_is_needed() -> None:
    nodes = [CHAIN[0], ("y", "Identity", ("conv",))]
    assert not found("no-op", alone(nodes, (2, 1)))


TURNS = [
    ("there", "Transpose", ("x",)),
    ("back", "Transpose", ("there",)),
    ("conv", "Conv", ("back", "wconv")),
]


def turned(back: str):
    perms = {"there": (("perm", "[0,2,3,1]"),), "back": (("perm", back),)}
    return alone(TURNS, (1, 1, 5), attributes=perms)


def test_transposes_that_cancel_are_found() -> None:
    [finding] = found("cancelling-transposes", turned("[0,3,1,2]"))
    assert finding.steps == (0, 1)
    assert finding.rewrite is Rewrite.TRANSPOSES


@pytest.mark.parametrize("back", ["[0,2,3,1]", "[0,3,1]", "[0,…]", ""])
def test_transposes_that_do_not_are_none(back: str) -> None:
    run = turned(back)
    assert not found("cancelling-transposes", run)
    [finding] = found("data-movement", run)
    assert finding.layers == ("there", "back")
    assert finding.gain is not None
    assert finding.gain.low_ns == 0


def test_inserted_reorders_count_though_they_belong_to_no_layer() -> None:
    steps = [("ReorderInput", [], 1), ("Conv", ["conv"], 5), ("ReorderOutput", [], 2)]
    ins, outs = found("data-movement", run_of(table(CHAIN[:1]), steps))[::-1]
    assert ins.steps == (0,)
    assert outs.steps == (2,)
    assert ins.layers == ()
    assert "put in" in ins.title
    assert outs.gain is not None
    assert outs.gain.high_ns == pytest.approx(2 * MS, rel=0.1)


def test_other_steps_without_layers_move_nothing() -> None:
    steps = [("Conv", ["conv"], 5), ("FusedSomething", [], 2)]
    assert not found("data-movement", run_of(table(CHAIN[:1]), steps))


FOLDABLE = [
    ("scaled", "Mul", ("wa", "wb")),
    ("shifted", "Add", ("scaled", "wc")),
    ("conv", "Conv", ("x", "shifted")),
]


def test_constants_that_were_computed_are_found() -> None:
    [finding] = found("unfolded-constants", alone(FOLDABLE, (1, 1, 5)))
    assert finding.layers == ("scaled", "shifted")
    assert finding.rewrite is Rewrite.CONSTANTS
    assert between(finding, 0.65 * 2, 1.95 * 2)


def test_what_an_input_or_chance_changes_is_no_constant() -> None:
    nodes = [("noise", "RandomNormalLike", ("wa",)), ("sum", "Add", ("noise", "wb"))]
    assert not found("unfolded-constants", alone(nodes, (1, 1)))
    nodes = [("sum", "Add", ("x", "wb")), ("twice", "Mul", ("sum", "wb"))]
    assert not found("unfolded-constants", alone(nodes, (1, 1)))


def test_transposes_that_cancel_are_listed_once() -> None:
    assert not found("data-movement", turned("[0,3,1,2]"))


def test_the_largest_gain_comes_first_and_the_unknown_last() -> None:
    advice = advise(alone(CHAIN, (5, 1, 4)))
    gains = [one.gain.expected_ns for one in advice.findings if one.gain]
    assert gains == sorted(gains, reverse=True)
    assert [one.rule for one in advice.findings][:1] == ["unfused-activation"]
