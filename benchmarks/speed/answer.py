"""Time to an answer: `onnxprof profile` against a script of onnxruntime's own profiler.

    python benchmarks/speed/answer.py [MODEL] [--budget 1] [--rounds 3] [--bare]

The two alternate; medians and ratios of CPU and wall seconds, of memory and of what was written are
printed. Without MODEL, those of the bars, parity and telemetry included: zoo:resnet50 at a budget
of 1 s, 3.0 s and 450 MB where the script takes 1.8 s and 325 MB; and zoo:vgg16 (553 MB) at 0.5 s,
8 s and 1.5 GB, less written than the model has. The bars are those of one core (`taskset -c 0`):
two threads spend the budget twice. `--bare` leaves parity and telemetry out. Modules are compiled
beforehand, as in an installation. Linux only.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import astuple, dataclass, fields
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


@dataclass(frozen=True, slots=True)
class Bar:
    """What a profile of a model may cost."""

    model: str
    budget: float
    cpu_s: float
    together_mb: float
    written_mb: float


BARS = (Bar("zoo:resnet50", 1.0, 3.0, 450, 102), Bar("zoo:vgg16", 0.5, 8.0, 1500, 553))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--budget", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{folder}/compiled"
        cost(_profile("zoo:lenet", 0.05, folder, bare=False))
        if given.model:
            _compare(given.model, given.budget, given, folder)
        for bar in () if given.model else BARS:
            print(f"{bar.model} at batch 1, budget {bar.budget:g} s")
            ours = _compare(bar.model, bar.budget, given, folder)
            for name in ("cpu_s", "together_mb", "written_mb"):
                print(f"  bar {name:<12} {getattr(bar, name):8.1f}  here {ours[name]:8.2f}")


def _compare(model: str, budget: float, given: argparse.Namespace, folder: str) -> dict[str, float]:
    """The script and the command in turn; prints both and returns the medians of the command."""
    path = str(resolve(model).path)
    script = [sys.executable, "-c", SCRIPT, path, str(budget), f"{folder}/profile"]
    command = _profile(model, budget, folder, bare=given.bare)
    found: dict[str, list[Cost]] = {"script": [], "onnxprof": []}
    for _ in range(given.rounds):
        found["script"].append(cost(script))
        found["onnxprof"].append(cost(command))
    names = [field.name for field in fields(Cost)]
    table = [_medians(costs) for costs in found.values()]
    for name, bare, ours in zip(names, *table, strict=True):
        ratio = f"{ours / bare:8.2f}" if bare else ""
        print(f"  {name:<12} script {bare:8.2f}  onnxprof {ours:8.2f}  ratio {ratio}", flush=True)
    return dict(zip(names, table[1], strict=True))


def _profile(model: str, budget: float, folder: str, *, bare: bool) -> list[str]:
    command = [sys.executable, "-m", "onnxprof", "profile", model, "--batch", "1", "--quiet"]
    command += ["--budget", str(budget), "--store", f"{folder}/store"]
    return [*command, "--no-parity", "--no-telemetry"] if bare else command


def _medians(costs: list[Cost]) -> list[float]:
    return [median(column) for column in zip(*map(astuple, costs), strict=True)]


if __name__ == "__main__":
    main()
