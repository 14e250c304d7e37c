"""Inspect a model of 5,000 nodes with 10 GB of (sparse) external data: time and peak memory.

python benchmarks/speed/inspect_large.py
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NODES, WIDTH, LIMIT_S, LIMIT_MB = 5000, 1024, 2.0, 400.0
_MATRIX_BYTES = WIDTH * WIDTH * 4


def build(folder: Path, nodes: int = NODES, width: int = WIDTH) -> Path:
    """MatMuls and Relus in a chain, the matrices in one sparse file beside the model."""
    from onnx import TensorProto, helper

    matrix = width * width * 4
    layers, stored, previous = [], [], "x"
    for i in range(nodes):
        inputs = [previous]
        if i % 2 == 0:
            tensor = TensorProto(name=f"w{i}", data_type=TensorProto.FLOAT, dims=[width, width])
            tensor.data_location = TensorProto.EXTERNAL
            entries = (("location", "w.bin"), ("offset", i // 2 * matrix), ("length", matrix))
            for key, entry in entries:
                tensor.external_data.add(key=key, value=str(entry))
            stored.append(tensor)
            inputs.append(tensor.name)
        previous, op_type = f"t{i}", "Relu" if i % 2 else "MatMul"
        layers.append(helper.make_node(op_type, inputs, [previous], name=f"node{i}"))
    with (folder / "w.bin").open("wb") as file:
        file.truncate((nodes + 1) // 2 * matrix)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", width])
    y = helper.make_tensor_value_info(previous, TensorProto.FLOAT, ["N", width])
    graph = helper.make_graph(layers, "large", [x], [y], stored)
    path = folder / "large.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def measure(path: str) -> None:
    start = time.perf_counter()
    from onnxprof.model.file import open_model
    from onnxprof.model.layers import inspect

    table = inspect(open_model(path), 8)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(table.nodes)} nodes: {seconds:.2f} s ({seconds / LIMIT_S:.2f} of the limit), "
        f"{peak:.0f} MB ({peak / LIMIT_MB:.2f} of the limit), imports included"
    )


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        path = build(Path(folder))
        size = (Path(folder) / "w.bin").stat().st_size
        print(f"external data: {size / 1e9:.1f} GB")
        # a process of its own, so that building the model does not count
        subprocess.run([sys.executable, __file__, str(path)], check=True)


if __name__ == "__main__":
    main()
