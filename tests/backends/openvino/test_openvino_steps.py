"""What OpenVINO says, recorded: counters, the graph that runs, messages, devices. No runtime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.backends.openvino.counters import Counters, step_times
from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.graphs import tie, with_bodies
from onnxprof.backends.openvino.graphs.marks import MARK
from onnxprof.backends.openvino.graphs.steps import Listed, runs, settled, strangers
from onnxprof.provenance.ties import Ties
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence


def m(number: int) -> str:
    return f"{MARK}{number}~"


def chain(*layers: tuple[str, str], constants: tuple[str, ...] = ()) -> Graph:
    """Layers one after the other, from x to y; each a name and an operator."""
    nodes, tensor = [], "x"
    for name, operator in layers:
        nodes.append(GraphNode(name, operator, (tensor, *constants), (f"{name}_out",)))
        tensor = f"{name}_out"
    return Graph(tuple(nodes), frozenset(constants), (tensor,))


def run(*nodes: RuntimeNode) -> list[RuntimeNode]:
    return [RuntimeNode("x", "Input", "x", "unknown_f32", (), False), *nodes]


def work(kind: str, originals: str, *inputs: int, ran: bool = True) -> RuntimeNode:
    return RuntimeNode(originals.rpartition(",")[2] or kind, kind, originals, "jit", inputs, ran)


def covering(ties: Ties) -> list[tuple[tuple[int, ...], tuple[str, ...]]]:
    return [(step.members, step.layers) for step in ties.steps]


CONV_BN_RELU = chain(("conv", "Conv"), ("bn", "BatchNormalization"), ("relu", "Relu"))


def test_a_folded_batch_norm_that_lost_its_convolutions_name() -> None:
    """As OpenVINO lists it: `Multiply_9004,bn,relu`; the slice brings the convolution back."""
    marks = {m(1): ("conv",), m(2): ("bn",), m(3): ("relu",)}
    nodes = run(work("Convolution", f"Multiply_9004,{m(2)},{m(3)}", 0))
    (step,) = tie(CONV_BN_RELU, nodes, marks).steps
    assert step.layers == ("conv", "bn", "relu")
    assert step.confidence is Confidence.EXACT


def test_an_inserted_reorder_is_a_step_of_its_own_without_layers() -> None:
    marks = {m(1): ("conv",), m(2): ("bn",), m(3): ("relu",)}
    nodes = run(
        RuntimeNode("x_abcd_acdb_conv", "Reorder", "", "jit_f32", (0,)),
        work("Convolution", f"{m(1)},{m(2)}", 1),
        work("Eltwise", m(3), 2),
    )
    assert covering(tie(CONV_BN_RELU, nodes, marks)) == [
        ((1,), ()),
        ((2,), ("conv", "bn")),
        ((3,), ("relu",)),
    ]


def test_the_nodes_of_one_layer_are_one_step() -> None:
    """DynamicQuantizeLinear: two reductions and a subgraph, each a part of the layer."""
    original = chain(("quantise", "DynamicQuantizeLinear"), ("scale", "Mul"))
    marks = {m(1): ("quantise",), m(2): ("quantise",), m(3): ("quantise",), m(4): ("scale",)}
    nodes = run(
        work("Reduce", m(1), 0),
        work("Reduce", m(2), 0),
        work("Subgraph", f"{m(3)},{m(4)}", 0, 1, 2),
    )
    ((members, layers),) = covering(tie(original, nodes, marks))
    assert members == (1, 2, 3)
    assert layers == ("quantise", "scale")


def test_nodes_without_a_mark_take_the_layers_that_nobody_names() -> None:
    """A bidirectional LSTM becomes two sequences and a Concat with names of the runtime's."""
    original = chain(("before", "Reshape"), ("lstm", "LSTM"), ("after", "Gemm"))
    marks = {m(1): ("before",), m(3): ("after",)}
    nodes = run(
        work("Subgraph", m(1), 0),
        work("RNNSeq", "LSTMSequence_34760", 1),
        work("RNNSeq", "LSTMSequence_34761", 1),
        work("Concatenation", "LSTMSequence_444.0", 2, 3, ran=False),
        work("FullyConnected", m(3), 4),
    )
    ties = tie(original, nodes, marks)
    assert covering(ties) == [((1,), ("before",)), ((2, 3), ("lstm",)), ((5,), ("after",))]
    assert ties.steps[1].confidence is Confidence.EXACT
    assert "kind" in ties.steps[1].evidence


