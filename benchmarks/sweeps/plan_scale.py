"""A plan of 10,000 jobs, planned and resumed: CPU seconds, and how many models and runs are opened.

    python benchmarks/sweeps/plan_scale.py [--jobs 10000] [--rounds 3]

Half of the jobs are in the store, then all of them. Networks of the zoo are known by the catalogue,
files by what is remembered of them beside the store. The bar is 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from unittest import mock

from onnxprof.store import parquet
from onnxprof.store.encoding import request_digest
from onnxprof.store.folder import Store, path_part
from onnxprof.sweeps.planning.ahead import Ahead
from onnxprof.sweeps.planning.remembered import Remembered, request_of
from onnxprof.sweeps.plans.read import read_plan
from onnxprof.sweeps.plans.survey import Surveyed, survey
from onnxprof.sweeps.resume import Policy
from onnxprof.testing import sample_run
from onnxprof.zoo import catalogue

BATCHES = (1, 2, 4, 8, 16, 32)


def written(folder: Path, jobs: int) -> Path:
    """A plan of at least so many jobs: the zoo at every batch, and at many counts of threads."""
    networks = len(catalogue.names())
    threads = -(-jobs // (networks * len(BATCHES)))
    plan = folder / "plan.toml"
    plan.write_text(
        f"[defaults]\nbatch = {list(BATCHES)}\nthreads = {list(range(1, threads + 1))}\n"
        '[[models]]\nname = "zoo:*"\n[[backends]]\nname = "ort"\n'
    )
    return plan


def filled(surveyed: Surveyed, root: Path, share: float) -> int:
    """Store that share of the jobs, every so many of them; returns how many."""
    data = parquet.to_bytes(sample_run())
    remembered = Remembered.of(root)
    stored = number = 0
    for task in surveyed.tasks:
        known = remembered.known(task)
        if known is None:
            raise SystemExit(f"{task.model} is not known")
        for batch in task.options.batches:
            number += 1
            if int(number * share) == int((number - 1) * share):
                continue
            asked = request_of(task, known, batch)
            parts = map(path_part, (asked.model_name, asked.device_id, asked.backend))
            place = root.joinpath(*parts)
            place.mkdir(parents=True, exist_ok=True)
            name = f"b{batch:04d}-t{asked.threads}-{request_digest(asked)}-20260102T030405Z.parquet"
            (place / name).write_bytes(data)
            stored += 1
    return stored


def planned(plan: Path, root: Path) -> dict[str, float]:
    """Plan and resume in this process."""
    began, wall = time.process_time(), time.perf_counter()
    with mock.patch.object(parquet, "read_summary", wraps=parquet.read_summary) as opened:
        ahead = Ahead.of(survey(read_plan(plan)), Store(root), Policy())
        tasks = ahead.ordered(is_short=False)
        found = ahead.planned()
    return {
        "jobs": found.jobs,
        "done": found.done,
        "left": found.left,
        "tasks_left": len(tasks),
        "runs_opened": opened.call_count,
        "cpu_s": time.process_time() - began,
        "wall_s": time.perf_counter() - wall,
    }


def swept(plan: Path, root: Path) -> float:
    """CPU seconds of the whole command where nothing is left."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "onnxprof", "sweep", str(plan), "--store", str(root)]
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ))
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for share in (0.5, 1.0):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            plan = written(folder, asked.jobs)
            filled(survey(read_plan(plan)), folder / "runs", share)
            rounds = [planned(plan, folder / "runs") for _ in range(asked.rounds)]
            figures = rounds[-1] | {"cpu_s": median(each["cpu_s"] for each in rounds)}
            if share == 1.0:
                figures["command_cpu_s"] = swept(plan, folder / "runs")
            print(json.dumps({k: round(v, 2) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
