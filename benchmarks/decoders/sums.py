"""Rows and stated overhead of each phase against un-profiled times, the run's own and a loop's.

    python benchmarks/decoders/sums.py [MODEL…] [--phase prefill:128]… [--budget 5]

For each model and phase, on the CPU at batch 1 with one thread: the un-profiled median; the sum of
the layers, interruptions, and what an empty call takes, as parts of it; and what none of these
explains, whose bar is 3 %. Beside that the fastest inference of the run over the fastest one of a
plain loop in a process of its own, which generates tokens: its cache grows by one each time, and
each output is the next input. MODEL is a file, zoo:NAME, or `tiny` for two of the tests' decoders,
the default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np
from subjects import TINY, models

import onnxprof as op
from onnxprof.analysis.reconcile import reconcile
from onnxprof.model.sources.resolve import resolve

BAR = 0.03
LOOP = """
import json, sys, time
import numpy as np
import onnxruntime as ort
path, kind, size, most = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
options = ort.SessionOptions()
options.intra_op_num_threads = 1
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
types = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
rng = np.random.default_rng(0)
caches = [i for i in session.get_inputs() if i.name.startswith("past")]
names = [i.name for i in session.get_inputs()]
pairs = {i.name: i.name.replace("past_key_values", "present") for i in caches}
def cache(given, length):
    shape = [d if isinstance(d, int) else 1 for d in given.shape]
    shape[2] = length
    return rng.standard_normal(shape).astype(types[given.type])
def step(held, new, kept):
    feeds = dict(held, input_ids=np.ones((1, new), np.int64),
                 attention_mask=np.ones((1, kept + new), np.int64))
    if "position_ids" in names:
        feeds["position_ids"] = np.arange(kept, kept + new)[None]
    binding = session.io_binding()
    for name, value in feeds.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(name, value)
        else:
            binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)
    began = time.perf_counter_ns()
    session.run_with_iobinding(binding)
    ns = time.perf_counter_ns() - began
    made = dict(zip((o.name for o in session.get_outputs()), binding.get_outputs()))
    return ns, {before: made[after] for before, after in pairs.items()}
times, end = [], time.perf_counter() + most
while len(times) < 5 or time.perf_counter() < end:
    if kind == "prefill":
        ns, _ = step({c.name: cache(c, 0) for c in caches}, size, 0)
        times.append(ns)
        continue
    held, first = {c.name: cache(c, max(0, size - 8)) for c in caches}, max(0, size - 8)
    for kept in range(first, first + 16):
        ns, held = step(held, 1, kept)
        times.append(ns)
print(json.dumps(times))
"""


def looped(model: str, phase: str, seconds: float) -> list[int]:
    """Nanoseconds of the inferences of a loop that generates tokens, or repeats a prompt."""
    kind, _, size = phase.partition(":")
    command = [sys.executable, "-c", LOOP, str(resolve(model).path), kind, size, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [int(ns) for ns in json.loads(done.stdout)]


def main() -> int:
    """Measure, print a row each, and return 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="*", default=[TINY])
    parser.add_argument("--phase", action="append")
    parser.add_argument("--budget", type=float, default=5.0)
    given = parser.parse_args()
    wanted = given.phase or ["prefill:128", "decode:128,512"]
    missed = 0
    print("| model | phase | un-profiled | layers | interruptions | empty call | left | loop |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with models(given.models) as references:
        for model in references:
            runs = op.profile(model, phases=wanted, threads=1, budget=given.budget, progress=False)
            for run in runs:
                sums = reconcile(run)
                whole = sums.total_ns
                parts = sums.layer_sum_ns, sums.interruptions_ns or 0, sums.empty_ns or 0
                left = 1 - sum(parts) / whole
                missed += abs(left) > BAR
                loop = looped(model, run.request.phase, given.budget / 2)
                fastest = int(np.min(run.timings.latency_ns)) / min(loop)
                shares = " | ".join(f"{100 * part / whole:.1f} %" for part in parts)
                print(
                    f"| {run.request.model_name} | {run.request.phase} | {whole / 1e6:.3f} ms"
                    f" | {shares} | {100 * left:+.1f} % | {fastest:.3f} |",
                    flush=True,
                )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