def test_nodes_without_a_mark_take_the_layers_of_what_is_in_place_behind_them() -> None:
    """An old Softmax is Reshape, Softmax, Reshape: only the last has the layer's name."""
    original = chain(("softmax", "Softmax"))
    nodes = run(
        work("Softmax", "Softmax_5944", 0),
        work("Reshape", m(1), 1, ran=False),
    )
    assert covering(tie(original, nodes, {m(1): ("softmax",)})) == [((1,), ("softmax",))]


def test_nodes_without_a_mark_are_else_a_part_of_the_next_nodes_work() -> None:
    original = chain(("scale", "Mul"), ("conv", "ConvInteger"))
    nodes = run(
        work("Subgraph", m(1), 0),
        work("Convert", "Convert_51", 1),
        work("Eltwise", "Multiply_8983,Subtract_53", 2),
        work("Convolution", m(2), 3),
    )
    marks = {m(1): ("scale",), m(2): ("conv",)}
    assert covering(tie(original, nodes, marks)) == [((1,), ("scale",)), ((2, 3, 4), ("conv",))]


def test_layers_that_are_constant_are_nobodys_to_take() -> None:
    """At another batch size the Concat behind an LSTM is work; its states come from sizes."""
    original = Graph(
        (
            GraphNode("before", "Reshape", ("x",), ("b",)),
            GraphNode("size", "Shape", ("b",), ("s",)),
            GraphNode("state", "Expand", ("s",), ("h",)),
            GraphNode("lstm", "LSTM", ("b", "h"), ("y",)),
        ),
        frozenset({"s"}),
        ("y",),
    )
    marks = {m(1): ("before",), m(2): ("lstm",)}
    nodes = run(
        work("Reshape", m(1), 0, ran=False),
        work("RNNSeq", "LSTMSequence_5157", 1),
        work("RNNSeq", "LSTMSequence_5158", 1),
        work("Concatenation", f"{m(2)}.0", 2, 3),
    )
    ties = tie(original, nodes, marks)
    assert covering(ties) == [((2, 3, 4), ("lstm",))]
    assert ties.folded == ("size", "state")


def test_a_transpose_that_sank_into_two_branches_joins_neither_of_them_to_the_other() -> None:
    turned = GraphNode("turn", "Transpose", ("x",), ("t",))
    left, right = GraphNode("a", "Conv", ("t",), ("l",)), GraphNode("b", "Conv", ("t",), ("r",))
    original = Graph((turned, left, right), frozenset(), ("l", "r"))
    marks = {m(1): ("turn",), m(2): ("a",), m(3): ("b",)}
    nodes = run(work("Convolution", f"{m(1)},{m(2)}", 0), work("Convolution", f"{m(1)},{m(3)}", 0))
    assert covering(tie(original, nodes, marks)) == [((1,), ("turn", "a")), ((2,), ("b",))]


def test_what_the_graph_holds_as_a_constant_is_folded() -> None:
    original = Graph(
        (
            GraphNode("size", "NonZero", ("x",), ("s",)),
            GraphNode("fill", "Expand", ("s",), ("f",)),
            GraphNode("add", "Add", ("x", "f"), ("y",)),
        ),
        frozenset(),
        ("y",),
    )
    nodes = run(
        RuntimeNode(m(2), "Const", m(2), "unknown_f32", (), False), work("Eltwise", m(3), 0, 1)
    )
    ties = tie(original, nodes, {m(1): ("size",), m(2): ("fill",), m(3): ("add",)})
    assert covering(ties) == [((2,), ("add",))]
    assert ties.folded == ("size", "fill")


