"""Steps checked on their own inputs, where roundings made the graphs differ before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from support.networks import models
from support.networks.detection import head
from support.runs.verified import Checked, assert_true, opened, swapped

from onnxprof.plugins.backend import Bounds
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.provenance.verify.alone import SecondCheck, Task
from onnxprof.provenance.verify.likeness import Original, arrangement
from onnxprof.provenance.verify.outcomes import BY_VALUE
from onnxprof.provenance.verify.verdicts import (
    Claim,
    Evidence,
    Observed,
    Outcome,
    Values,
    Verdict,
    check,
)
from onnxprof.records.step import Step

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

Array = NDArray[np.float32]
LAYERS: Mapping[str, Callable[..., Sequence[Array]]] = {
    "Score": lambda x: [x.sum(axis=-1)],
    "Best": lambda s: [np.sort(s)[::-1][:8].copy(), np.argsort(-s, kind="stable")[:8]],
    "Gather": lambda x, places: [x[places]],
    "Double": lambda x: [2 * x],
    "Square": lambda x: [x * x],
    "Shift": lambda x: [x - 1],
    "SquareShift": lambda x: [x * x - 1],
    "Turn": lambda x: [x.T.copy()],
    "Add": lambda x, y: [x + y],
    "AddTurned": lambda x, y: [x.T + y],
}


def op(op_type: str, read: str, made: str, name: str = "") -> GraphNode:
    """A node that is called after its first result."""
    outputs = tuple(made.split())
    return GraphNode(name or outputs[0], op_type, tuple(read.split()), outputs)


def ran(graph: Graph | Sequence[GraphNode], given: Values) -> dict[str, Array]:
    known = dict(given)
    for node in graph.nodes if isinstance(graph, Graph) else graph:
        made = LAYERS[node.op_type](*(known[name] for name in node.inputs))
        known |= dict(zip(node.outputs, made, strict=True))
    return known


#: Scores, the best rows of x, and what is done to these rows.
ORIGINAL = Graph(
    (
        op("Score", "x", "score"),
        op("Best", "score", "best place"),
        op("Gather", "x place", "rows"),
        op("Square", "rows", "square"),
        op("Shift", "square", "shift"),
        op("Double", "shift", "double"),
        op("Add", "double rows", "sum"),
    ),
    outputs=("sum", "best"),
)
RIGHT = [("score",), ("best",), ("rows",), ("square", "shift"), ("double",), (), ("sum",)]


def executed(kept_names: bool = True) -> Graph:
    """Square and Shift in one step, and one that turns a tensor inserted."""

    def name(plain: str) -> str:
        return plain if kept_names else f"t{sum(plain.encode())}"

    def named(op_type: str, read: str, made: str) -> GraphNode:
        texts = (" ".join(n if n == "x" else name(n) for n in t.split()) for t in (read, made))
        return op(op_type, *texts)

    return Graph(
        (
            named("Score", "x", "score"),
            named("Best", "score", "best place"),
            named("Gather", "x place", "rows"),
            named("SquareShift", "rows", "shift"),
            named("Double", "shift", "double"),
            named("Turn", "double", "turned"),
            named("AddTurned", "turned rows", "sum"),
        ),
        outputs=(name("sum"), name("best")),
    )


def runs(there: Graph) -> Iterator[Observed]:
    """Both graphs on rows of which pairs have nearly one sum: the executed one has others first."""
    for seed in (0, 1):
        half = np.random.default_rng(seed).normal(0, 1, (16, 5)).astype(np.float32)
        given = {"x": np.concatenate([half, half[:, ::-1] + np.float32(1e-7)])}
        original = ran(ORIGINAL, given)
        first, *rest = there.nodes
        flips = np.repeat(np.float32([0, 2e-6]), 16)
        known = given | {first.outputs[0]: original["score"] + flips}
        yield Observed(original, {**known, **ran(rest, known)})


def computed(tasks: Sequence[Task]) -> Iterator[list[dict[str, Array]]]:
    """By the functions above, from nothing but what is fed."""
    for task in tasks:
        nodes = [node for node in ORIGINAL.nodes if node.name in task.layers]
        yield [ran(nodes, fed) for fed in task.fed]


def evidence(kept_names: bool = True) -> Evidence:
    there = executed(kept_names)
    return Evidence(ORIGINAL, there, list(runs(there)))


def verdicts(
    found: Evidence, layers: Sequence[Sequence[str]], deadline: float = float("inf")
) -> list[Outcome]:
    """What becomes of these claims, one a node; unchecked where nothing is claimed."""
    claims = [Claim(i, (i,), tuple(names)) for i, names in enumerate(layers)]
    first = check(found, [claim for claim in claims if claim.layers])
    made = {
        v.step: v for v in SecondCheck(claims, computed, deadline=deadline).checked(found, first)
    }
    return [made.get(i, Verdict(i, Outcome.UNCHECKED)).outcome for i in range(len(claims))]


def claimed(**changed: str) -> list[tuple[str, ...]]:
    """The right claims but for some, called after what the step yields."""
    names = ["score", "best", "rows", "shift", "double", "turned", "sum"]
    return [
        tuple(changed[name].split()) if name in changed else right
        for name, right in zip(names, RIGHT, strict=True)
    ]


WORKING = [0, 1, 2, 3, 4, 6]


@pytest.mark.parametrize("kept_names", [True, False])
def test_steps_on_other_rows_are_verified(kept_names: bool) -> None:
    found = evidence(kept_names)
    claims = [Claim(i, (i,), layers) for i, layers in enumerate(RIGHT) if layers]
    assert [v.step for v in check(found, claims) if v.outcome is Outcome.REFUTED] == WORKING[1:]
    assert {verdicts(found, RIGHT)[i] for i in WORKING} == {Outcome.VERIFIED}


@pytest.mark.parametrize("kept_names", [True, False])
@pytest.mark.parametrize(
    "wrong",
    [
        {"shift": "square"},
        {"shift": "shift"},
        {"shift": "square shift double", "double": ""},
        {"shift": "rows square shift", "rows": ""},
        {"shift": "double", "double": "square shift"},
        {"double": "shift double", "shift": "square"},
        {"double": "sum", "sum": "double"},
        {"rows": "best rows", "best": ""},
        {"sum": "double sum", "double": ""},
        {"rows": "square shift", "shift": "rows"},
    ],
    ids=str,
)
def test_wrong_claims_on_other_rows_are_refuted(kept_names: bool, wrong: dict[str, str]) -> None:
    layers = claimed(**wrong)
    made = verdicts(evidence(kept_names), layers)
    for i, (claim, right) in enumerate(zip(layers, RIGHT, strict=True)):
        if claim and claim != right:
            assert made[i] is Outcome.REFUTED


def test_a_name_that_a_verified_step_contradicts_says_nothing() -> None:
    """The runtime calls what Gather yields after another layer's result."""
    there = executed()
    texts = {"rows": "square", "shift": "rows"}
    lying = replace(
        there,
        nodes=tuple(
            replace(
                node,
                inputs=tuple(texts.get(n, n) for n in node.inputs),
                outputs=tuple(texts.get(n, n) for n in node.outputs),
            )
            for node in there.nodes
        ),
    )
    found = Evidence(ORIGINAL, lying, list(runs(lying)))
    assert verdicts(found, RIGHT)[2] is Outcome.VERIFIED
    assert verdicts(found, claimed(shift="shift"))[3] is Outcome.REFUTED


