"""TensorRT's inspector and profiles, read and tied to layers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import tensorrt_models
from support.tensorrt_engines import recorded, reports, workload

from onnxprof.backends.tensorrt import layers
from onnxprof.backends.tensorrt.backend import trace_of
from onnxprof.errors import BackendError
from onnxprof.provenance import steps as named_steps
from onnxprof.provenance.names import Evidence, Names
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.layer import LayerTable
from onnxprof.records.step import Confidence, Step


def traced(folder: Path, name: str) -> tuple[tuple[Step, ...], LayerTable, tuple[str, ...]]:
    work = workload(folder, name)
    engine = recorded(name)
    once = [(layer["Name"], 0.001 * (i + 1)) for i, layer in enumerate(engine["Layers"])]
    trace = trace_of(work, json.dumps(engine), reports(once, once))
    assert trace.step_ns.shape == (len(trace.steps), 2)
    # two engine layers of one name are one to the profiler, which tells names alone
    assert trace.step_ns[:, 0].sum() == pytest.approx(sum(ms for _, ms in once) * 1e6)
    return trace.steps, work.table, trace.folded


def by_layer(steps: tuple[Step, ...]) -> dict[str, Step]:
    return {name: step for step in steps for name in step.layers}


@pytest.mark.parametrize("name", tensorrt_models.MODELS)
def test_no_layer_is_covered_twice_and_none_is_lost(tmp_path: Path, name: str) -> None:
    steps, table, folded = traced(tmp_path, name)
    covered = Counter(layer for step in steps for layer in step.layers)
    assert set(covered.values()) == {1}
    assert set(covered) | set(folded) == {layer.name for layer in table.nodes}
    assert not set(covered) & set(folded)


def test_metadata_ties_a_fused_kernel_to_its_layers(tmp_path: Path) -> None:
    steps, table, _ = traced(tmp_path, "residual")
    owner = by_layer(steps)
    assert owner["/stem/Conv"].layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert owner["/stem/Conv"].confidence is Confidence.EXACT
    assert owner["/stem/Conv"].evidence == "metadata"
    # brackets in a name, a node without one (`node_of_a1`), a Dropout that was dropped
    unnamed = next(layer.name for layer in table.nodes if layer.op_type == "Add")
    dropout = next(layer.name for layer in table.nodes if layer.op_type == "Dropout")
    block = owner["/block[0]/Conv"]
    assert block.layers == ("/block[0]/Conv", unnamed, "/block[0]/Relu", dropout)


def test_kernels_that_share_a_layer_are_one_step(tmp_path: Path) -> None:
    steps, _, _ = traced(tmp_path, "residual")
    head = by_layer(steps)["/head/Gemm"]
    assert head.layers == ("/head/Flatten", "/head/Gemm", "/head/Softmax")
    assert head.nodes == 2
    assert head.name == "/head/Gemm + __myl_AddMaxrSubExpSumDiv"
    norm = by_layer(traced(tmp_path, "attention")[0])["/norm/LayerNorm"]
    assert (norm.nodes, norm.layers) == (2, ("/norm/LayerNorm",))


def test_what_no_layer_asked_for_belongs_to_none(tmp_path: Path) -> None:
    steps, _, _ = traced(tmp_path, "residual")
    moved = [step for step in steps if not step.layers]
    assert [step.name for step in moved] == ["__myl_Move"]
    assert moved[0].confidence is Confidence.NONE


def test_sizes_that_are_known_while_building_are_folded(tmp_path: Path) -> None:
    steps, _, folded = traced(tmp_path, "branches")
    assert folded == ("/Shape", "/Slice", "/Concat_1")
    assert by_layer(steps)["/Reshape"].layers == ("/Reshape",)


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ("[ONNX Layer: a]", ("a",)),
        ("[ONNX Layer: a]\x1f[ONNX Layer: b]\x1e[ONNX Layer: c]", ("a", "b", "c")),
        ("[ONNX Layer: a][ONNX Layer: b]", ("a", "b")),
        ("[ONNX Layer: x[0]]\x1f[ONNX Layer: x[0]]", ("x[0]",)),
        ("[ONNX Layer: with: colon ]", ("with: colon ",)),
        ("", ()),
        ("[Something else: a]", ()),
        ("[ONNX Layer: cut", ()),
    ],
)
def test_names_in_metadata(metadata: str, names: tuple[str, ...]) -> None:
    assert layers.mentioned(metadata) == names


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(workload(tmp_path, "residual").table)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("/stem/Conv", ("/stem/Conv",)),
        ("/stem/Conv [profile 1]", ("/stem/Conv",)),
        ("/stem/Conv + /stem/Relu", ("/stem/Conv", "/stem/Relu")),
        ("/stem/Conv || /block[0]/Conv", ("/stem/Conv", "/block[0]/Conv")),
        ("/stem/Conv + PWN(/stem/Relu)", ("/stem/Conv", "/stem/Relu")),
        ("PWN(PWN(/stem/Relu), /block[0]/Relu)", ("/stem/Relu", "/block[0]/Relu")),
        ("{ForeignNode[w1.../stem/Relu]}", ("/stem/Relu",)),
        ("{ForeignNode[/stem/Conv.../head/Softmax]}", ("/head/Softmax",)),
        ("{ForeignNode[nowhere...to be found]}", ()),
        ("Reformatting CopyNode for Input Tensor 0 to /stem/Conv", ()),
        ("Reformatting CopyNode for Output Tensor 0 to /head/Softmax", ()),
        ("__myl_Move", ()),
        ("(Unnamed Layer* 3) [Shuffle]", ()),
    ],
)
def test_names_of_engine_layers(names: Names, name: str, found: tuple[str, ...]) -> None:
    told = layers.evidence(layers.EngineLayer(name), names)
    assert told.layers == found
    assert not (told.layers and told.exact), "a name alone is no certain evidence"


def test_a_copy_belongs_to_no_layer_whatever_its_metadata_says(names: Names) -> None:
    copy = layers.EngineLayer(
        "Reformatting CopyNode for Input Tensor 0 to /stem/Conv",
        metadata="[ONNX Layer: /stem/Conv]",
    )
    assert layers.evidence(copy, names).layers == ()


def test_a_region_is_one_step_of_all_between_its_neighbours(tmp_path: Path) -> None:
    work = workload(tmp_path, "residual")
    engine = {"Layers": ["/stem/Conv + /stem/Relu", "{ForeignNode[w2.../head/Softmax]}"]}
    once = [(name, 1.0) for name in engine["Layers"]]
    trace = trace_of(work, json.dumps(engine), reports(once))
    first, region = trace.steps
    assert first.layers == ("/stem/Conv", "/stem/BatchNorm", "/stem/Relu")
    assert len(region.layers) == 8
    assert region.confidence is Confidence.INFERRED


@pytest.mark.parametrize(
    "data", [None, [], {}, {"Layers": {}}, {"Layers": [1]}, {"Layers": [{"LayerType": "x"}]}, "x"]
)
def test_what_is_no_layer_information_is_refused(data: Any) -> None:
    with pytest.raises(BackendError, match="not layer information of TensorRT"):
        layers.parse_engine(data)


@pytest.mark.parametrize(
    "data",
    [
        {},
        [],
        [1],
        [{"count": -1}],
        [{"count": "many"}],
        [{"count": 1}, {"name": 3}],
        [{"count": 1}, {"name": "a"}],
        [{"count": 1}, {"name": "a", "averageMs": float("nan")}],
        [{"count": 1}, {"name": "a", "averageMs": -1}],
        [{"count": 1}, {"name": "a", "averageMs": True}],
        [{"count": 1}, {"name": "a", "averageMs": 1e300}],
    ],
)
def test_what_is_no_profile_is_refused(data: Any) -> None:
    with pytest.raises(BackendError):
        layers.parse_profile(data)


def test_a_profile_prefers_medians_and_an_old_one_has_means() -> None:
    data = [
        {"count": 3},
        {"name": "a", "averageMs": 2.0, "medianMs": 1.5},
        {"name": "b", "averageMs": 1},
    ]
    assert layers.parse_profile(data) == (3, (("a", 1.5), ("b", 1.0)))
    assert layers.parse_profile(data[1:])[0] == 0


@pytest.mark.parametrize("data", [{}, [], [1], [{"latencyMs": 1}], [{"computeMs": "1"}]])
def test_what_is_no_list_of_times_is_refused(data: Any) -> None:
    with pytest.raises(BackendError):
        layers.parse_times(data)


# --- any claims at all -------------------------------------------------------------------


@st.composite
def claimed(draw: st.DrawFn) -> tuple[Graph, list[Evidence]]:
    """A graph in topological order, and units that claim whatever layers they like."""
    size = draw(st.integers(1, 10))
    nodes = []
    for i in range(size):
        sources = draw(st.lists(st.integers(-1, i - 1), min_size=1, max_size=3))
        inputs = tuple("x" if s < 0 else f"t{s}" for s in sources)
        kind = draw(st.sampled_from(["Conv", "Relu", "Dropout", "Add"]))
        nodes.append(GraphNode(f"n{i}", kind, inputs, (f"t{i}",)))
    names = st.lists(st.sampled_from([n.name for n in nodes] + ["stranger"]), max_size=4)
    units = draw(
        st.lists(
            st.builds(
                Evidence,
                st.just("drawn"),
                names.map(lambda found: tuple(dict.fromkeys(found))),
                st.just(()),
                st.booleans(),
                st.booleans(),
            ),
            max_size=8,
        )
    )
    return Graph(tuple(nodes), outputs=(f"t{size - 1}",)), units


@given(claimed())
def test_no_layer_twice_and_every_unit_once_whatever_is_claimed(
    drawn: tuple[Graph, list[Evidence]],
) -> None:
    graph, units = drawn
    ties = named_steps.tie(graph, units)
    members = [unit for step in ties.steps for unit in step.members]
    assert sorted(members) == list(range(len(units)))
    covered = Counter(name for step in ties.steps for name in step.layers)
    assert all(count == 1 for count in covered.values())
    assert set(covered) <= {node.name for node in graph.nodes}
    assert all((step.confidence is Confidence.NONE) == (not step.layers) for step in ties.steps)
