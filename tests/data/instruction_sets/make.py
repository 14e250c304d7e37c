"""Save what onnxruntime makes of some graphs on this CPU, or on the one that QEMU plays.

    python tests/data/instruction_sets/make.py avx512
    qemu-x86_64 -cpu Haswell python tests/data/instruction_sets/make.py avx2

See README.md beside it. Weights are left out of the files, since only the topology is read.
"""

from __future__ import annotations

import lzma
import sys
import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent)]

from support import instruction_sets  # noqa: E402

LEVELS = {"extended": "ORT_ENABLE_EXTENDED", "all": "ORT_ENABLE_ALL"}


def optimised(model: onnx.ModelProto, level: str) -> onnx.ModelProto:
    """The graph that runs at a level, without its weights."""
    options = ort.SessionOptions()
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[level])
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = f"{folder}/saved.onnx"
        ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        saved = onnx.load(options.optimized_model_filepath)
    for tensor in saved.graph.initializer:
        if len(tensor.raw_data) > instruction_sets.KEPT_BYTES:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="none")
    return saved


def main(cpu: str) -> None:
    """Write a file for each graph and level."""
    for name, build in instruction_sets.GRAPHS.items():
        for level in LEVELS:
            data = optimised(build(), level).SerializeToString(deterministic=True)
            (HERE / f"{name}.{cpu}.{level}.onnx.xz").write_bytes(lzma.compress(data, preset=9))


if __name__ == "__main__":
    main(sys.argv[1])
