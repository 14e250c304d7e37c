"""Steps held to the layers that they claim, on sixty models; and wrong claims refuted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

import models
import pytest
from provenance_corpus import CORPUS, duplicates, half, residual
from test_ort import workload

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.graphs.walk import INSERTED, MOVERS
from onnxprof.errors import BackendError
from onnxprof.model.feeds import generate
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.provenance.verify.outcomes import BY_VALUE
from onnxprof.provenance.verify.verdicts import Claim
from onnxprof.records.step import Confidence, Step

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

ZOO = ("lenet", "mnist-mlp", "mnist-cnn", "fashion-cnn", "minigo", "squeezenet", "shufflenet")
#: Of the elements that layers yield: networks of the zoo, and others.
ZOO_BAR, BAR = 0.99, 0.97


class Checked:
    """A traced model whose steps can be checked, as they are or changed."""

    def __init__(self, job: Workload) -> None:
        self.job = job
        with OrtBackend().open_traced(job, 1) as session:
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


def swapped(checked: Checked, one: str, other: str) -> tuple[int, int]:
    """Let the steps of two layers claim each other's layers."""
    first, second = checked.step(one), checked.step(other)
    steps = checked.trace.steps
    checked.claim({first: steps[second].layers, second: steps[first].layers})
    return first, second


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
        checked.proof.saved.write_bytes(b"")
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
