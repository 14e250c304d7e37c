"""The script that runs a step: plain calls of onnxruntime and NumPy, and nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass

_TEXT = '''\
"""Runs step.onnx on inputs.npz with plain onnxruntime calls, checks and times it.

    pip install numpy "{package}"
    python run.py [SECONDS]
"""

import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

HERE = Path(__file__).resolve().parent
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0

options = ort.SessionOptions()
options.intra_op_num_threads = {threads}
options.inter_op_num_threads = 1
options.graph_optimization_level = ort.GraphOptimizationLevel.{level}
session = ort.InferenceSession(str(HERE / "step.onnx"), options, providers={providers})

with np.load(HERE / "inputs.npz") as held:
    feeds = {{name: held[name] for name in held.files}}
with np.load(HERE / "expected.npz") as held:
    expected = {{name: held[name] for name in held.files}}

binding = session.io_binding()
names = [one.name for one in session.get_inputs()]
# Outputs by number that are written where an input is: caches with room for new tokens.
shared = {{output: names[read] for output, read in {shared}}}
buffers = {{}}
for name, array in feeds.items():
    array = np.ascontiguousarray(array)
    if name in shared.values():
        buffers[name] = ort.OrtValue.ortvalue_from_numpy(array)
        binding.bind_ortvalue_input(name, buffers[name])
    else:
        binding.bind_cpu_input(name, array)
for number, output in enumerate(session.get_outputs()):
    if number in shared:
        binding.bind_ortvalue_output(output.name, buffers[shared[number]])
    else:
        binding.bind_output(output.name)

session.run_with_iobinding(binding)
for output, value in zip(session.get_outputs(), binding.copy_outputs_to_cpu()):
    if output.name in expected and value.dtype.kind in "fiub":
        error = np.abs(value.astype(float) - expected[output.name].astype(float)).max(initial=0.0)
        print(f"{{output.name}}: largest difference from the expected values {{error:.3g}}")

times = []
end = time.perf_counter() + SECONDS
while len(times) < 10 or time.perf_counter() < end:
    start = time.perf_counter_ns()
    session.run_with_iobinding(binding)
    times.append(time.perf_counter_ns() - start)
times = np.sort(times)
print(f"onnxruntime {{ort.__version__}}, {threads} thread(s), {{len(times)}} calls")
print(f"median {{np.median(times) / 1e6:.6f}} ms, 5 % {{times[len(times) // 20] / 1e6:.6f}} ms")
'''


@dataclass(frozen=True, slots=True)
class Setting:
    """How onnxruntime is to run the step."""

    package: str
    """A requirement as pip takes it: `onnxruntime==1.32.0`."""
    threads: int
    optimised: bool
    providers: tuple[str, ...]
    shared: tuple[tuple[int, int], ...] = ()
    """Numbers of outputs that are written where an input is, and of that input."""


def text(setting: Setting) -> str:
    """The script; what stands in it comes from us, not from the model."""
    return _TEXT.format(
        package=setting.package,
        threads=setting.threads,
        level="ORT_ENABLE_ALL" if setting.optimised else "ORT_DISABLE_ALL",
        providers=list(setting.providers),
        shared=list(setting.shared),
    )
