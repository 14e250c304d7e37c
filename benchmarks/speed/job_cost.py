"""What a job costs beyond loading, warming up and inferring: CPU seconds, and wall beside them.

    python benchmarks/speed/job_cost.py [MODEL] [--budget 0.05] [--rounds 5] [--bare]

One batch and six, of a planned sweep. Of what the processes took, the time of loading is taken off,
and for each inference the shortest of its kind: a busy machine makes the rest of it. `--bare` is
without check, parity and telemetry. The bar is 0.25 s for a batch of LeNet, and 0.5 s for six
together. Linux only.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path
from statistics import median

from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan, sweep
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Run
from onnxprof.store.folder import Store


def cpu_s() -> float:
    """Of this process, its children, and those of the server that they are forked from."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime + _server_s()


def _server_s() -> float:
    server = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if server is None:
        return 0.0
    facts = Path("/proc", str(server), "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, facts[11:15])) / os.sysconf("SC_CLK_TCK")


def running_s(run: Run) -> float:
    """Loading and inferring, undisturbed."""
    held = run.timings
    if held is None:
        raise SystemExit(run.failure)
    arrays = held.warmup_ns, held.latency_ns, held.traced_ns, held.prefix_ns, held.repeat_ns
    least = sum(int(a.min(axis=-1).sum()) * a.shape[-1] for a in arrays if a.size)
    return (held.load_ns + held.first_ns + least) / 1e9


def measured(options: Options) -> tuple[float, float]:
    """CPU and wall seconds of a sweep beyond what its runs took."""
    jobs = plan(options)
    time.sleep(1.5)  # whatever planning left behind comes to rest
    with tempfile.TemporaryDirectory() as folder:
        before, began = cpu_s(), time.monotonic()
        outcomes = list(sweep(jobs, options.limits, Store(Path(folder)), lambda *_: None))
        wall_s = time.monotonic() - began
    spent = sum(running_s(outcome.run) for outcome in outcomes)
    return cpu_s() - before - spent, wall_s - spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="zoo:lenet")
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bare", action="store_true")
    given = parser.parse_args()
    wanted = not given.bare
    for batches, bar_s in (((1,), 0.25), ((1, 2, 3, 4, 6, 8), 0.5)):
        options = Options(
            models=(given.model,),
            batches=batches,
            budget=Budget(given.budget),
            threads=1,
            parity=wanted,
            verify=wanted,
            telemetry=wanted,
        )
        found = [measured(options) for _ in range(given.rounds)]
        cpu, wall = (median(column) for column in zip(*found, strict=True))
        print(f"{len(batches)} of a sweep  {cpu:6.2f} CPU s  {wall:6.2f} s wall  bar {bar_s:g} s")


if __name__ == "__main__":
    main()
