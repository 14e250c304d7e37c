"""Time to an answer: `onnxprof profile` against a script of onnxruntime's own profiler.

    python benchmarks/speed/answer.py [MODEL] [--budget 1] [--rounds 3] [--bare]

The two alternate; medians and ratios of CPU and wall seconds and of memory are printed. The bar is
3.0 s and 450 MB for zoo:resnet50 where the script takes 1.8 s and 325 MB, parity and telemetry
included; `--bare` leaves them out. Linux only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import astuple, fields
from statistics import median

from reaped import Cost, cost

from onnxprof.model.sources.resolve import resolve

SCRIPT = """
import json, sys, time
import numpy as np
import onnxruntime as ort
path, seconds, prefix = sys.argv[1], float(sys.argv[2]), sys.argv[3]
options = ort.SessionOptions()
options.enable_profiling, options.profile_file_prefix = True, prefix
session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
feeds = {
    each.name: np.ones([d if isinstance(d, int) else 1 for d in each.shape], kinds[each.type])
    for each in session.get_inputs()
}
session.run(None, feeds)
end = time.perf_counter() + seconds
while time.perf_counter() < end:
    session.run(None, feeds)
events = json.load(open(session.end_profiling()))
nodes = {}
for event in events:
    if event.get("cat") == "Node":
        nodes[event["name"]] = nodes.get(event["name"], 0) + event["dur"]
print(sorted(nodes.items(), key=lambda pair: -pair[1])[:10])
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:resnet50")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    path, budget = str(resolve(given.model).path), str(given.budget)
    with tempfile.TemporaryDirectory() as folder:
        script = [sys.executable, "-c", SCRIPT, path, budget, f"{folder}/profile"]
        command = [sys.executable, "-m", "onnxprof", "profile", given.model, "--batch", "1"]
        command += ["--budget", budget, "--store", folder, "--quiet"]
        command += ["--no-parity", "--no-telemetry"] if given.bare else []
        found: dict[str, list[Cost]] = {"script": [], "onnxprof": []}
        for _ in range(given.rounds):
            found["script"].append(cost(script))
            found["onnxprof"].append(cost(command))
    names = [field.name for field in fields(Cost)]
    table = [_medians(costs) for costs in found.values()]
    for name, bare, ours in zip(names, *table, strict=True):
        ratio = f"{ours / bare:8.2f}" if bare else ""
        print(f"{name:<12} script {bare:8.2f}  onnxprof {ours:8.2f}  ratio {ratio}")


def _medians(costs: list[Cost]) -> list[float]:
    return [median(column) for column in zip(*map(astuple, costs), strict=True)]


if __name__ == "__main__":
    main()
