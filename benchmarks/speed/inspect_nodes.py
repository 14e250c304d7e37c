"""Inspect graphs of many small nodes at another batch, against what ONNX itself needs for them.

    python benchmarks/speed/inspect_nodes.py [--sizes 5000,50000] [--rounds 3]

For each kind of graph: CPU seconds of `inspect` at batch 8, and of the bare limit (parsing the file
and ONNX's shape inference), each in a process of its own, in turn; their ratio, and the exponent
of growth between the smallest and the largest size.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, helper

OURS = """
import sys, time
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
inspect(open_model(sys.argv[1]), 8)
print(time.process_time())
"""
BARE = """
import sys, time
import onnx
onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]), data_prop=True)
print(time.process_time())
"""


def whole(nodes: list[NodeProto], last: str, stored: list[TensorProto]) -> ModelProto:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 8])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", 8])
    given = [x, helper.make_tensor_value_info("c", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "graph", given, [y], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def chain(count: int) -> ModelProto:
    names = ["x", *(f"t{i}" for i in range(count))]
    nodes = [
        helper.make_node("Relu", [names[i]], [names[i + 1]], name=f"n{i}") for i in range(count)
    ]
    return whole(nodes, names[-1], [])


def reshapes(count: int) -> ModelProto:
    """Shape, Gather, Unsqueeze, Concat, Reshape, as torch writes a view."""
    stored = [
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("rest", TensorProto.INT64, [1], [-1]),
        helper.make_tensor("axes", TensorProto.INT64, [1], [0]),
    ]
    nodes, last = [], "x"
    for i in range(count // 5):
        nodes += [
            helper.make_node("Shape", [last], [f"s{i}"], name=f"shape{i}"),
            helper.make_node("Gather", [f"s{i}", "zero"], [f"g{i}"], name=f"gather{i}"),
            helper.make_node("Unsqueeze", [f"g{i}", "axes"], [f"u{i}"], name=f"unsqueeze{i}"),
            helper.make_node("Concat", [f"u{i}", "rest"], [f"c{i}"], name=f"concat{i}", axis=0),
            helper.make_node("Reshape", [last, f"c{i}"], [f"r{i}"], name=f"reshape{i}"),
        ]
        last = f"r{i}"
    return whole(nodes, last, stored)


def branches(count: int) -> ModelProto:
    """Ifs of two nodes each."""
    nodes, last = [], "x"
    for i in range(count // 25):
        bodies = {}
        for branch, operator in (("then_branch", "Relu"), ("else_branch", "Neg")):
            name = f"{branch}{i}"
            out = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 8])
            inner = helper.make_node(operator, [last], [name], name=f"{operator}{i}")
            bodies[branch] = helper.make_graph([inner], name, [], [out])
        nodes.append(helper.make_node("If", ["c"], [f"y{i}"], name=f"if{i}", **bodies))
        last = f"y{i}"
    return whole(nodes, last, [])


KINDS: dict[str, Callable[[int], ModelProto]] = {
    "chain": chain, "reshapes": reshapes, "branches": branches,
}  # fmt: skip


def seconds(code: str, path: Path) -> float:
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--sizes", type=lambda t: [int(n) for n in t.split(",")], default=[5000, 50000]
    )
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print("| graph | nodes | inspect, CPU s | bare limit | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for kind, build in KINDS.items():
            ours = []
            for size in asked.sizes:
                path = Path(folder) / f"{kind}.onnx"
                path.write_bytes(build(size).SerializeToString())
                taken = [(seconds(OURS, path), seconds(BARE, path)) for _ in range(asked.rounds)]
                mine, bare = (statistics.median(column) for column in zip(*taken, strict=True))
                ours.append(mine)
                print(f"| {kind} | {size} | {mine:.2f} | {bare:.2f} | {mine / bare:.2f} |")
            if len(ours) > 1:
                growth = math.log(ours[-1] / ours[0]) / math.log(asked.sizes[-1] / asked.sizes[0])
                print(f"| {kind} | growth | {growth:.2f} | | |")


if __name__ == "__main__":
    main()
