"""What a job costs beyond loading, warming up and inferring: CPU seconds, and wall beside them.

    python benchmarks/speed/job_cost.py [MODEL] [--budget 0.05] [--rounds 5] [--bare]

One batch and six, of a planned sweep; without MODEL, of LeNet and of a network of 500 nodes, where
what counts is each further batch, without checks: trace, preparing, prefixes. Of what the
processes took, the time of loading is taken off, and for each inference the shortest of its kind:
a busy machine makes the rest of it. Loading is by the clock, so on a busy machine too much is taken
off; `--with-loading` takes nothing off for it. `--bare` is without check, parity and telemetry. The
bar is 0.25 s for a batch of LeNet, 0.5 s for six together, and 0.3 s for a further batch of 500
nodes. Linux only.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path
from statistics import median

import numpy as np
import onnx

from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan, sweep
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Run
from onnxprof.store.folder import Store

#: The batches of a sweep.
BATCHES = (1, 2, 3, 4, 6, 8)


def cpu_s() -> float:
    """Of this process, its children, and those of the server that they are forked from."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime + _server_s()


def _server_s() -> float:
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if server is None:
        return 0.0
    facts = Path("/proc", str(server), "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, facts[11:15])) / os.sysconf("SC_CLK_TCK")


def running_s(run: Run, *, loading: bool = True) -> float:
    """Loading, if it counts, and inferring, undisturbed."""
    held = run.timings
    if held is None:
        raise SystemExit(run.failure)
    arrays = held.warmup_ns, held.latency_ns, held.traced_ns, held.prefix_ns, held.repeat_ns
    least = sum(int(a.min(axis=-1).sum()) * a.shape[-1] for a in arrays if a.size)
    return (held.load_ns * loading + held.first_ns + least) / 1e9


def measured(options: Options, *, loading: bool = True) -> tuple[float, float]:
    """CPU and wall seconds of a sweep beyond what its runs took, loading included or not."""
    jobs = plan(options)
    time.sleep(1.5)  # whatever planning left behind comes to rest
    with tempfile.TemporaryDirectory() as folder:
        before, began = cpu_s(), time.monotonic()
        outcomes = list(sweep(jobs, options.limits, Store(Path(folder)), lambda *_: None))
        wall_s = time.monotonic() - began
    spent = sum(running_s(outcome.run, loading=loading) for outcome in outcomes)
    return cpu_s() - before - spent, wall_s - spent


def chain(blocks: int = 125, channels: int = 8) -> onnx.ModelProto:
    """Four nodes a block: a convolution, a norm, an activation and a skip; the batch is free."""
    rng = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for block in range(blocks):
        shapes = {"w": (channels, channels, 3, 3)} | dict.fromkeys("sbmv", (channels,))
        for key, shape in shapes.items():
            values = rng.uniform(0.01, 0.05, shape).astype(np.float32)
            weights.append(onnx.numpy_helper.from_array(values, f"{key}{block}"))
        moments = [f"{key}{block}" for key in "sbmv"]
        steps = (
            ("Conv", [name, f"w{block}"], f"c{block}", {"pads": [1] * 4}),
            ("BatchNormalization", [f"c{block}", *moments], f"n{block}", {}),
            ("Relu", [f"n{block}"], f"r{block}", {}),
            ("Add", [f"r{block}", name], f"a{block}", {}),
        )
        nodes += [
            onnx.helper.make_node(op, read, [out], out, **more) for op, read, out, more in steps
        ]
        name = f"a{block}"
    shape = ["N", channels, 8, 8]
    ends = [onnx.helper.make_tensor_value_info(n, 1, shape) for n in ("x", name)]
    graph = onnx.helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    opsets = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=9)


def costs(
    model: str, batches: tuple[int, ...], given: argparse.Namespace, *, wanted: bool
) -> tuple[float, float]:
    """Medians over the rounds of CPU and wall seconds beyond what runs took; checks if `wanted`."""
    options = Options(
        models=(model,),
        batches=batches,
        budget=Budget(given.budget),
        threads=1,
        parity=wanted,
        verify=wanted,
        telemetry=wanted,
    )
    found = [measured(options, loading=not given.with_loading) for _ in range(given.rounds)]
    cpu, wall = (median(column) for column in zip(*found, strict=True))
    return cpu, wall


def report(title: str, cpu: float, wall: float, bar_s: float) -> None:
    print(f"{title:<28} {cpu:6.2f} CPU s  {wall:6.2f} s wall  bar {bar_s:g} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--with-loading", action="store_true")
    given = parser.parse_args()
    model = given.model or "zoo:lenet"
    report(f"{model}, 1 batch", *costs(model, (1,), given, wanted=not given.bare), 0.25)
    report(
        f"{model}, {len(BATCHES)} batches",
        *costs(model, BATCHES, given, wanted=not given.bare),
        0.5,
    )
    if given.model:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/chain500.onnx"
        onnx.save(chain(), path)
        one, many = (costs(path, each, given, wanted=False) for each in ((1,), BATCHES))
        further = ((b - a) / (len(BATCHES) - 1) for a, b in zip(one, many, strict=True))
        report("500 nodes, a further batch", *further, 0.3)


if __name__ == "__main__":
    main()
