"""Is a row what one more such layer costs? Chains of equal layers, timed without any profiler.

    python benchmarks/marginal.py [--backend ort,torch,openvino] [--kinds conv-small,sigmoid]
        [--timer auto] [--budget 4] [--threads 1] [--rounds 60] [--profiles 3]

Un-profiled chains of 8, 16, 24 and 32 equal layers are run in turn, in one process. The slope of
their times over the number of layers is what one more layer costs (its *marginal cost*), with no
timer in it: the median of the slopes of all rounds. In turn with that, onnxprof profiles the chain
of 24, each time in a fresh process. Printed as Markdown, each a median over the profiles: the mean
row over the median slope, the smallest and the largest row over the mean row, and the overhead;
beside them how far slopes and means scatter. The outermost layers are left out; a chain that a
runtime fuses into fewer steps is named on stderr.

`chain` is what the un-profiled chain of 24 takes, less the overhead, over 24 slopes: what rows read
that share its latency evenly. It is not 1 where a longer chain slows each of its layers down, or
where the ends cost more than the layers between. Chains are small, since one more layer that does
not fit the caches costs more than the others do: 32 matrices of 64×64 are half a megabyte.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxprof.analysis.reconcile import Status, reconcile
from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Session, Workload
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.records.step import Timer

LENGTHS = (8, 16, 24, 32)
PROFILED = 24
#: Un-profiled inferences of one chain in a round take about this long.
BURST_NS = 1_000_000
HEADINGS = (
    *("backend", "layer", "timer", "slope µs", "lowest, highest", "chain", "row / slope"),
    *("lowest, highest", "smallest row", "largest", "overhead"),
)

Weights = list[onnx.TensorProto]
Layer = tuple[list[onnx.NodeProto], Weights]


def weight(name: str, *shape: int) -> onnx.TensorProto:
    """Seeded values that keep a signal's size."""
    rng = np.random.default_rng(len(name) + sum(name.encode()))
    spread = np.sqrt(1 / np.prod(shape[1:]))
    return numpy_helper.from_array((rng.normal(size=shape) * spread).astype(np.float32), name)


def conv(i: int, channels: int, kernel: int) -> Layer:
    """A convolution that keeps the size."""
    pads = [kernel // 2] * 4
    node = helper.make_node("Conv", [f"t{i}", f"w{i}"], [f"t{i + 1}"], f"layer{i}", pads=pads)
    return [node], [weight(f"w{i}", channels, channels, kernel, kernel)]


def depthwise(i: int, channels: int) -> Layer:
    """A 3×3 convolution of each channel."""
    inputs, pads = [f"t{i}", f"w{i}"], [1] * 4
    node = helper.make_node("Conv", inputs, [f"t{i + 1}"], f"layer{i}", pads=pads, group=channels)
    return [node], [weight(f"w{i}", channels, 1, 3, 3)]


def matmul(i: int, size: int) -> Layer:
    """A square matrix."""
    node = helper.make_node("MatMul", [f"t{i}", f"w{i}"], [f"t{i + 1}"], f"layer{i}")
    return [node], [weight(f"w{i}", size, size)]


def unary(i: int, operator: str) -> Layer:
    """An operator without weights."""
    return [helper.make_node(operator, [f"t{i}"], [f"t{i + 1}"], f"layer{i}")], []


KINDS: dict[str, tuple[tuple[int, ...], Callable[[int], Layer]]] = {
    "sigmoid": ((1, 4096), lambda i: unary(i, "Sigmoid")),
    "tanh": ((1, 16384), lambda i: unary(i, "Tanh")),
    "softmax": ((32, 128), lambda i: unary(i, "Softmax")),
    "conv-small": ((1, 16, 8, 8), lambda i: conv(i, 16, 3)),
    "conv": ((1, 32, 28, 28), lambda i: conv(i, 32, 3)),
    "pointwise": ((1, 64, 14, 14), lambda i: conv(i, 64, 1)),
    "depthwise": ((1, 64, 14, 14), lambda i: depthwise(i, 64)),
    "matmul": ((32, 64), lambda i: matmul(i, 64)),
}


def chain(kind: str, length: int, folder: Path) -> str:
    """The file of a chain of so many equal layers."""
    shape, layer = KINDS[kind]
    layers = [layer(i) for i in range(length)]
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("t0", f"t{length}")
    ]
    graph = helper.make_graph(
        *([node for nodes, _ in layers for node in nodes], kind, ends[:1], ends[1:]),
        [tensor for _, weights in layers for tensor in weights],
    )
    path = folder / f"{kind}-{length}.onnx"
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=9), path)
    return str(path)


def batch_of(path: str) -> int:
    """Chains stay at the batch that they were made with."""
    return KINDS[Path(path).stem.rpartition("-")[0]][0][0]


