"""By how much reading power, memory and clocks slows the inferences beside it.

    python benchmarks/speed/telemetry_cost.py [--model zoo:squeezenet] [--backend ort]
        [--device cpu] [--seconds 30] [--block 0.25] [--interval-ms 25]

Blocks of un-profiled inferences with the reading thread beside them alternate with blocks without,
the order turning round with each pair; printed is the ratio of the medians with its interval over
pairs. Where a machine has no counter to read, three files of `/proc` stand in for one (`--always`
reads them besides), so that the thread has something to do. Then the cost of one reading itself.

No latency sample of a run pays this: the thread runs beside the steady stretch alone.
"""

from __future__ import annotations

import argparse
import gc
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from onnxprof.analysis import intervals
from onnxprof.machine.telemetry import Recorder, Source, watching
from onnxprof.model.feeds import generate
from onnxprof.model.file import declared_fills, open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Session, Workload
from onnxprof.plugins.placement import pick_device
from onnxprof.records.telemetry import Absence, Quantity


@dataclass
class Kernel:
    """Three small files of the kernel, as three counters would be."""

    source: str = "kernel"
    absent: list[Absence] = field(default_factory=list)

    def values(self) -> dict[Quantity, float]:
        """How long the files are, for want of a better figure."""
        names = ("self/status", "self/stat", "uptime")
        return {Quantity.POWER: float(sum(len(Path("/proc", n).read_bytes()) for n in names))}

    def energy_mj(self) -> None:
        """Nothing."""

    def held_back(self) -> frozenset[str]:
        """Nothing."""
        return frozenset()


def block(session: Session, seconds: float, recorder: Recorder | None) -> list[int]:
    times: list[int] = []
    gc.collect()
    with recorder.beside() if recorder else nullcontext():
        end = perf_counter_ns() + int(seconds * 1e9)
        while not times or perf_counter_ns() < end:
            began = perf_counter_ns()
            session.infer()
            times.append(perf_counter_ns() - began)
    return times


def alternated(
    session: Session, sources: list[Source], seconds: float, each: float, interval_s: float
) -> tuple[list[float], list[float]]:
    """Medians of the blocks with and without readings, in pairs."""
    found: tuple[list[float], list[float]] = ([], [])
    for pair in range(max(6, int(seconds / each / 2))):
        for read in (True, False) if pair % 2 else (False, True):
            recorder = Recorder(sources, perf_counter_ns, interval_s) if read else None
            found[0 if read else 1].append(float(np.median(block(session, each, recorder))))
    return found


def reading_us(sources: list[Source]) -> float:
    recorder = Recorder(sources, perf_counter_ns)
    times = []
    for _ in range(200):
        began = perf_counter_ns()
        recorder.read()
        times.append(perf_counter_ns() - began)
    return float(np.median(times)) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="zoo:squeezenet")
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--block", type=float, default=0.25)
    parser.add_argument("--interval-ms", type=float, default=25.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--always", action="store_true", help="read three files of /proc as well")
    given = parser.parse_args()

    model = open_model(given.model)
    backend = registry.backend(given.backend)
    device = pick_device(backend, given.device)
    table = inspect(model, 1, {})
    inputs = generate(table, 0, declared_fills(model))
    workload = Workload(prepare(model, 1, {}), table, inputs, given.threads, device.kind)
    with watching(device, 5.0) as watch, backend.open(workload) as session:
        sources = list(watch.sources)
        if given.always or not sources:
            sources.append(Kernel())
        block(session, 1.0, None)
        read, bare = alternated(
            session, sources, given.seconds, given.block, given.interval_ms / 1e3
        )
        ratios = np.array(read) / np.array(bare)
        low, high = intervals.interval_of(ratios)
        print(f"{given.model}, {given.backend} on {device.id}: {len(ratios)} pairs of blocks")
        print(f"read: {', '.join(s.source for s in sources)}, every {given.interval_ms:g} ms")
        print(f"median without {np.median(bare) / 1e6:.3f} ms, with {np.median(read) / 1e6:.3f} ms")
        print(f"ratio {np.median(ratios):.4f} (95 % interval {low:.4f} to {high:.4f})")
        print(f"one reading takes {reading_us(sources):.0f} us")


if __name__ == "__main__":
    main()