def test_what_reads_constants_alone_ran_while_loading() -> None:
    """MatMul's weights are transposed once; that node carries the MatMul's mark."""
    nodes = settled(
        [
            RuntimeNode("w", "Const", "w", "unknown_f32", (), False),
            RuntimeNode(f"{m(1)}/transpose_b", "Transpose", f"{m(1)}/transpose_b", "jit", (0,)),
            RuntimeNode(m(1), "FullyConnected", m(1), "gemm", (1, 3)),
            RuntimeNode("x", "Input", "x", "unknown_f32", (), False),
        ][i]
        for i in (0, 1)
    )
    assert [(node.kind, node.ran, node.originals) for node in nodes] == [
        ("Const", False, "w"),
        ("Const", False, ""),
    ]


def test_a_control_flow_step_covers_what_is_inside() -> None:
    ties = tie(chain(("loop", "Loop")), run(work("Loop", m(1), 0)), {m(1): ("loop",)})
    (step,) = with_bodies(ties, lambda layers: (*layers, "double", "still")).steps
    assert step.layers == ("loop", "double", "still")
    assert step.confidence is Confidence.INFERRED


def test_what_only_the_counters_know_is_tied_by_its_name() -> None:
    listed = {
        f"convolution:{m(1)}": Listed("Convolution", "ocl", 40),
        "relu": Listed("Relu", "undef", 0),
        m(2): Listed("Pooling", "ocl", 5),
    }
    found = strangers(listed, {m(2)})
    assert [(node.name, node.originals) for node in found] == [(f"convolution:{m(1)}",) * 2]
    ties = tie(chain(("conv", "Conv")), run(*found), {m(1): ("conv",)})
    assert covering(ties) == [((1,), ("conv",))]


@pytest.mark.parametrize(
    ("kind", "implementation", "micros", "expected"),
    [
        ("Convolution", "brgconv_avx2_f32", 0, True),  # less than a microsecond
        ("Transpose", "unknown_f32", 0, True),
        ("Reshape", "unknown_f32", 0, False),
        ("Concatenation", "unknown_f32", 0, False),
        ("Concatenation", "ref_f32", 0, True),
        ("Reorder", "reorder_f32", 0, False),
        ("Reorder", "jit_uni_f32", 0, True),
        ("Reorder", "reorder_f32", 3, True),
        ("Const", "unknown_f32", 0, False),
        ("Input", "unknown_f32", 5, False),
    ],
)
def test_which_nodes_are_work(kind, implementation, micros, expected) -> None:
    assert runs(kind, implementation, micros) is expected


@st.composite
def recorded(draw: st.DrawFn) -> tuple[Graph, list[RuntimeNode], dict[str, tuple[str, ...]]]:
    """A random graph, and random claims about it by a random graph that runs."""
    count = draw(st.integers(1, 8))
    tensors = ["x"]
    layers = []
    for i in range(count):
        read = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=2, unique=True))
        layers.append(GraphNode(f"n{i}", "Op", tuple(read), (f"t{i}",)))
        tensors.append(f"t{i}")
    ends = draw(st.lists(st.sampled_from(tensors[1:]), min_size=1, unique=True))
    names = [layer.name for layer in layers]
    marks = {
        m(i): tuple(draw(st.lists(st.sampled_from(names), max_size=2, unique=True)))
        for i in range(count + 2)
    }
    nodes = [RuntimeNode("x", "Input", "x", "unknown_f32", (), False)]
    for i in range(draw(st.integers(1, 8))):
        said = draw(st.lists(st.sampled_from([*marks, "Multiply_7", ""]), max_size=3))
        kind = draw(st.sampled_from(["Eltwise", "Reorder", "Const", "Reshape"]))
        inputs = draw(st.lists(st.integers(0, i), max_size=2))
        ran = kind != "Const" and draw(st.booleans())
        nodes.append(RuntimeNode(f"r{i}", kind, ",".join(said), "jit", tuple(inputs), ran))
    return Graph(tuple(layers), frozenset(), tuple(ends)), nodes, marks


