"""Steps inside of branches, loops and scans, checked by what their bodies compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import models
from support.networks.models import node, value, weight
from support.runs.ort_runs import workload
from support.runs.verified import BAR, Checked, assert_true, opened, share, swapped

from onnxprof.backends.ort.check.bodies import settled
from onnxprof.backends.ort.check.unfold import unfolded
from onnxprof.backends.ort.graphs.graphs import tie
from onnxprof.errors import BackendError
from onnxprof.provenance.verify.verdicts import Claim
from onnxprof.records.step import Step

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

BOOL, INT64 = TensorProto.BOOL, TensorProto.INT64


def whole(name: str, number: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(number, np.int64), name)


def products(before: str, after: str, mark: str, layers: int = 2) -> list[onnx.NodeProto]:
    """MatMuls with outer weights, a Tanh behind each."""
    nodes = []
    for i in range(layers):
        source = before if i == 0 else f"{mark}t{i - 1}"
        target = after if i == layers - 1 else f"{mark}t{i}"
        nodes += [
            node("MatMul", [source, f"w{i}"], [f"{mark}m{i}"], f"{mark}/product{i}"),
            node("Tanh", [f"{mark}m{i}"], [target], f"{mark}/tanh{i}"),
        ]
    return nodes


def stored() -> list[onnx.TensorProto]:
    return [weight(f"w{i}", 16, 16, seed=i) for i in range(3)]


def chosen(inner: onnx.GraphProto | None = None) -> onnx.ModelProto:
    """A branch that the sum of the input decides on, with another one in it."""
    then = products("h", "o", "then")
    if inner is not None:
        then[-1] = node("If", ["goes"], ["o"], "deeper", then_branch=inner, else_branch=inner)
        then.insert(0, node("Relu", ["h"], ["thenm1"], "then/relu"))
        then = [then[0], then[-1]]
    other = [node("Erf", ["h"], ["o"], "else/erf")]
    nodes = [
        node("MatMul", ["x", "w2"], ["h"], "before"),
        node("ReduceSum", ["x"], ["sum"], "sum", keepdims=0),
        node("Abs", ["sum"], ["size"], "size"),
        node("Greater", ["size", "limit"], ["goes"], "compare"),
        node("If", ["goes"], ["i"], "choose",
             then_branch=helper.make_graph(then, "then", [], [value("o", None)]),
             else_branch=helper.make_graph(other, "else", [], [value("o", None)])),
        node("Sigmoid", ["i"], ["y"], "after"),
    ]  # fmt: skip
    limit = numpy_helper.from_array(np.float32(1e-9), "limit")
    return models.model(nodes, [value("x", ["N", 16])], [value("y", None)], [*stored(), limit])


def twice() -> onnx.ModelProto:
    inner = products("thenm1", "o2", "inner")
    return chosen(helper.make_graph(inner, "inner", [], [value("o2", None)]))


def loop(trips: int = 3) -> onnx.ModelProto:
    body = helper.make_graph(
        [
            *products("state", "next", "loop"),
            node("Identity", ["go"], ["still"], "loop/still"),
            node("ReduceMax", ["next"], ["most"], "loop/most", keepdims=0),
        ],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("state", ["N", 16])],
        [value("still", [], BOOL), value("next", ["N", 16]), value("most", [])],
    )
    nodes = [
        node("MatMul", ["x", "w2"], ["h"], "before"),
        node("Loop", ["trips", "", "h"], ["l", "all"], "loop", body=body),
        node("Sigmoid", ["l"], ["y"], "after"),
    ]
    outs = [value("y", None), value("all", None)]
    return models.model(nodes, [value("x", ["N", 16])], outs, [*stored(), whole("trips", trips)])


def scan(backwards: int, axis: int) -> onnx.ModelProto:
    body = helper.make_graph(
        [
            node("Add", ["state", "part"], ["sum"], "scan/add"),
            *products("sum", "next", "scan"),
            node("Erf", ["next"], ["seen"], "scan/erf"),
        ],
        "body",
        [value("state", [1, 16]), value("part", [1, 16])],
        [value("next", [1, 16]), value("seen", [1, 16])],
    )
    shape = [1, 5, 16] if axis == 1 else [5, 1, 16]
    nodes = [
        node("Relu", ["x"], ["h"], "before"),
        node("Scan", ["start", "h"], ["last", "y"], "scan", body=body, num_scan_inputs=1,
             scan_input_axes=[axis], scan_input_directions=[backwards]),
    ]  # fmt: skip
    outs = [value("last", None), value("y", None)]
    return models.model(nodes, [value("x", shape)], outs, [*stored(), weight("start", 1, 16)])


CORPUS = {
    "if": chosen,
    "if in if": twice,
    "loop": loop,
    "scan": lambda: scan(0, 0),
    "scan backwards": lambda: scan(1, 1),
}


def inside(steps: tuple[Step, ...]) -> dict[str, str]:
    """Verdicts of the layers of bodies."""
    return {name: step.verdict for step in steps for name in step.layers if "/" in name}


@pytest.mark.parametrize("name", CORPUS)
def test_what_ran_inside_of_a_body_is_verified(name: str, tmp_path: Path) -> None:
    with opened(models.save(CORPUS[name](), tmp_path)) as checked:
        steps = checked.steps()
        assert_true(checked, steps)
        assert share(checked.job, steps) >= BAR
    assert {"verified"} == set(inside(steps).values())
    layers = {layer.split("/")[1].removesuffix("#2") for layer in inside(steps)}
    assert layers >= {"product0", "product1", "tanh1"}


@pytest.mark.parametrize("name", CORPUS)
def test_wrong_claims_inside_of_a_body_are_refuted_and_mended(name: str, tmp_path: Path) -> None:
    with opened(models.save(CORPUS[name](), tmp_path)) as checked:
        names = [n for step in checked.trace.steps for n in step.layers if "/product" in n]
        right = [step.layers for step in checked.trace.steps]
        pair = swapped(checked, *names[:2])
        steps = checked.steps()
    for i in pair:
        assert steps[i].layers in (right[i], ())
        assert "refuted" in steps[i].verdict or steps[i].layers == right[i]


def test_a_layer_of_the_branch_that_did_not_run_is_no_work_of_a_step(tmp_path: Path) -> None:
    with opened(models.save(chosen(), tmp_path)) as checked:
        step = checked.step("after")
        checked.claim({step: ["else/erf"]})
        told = checked.steps()[step]
    assert "else/erf" not in told.layers


def test_nodes_in_a_branch_that_did_not_run_are_not_checked(tmp_path: Path) -> None:
    with opened(models.save(chosen(), tmp_path)) as checked:
        step = checked.step("after")
        executed = onnx.load(checked.proof.saved.path, load_external_data=False)
        names = [n.name for n in tie(checked.proof.original, executed, executed).nodes]
        wrong = Claim(step, (names.index("else/erf"),), ("after",))
        checked.proof.claims = [wrong if c.step == step else c for c in checked.proof.claims]
        told = checked.steps()[step].verdict
    assert told == "not checked: its branch did not run"


def test_results_of_one_if_may_come_from_several_steps(tmp_path: Path) -> None:
    """A recurrent decoder as exporters write it; the runtime knows which branch it takes."""
    then = [
        node("LSTM", ["x", "w", "r"], ["", "h", "c"], "then/lstm", hidden_size=16),
        node("Squeeze", ["h", "axis"], ["state"], "then/state"),
        node("Squeeze", ["c", "axis"], ["cell"], "then/cell"),
    ]
    other = [node("Identity", ["zeros"], [n], f"else/{n}") for n in ("state2", "cell2")]
    nodes = [
        node("Size", ["x"], ["size"], "size"),
        node("Greater", ["size", "none"], ["goes"], "compare"),
        node("If", ["goes"], ["s", "k"], "choose",
             then_branch=helper.make_graph(
                 then, "then", [], [value("state", None), value("cell", None)]),
             else_branch=helper.make_graph(
                 other, "else", [], [value("state2", None), value("cell2", None)])),
        node("Add", ["s", "k"], ["y"], "after"),
    ]  # fmt: skip
    weights = [weight("w", 1, 64, 8), weight("r", 1, 64, 16), weight("zeros", 2, 16)]
    weights += [whole("none", 0), models.ints("axis", 0)]
    made = models.model(nodes, [value("x", [3, 2, 8])], [value("y", None)], weights)
    with opened(models.save(made, tmp_path)) as checked:
        steps = checked.steps()
        assert_true(checked, steps)
    assert {s.verdict for s in steps if s.layers} == {"verified"}


def test_a_loop_without_iterations_does_not_run_its_body(tmp_path: Path) -> None:
    with opened(models.save(loop(0), tmp_path)) as checked:
        steps = checked.steps()
    assert inside(steps) == {}
    assert all(s.verdict == "verified" for s in steps if s.layers)


def test_bodies_that_cannot_be_run_alone_stay_where_they_are(tmp_path: Path, monkeypatch) -> None:
    """With a node that nobody can run in them, they are left out, and the rest is checked."""
    with opened(models.save(loop(), tmp_path)) as checked:

        def broken(model, taken):
            made = unfolded(model, taken)
            if taken:
                made.model.graph.node.append(node("Relu", ["nowhere"], ["lost"]))
            return made

        monkeypatch.setattr("onnxprof.backends.ort.check.bodies.unfolded", broken)
        steps = checked.steps()
    hidden = "not checked: it runs inside a subgraph, whose values cannot be read"
    assert set(inside(steps).values()) == {hidden}
    assert next(s for s in steps if "before" in s.layers).verdict == "verified"


def test_branches_that_cannot_be_decided_stay_where_they_are() -> None:
    def refused(*_: object) -> dict:
        raise BackendError("it does not run", where="here")

    made = settled(chosen(), refused)
    assert [n.op_type for n in made.graph.nodes].count("If") == 1
    assert not made.skipped


@pytest.mark.parametrize("name", CORPUS)
def test_nodes_are_numbered_as_ties_have_them(name: str) -> None:
    made = CORPUS[name]()
    ties = tie(made, made, made).nodes
    for goes in (True, False):
        taken = {((4, "then_branch"),): goes, ((4, "else_branch"),): not goes, ((1, "body"),): True}
        flat = unfolded(made, taken)
        assert flat.places.keys() | flat.unread.keys() == set(range(len(ties)))
        for number, place in flat.places.items():
            assert flat.graph.nodes[place].name == ties[number].name


def test_names_that_branches_share_are_told_apart() -> None:
    made = models.branching()
    place = [n.op_type for n in made.graph.node].index("If")
    taken = {((place, "then_branch"),): True, ((place, "else_branch"),): False}
    flat = unfolded(made, taken).model
    given = [name for n in flat.graph.node for name in n.output]
    given += [tensor.name for tensor in flat.graph.initializer]
    assert len(given) == len(set(given))
    assert all(n.op_type != "If" for n in flat.graph.node)


def test_deeply_nested_branches(tmp_path: Path) -> None:
    job = workload(models.save(models.nested(12), tmp_path))
    with Checked(job) as checked:
        steps = checked.steps()
    assert {s.verdict for s in steps if s.layers} == {"verified"}
