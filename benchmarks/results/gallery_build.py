"""What the site of a whole sweep costs: CPU seconds of `make gallery`, bytes of its archive.

    python benchmarks/results/gallery_build.py STORE [--keep DIR]

Every run of the store (results/ has some) at batch 1 is multiplied to batches 1 to 32 on one thread
and on all: names and shapes change, times are scaled and get noise, the number of samples stays.
The runs are packed, and the site is built of the archive in a process of its own, with a cache that
starts empty. Half of the CPU seconds is what the build takes on two idle cores; on a busy machine a
second of CPU does less.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.records.layer import Layer, LayerKind, Tensor
from onnxprof.records.run import Run
from onnxprof.records.timings import Samples
from onnxprof.store.folder import Store, load, scan
from onnxprof.store.upkeep.pack import pack

BATCHES, THREADS = (1, 2, 4, 8, 16, 32), (1, 0)
_TIMES = ("warmup_ns", "latency_ns", "traced_ns", "step_ns", "prefix_ns", "empty_ns", "repeat_ns")


def main() -> None:
    """Print the runs, the bytes and the CPU seconds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--keep", type=Path, help="where to leave the archive and the site")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = asked.keep or Path(place)
        store = Store(Path(place) / "runs")
        for run in _multiplied(asked.store):
            store.save(run)
        packing = pack([store.root], folder / "runs.parquet")
        print(f"{packing.runs} runs in {packing.file_bytes:,} bytes", flush=True)
        print(f"{_build(folder, Path(place)):.1f} CPU seconds")


def _multiplied(store: Path) -> Iterator[Run]:
    rng = np.random.default_rng(0)
    for summary in scan([store])[0]:
        run = load(summary.path)
        if run.timings is None or run.request.batch != 1:
            continue
        for batch in BATCHES:
            yield from (_at(run, batch, threads, rng) for threads in THREADS)


def _at(run: Run, batch: int, threads: int, rng: np.random.Generator) -> Run:
    assert run.timings is not None
    speed = batch * (1.0 if threads == 1 else 0.6)

    def scaled(samples: Samples) -> Samples:
        return (samples * speed * rng.lognormal(0, 0.02, samples.shape)).astype(np.int64)

    times: dict[str, Any] = {name: scaled(getattr(run.timings, name)) for name in _TIMES}
    steps = (replace(s, outputs=_tensors(s.outputs, batch)) for s in run.steps)
    return replace(
        run,
        request=replace(run.request, batch=batch, threads=threads),
        table=replace(
            run.table, batch=batch, layers=tuple(_layer(each, batch) for each in run.table.layers)
        ),
        steps=tuple(steps),
        timings=replace(run.timings, **times),
    )


def _layer(layer: Layer, batch: int) -> Layer:
    if layer.kind not in (LayerKind.NODE, LayerKind.INPUT):
        return layer
    inputs, outputs = _tensors(layer.inputs, batch), _tensors(layer.outputs, batch)
    return replace(layer, inputs=inputs, outputs=outputs)


def _tensors(tensors: tuple[Tensor, ...], batch: int) -> tuple[Tensor, ...]:
    """What has an item first has as many as the batch."""
    return tuple(
        replace(t, shape=(batch, *t.shape[1:]))
        if t.shape and len(t.shape) > 1 and t.shape[0] == 1
        else t
        for t in tensors
    )


def _build(folder: Path, scratch: Path) -> float:
    words = [
        "site",
        "build",
        "--store",
        str(folder / "runs.parquet"),
        "--out",
        str(folder / "site"),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "onnxprof", *words],
        check=True,
        env=os.environ | {"ONNXPROF_CACHE": str(scratch / "cache")},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
