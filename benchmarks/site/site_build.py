"""How long a site takes to build: cold, after nothing changed, after one new run; and its memory.

    python benchmarks/site/site_build.py [--case many|large] [--before TREE] [--keep DIR]

The runs are made up, of residual networks, and stored as measured ones are: 100 models of 12 to 180
layers at two batch sizes (`many`), or 30 of 12 to 600 layers at six batch sizes on three devices
(`large`). Each build is `onnxprof site build` in a process of its own, with a cache that starts
empty, on two cores; where `--before` names the tree of an earlier version, both build in
alternation, and `of CPU` is the share that this version takes. Memory is the most that the build
and its workers held together, pages that they share counted once for each. On a busy machine read
the seconds of CPU: half of them is what a cold build takes on two idle cores.
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
from itertools import product
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import psutil

from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run


@dataclasses.dataclass(frozen=True)
class Case:
    """The runs of a store: so many models on so many devices; sizes in layers, in turn."""

    models: int
    devices: int
    batches: tuple[int, ...]
    sizes: tuple[int, ...]


CASES = {
    "many": Case(100, 1, (1, 8), (12, 25, 40, 55, 70, 70, 85, 100, 120, 180)),
    "large": Case(30, 3, (1, 2, 4, 8, 16, 32), (12, 40, 70, 110, 150, 180, 230, 300, 430, 600)),
}
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


def run(
    model: int, device: int, batch: int, case: Case, created: str = "2026-01-02T03:04:05Z"
) -> Run:
    """A run whose times look measured; the normalisation is fused into its convolution."""
    layers = table(case.sizes[model % len(case.sizes)], batch)
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


def fill(store: Store, case: Case) -> int:
    for model, device, batch in product(range(case.models), range(case.devices), case.batches):
        store.save(run(model, device, batch, case))
    return case.models * case.devices * len(case.batches)


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


@dataclasses.dataclass(frozen=True)
class Built:
    """What one build took and said."""

    seconds: float
    cpu_s: float
    mib: float
    said: str


def build(folder: Path, name: str, source: Path | None) -> Built:
    """Build a store's site by the version in `source`, if any, in folders of the version's own."""
    command = [sys.executable, "-m", "onnxprof", "site", "build"]
    command += ["--store", str(folder / "runs"), "--out", str(folder / f"public-{name}")]
    environment = {**os.environ, "ONNXPROF_CACHE": str(folder / f"cache-{name}")}
    if source is not None:
        environment["PYTHONPATH"] = str(source.resolve())
    start, spent = perf_counter(), cpu()
    child = psutil.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)
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
    return Built(perf_counter() - start, cpu() - spent, most / 2**20, said.splitlines()[0])


def size(folder: Path) -> float:
    """MiB of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def measured(what: str, folder: Path, models: int, before: Path | None) -> None:
    """A line a version; with two of them the second one's CPU over the first one's."""
    versions = {"before": before, "now": None} if before else {"now": None}
    built = {name: build(folder, name, source) for name, source in versions.items()}
    for name, one in built.items():
        share = one.cpu_s / built["before"].cpu_s if name == "now" and before else 1.0
        print(
            f"{what:<12} {name:<7} {one.seconds:8.1f} {one.cpu_s:8.2f} "
            f"{one.cpu_s / models:8.3f} {one.mib:9.0f} {share:7.2f}  {one.said}",
            flush=True,
        )


def main(case: Case, folder: Path, before: Path | None) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    store = Store(folder / "runs")
    count = fill(store, case)
    print(
        f"{case.models} models, {case.devices} devices, {len(case.batches)} batch sizes: "
        f"{count} runs, {size(store.root):.0f} MiB"
    )
    print(
        f"{'build':<12} {'version':<7} {'seconds':>8} {'CPU, s':>8} {'a model':>8} "
        f"{'MiB held':>9} {'of CPU':>7}  what",
        flush=True,
    )
    measured("cold", folder, case.models, before)
    for _ in range(3):
        measured("nothing new", folder, case.models, before)
    middle = case.models // 2
    store.save(run(middle, 0, 8, case, created="2026-02-03T04:05:06Z"))
    measured("one new run", folder, case.models, before)
    print(f"the site is {size(folder / 'public-now'):.0f} MiB, ", end="")
    print(f"the cache {size(folder / 'cache-now'):.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", choices=CASES, default="many")
    parser.add_argument("--models", type=int, help="another number of models")
    parser.add_argument("--before", type=Path, help="the tree of an earlier version, to alternate")
    parser.add_argument("--keep", type=Path, help="an empty folder for the store and the site")
    given = parser.parse_args()
    chosen = CASES[given.case]
    chosen = dataclasses.replace(chosen, models=given.models or chosen.models)
    with tempfile.TemporaryDirectory() as temporary:
        main(chosen, given.keep or Path(temporary), given.before)