@given(recorded())
def test_each_node_that_ran_is_in_one_step_and_each_layer_in_at_most_one(case) -> None:
    original, nodes, marks = case
    ties = tie(original, nodes, marks)
    members = [place for step in ties.steps for place in step.members]
    assert sorted(members) == [place for place, node in enumerate(nodes) if node.ran]
    layers = [name for step in ties.steps for name in step.layers]
    assert len(layers) == len(set(layers))
    assert not set(layers) & set(ties.folded)
    assert set(layers) | set(ties.folded) <= {node.name for node in original.nodes}


class Plugin:
    """Counts as the CPU plugin does: whole microseconds, and a whole quotient."""

    def __init__(self) -> None:
        self.total: dict[str, int] = {}
        self.count = 0

    def infer(self, micros: dict[str, float]) -> None:
        self.count += 1
        for name, value in micros.items():
            self.total[name] = self.total.get(name, 0) + int(value)

    def read(self) -> dict[str, int]:
        return {name: total // self.count for name, total in self.total.items()}


def counted(inferences: list[dict[str, float]], rest: float = 5.0, cost_ns: int = 20_000):
    """The counters of those inferences, each `rest` microseconds longer than its nodes."""
    plugin, counters = Plugin(), Counters()
    for nodes in inferences:
        plugin.infer(nodes)
        counters.add(int(1000 * (sum(nodes.values()) + rest)))
        if counters.is_due():
            counters.read(plugin.read(), cost_ns)
    if counters.readings[-1].count < plugin.count:
        counters.read(plugin.read(), cost_ns)
    return counters


def test_the_slow_first_inference_is_in_no_others_time() -> None:
    counters = counted([{"a": 90_000.0, "b": 500.0}, *[{"a": 100.0, "b": 50.0}] * 300])
    times = step_times(["a", "b"], counters)
    assert times[0, 0] == 90_000_000
    assert np.median(times, axis=1) == pytest.approx([100_000, 50_000], abs=2_000)


def test_medians_survive_outliers_and_drift() -> None:
    rng = np.random.default_rng(7)
    inferences = []
    for number in range(200):
        slow = 1.0 + number / 1000
        nodes = {"a": 2000 * slow, "b": 300 * slow, "c": 40 * slow}
        if rng.random() < 0.05:
            nodes[str(rng.choice(list(nodes)))] += 20_000
        inferences.append(nodes)
    times = step_times(["a", "b", "c"], counted(inferences))
    true = [np.median([nodes[name] for nodes in inferences]) * 1000 for name in "abc"]
    assert np.median(times, axis=1) == pytest.approx(true, rel=0.08)


@given(
    st.lists(
        st.fixed_dictionaries({"a": st.floats(0, 5000), "b": st.floats(0, 50)}),
        min_size=1,
        max_size=80,
    )
)
def test_a_nodes_time_over_all_inferences_is_its_counters(inferences) -> None:
    """Within two microseconds an inference: each duration and each mean is rounded down."""
    counters = counted(inferences)
    times = step_times(["a", "b"], counters)
    assert (times >= 0).all()
    assert times.shape == (2, len(inferences))
    for row, name in enumerate("ab"):
        true = 1000 * sum(nodes[name] for nodes in inferences)
        assert abs(int(times[row].sum()) - true) <= 2_000 * len(inferences)


def test_readings_of_the_last_inference_are_taken_as_they_are() -> None:
    counters = Counters()
    for micros in (100, 100, 200, 200):
        counters.add(micros * 2000)
        counters.read({"a": micros})
    times = step_times(["a"], counters, means=False)
    assert times.tolist() == [[100_000, 100_000, 200_000, 200_000]]


def test_reading_is_rare_where_it_costs_much_and_each_time_where_it_costs_nothing() -> None:
    short = counted([{"a": 20.0}] * 1000)
    slow = counted([{"a": 50_000.0}] * 30)
    assert len(short.readings) < 40
    assert len(slow.readings) == 30
