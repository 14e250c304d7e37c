"""Which part of the devices' time a sweep over a Ray cluster spends on jobs.

    python benchmarks/sweeps/fleet.py [--nodes 4] [--jobs 24] [--budget 2]

A head and nodes on this machine with fake devices, whose inferences sleep: nothing computes, so
that nodes do not take the cores from each other. A node gets `--jobs` jobs, three to a task. A
device's time runs from the start of its node's first job to the end of the last one; what lies
between jobs is what the fleet costs. The share that counts the time before the first job, too, in
which workers start and the first model is made, stands beside it.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--budget", type=float, default=2.0)
    given = parser.parse_args()
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # loopback alone
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        measure(Path(folder), given.nodes, given.jobs, given.budget)


def measure(folder: Path, nodes: int, jobs: int, budget: float) -> None:
    """Sweep once and print the shares."""
    from support.fleets import farm
    from support.fleets.rays import rays
    from support.fleets.sweeps import sweep, task

    from onnxprof.measure.budget import Budget
    from onnxprof.sweeps import events
    from onnxprof.sweeps.fleet.cluster.nodes import SETTINGS
    from onnxprof.sweeps.fleet.near.addresses import RayAddress
    from onnxprof.sweeps.fleet.near.admission import Asked

    os.environ |= SETTINGS | {"RAY_AUTH_MODE": "disabled"}
    os.environ["ONNXPROF_LOCKS"] = str(folder / "locks")
    site = farm.install(folder / "site")
    sys.path.insert(0, str(site))
    started: dict[str, float] = {}
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    planned = 0.0

    def clock(event: events.Event) -> None:
        nonlocal planned
        now = time.monotonic()
        if isinstance(event, events.Planned):
            planned = now
        elif isinstance(event, events.Started):
            started[event.job.key] = now
        elif isinstance(event, events.Finished):
            spans[event.job.node].append((started[event.job.key], now))

    with rays(folder, site, _free_port()) as cluster:
        for number in range(nodes):
            cluster.add(f"node{number}", "fake:gpu", FARM_STEP_NS="1000000")
        tasks = [
            task(batches=(1, 2, 4), seed=seed, budget=Budget(budget))
            for seed in range(nodes * jobs // 3)
        ]
        asked = Asked(RayAddress(cluster.client), ("farm",))
        swept = sweep(asked, tasks, folder / "runs", clock)
    shares = []
    print(f"{'node':8} {'jobs':>5} {'median job':>11} {'on jobs':>9} {'with the start':>15}")
    for node, those in sorted(spans.items()):
        busy = sum(end - begin for begin, end in those)
        first, last = those[0][0], those[-1][1]
        usual = statistics.median(end - begin for begin, end in those)
        shares.append((busy, last - first, last - planned))
        print(
            f"{node:8} {len(those):5} {usual:9.2f} s {busy / (last - first):9.1%}"
            f" {busy / (last - planned):15.1%}"
        )
    busy, span, whole = map(sum, zip(*shares, strict=True))
    print(f"{'all':8} {swept.ended.finished:5} {'':11} {busy / span:9.1%} {busy / whole:15.1%}")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