def workload(path: str, threads: int) -> Workload:
    """What a backend opens."""
    model, batch = open_model(path), batch_of(path)
    table = inspect(model, batch, {})
    arrays = generate(table, 0, {})
    prepared = prepare(model, batch, {})
    return Workload(prepared, table, arrays, threads, own_process=True)


def taken_ns(backend: str, files: Sequence[str], threads: int, rounds: int) -> tuple[float, float]:
    """What one more layer costs, and the chain that is profiled: medians over rounds in turn.

    The chains of a round run within milliseconds, so that a machine that drifts slows them alike.
    """
    opener = registry.backend(backend)
    with ExitStack() as opened:
        sessions = [opened.enter_context(opener.open(workload(f, threads))) for f in files]
        bursts = [max(3, int(BURST_NS / warmed(session))) for session in sessions]
        slopes, wholes = [], []
        for number in range(rounds):
            taken = np.zeros(len(sessions))
            for i in range(len(sessions))[:: -1 if number % 2 else 1]:
                taken[i] = middle(sessions[i], bursts[i])
            slopes.append(float(np.polyfit(LENGTHS, taken, 1)[0]))
            wholes.append(taken[LENGTHS.index(PROFILED)])
    return float(np.median(slopes)), float(np.median(wholes))


def warmed(session: Session) -> float:
    """The median of a few inferences."""
    return middle(session, 20)


def middle(session: Session, count: int) -> float:
    """The median of so many inferences, the first left out."""
    session.infer()
    taken = []
    for _ in range(count):
        began = time.perf_counter_ns()
        session.infer()
        taken.append(time.perf_counter_ns() - began)
    return float(np.median(taken))


def profiled(path: str, backend: str, arguments: argparse.Namespace) -> Run:
    """The chain under onnxprof, in a process of its own."""
    options = Options(
        models=(path,),
        batches=(batch_of(path),),
        backend=backend,
        threads=arguments.threads,
        budget=Budget(arguments.budget),
        timer=Timer(arguments.timer),
        parity=False,
        telemetry=False,
    )
    return run_isolated(plan(options)[0], Limits(), lambda *_: None)


def inner_rows(run: Run) -> list[int]:
    """Nanoseconds of the layers, without the outermost two on either side."""
    rows = [row.median_ns for row in reconcile(run).rows if row.status is Status.TIMED]
    return [ns for ns in rows if ns is not None][2:-2]


def row(kind: str, backend: str, folder: Path, arguments: argparse.Namespace) -> Iterator[str]:
    """The cells of one line."""
    files = [chain(kind, length, folder) for length in LENGTHS]
    turns, runs = [taken_ns(backend, files, arguments.threads, arguments.rounds)], []
    for _ in range(arguments.profiles):
        runs.append(profiled(files[LENGTHS.index(PROFILED)], backend, arguments))
        if not inner_rows(runs[-1]):
            raise BackendError(f"runs {kind} as {len(runs[-1].steps)} steps", where=backend)
        turns.append(taken_ns(backend, files, arguments.threads, arguments.rounds))
    slopes, wholes = zip(*turns, strict=True)
    slope = float(np.median(slopes))
    rows, sums = [np.array(inner_rows(run)) for run in runs], [reconcile(run) for run in runs]
    overhead = float(np.median([each.overhead_ns for each in sums]))
    ratios = [float(each.mean() / slope) for each in rows]
    yield from (backend, kind, "/".join(sorted({run.timer for run in runs})))
    yield from (f"{slope / 1e3:.2f}", f"{min(slopes) / 1e3:.2f}, {max(slopes) / 1e3:.2f}")
    yield f"{(np.median(wholes) - overhead) / (PROFILED * slope):.3f}"
    yield from (f"{np.median(ratios):.3f}", f"{min(ratios):.3f}, {max(ratios):.3f}")
    yield f"{np.median([each.min() / each.mean() for each in rows]):.3f}"
    yield f"{np.median([each.max() / each.mean() for each in rows]):.3f}"
    yield f"{np.median([each.overhead_ns / each.total_ns for each in sums]):+.3f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="ort,torch,openvino")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--timer", default="auto")
    parser.add_argument("--budget", type=float, default=4.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--profiles", type=int, default=3)
    arguments = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + " --- |" * len(HEADINGS))
    with tempfile.TemporaryDirectory() as folder:
        for backend in arguments.backend.split(","):
            for kind in arguments.kinds.split(","):
                try:
                    cells = list(row(kind, backend, Path(folder), arguments))
                except OnnxprofError as error:
                    print(f"{backend}, {kind}: {error}", file=sys.stderr)
                    continue
                print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
