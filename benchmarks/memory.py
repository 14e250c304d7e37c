"""Is the memory that a model takes predicted? Networks of the zoo on onnxruntime, as Markdown.

    python benchmarks/memory.py [--models squeezenet,resnet50,…] [--batches 1,16] [--processes 2]

A fresh process for each network and batch imports NumPy and onnxruntime, notes its resident memory,
loads the model from a file with one thread and onnxprof's session options, binds inputs, and runs
three inferences. Seen is the peak of its resident memory (VmHWM) less what was noted. Predicted is
`predicted_memory` of the layer table, which knows neither the process nor the runtime's graph.

glibc keeps freed blocks of less than 32 MiB in the process, more or fewer of them from one process
to the next, so that the growth is compared twice: with `MALLOC_MMAP_THRESHOLD_` at 64 KiB, which
leaves what the runtime holds (`peak_bytes`), and with glibc as it is, which is what a user sees
(`resident_peak_bytes`; the smallest and the largest of some processes).
The bar: 10 % on fifteen networks at batches 1 and 16.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxprof.records.memory import PredictedMemory

NETWORKS = (
    *("alexnet", "densenet121", "inception-v1", "resnet50", "shufflenet", "squeezenet", "vgg16"),
    *("mobilenet-v2", "efficientnet-b0", "convnext-tiny", "vit-b16", "yolo", "bert-base", "gpt2"),
    "t5-small-encoder",
)
HEADINGS = ("model", "batch", "predicted MB", "held MB", "ratio", "predicted", "seen MB", "ratios")
BAR = 0.10
_TIGHT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 16)}


def _kilobytes(field: str) -> int:
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s*(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def child(path: str) -> None:
    """Load and run the model that the file at `path` describes, and print the growth in bytes."""
    spec = json.loads(Path(path).read_text())
    import numpy as np
    import onnxruntime as ort

    before = _kilobytes("VmRSS")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    for name, size in spec["free"]:
        options.add_free_dimension_override_by_name(name, size)
    session = ort.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    inputs = {n: np.full(shape, 1, dtype) for n, shape, dtype in spec["inputs"]}
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    values = binding.get_outputs()
    binding.clear_binding_outputs()
    for output, value in zip(session.get_outputs(), values, strict=True):
        binding.bind_ortvalue_output(output.name, value)
    for _ in range(2):
        session.run_with_iobinding(binding)
    print(_kilobytes("VmHWM") - before)


def grown(spec: Path, extra: Mapping[str, str]) -> int:
    """The growth in a fresh process with these environment variables."""
    command = [sys.executable, __file__, "--child", str(spec)]
    environment = {**os.environ, **extra}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


def described(name: str, batch: int, folder: Path) -> tuple[Path, PredictedMemory]:
    """A file that tells a child what to run, and the prediction."""
    from onnxprof.analysis.memory.prediction import channel_block, predicted_memory
    from onnxprof.machine.cpu import cpu_device
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import open_found, prepare, with_defaults
    from onnxprof.model.layers import inspect
    from onnxprof.model.sources.resolve import resolve

    model = open_found(resolve(f"zoo:{name}"))
    dims = with_defaults(model, {})
    table = inspect(model, batch, dims)
    prepared = prepare(model, batch, dims)
    source: Any = prepared.source
    if isinstance(source, bytes):
        (folder / "model.onnx").write_bytes(source)
        source = folder / "model.onnx"
    arrays = generate(table, 0).items()
    facts = {
        "model": str(source),
        "free": list(prepared.free_dims),
        "inputs": [(key, array.shape, array.dtype.name) for key, array in arrays],
    }
    spec = folder / "spec.json"
    spec.write_text(json.dumps(facts))
    block = channel_block(cpu_device().features)
    return spec, predicted_memory(table, block)


def line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def compared(name: str, batch: int, processes: int) -> tuple[float, list[float]]:
    """Print a row; returns predicted over held, and over seen in each process."""
    with tempfile.TemporaryDirectory() as folder:
        spec, predicted = described(name, batch, Path(folder))
        held = predicted.peak_bytes, grown(spec, _TIGHT)
        seen = sorted(grown(spec, {}) for _ in range(processes))
    ratios = [predicted.resident_peak_bytes / each for each in seen]
    cells = (name, str(batch), *(f"{size / 1e6:.1f}" for size in held), f"{held[0] / held[1]:.2f}")
    shown = (f"{predicted.resident_peak_bytes / 1e6:.1f}", _range([s / 1e6 for s in seen], 1))
    print(line((*cells, *shown, _range(ratios[::-1], 2))), flush=True)
    return held[0] / held[1], ratios


def _range(values: Sequence[float], digits: int) -> str:
    return f"{values[0]:.{digits}f} to {values[-1]:.{digits}f}" if values else ""


def main() -> None:
    """Print the table, and how many are within the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=NETWORKS)
    parser.add_argument("--batches", default="1,16")
    parser.add_argument("--processes", type=int, default=2, help="with glibc as it is; 0 for none")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child)
    print(line(HEADINGS), line(["---"] * len(HEADINGS)), sep="\n")
    batches = [int(size) for size in arguments.batches.split(",")]
    rows = [
        compared(name, batch, arguments.processes) for name in arguments.models for batch in batches
    ]
    held = sum(abs(ratio - 1) <= BAR for ratio, _ in rows)
    seen = sum(all(abs(ratio - 1) <= BAR for ratio in ratios) for _, ratios in rows)
    more = f", {seen} of {len(rows)} seen in every process" if arguments.processes else ""
    print(f"\nWithin {BAR:.0%}: {held} of {len(rows)} held{more}")
    return None


if __name__ == "__main__":
    main()