def test_without_time_refuted_steps_stay_so() -> None:
    assert verdicts(evidence(), RIGHT, deadline=0)[2] is Outcome.REFUTED


def test_no_more_is_computed_at_a_time_than_fits_into_memory() -> None:
    found, seen = evidence(), []

    def one_by_one(tasks: Sequence[Task]) -> Iterator[list[dict[str, Array]]]:
        seen.append(len(tasks))
        return computed(tasks)

    claims = [Claim(i, (i,), layers) for i, layers in enumerate(RIGHT)]
    first = check(found, [claim for claim in claims if claim.layers])
    second = SecondCheck(claims, one_by_one, memory_bytes=1)
    assert {v.outcome for v in second.checked(found, first)} == {Outcome.VERIFIED}
    assert seen == [1] * 5


def test_what_cannot_be_computed_stays_refuted() -> None:
    found = evidence()
    claims = [Claim(i, (i,), layers) for i, layers in enumerate(RIGHT)]
    first = check(found, [claim for claim in claims if claim.layers])
    assert SecondCheck(claims, lambda tasks: [None] * len(tasks)).checked(found, first) == first


def test_an_executed_tensor_in_the_layout_of_the_original() -> None:
    wanted = np.random.default_rng(0).normal(0, 1, (1, 6, 5, 4)).astype(np.float32)
    blocks = np.zeros((1, 8, 5, 4), np.float32)
    blocks[:, :6] = wanted
    blocked = blocks.reshape(1, 2, 4, 5, 4).transpose(0, 1, 3, 4, 2).reshape(1, 8, 5, 4)
    for there in (wanted, blocked, wanted.transpose(0, 2, 3, 1).copy(), wanted.reshape(-1)):
        assert np.array_equal(undone(wanted, there), wanted)
    assert undone(wanted, wanted.astype(np.float16)).dtype == np.float32
    levels = np.round(wanted * 30).astype(np.int8)
    for there in (wanted + 1, levels):
        assert arrangement(Original(wanted), there, 0.2) is None


