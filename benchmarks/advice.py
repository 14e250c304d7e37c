"""What applied advice was expected to gain, and what it gained, over networks of the zoo.

    python benchmarks/advice.py [--models lenet,mobilenet-v2] [--backends torch,ort] [--batch 1]
        [--budget 10] [--processes 5] [--threads 1]

Each network is profiled, rewritten by `onnxprof advise --apply`, and both models are measured in
turn. A row a network and backend: the rules whose findings have a safe rewrite, the predicted part
of the latency, the measured one with its interval, and whether the latter lies in the former; all
of them, also those of which nothing could be rewritten. The bar is 80 % inside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from os import getloadavg
from pathlib import Path
from typing import Any

BAR = 0.8
#: From small to large, with a normalisation, a constant part or a layer without an effect in most.
MODELS = (
    *("minigo", "resnet18", "resnet18-v2", "mobilenet-v1", "mobilenet-v2", "shufflenet"),
    *("googlenet-cifar10", "resnet50-cifar10", "inception-v2", "efficientnet-b0", "densenet121"),
)
ROW = "{:20} {:8} {:34} {:>16} {:>7} {:>18}  {}"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "onnxprof", *words], capture_output=True, text=True, check=False
    )


def applied(model: str, backend: str, asked: argparse.Namespace) -> dict[str, Any] | str:
    """The advice with what became of it, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder, "store"))
        common = ["--budget", str(asked.budget), "--store", store]
        setting = ["--backend", backend, "--batch", str(asked.batch), "--threads", asked.threads]
        done = command(
            "profile", f"zoo:{model}", *setting, *common, "--quiet", "--no-verify", "--no-parity"
        )
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        target = str(Path(folder, "rewritten.onnx"))
        turns = ["--processes", str(asked.processes), "--format", "json"]
        done = command("advise", store, "--apply", target, *common, *turns)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        found: dict[str, Any] = json.loads(done.stdout)[0]
        return found


def row(model: str, backend: str, found: dict[str, Any] | str) -> tuple[str, bool | None]:
    """A line of the table, and whether the gain was inside; None where nothing was rewritten."""
    if isinstance(found, str):
        return ROW.format(model, backend, "", "", "", "", found), None
    rules = sorted({one["rule"] for one in found["findings"] if one["rewrite"]})
    made = found["applied"]
    low, high = (f"{100 * part:.1f}" for part in made["predicted"])
    measured = made["measured"]
    ends = "…".join(f"{100 * part:.1f}" for part in measured["interval"])
    overlap = (
        measured["interval"][0] <= made["predicted"][1]
        and made["predicted"][0] <= measured["interval"][1]
    )
    verdict = "inside" if made["is_inside"] else "outside; overlaps" if overlap else "outside"
    cells = ",".join(rules), f"{low}…{high} %", f"{100 * measured['part']:.1f} %", ends
    return ROW.format(model, backend, *cells, verdict), made["is_inside"]


def rows(asked: argparse.Namespace) -> Iterator[bool | None]:
    for model in asked.models.split(","):
        for backend in asked.backends.split(","):
            line, inside = row(model, backend, applied(model, backend, asked))
            print(line, flush=True)
            yield inside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--backends", default="torch")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", default="1")
    parser.add_argument("--budget", type=float, default=10.0)
    parser.add_argument("--processes", type=int, default=5)
    asked = parser.parse_args()
    print(f"load of the last minute before: {getloadavg()[0]:.1f}")
    heads = "network", "backend", "rules", "predicted", "gained", "95 %", "verdict"
    print(ROW.format(*heads))
    told = [inside for inside in rows(asked) if inside is not None]
    part = sum(told) / len(told) if told else 0.0
    print(f"{sum(told)} of {len(told)} inside ({100 * part:.0f} %; the bar is {100 * BAR:.0f} %);")
    print(f"load of the last minute after: {getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
