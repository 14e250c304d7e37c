"""What applied advice was expected to gain, and what it gained, over networks of the zoo.

    python benchmarks/advice.py [--models lenet,mobilenet-v2] [--backends torch,ort] [--batch 1]
        [--budget 10] [--processes 5] [--threads 1] [--cpu-seconds 0]

Each network is profiled, rewritten by `onnxprof advise --apply`, and both models are measured in
turn. A row a network and backend: the rules whose findings have a safe rewrite, the predicted part
of the latency, the measured one with its interval, and whether the latter lies in the former; all
of them, also those of which nothing could be rewritten. The bar is 80 % inside.

On a machine that other programs use, `--cpu-seconds N` measures in CPU seconds of one thread
instead: both models in one process, inference by inference in alternation, for N seconds, in
--processes of them, since where memory came to lie is in every inference of a process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from os import getloadavg
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.analysis.intervals import interval_of

BAR = 0.8
_WARM, _FEWEST = 3, 12
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
        if asked.cpu_seconds:
            turns += ["--budget", "0"]
        done = command("advise", store, "--apply", target, *common, *turns)
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        found: dict[str, Any] = json.loads(done.stdout)[0]
        if asked.cpu_seconds:
            found["applied"] |= alternated(f"zoo:{model}", target, backend, asked)
        return found


def alternated(before: str, after: str, backend: str, asked: argparse.Namespace) -> dict[str, Any]:
    """What took the place of measuring in turn, from a process of one thread."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    words = [before, after, backend, str(asked.batch), str(asked.cpu_seconds)]
    settings = {"env": os.environ | one, "capture_output": True, "text": True, "check": True}
    called = [sys.executable, __file__, "--alternate", *words]
    told = (subprocess.run(called, **settings).stdout for _ in range(asked.processes))
    apart = np.array([float(text.splitlines()[-1]) for text in told])
    low, high = interval_of(apart) if apart.size > 1 else (-np.inf, np.inf)
    ends = [1 - float(np.exp(high)), 1 - float(np.exp(low))]
    return {"measured": {"part": 1 - float(np.exp(np.median(apart))), "interval": ends}}


def alternate(before: str, after: str, backend: str, batch: int, seconds: float) -> float:
    """Logarithm of the ratio of CPU seconds: the median over neighbouring inferences."""
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import open_model, prepare
    from onnxprof.model.layers import inspect
    from onnxprof.plugins import registry
    from onnxprof.plugins.backend import Workload

    work = []
    for model in map(open_model, (before, after)):
        table = inspect(model, batch, {})
        inputs = generate(table, 0, {})
        work.append(Workload(prepare(model, batch, {}), table, inputs, 1, own_process=True))
    runtime = registry.backend(backend)
    apart: list[float] = []
    with runtime.open(work[0]) as ours, runtime.open(work[1]) as theirs:
        for session in (ours, theirs) * _WARM:
            session.infer()
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(apart) < _FEWEST:
            pair = {}
            for session in (ours, theirs) if len(apart) % 2 else (theirs, ours):
                began = time.process_time_ns()
                session.infer()
                pair[session is ours] = time.process_time_ns() - began
            apart.append(np.log(pair[False] / pair[True]))
    return float(np.median(apart))


def row(model: str, backend: str, found: dict[str, Any] | str) -> tuple[str, bool | None]:
    """A line of the table, and whether the gain was inside; None where nothing was rewritten."""
    if isinstance(found, str):
        return ROW.format(model, backend, "", "", "", "", found), None
    rules = sorted({one["rule"] for one in found["findings"] if one["rewrite"]})
    made = found["applied"]
    is_inside = made["predicted"][0] <= made["measured"]["part"] <= made["predicted"][1]
    low, high = (f"{100 * part:.1f}" for part in made["predicted"])
    measured = made["measured"]
    ends = "…".join(f"{100 * part:.1f}" for part in measured["interval"])
    overlap = (
        measured["interval"][0] <= made["predicted"][1]
        and made["predicted"][0] <= measured["interval"][1]
    )
    verdict = "inside" if is_inside else "outside; overlaps" if overlap else "outside"
    cells = ",".join(rules), f"{low}…{high} %", f"{100 * measured['part']:.1f} %", ends
    return ROW.format(model, backend, *cells, verdict), is_inside


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
    parser.add_argument("--cpu-seconds", type=float, default=0.0)
    parser.add_argument("--alternate", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alternate:
        before, after, backend, batch, seconds = asked.alternate
        print(alternate(before, after, backend, int(batch), float(seconds)))
        return
    print(f"load of the last minute before: {getloadavg()[0]:.1f}")
    heads = "network", "backend", "rules", "predicted", "gained", "95 %", "verdict"
    print(ROW.format(*heads))
    told = [inside for inside in rows(asked) if inside is not None]
    part = sum(told) / len(told) if told else 0.0
    print(f"{sum(told)} of {len(told)} inside ({100 * part:.0f} %; the bar is {100 * BAR:.0f} %);")
    print(f"load of the last minute after: {getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
