"""Steps to layers: hand-made fusions, then random graphs under random fusions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from onnxprof.provenance.slice import Anchor, assign, extend_forward
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence


def node(name: str, inputs: str, op_type: str = "Op", digest: str = "") -> GraphNode:
    return GraphNode(name, op_type, tuple(inputs.split()), (f"{name}_out",), (), digest)


def anchor(step: int, *tensors: str, rank: int = 0) -> Anchor:
    return Anchor(step, tensors, Confidence.EXACT, "test", rank)


CHAIN = Graph(
    (
        node("conv", "x w", "Conv"),
        node("bn", "conv_out s", "BatchNormalization"),
        node("relu", "bn_out", "Relu"),
        node("pool", "relu_out", "MaxPool"),
    ),
    frozenset({"w", "s"}),
)


def test_a_fused_step_covers_what_lies_between_its_boundaries() -> None:
    found = assign(CHAIN, [anchor(0, "relu_out"), anchor(1, "pool_out")])
    assert found.layers == {0: ("conv", "bn", "relu"), 1: ("pool",)}
    assert found.folded == ()
    assert not found.inferred


def test_without_a_boundary_the_slice_reaches_the_graph_input() -> None:
    assert assign(CHAIN, [anchor(0, "pool_out")]).layers == {0: ("conv", "bn", "relu", "pool")}


def test_layers_computed_from_constants_are_folded_not_covered() -> None:
    graph = Graph(
        (
            node("scale", "w", "Reshape"),
            node("twice", "scale_out", "Mul"),
            node("mm", "x twice_out"),
        ),
        frozenset({"w"}),
    )
    found = assign(graph, [anchor(0, "mm_out")])
    assert found.layers == {0: ("mm",)}
    assert found.folded == ("scale", "twice")


def test_random_constants_are_not_folded() -> None:
    graph = Graph((node("noise", "", "RandomNormal"), node("add", "x noise_out")))
    assert assign(graph, [anchor(0, "add_out")]).layers == {0: ("noise", "add")}


def test_a_shape_path_that_no_step_yields_is_folded() -> None:
    graph = Graph(
        (
            node("shape", "x", "Shape"),
            node("gather", "shape_out i", "Gather"),
            node("reshape", "x gather_out", "Reshape"),
        ),
        frozenset({"i"}),
    )
    kept = assign(graph, [anchor(0, "reshape_out")])
    assert kept.layers == {0: ("reshape",)}
    assert kept.folded == ("shape", "gather")
    ran = assign(graph, [anchor(0, "gather_out"), anchor(1, "reshape_out")])
    assert ran.layers == {0: ("shape", "gather"), 1: ("reshape",)}
    folded = assign(graph, [anchor(0, "reshape_out")], fixed=["gather_out"])
    assert folded.layers == {0: ("reshape",)}
    assert folded.folded == ("shape", "gather")


def test_what_several_steps_claim_belongs_to_the_step_before_them() -> None:
    graph = Graph(
        (node("conv", "x"), node("sum", "conv_out x"), node("a", "sum_out"), node("b", "sum_out"))
    )
    found = assign(graph, [anchor(0, "conv_out"), anchor(1, "a_out"), anchor(2, "b_out")])
    assert found.layers == {0: ("conv", "sum"), 1: ("a",), 2: ("b",)}
    assert found.inferred == {0}


def test_of_equal_layers_the_one_that_ran_stands_for_all() -> None:
    graph = Graph(
        (
            node("a", "x w", "Conv", "3x3"),
            node("b", "x w", "Conv", "3x3"),
            node("other", "x w", "Conv", "5x5"),
            node("sig", "a_out", "Sigmoid", "-"),
            node("tanh", "b_out", "Tanh", "-"),
            node("last", "other_out", "Tanh", "-"),
        ),
        frozenset({"w"}),
    )
    names = ("b_out", "sig_out", "tanh_out", "other_out", "last_out")
    found = assign(graph, [anchor(i, name) for i, name in enumerate(names)])
    assert found.layers == {0: ("a", "b"), 1: ("sig",), 2: ("tanh",), 3: ("other",), 4: ("last",)}
    assert found.shared == {0: ("a",)}
    both = assign(graph, [anchor(0, "a_out"), anchor(1, "b_out"), anchor(2, "sig_out")])
    assert both.layers == {0: ("a",), 1: ("b",), 2: ("sig",)}
    assert not both.shared


def test_what_only_passes_on_belongs_to_the_step_before() -> None:
    graph = Graph((node("a", "x"), node("drop", "a_out", "Dropout"), node("b", "drop_out")))
    found = assign(graph, [anchor(0, "a_out"), anchor(1, "b_out")])
    assert found.layers == {0: ("a", "drop"), 1: ("b",)}
    assert not found.inferred
    kept = assign(graph, [anchor(0, "a_out"), anchor(1, "drop_out"), anchor(2, "b_out")])
    assert kept.layers == {0: ("a",), 1: ("drop",), 2: ("b",)}
    assert assign(graph, [anchor(0, "b_out")]).layers == {0: ("a", "drop", "b")}


def test_of_two_claims_on_a_tensor_the_better_evidence_wins() -> None:
    found = assign(CHAIN, [anchor(0, "pool_out", rank=0), anchor(1, "pool_out", rank=3)])
    assert list(found.layers) == [1]
    tie = assign(CHAIN, [anchor(0, "pool_out"), anchor(1, "pool_out")])
    assert list(tie.layers) == [0]


def test_layers_that_nothing_needs_are_neither_covered_nor_folded() -> None:
    graph = Graph((*CHAIN.nodes, node("dead", "conv_out")), CHAIN.constants)
    found = assign(graph, [anchor(0, "pool_out")])
    assert "dead" not in {name for names in found.layers.values() for name in names}
    assert found.folded == ()


def test_appended_operators_are_followed_as_far_as_they_go() -> None:
    assert extend_forward(CHAIN, "conv_out", ("BatchNormalization", "Relu")) == "relu_out"
    assert extend_forward(CHAIN, "conv_out", ("Add|Sum", "Relu")) == "conv_out"
    assert extend_forward(CHAIN, "bn_out", ("Relu|Clip",)) == "relu_out"


@st.composite
def fused_graphs(draw: st.DrawFn) -> tuple[Graph, list[list[str]]]:
    """A random graph and a random partition of its nodes into runs of single-reader chains."""
    size = draw(st.integers(1, 25))
    nodes: list[GraphNode] = []
    for i in range(size):
        earlier = [f"n{j}_out" for j in range(i)] + ["x", "w"]
        inputs = draw(st.lists(st.sampled_from(earlier), min_size=1, max_size=3, unique=True))
        if set(inputs) <= {"w"}:
            inputs.append("x")  # constants are another test's business
        nodes.append(node(f"n{i}", " ".join(inputs)))
    graph = Graph(tuple(nodes), frozenset({"w"}))
    readers = graph.consumers()
    group = {n.name: [n.name] for n in nodes}
    for n in nodes:
        after = readers.get(n.outputs[0], [])
        if len(after) == 1 and draw(st.booleans()):
            merged = [*group[n.name], *group[after[0].name]]
            for name in merged:
                group[name] = merged
    return graph, [list(names) for names in {id(g): g for g in group.values()}.values()]


def outlets(graph: Graph, members: list[str]) -> list[str]:
    """Outputs of a fused group that others read, or that nobody reads."""
    readers = graph.consumers()
    return [
        f"{name}_out"
        for name in members
        if not readers.get(f"{name}_out")
        or any(reader.name not in members for reader in readers[f"{name}_out"])
    ]


@given(fused_graphs())
def test_random_fusions_are_recovered_exactly(case: tuple[Graph, list[list[str]]]) -> None:
    graph, groups = case
    found = assign(graph, [anchor(i, *outlets(graph, g)) for i, g in enumerate(groups)])
    assert {i: set(names) for i, names in found.layers.items()} == {
        i: set(g) for i, g in enumerate(groups)
    }
    assert not found.inferred


@given(fused_graphs(), st.data())
def test_no_layer_is_covered_twice_whatever_the_evidence(
    case: tuple[Graph, list[list[str]]], data: st.DataObject
) -> None:
    graph, _ = case
    tensors = [out for n in graph.nodes for out in n.outputs]
    anchors = [
        anchor(i, *chosen, rank=data.draw(st.integers(0, 3)))
        for i, chosen in enumerate(
            data.draw(st.lists(st.lists(st.sampled_from(tensors), min_size=1, unique=True)))
        )
    ]
    fixed = data.draw(st.lists(st.sampled_from(tensors), unique=True))
    found = assign(graph, anchors, fixed)
    covered = [name for names in found.layers.values() for name in names]
    assert len(covered) == len(set(covered))
    assert not set(covered) & set(found.folded)
    assert set(found.layers) <= {a.step for a in anchors}
