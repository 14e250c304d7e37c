"""How long a site takes to build: cold, after nothing changed, after one new run; and its memory.

    python benchmarks/site/site_build.py [--models 30] [--devices 3] [--keep DIR]

The runs are made up, of residual networks of 12 to 600 layers at six batch sizes on each device,
and stored as measured ones are. Each build is `onnxprof site build` in a process of its own, with
a cache that starts empty, on two cores. Memory is the most that the build and its workers held
together, pages that they share counted once for each. On a busy machine read the seconds of CPU:
half of them is what a cold build takes on two idle cores.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import psutil

from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

BATCHES = (1, 2, 4, 8, 16, 32)
SIZES = (12, 40, 70, 110, 150, 180, 230, 300, 430, 600)
BLOCK = ("Conv", "BatchNormalization", "Relu", "Conv", "Add")
SAMPLES = 60


def table(layers: int, batch: int) -> LayerTable:
    """Blocks of five layers, each with a way around it."""
    image = Tensor("input", "float32", (batch, 3, 224, 224))
    rows = [Layer("input", LayerKind.INPUT, "Input", outputs=(image,), inputs=(image,))]
    last = shortcut = image
    for i in range(layers):
        block, place = divmod(i, len(BLOCK))
        operator = BLOCK[place]
        name = f"/stage{block // 4}/block{block % 4}/{operator.lower()}_{place}/{operator}"
        out = Tensor(f"{name}_output_0", "float32", (batch, 64, 56, 56))
        given = [last]
        if operator == "Conv":
            weight = Tensor(f"stage{block // 4}.block{block % 4}.conv{place}.weight", "float32")
            weight = dataclasses.replace(weight, shape=(64, 64, 3, 3))
            kind = LayerKind.INITIALIZER
            rows.append(
                Layer(weight.name, kind, "Initializer", outputs=(weight,), inputs=(weight,))
            )
            given.append(weight)
        if operator == "Add":
            given.append(shortcut)
            shortcut = out
        attributes = (("kernel_shape", "[3, 3]"), ("pads", "[1, 1, 1, 1]")) if place == 0 else ()
        rows.append(
            Layer(
                *(name, LayerKind.NODE, operator, operator, "", 17, tuple(given), (out,)),
                attributes=attributes,
                given_name=name,
            )
        )
        last = out
    return LayerTable(tuple(rows), batch)


def run(model: int, device: int, batch: int, created: str = "2026-01-02T03:04:05Z") -> Run:
    """A run whose times look measured; the normalisation is fused into its convolution."""
    layers = table(SIZES[model % len(SIZES)], batch)
    nodes = [layer.name for layer in layers.nodes]
    groups = [
        nodes[i : i + 2] if BLOCK[i % 5] == "Conv" and i % 5 == 0 else nodes[i : i + 1]
        for i in range(len(nodes))
        if BLOCK[i % 5] != "BatchNormalization"
    ]
    steps = tuple(
        Step(f"{group[0]}_nchwc", "Conv", "CPU", tuple(group), Confidence.EXACT, "name", position=i)
        for i, group in enumerate(groups)
    )
    base = sample_run(
        f"network-{model:03}", batch, f"cpu:machine-{device}", scale=len(steps) / 3, created=created
    )
    rng = np.random.default_rng((model, device, batch))
    share = rng.gamma(0.7, 1.0, len(steps))
    assert base.timings is not None
    whole = float(np.median(base.timings.latency_ns)) * 0.98
    noise = 1 + rng.gamma(2.0, 0.01, (len(steps), SAMPLES))
    step_ns = (share / share.sum() * whole)[:, None] * noise
    timings = dataclasses.replace(
        base.timings,
        step_ns=step_ns.astype(np.int64),
        traced_ns=step_ns.sum(axis=0).astype(np.int64) + 50_000,
    )
    machine = dataclasses.replace(base.device, name=f"Machine {device}")
    digest = f"{model:064x}"
    return dataclasses.replace(
        base,
        request=dataclasses.replace(base.request, model_sha256=digest),
        model=dataclasses.replace(base.model, sha256=digest),
        device=machine,
        table=layers,
        steps=steps,
        timings=timings,
    )


def fill(store: Store, models: int, devices: int) -> int:
    for model in range(models):
        for device in range(devices):
            for batch in BATCHES:
                store.save(run(model, device, batch))
    return models * devices * len(BATCHES)


def held(process: psutil.Process) -> Iterator[int]:
    for one in [process, *process.children(recursive=True)]:
        try:
            yield one.memory_info().rss
        except psutil.NoSuchProcess:
            continue


def cpu() -> float:
    """Seconds that all processes took that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def build(folder: Path) -> tuple[float, float, float, str]:
    """Seconds, seconds of CPU, most MiB, and what the build said."""
    command = [sys.executable, "-m", "onnxprof", "site", "build"]
    command += ["--store", str(folder / "runs"), "--out", str(folder / "public")]
    environment = {**os.environ, "ONNXPROF_CACHE": str(folder / "cache")}
    start, spent = perf_counter(), cpu()
    child = psutil.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    most = 0
    while child.poll() is None:
        try:
            most = max(most, sum(held(child)))
        except psutil.NoSuchProcess:
            break
        sleep(0.1)
    said = child.communicate()[0]
    if child.returncode:
        raise SystemExit(f"the build failed: {said}")
    return perf_counter() - start, cpu() - spent, most / 2**20, said.splitlines()[0]


def size(folder: Path) -> float:
    """MiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def main(models: int, devices: int, folder: Path) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    store = Store(folder / "runs")
    count = fill(store, models, devices)
    print(
        f"{models} models, {devices} devices, {len(BATCHES)} batch sizes: {count} runs", flush=True
    )
    print(f"the store is {size(store.root):.0f} MiB")
    print(f"{'build':<16} {'seconds':>8} {'CPU':>8} {'MiB held':>9}  what", flush=True)

    def measured(what: str) -> None:
        seconds, spent, memory, said = build(folder)
        print(f"{what:<16} {seconds:8.1f} {spent:8.1f} {memory:9.0f}  {said}", flush=True)

    measured("cold")
    measured("nothing new")
    store.save(run(models // 2, 0, 8, created="2026-02-03T04:05:06Z"))
    measured("one new run")
    print(f"the site is {size(folder / 'public'):.0f} MiB, the cache {size(folder / 'cache'):.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=30)
    parser.add_argument("--devices", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="an empty folder for the store and the site")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(given.models, given.devices, given.keep or Path(temporary))