def undone(wanted: Array, there: NDArray[Any]) -> Array:
    found = arrangement(Original(wanted), there)
    assert found is not None
    return found.undone(there)


# the same with onnxruntime, on a detection network


def first_way_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SecondCheck, "checked", lambda _self, _evidence, first: first)


def with_other_names(path: Path) -> None:
    """Call every tensor between the nodes of a saved graph something else."""
    made = onnx.load(path)
    outside = {v.name for v in (*made.graph.input, *made.graph.output)}
    outside |= {tensor.name for tensor in made.graph.initializer}
    names = [out for node in made.graph.node for out in node.output if out not in outside]
    new = dict(zip(names, np.random.default_rng(0).permutation(len(names)), strict=True))
    for node in made.graph.node:
        node.input[:] = [f"n{new[n]}" if n in new else n for n in node.input]
        node.output[:] = [f"n{new[n]}" if n in new else n for n in node.output]
    del made.graph.value_info[:]
    onnx.save(made, path)


@pytest.fixture
def checked(tmp_path: Path) -> Iterator[Checked]:
    with opened(models.save(head(), tmp_path)) as made:
        yield made


def refuted(steps: Sequence[Step]) -> list[str]:
    return [step.name for step in steps if step.verdict.startswith("refuted")]


def test_the_graphs_differ_where_boxes_are_chosen(
    checked: Checked, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_way_only(monkeypatch)
    steps = checked.steps()
    assert steps[checked.step("best")].verdict.startswith("refuted: it does not yield places")
    assert len(refuted(steps)) > 8


def test_every_step_of_a_detection_network_is_verified(checked: Checked) -> None:
    assert_true(checked, checked.steps())


def test_names_are_not_needed(checked: Checked) -> None:
    with_other_names(checked.proof.saved.path)
    assert_true(checked, checked.steps())


@pytest.mark.parametrize("memory_bytes", [1, 200_000])
@pytest.mark.parametrize("kept_names", [True, False])
def test_part_by_part_steps_are_checked_on_their_inputs(
    memory_bytes: int, kept_names: bool, checked: Checked
) -> None:
    if not kept_names:
        with_other_names(checked.proof.saved.path)
    assert_true(checked, checked.steps(Bounds(memory_bytes=memory_bytes)))


@pytest.mark.parametrize("kept_names", [True, False])
@pytest.mark.parametrize(
    "pair", [("deep", "deeper"), ("sure", "classes"), ("best", "suppress"), ("chosen", "rois")]
)
def test_swapped_layers_after_the_choice_are_refuted(
    pair: tuple[str, str], kept_names: bool, checked: Checked
) -> None:
    right = [step.layers for step in checked.trace.steps]
    both = swapped(checked, *pair)
    if not kept_names:
        with_other_names(checked.proof.saved.path)
    steps = checked.steps()
    for i in both:
        assert steps[i].layers in ((), right[i])
        assert steps[i].verdict.startswith("refuted") or steps[i].evidence == BY_VALUE


@pytest.mark.parametrize(
    "wrong",
    [
        {"deep": "deep"},
        {"deep": "deep deep_relu deeper deeper_relu", "deeper": ""},
        {"deeper": "deep deep_relu deeper deeper_relu", "deep": ""},
        {"chosen": "best chosen", "best": ""},
        {"product": "product"},
        {"classes": "classes sure", "sure": ""},
        {"mixed": "classes mixed"},
        {"mixed": "sure classes mixed", "sure": "", "classes": ""},
    ],
    ids=str,
)
def test_a_layer_too_many_or_too_few_is_refuted(wrong: dict[str, str], checked: Checked) -> None:
    steps = {name: checked.step(name) for name in wrong}
    right = [step.layers for step in checked.trace.steps]
    checked.claim({steps[name]: layers.split() for name, layers in wrong.items()})
    made = checked.steps()
    for name, layers in wrong.items():
        step = made[steps[name]]
        if layers:
            assert step.layers in ((), right[steps[name]])
            assert step.verdict.startswith("refuted") or step.evidence == BY_VALUE
