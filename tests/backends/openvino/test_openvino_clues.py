"""What OpenVINO's marks may say: which layers a node can have computed."""

from __future__ import annotations

from onnxprof.backends.openvino.graphs.clues import RuntimeNode
from onnxprof.backends.openvino.graphs.graphs import tie
from onnxprof.provenance.topology import Graph, GraphNode
from onnxprof.records.step import Confidence

PRODUCT, SUM = "onnxprof~000000~", "onnxprof~000001~"
MARKS = {PRODUCT: ("product",), SUM: ("sum",)}
DENSE = Graph(
    nodes=(
        GraphNode("product", "MatMul", ("x", "w"), ("p",)),
        GraphNode("sum", "Add", ("p", "b"), ("y",)),
    ),
    constants=frozenset({"w", "b"}),
    outputs=("y",),
)


def dense(before: str, turning: str) -> list[RuntimeNode]:
    """A product with its bias as OpenVINO runs it, behind a node named after the product."""
    return [
        RuntimeNode("x", "Input", ran=False),
        RuntimeNode("w", "Const", ran=False),
        RuntimeNode(before, turning, before, "jit_f32", (0,)),
        RuntimeNode(SUM, "FullyConnected", SUM, "gemm_f32", (2, 1)),
        RuntimeNode("y/sink_port_0", "Output", ran=False, inputs=(3,)),
    ]


def test_a_node_that_arranges_data_computes_no_product() -> None:
    [step] = tie(DENSE, dense(PRODUCT, "Transpose"), MARKS).steps
    assert step.layers == ("product", "sum")
    assert step.members == (2, 3)
    assert step.confidence is Confidence.INFERRED


def test_a_node_that_computes_keeps_the_product_that_it_names() -> None:
    first, second = tie(DENSE, dense(PRODUCT, "MatMul"), MARKS).steps
    assert (first.layers, second.layers) == (("product",), ("sum",))
