"""Steps held to the layers that they claim, on sixty models; and wrong claims refuted."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support.elements.twins import half
from support.networks import models
from support.networks.models import node, value
from support.networks.provenance_corpus import CORPUS, duplicates, residual
from support.runs.verified import BAR, ZOO_BAR, assert_true, opened, share, swapped

from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Bounds
from onnxprof.provenance.verify.outcomes import BY_VALUE
from onnxprof.provenance.verify.verdicts import Claim
from onnxprof.records.step import Confidence

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

ZOO = ("lenet", "mnist-mlp", "mnist-cnn", "fashion-cnn", "minigo", "squeezenet", "shufflenet")


@pytest.mark.parametrize("name", CORPUS)
def test_no_step_claims_a_layer_whose_work_it_did_not_do(name: str, tmp_path: Path) -> None:
    logging.disable(logging.WARNING)  # the quantiser advises on the root logger
    path = models.save(CORPUS[name](tmp_path), tmp_path)
    try:
        made = opened(path)
    except BackendError as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
        pytest.skip("this onnxruntime has no kernel for one of its operators")
    with made as checked:
        steps = checked.steps()
        assert_true(checked, steps)
        assert share(checked.job, steps) >= BAR
    assert all(s.confidence is not Confidence.EXACT for s in steps if s.verdict != "verified")


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_are_verified(name: str) -> None:
    with opened(Path(f"zoo:{name}")) as checked:
        steps = checked.steps()
        assert_true(checked, steps)
        assert share(checked.job, steps) >= ZOO_BAR


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_steps_that_claim_each_others_layers_are_refuted_and_mended(
    precision: str, tmp_path: Path
) -> None:
    made = residual() if precision == "float32" else half(residual())
    with opened(models.save(made, tmp_path)) as checked:
        right = [step.layers for step in checked.trace.steps]
        pair = swapped(checked, "conv1", "conv2")
        steps = checked.steps()
    for i in pair:
        assert steps[i].layers == right[i]
        assert steps[i].evidence == BY_VALUE
        assert steps[i].confidence is Confidence.EXACT


@pytest.mark.parametrize("name", ["conv QDQ", "residual QOperator", "linear QDQ per channel"])
def test_swapped_layers_of_quantised_networks_are_refuted(name: str, tmp_path: Path) -> None:
    logging.disable(logging.WARNING)
    one, other = ("conv0", "conv1") if name[0] == "c" else ("conv1", "conv2")
    with opened(models.save(CORPUS[name](tmp_path), tmp_path)) as checked:
        names = [layer for step in checked.trace.steps for layer in step.layers]
        mine = [
            next(n for n in names if wanted in n and not n.endswith("Linear"))
            for wanted in (("lin1/MatMul", "lin2/MatMul") if name[0] == "l" else (one, other))
        ]
        right = [step.layers for step in checked.trace.steps]
        pair = swapped(checked, *mine)
        steps = checked.steps()
    for i in pair:
        assert steps[i].layers in (right[i], ())
        assert steps[i].verdict.startswith("refuted") or steps[i].evidence == BY_VALUE


def test_a_layer_of_a_neighbour_is_refuted(tmp_path: Path) -> None:
    """The activation in the step behind, the duplicate in its consumer's step."""
    with opened(models.save(duplicates(), tmp_path)) as checked:
        conv, sigmoid = checked.step("first"), checked.step("sigmoid")
        checked.claim({conv: ["second"], sigmoid: ["first", "sigmoid"]})
        steps = checked.steps()
    assert steps[conv].layers == ("second",)
    assert steps[sigmoid].verdict == "verified"
    assert steps[sigmoid].layers == ("sigmoid",)


def test_a_step_that_reads_what_it_is_said_to_compute_is_refuted(tmp_path: Path) -> None:
    """It reads all that both layers read, and yields what others read of them."""
    layers = [node("Tanh", ["x"], ["t"], "tanh"), node("Add", ["x", "t"], ["y"], "add")]
    made = models.model(layers, [value("x", (2, 8))], [value("y", (2, 8))])
    with opened(models.save(made, tmp_path)) as checked:
        add = checked.step("add")
        checked.claim({add: ["tanh", "add"]})
        refuted = checked.steps(Bounds(memory_bytes=1))[add]
        steps = checked.steps()
    assert refuted.verdict.startswith("refuted: it reads t, which one of its layers yields")
    assert steps[add].layers == ("add",)


def test_a_step_that_lacks_a_part_of_its_work_is_refuted(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        conv = checked.step("conv1")
        checked.claim({conv: ["conv1"]})
        verdicts = checked.steps()
    assert verdicts[conv].layers == ("conv1", "norm1", "relu1")
    assert verdicts[conv].evidence == BY_VALUE


def test_steps_that_claim_nothing_get_the_work_that_they_did(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        right = [step.layers for step in checked.trace.steps]
        checked.claim(dict.fromkeys(range(len(right)), ()) | {checked.step("conv2"): ["relu1"]})
        steps = checked.steps()
    assert [step.layers for step in steps] == right


def test_refuted_layers_that_cannot_be_mended_are_lost_and_named(tmp_path: Path) -> None:
    """Part by part there are not all values at hand, so nothing is tied anew."""
    with opened(models.save(residual(), tmp_path)) as checked:
        first, second = swapped(checked, "conv1", "conv2")
        steps = checked.steps(Bounds(memory_bytes=1))
    for i in (first, second):
        assert steps[i].layers == ()
        assert steps[i].confidence is Confidence.NONE
        assert steps[i].verdict.startswith("refuted: it does not read ")
    assert "conv2" in steps[first].verdict


def test_part_by_part_the_verdicts_are_the_same(tmp_path: Path) -> None:
    with opened(models.save(CORPUS["transformer"](tmp_path), tmp_path)) as checked:
        at_once, parts = checked.steps(), checked.steps(Bounds(memory_bytes=400_000))
    assert at_once == parts


def test_one_set_of_inputs_will_do(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        steps = checked.steps(runs=1)
    assert {step.verdict for step in steps if step.layers} == {"verified"}


def test_without_time_nothing_is_exact(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        steps = checked.steps(Bounds(seconds=0))
    told = {(s.verdict, s.confidence) for s in steps if s.layers}
    late = "not checked: the time for the check was used up"
    assert told == {(late, Confidence.INFERRED)}


def test_what_the_runtime_refuses_is_not_checked(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        checked.proof.saved.path.write_bytes(b"")
        steps = checked.steps()
    assert all(s.verdict.startswith("not checked: ") for s in steps if s.layers)


def test_layers_of_a_branch_that_is_never_taken_are_refuted(tmp_path: Path) -> None:
    """Both branches name their tensors alike; values tell which one ran."""
    with opened(models.save(CORPUS["known if"](tmp_path), tmp_path)) as checked:
        product = next(i for i, s in enumerate(checked.trace.steps) if s.op_type == "MatMul")
        tanh = next(i for i, s in enumerate(checked.trace.steps) if s.op_type == "Tanh")
        checked.claim({product: ["inner"], tanh: ["outer", "if"]})
        steps = checked.steps()
    assert not {steps[product].layers[0], steps[tanh].layers[0]} & {"inner", "outer"}
    assert steps[tanh].verdict == steps[product].verdict == "verified"


def test_claims_are_records() -> None:
    assert Claim(0, (1,), ("a",)).obstacle == ""
