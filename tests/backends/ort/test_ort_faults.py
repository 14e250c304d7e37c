"""Graphs on which steps were once tied to the wrong layers, or to none, while they said `exact`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import fusions, models
from support.runs import instruction_sets
from support.runs.ort_runs import trace_of, workload

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.graphs.walk import INSERTED
from onnxprof.backends.ort.profile import collect
from onnxprof.errors import BackendError
from onnxprof.measure import cuts
from onnxprof.plugins.backend import Trace
from onnxprof.records.step import Confidence

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

Covered = dict[str, tuple[str, ...]]


def traced(made: onnx.ModelProto, folder: Path) -> Trace:
    return trace_of(workload(models.save(made, folder)))


def covered(trace: Trace) -> Covered:
    """Steps with layers by their names, all of which must be sure."""
    assert {s.confidence for s in trace.steps if s.layers} <= {Confidence.EXACT}
    return {step.name: step.layers for step in trace.steps if step.layers}


def test_half_precision_is_tied_through_the_casts_around_it(tmp_path: Path) -> None:
    trace = traced(instruction_sets.half(), tmp_path)
    assert covered(trace) == {
        **{f"conv{i}": (f"conv{i}", f"relu{i}") for i in range(3)},
        "gap": ("gap",),
    }
    assert {step.op_type for step in trace.steps if not step.layers} <= INSERTED | {"Cast"}


def test_a_quantised_convolution_in_channels_last_is_its_own_step(tmp_path: Path) -> None:
    trace = traced(models.quantised_convolution(), tmp_path)
    found = covered(trace)
    assert found["node_conv"] == ("x_DQ", "node_conv", "conv_Q")
    assert found["conv_DQ"] == ("conv_DQ",)
    assert trace.folded == ("W_DQ",)
    assert next(s for s in trace.steps if s.name == "node_conv").op_type == "QLinearConv"


def test_of_equal_layers_the_surviving_one_is_shared(tmp_path: Path) -> None:
    trace = traced(fusions.merged_duplicates(), tmp_path)
    assert covered(trace) == {
        "conv_a": ("conv_a", "conv_b"),
        **{name: (name,) for name in ("sig", "tanh", "add")},
    }
    (conv,) = (step for step in trace.steps if "conv_a" in step.layers)
    assert len(conv.shared) == 1


def test_tied_weights_on_the_same_input_are_shared_and_on_others_not(tmp_path: Path) -> None:
    nodes = [
        models.node("Gemm", ["x", "w", "b"], ["a"], "first"),
        models.node("Gemm", ["x", "w", "b"], ["c"], "twin"),
        models.node("Relu", ["a"], ["ra"], "relu"),
        models.node("Sigmoid", ["c"], ["rc"], "sigmoid"),
        models.node("Gemm", ["ra", "w", "b"], ["d"], "third"),
        models.node("Gemm", ["rc", "w", "b"], ["e"], "fourth"),
        models.node("Add", ["d", "e"], ["y"], "add"),
    ]
    weights = [models.weight("w", 8, 8), models.weight("b", 8)]
    made = models.model(nodes, [models.value("x", ["N", 8])], [models.value("y", None)], weights)
    found = set(covered(traced(made, tmp_path)).values())
    assert ("first", "twin") in found
    assert {("third",), ("fourth",), ("sigmoid",)} <= found


def test_two_linear_layers_in_a_row_are_two_steps(tmp_path: Path) -> None:
    trace = traced(fusions.linear_twice(), tmp_path)
    assert covered(trace) == {
        "lin1/MatMul": ("lin1/MatMul", "lin1/Add"),
        "lin2/MatMul": ("lin2/MatMul", "lin2/Add"),
        "relu": ("relu",),
    }


def test_inlined_bodies_are_steps_and_can_be_cut(tmp_path: Path) -> None:
    """Their nodes have no names, of which the profile must tell the types all the same."""
    job = workload(models.save(fusions.functions(), tmp_path))
    with OrtBackend().open_traced(job) as session:
        for _ in range(3):
            session.infer()
        trace = session.trace()
        places = cuts.place(trace, 8)
        for prefix in session.prefixes(places):
            prefix.infer()
    assert set(covered(trace)) == {"conv", "norm", "hardswish", "mish"}
    assert len(places) >= 3


def test_inlined_bodies_inside_packed_channels(tmp_path: Path) -> None:
    nodes, before, weights = [], "x", []
    for i, op_type in enumerate(("HardSwish", "Mish", "HardSwish")):
        weights.append(models.weight(f"w{i}", 16, 16, 1, 1, seed=i))
        nodes += [
            models.node("Conv", [before, f"w{i}"], [f"c{i}"], f"conv{i}"),
            models.node(op_type, [f"c{i}"], [f"a{i}"], f"act{i}"),
        ]
        before = f"a{i}"
    image, out = models.value("x", ["N", 16, 8, 8]), models.value("a2", None)
    trace = traced(models.model(nodes, [image], [out], weights, opset=22), tmp_path)
    assert [name for step in trace.steps for name in step.layers] == [n.name for n in nodes]
    assert max(len(step.layers) for step in trace.steps) <= 2


def test_sparse_weights_are_timed(tmp_path: Path) -> None:
    values = helper.make_tensor("W", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    places = helper.make_tensor("W_idx", TensorProto.INT64, [3], [0, 5, 18])
    made = models.model(
        [models.node("MatMul", ["x", "W"], ["h"], "mm"), models.node("Relu", ["h"], ["y"], "relu")],
        [models.value("x", ["N", 4])],
        [models.value("y", ["N", 8])],
    )
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4, 8]))
    assert covered(traced(made, tmp_path)) == {"mm": ("mm",), "relu": ("relu",)}


def dead_branch() -> onnx.ModelProto:
    nodes = [
        models.node("Exp", ["x"], ["d1"], "dead1"),
        models.node("Tanh", ["d1"], ["d2"], "dead2"),
        models.node("Relu", ["x"], ["y"], "live"),
    ]
    return models.model(nodes, [models.value("x", ["N", 8])], [models.value("y", ["N", 8])])


def test_a_graph_with_a_dead_branch_is_cut_anywhere(tmp_path: Path) -> None:
    job = workload(models.save(dead_branch(), tmp_path))
    with OrtBackend().open_traced(job) as session:
        session.infer()
        trace = session.trace()
        prefixes = session.prefixes(range(trace.length + 1))
        for prefix in prefixes:
            prefix.infer()
        np.testing.assert_array_equal(prefixes[-1].values()["y"], np.maximum(job.inputs["x"], 0))


def test_shapes_known_while_loading_are_folded(tmp_path: Path) -> None:
    trace = traced(models.tf_style(), tmp_path)
    assert set(trace.folded) >= {"model/Shape", "model/strided_slice", "model/pack"}
    assert ("model/Reshape",) in covered(trace).values()


def test_names_that_clash_with_those_of_the_runtime(tmp_path: Path) -> None:
    """Nodes are called like other tensors, tensors like what the layout optimiser inserts."""
    nodes = [
        models.node("Conv", ["x", "w"], ["relu"], "ReorderOutput", pads=[1] * 4),
        models.node("Relu", ["relu"], ["reorder_token_0"], "tanh"),
        models.node("Tanh", ["reorder_token_0"], ["add"], "relu"),
        models.node("Conv", ["add", "w"], ["tanh"], "InsertedCast", pads=[1] * 4),
        models.node("Add", ["tanh", "reorder_token_0"], ["y"], "add"),
    ]
    image, out = models.value("x", ["N", 16, 8, 8]), models.value("y", None)
    made = models.model(nodes, [image], [out], [models.weight("w", 16, 16, 3, 3)])
    assert set(covered(traced(made, tmp_path)).values()) == {
        ("ReorderOutput", "tanh"),
        ("relu",),
        ("InsertedCast", "add"),
    }


def test_transposes_moved_about_do_not_move_layers(tmp_path: Path) -> None:
    """A network in channels last, whose transposes the runtime cancels."""
    nodes = [
        models.node("Transpose", ["x"], ["t"], "to1", perm=[0, 3, 1, 2]),
        models.node("Conv", ["t", "w"], ["a"], "conv1", pads=[1] * 4),
        models.node("Transpose", ["a"], ["ta"], "from1", perm=[0, 2, 3, 1]),
        models.node("Relu", ["ta"], ["ra"], "relu1"),
        models.node("Transpose", ["ra"], ["tb"], "to2", perm=[0, 3, 1, 2]),
        models.node("Conv", ["tb", "w"], ["b"], "conv2", pads=[1] * 4),
        models.node("Transpose", ["b"], ["tc"], "from2", perm=[0, 2, 3, 1]),
        models.node("Softmax", ["tc"], ["y"], "soft", axis=-1),
    ]
    image, out = models.value("x", ["N", 8, 8, 16]), models.value("y", None)
    trace = traced(
        models.model(nodes, [image], [out], [models.weight("w", 16, 16, 3, 3)]), tmp_path
    )
    owner = {name: step.name for step in trace.steps for name in step.layers}
    assert owner["conv1"] == owner["relu1"] == "conv1"
    assert owner["conv2"] == "conv2"
    assert owner["soft"] == "soft"


@pytest.mark.parametrize(("op_type", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_recurrence_both_ways(op_type: str, gates: int, tmp_path: Path) -> None:
    nodes = [
        models.node("Transpose", ["x"], ["t"], "to_time", perm=[1, 0, 2]),
        models.node(op_type, ["t", "w", "r"], ["s"], "rnn", hidden_size=5,
                    direction="bidirectional"),
        models.node("Transpose", ["s"], ["y"], "from_time", perm=[2, 0, 1, 3]),
    ]  # fmt: skip
    weights = [models.weight("w", 2, gates * 5, 3), models.weight("r", 2, gates * 5, 5)]
    image, out = models.value("x", ["N", 7, 3]), models.value("y", None)
    trace = traced(models.model(nodes, [image], [out], weights), tmp_path)
    assert covered(trace) == {name: (name,) for name in ("to_time", "rnn", "from_time")}


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_every_convolution_of_a_quantised_network_is_a_step(
    form: str, per_channel: bool, tmp_path: Path
) -> None:
    quantization = pytest.importorskip("onnxruntime.quantization")
    source, target = models.save(residual(), tmp_path), tmp_path / "int8.onnx"
    if form == "dynamic":
        quantization.quantize_dynamic(source, target, per_channel=per_channel)
    else:
        options = {"quant_format": quantization.QuantFormat[form], "per_channel": per_channel}
        quantization.quantize_static(source, target, Reader(), **options)
    job = workload(target)
    try:
        trace = trace_of(job)
    except BackendError as error:
        if "NOT_IMPLEMENTED" not in str(error):
            raise
        pytest.skip("this onnxruntime has no kernel for signed 8-bit weights of a ConvInteger")
    covered(trace)
    claims = Counter(name for step in trace.steps for name in step.layers)
    assert max(claims.values()) == 1
    assert {layer.name for layer in job.table.nodes} <= claims.keys() | set(trace.folded)
    work = [
        sum("Conv" in layer.op_type for layer in job.table.nodes if layer.name in step.layers)
        for step in trace.steps
    ]
    assert max(work) == 1
    assert sum(work) == 4


class Reader:
    """Calibration data for static quantisation."""

    def __init__(self) -> None:
        self._left = [np.random.default_rng(i).normal(size=(1, 16, 8, 8)) for i in range(2)]

    def get_next(self):
        return {"x": self._left.pop().astype(np.float32)} if self._left else None

    def set_range(self, *_: int) -> None:
        """All of it is one range."""


def residual() -> onnx.ModelProto:
    """Convolutions, one of them read by two, an Add and a pooling."""
    nodes = []
    for name, before, after in (("c0", "x", "r0"), ("c1", "r0", "r1"), ("c2", "r1", "r2")):
        nodes += [
            models.node("Conv", [before, f"w{name}"], [name], f"conv_{name}", pads=[1] * 4),
            models.node("Relu", [name], [after], f"relu_{name}"),
        ]
    nodes += [
        models.node("Add", ["r2", "r0"], ["s"], "add"),
        models.node("Conv", ["s", "wc3"], ["c3"], "conv_c3"),
        models.node("GlobalAveragePool", ["c3"], ["y"], "pool"),
    ]
    weights = [models.weight(f"wc{i}", 16, 16, 3, 3, seed=i) for i in range(4)]
    image, out = models.value("x", [1, 16, 8, 8]), models.value("y", [1, 16, 1, 1])
    return models.model(nodes, [image], [out], weights)


def test_time_inside_a_loop_is_counted_once() -> None:
    """Whatever the profile calls the node, its operator says that it runs a graph of its own."""
    events = [
        _event("inner", "MatMul", 12, 30),
        _event("inner", "MatMul", 45, 40),
        _event("Loop_3", "Loop", 10, 80),
        {"cat": "Session", "name": "model_run", "ts": 0, "dur": 100},
    ]
    profile = collect(events, ())
    told = {key[0]: sum(times.values()) for key, times in profile.steps.items()}
    assert told == {"inner": 70_000, "Loop_3": 10_000}


def _event(name: str, operator: str, start: int, length: int) -> dict:
    arguments = {"op_name": operator, "node_index": "0"}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": start, "dur": length,
            "args": arguments}  # fmt: skip


def test_constants_stay_apart_when_large() -> None:
    """Only small ones are shared by the runtime, so equal large ones are no twins."""
    from onnxprof.provenance.onnx_graph import read_graph

    made = helper.make_graph(
        [], "g", [], [],
        [numpy_helper.from_array(np.zeros(n, np.float32), f"c{n}{i}") for n in (1, 64)
         for i in range(2)],
    )  # fmt: skip
    contents = read_graph(made).contents
    assert contents["c10"] == contents["c11"]
    assert "c640" not in contents


def branch_named_by_number() -> onnx.ModelProto:
    """As exporters number nodes, which is as the runtime's profile calls nodes without a name."""

    def branch(name: str, *operators: str) -> onnx.GraphProto:
        tensors = ["t", *(f"{name}{i}" for i, _ in enumerate(operators))]
        nodes = [
            models.node(operator, [before], [after], f"{operator}_{i}")
            for i, (operator, before, after) in enumerate(
                zip(operators, tensors, tensors[1:], strict=False)
            )
        ]
        return onnx.helper.make_graph(nodes, name, [], [models.value(tensors[-1], None)])

    nodes = [
        models.node("Equal", ["rate", "one"], ["is_one"], "Equal_0"),
        models.node("Softmax", ["x"], ["t"], "Softmax_1", axis=-1),
        models.node("If", ["is_one"], ["u"], "If_2", then_branch=branch("a", "Exp", "Neg"),
                    else_branch=branch("b", "Sin", "Cos")),
        models.node("Softmax", ["u"], ["y"], "Softmax_2", axis=-1),
    ]  # fmt: skip
    ends = [models.value("x", [2, 4]), models.value("rate", [], models.INT64)]
    one = onnx.numpy_helper.from_array(np.array(1, np.int64), "one")
    return models.model(nodes, ends, [models.value("y", None)], [one])


def test_nodes_that_are_named_by_their_numbers_have_their_layers(tmp_path: Path) -> None:
    job = workload(models.save(branch_named_by_number(), tmp_path))
    with OrtBackend().open_traced(job) as session:
        session.infer()
        trace = session.trace()
        for prefix in session.prefixes(range(trace.length + 1)):
            prefix.infer()
    assert [step.name for step in trace.steps if not step.layers] == []
    owners = covered(trace)
    for name in ("Equal_0", "Softmax_1", "If_2", "Softmax_2"):
        assert owners[name] == (name,)
    assert len(owners) == 6
