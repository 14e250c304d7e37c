"""Costs of whole files: bodies, functions, parameters, stored runs, size."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.networks import models
from support.networks.models import BOOL, INT64, node, value, weight
from support.networks.written_layers import skeleton

from onnxprof.cost.count import costs, total
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.cost import LayerCost
from onnxprof.store.encoding import run_from_json, run_to_json
from onnxprof.testing import sample_run


def counted(made: onnx.ModelProto, folder, batch: int = 1, **dims: int) -> dict[str, LayerCost]:
    opened = open_model(str(models.save(made, folder)))
    return {cost.layer: cost for cost in costs(inspect(opened, batch, dims))}


def flops(cost: LayerCost) -> int:
    assert cost.operations is not None, cost.unknown
    return cost.operations.flops


def branches(small: int, large: int) -> onnx.ModelProto:
    """An If between so many Relus of 8 elements."""

    def body(name: str, count: int) -> onnx.GraphProto:
        names = ["x", *(f"{name}{i}" for i in range(count))]
        nodes = [node("Relu", [a], [b], b) for a, b in itertools.pairwise(names)]
        return helper.make_graph(nodes, name, [], [value(names[-1], ["N", 8])])

    choice = node(
        "If", ["c"], ["y"], "choice", then_branch=body("t", small), else_branch=body("e", large)
    )
    inputs = [value("c", [], BOOL), value("x", ["N", 8])]
    return models.model([choice], inputs, [value("y", ["N", 8])])


@pytest.mark.parametrize(("then", "other"), [(1, 3), (3, 1)])
def test_of_two_branches_the_one_that_costs_more_counts(tmp_path, then, other):
    found = counted(branches(then, other), tmp_path)
    whole = total(found.values())
    assert whole.operations.flops == 24
    left = [cost for cost in found.values() if cost.left_out]
    assert len(left) == 1
    kept = "else_branch" if other > then else "then_branch"
    assert left[0].left_out.startswith(f"{kept} of choice")
    assert flops(left[0]) == 8


def loop(trips: int | None, scans: bool = False) -> onnx.ModelProto:
    """A Loop that adds a weight to 4 elements."""
    outputs = [value("goes", [], BOOL), value("b", ["N", 4])]
    nodes = [node("Identity", ["go"], ["goes"], "pass"), node("Add", ["a", "one"], ["b"], "add")]
    if scans:
        nodes.append(node("Mul", ["b", "b"], ["q"], "square"))
        outputs.append(value("q", ["N", 4]))
    body = helper.make_graph(
        nodes, "body", [value("i", [], INT64), value("go", [], BOOL), value("a", ["N", 4])],
        outputs,
        [weight("one", 4)],
    )  # fmt: skip
    made = ["y", "stack"] if scans else ["y"]
    times = "m" if trips is not None else "n"
    whole = node("Loop", [times, "", "x"], made, "loop", body=body)
    inputs = [value("x", ["N", 4])]
    stored = []
    if trips is None:
        inputs.append(value("n", [], INT64))
    else:
        stored.append(numpy_helper.from_array(np.array(trips, np.int64), "m"))
    shown = [value("y", ["N", 4]), *([value("stack", None)] if scans else [])]
    return models.model([whole], inputs, shown, stored)


def test_a_loop_counts_its_body_as_often_as_it_runs(tmp_path):
    found = counted(loop(5), tmp_path)
    assert found["add"].times == 5
    assert flops(found["add"]) == 5 * 4
    assert found["add"].bound  # its condition may end it
    assert flops(found["loop"]) == 0


def test_a_loop_that_stacks_tells_its_trips_by_its_output(tmp_path):
    found = counted(loop(5, scans=True), tmp_path)
    assert found["square"].times == 5
    assert not found["square"].bound
    assert found["loop"].written_bytes == 5 * 4 * 4
    # once a trip it reads its weight again
    assert found["add"].read_bytes == 5 * (16 + 16)


def test_a_loop_of_unknown_length_is_counted_once_and_says_at_least(tmp_path):
    found = counted(loop(None), tmp_path)
    assert found["add"].times is None
    assert found["add"].at_least
    assert flops(found["add"]) == 4
    assert total(found.values()).at_least


def test_a_scan_runs_along_its_input(tmp_path):
    body = helper.make_graph(
        [node("Add", ["s", "e"], ["t"], "add"), node("Identity", ["t"], ["o"], "same")],
        "body",
        [value("s", ["N", 3]), value("e", ["N", 3])],
        [value("t", ["N", 3]), value("o", ["N", 3])],
    )
    scan = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}
    made = models.model(
        [node("Scan", ["s0", "x"], ["last", "all"], "scan", body=body, **scan)],
        [value("s0", ["N", 3]), value("x", ["N", 7, 3])],
        [value("last", ["N", 3]), value("all", ["N", 7, 3])],
    )
    found = counted(made, tmp_path)
    assert found["add"].times == 7
    assert flops(found["add"]) == 21
    assert found["scan"].written_bytes == 7 * 3 * 4


def test_loops_in_loops_multiply(tmp_path):
    inner = loop(3).graph.node[0]
    inner.name = "inner"
    del inner.input[:]
    inner.input.extend(["k", "", "a"])
    outer = helper.make_graph(
        [node("Identity", ["go"], ["goes"], "on"), inner],
        "outer",
        [value("i", [], INT64), value("go", [], BOOL), value("a", ["N", 4])],
        [value("goes", [], BOOL), value("y", ["N", 4])],
        [numpy_helper.from_array(np.array(3, np.int64), "k")],
    )
    made = models.model(
        [node("Loop", ["m", "", "x"], ["z"], "outer", body=outer)],
        [value("x", ["N", 4])],
        [value("z", ["N", 4])],
        [numpy_helper.from_array(np.array(2, np.int64), "m")],
    )
    assert counted(made, tmp_path)["add"].times == 6


def test_functions_count_by_their_bodies(tmp_path):
    body = [node("Relu", ["a"], ["b"], "relu"), node("Add", ["b", "a"], ["c"], "add")]
    function = helper.make_function(
        "mine", "Twice", ["a"], ["c"], body, [helper.make_opsetid("", 17)]
    )
    made = models.model(
        [
            helper.make_node("Twice", ["x"], ["m"], "one", domain="mine"),
            helper.make_node("Twice", ["m"], ["y"], "two", domain="mine"),
        ],
        [value("x", ["N", 8])],
        [value("y", ["N", 8])],
        domains=["mine"],
        functions=[function],
    )
    assert total(counted(made, tmp_path, 3).values()).operations.flops == 2 * 2 * 3 * 8


def test_an_integer_network_has_its_parameters_where_they_are_read(tmp_path):
    made = models.model(
        [
            node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], "weights"),
            node("Constant", [], ["b"], "held", value=weight("v", 5)),
            node("Gemm", ["x", "wf", "b"], ["y"], "gemm"),
            node("Gemm", ["y", "wf2", "b"], ["z"], "again"),
        ],
        [value("x", ["N", 4])],
        [value("z", None)],
        [
            numpy_helper.from_array(np.ones((4, 5), np.int8), "w"),
            numpy_helper.from_array(np.ones(5, np.float32), "ws"),
            numpy_helper.from_array(np.zeros(5, np.int8), "wz"),
            weight("wf2", 5, 5),
        ],
    )
    found = counted(made, tmp_path)
    assert {n: c.parameters for n, c in found.items() if c.parameters} == {
        "weights": 20, "gemm": 5, "again": 25,
    }  # fmt: skip
    opened = open_model(str(tmp_path / "model.onnx"))
    assert total(found.values()).parameters == opened.parameters == 50


@pytest.mark.parametrize("name", ["squeezenet", "mask-rcnn", "bert-base"])
def test_parameters_of_layers_sum_up_to_those_of_the_file(name):
    opened = skeleton(name)
    found = costs(inspect(opened, 1, {"sequence": 8} if name == "bert-base" else {}))
    assert total(found).parameters == opened.parameters


@pytest.mark.parametrize("name", ["squeezenet", "resnet18", "bert-base", "gnmt"])
def test_cost_at_a_batch_is_the_batch_times_what_scales_and_the_rest(name):
    opened = skeleton(name)
    dims = {"bert-base": {"sequence": 16}, "gnmt": {"sequence": 6, "target": 5}}.get(name, {})
    one, two, nine = (total(costs(inspect(opened, b, dims))) for b in (1, 2, 9))
    for figure in (
        lambda t: t.operations.macs,
        lambda t: t.operations.flops,
        lambda t: t.read_bytes,
        lambda t: t.written_bytes,
    ):
        scales = figure(two) - figure(one)
        rest = figure(one) - scales
        assert scales > 0
        assert rest >= 0
        assert figure(nine) == 9 * scales + rest
    assert one.operations.macs * 9 == nine.operations.macs  # every product scales
    assert one.parameters == nine.parameters


def test_a_stored_run_has_the_costs_of_its_model():
    run = sample_run()
    again = run_from_json(run_to_json(run))
    assert costs(again.table) == costs(run.table)


def test_operands_that_are_left_out_survive_storage(tmp_path):
    made = models.model(
        [node("Clip", ["x", "", "high"], ["y"], "clip")],
        [value("x", ["N", 4])],
        [value("y", None)],
        [numpy_helper.from_array(np.array(1, np.float32), "high")],
    )
    from dataclasses import replace

    table = inspect(open_model(str(models.save(made, tmp_path))), 2)
    again = run_from_json(run_to_json(replace(sample_run(), table=table, steps=())))
    assert again.table.nodes[0].absent_inputs == (1,)
    assert costs(again.table) == costs(table)
    assert costs(table)[0].operations.comparisons == 8


def test_five_thousand_layers_are_counted_in_one_pass(tmp_path, monkeypatch):
    """Work, not time: each layer's formula is asked for once, each row is looked at a few times."""
    from onnxprof.cost import count

    names = [f"t{i}" for i in range(5001)]
    nodes = [node("Relu", [a], [b], b) for a, b in itertools.pairwise(names)]
    made = models.model(nodes, [value("t0", ["N", 4])], [value("t5000", None)])
    table = inspect(open_model(str(models.save(made, tmp_path))), 1)
    asked: list[str] = []
    plain = count.formula_of
    monkeypatch.setattr(
        count, "formula_of", lambda op, domain: asked.append(op) or plain(op, domain)
    )
    assert total(costs(table)).operations.flops == 20_000
    assert len(asked) == 5_000


def test_an_unused_name_of_a_parent_does_no_harm():
    """A stored table may name a parent that it does not have."""
    from support.networks.written_layers import layer

    from onnxprof.records.layer import Layer, LayerTable

    made = layer("Relu", [(4,)], [(4,)])
    fields = {name: getattr(made, name) for name in made.__slots__}
    lost = Layer(**{**fields, "parent": "gone", "subgraph": "body"})
    (cost,) = costs(LayerTable((lost,), 1))
    assert flops(cost) == 4
