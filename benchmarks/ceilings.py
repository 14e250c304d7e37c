"""Are stored ceilings what another program sees? NumPy's matrix product and copies beside them.

    python benchmarks/ceilings.py [--backend ort] [--threads 1] [--store DIR] [--rounds 40]

Runs `onnxprof ceilings --again` and NumPy: float32 products of 256 to 1,024 rows by the BLAS of
NumPy, and `a + b` into an array that is there (STREAM's Add; McCalpin 1995) over working sets of
half of each level and of four times the last one. Bytes are counted as onnxprof counts them, each
read or write once. Printed as Markdown: the level, both figures, their ratio. Exit code 1 where a
ratio is outside 0.9 to 1.1. NumPy's loops are not those of a runtime, so say which and why.

With `--carm` it runs carm-roofline 1.5.1 as well (minutes; it needs a C compiler), where installed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from onnxprof.machine.caches import caches
from onnxprof.reasons import ceilings as derived
from onnxprof.records.ceilings import Cache, Ceilings
from onnxprof.store.ceilings import stored

PRODUCTS = (256, 512, 1024)
#: What a quarter of the rounds does not exceed, as for ceilings.
QUIET = 0.25
HEADINGS = ("what", "onnxprof", "NumPy", "ratio")


def quiet_s(work: Callable[[], object], rounds: int, once_s: float = 2e-3) -> float:
    """Seconds of one call: the lower quartile over rounds of bursts."""
    work()
    began = time.perf_counter()
    work()
    burst = max(1, int(once_s / max(time.perf_counter() - began, 1e-7)))
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(burst):
            work()
        taken.append((time.perf_counter() - began) / burst)
    return float(np.quantile(taken, QUIET))


def product_gflops(side: int, rounds: int) -> float:
    """The rate of one matrix product."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(side, side)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)
    return 2e-9 * side**3 / quiet_s(lambda: np.matmul(a, b, out=out), rounds)


def add_gbps(working_set_bytes: int, rounds: int) -> float:
    """The bandwidth of `out = a + b`: two reads and a write."""
    count = working_set_bytes // 12
    a, b, out = (np.ones(count, np.float32) for _ in range(3))
    return 1e-9 * 12 * count / quiet_s(lambda: np.add(a, b, out=out), rounds)


def measured(backend: str, threads: int, store: Path) -> Ceilings:
    """New ceilings, by the command that users have."""
    words = ["ceilings", "--again", "--backend", backend, "--threads", str(threads)]
    command = [sys.executable, "-m", "onnxprof", *words, "--store", str(store)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return stored([store])[0][-1]


def rows(found: Ceilings, threads: int, rounds: int) -> Iterator[tuple[str, float, float]]:
    """(what, onnxprof's figure, NumPy's)."""
    rate = derived.compute(found, "float32")
    best = max(product_gflops(side, rounds) for side in PRODUCTS)
    yield "float32 GFLOP/s", rate.best if rate else float("nan"), best
    known: tuple[Cache, ...] = caches()
    sizes = [cache.reach(threads) // 2 for cache in known]
    sizes.append(4 * max(cache.reach(threads) for cache in known))
    for level, size in zip(derived.levels(found), sizes, strict=True):
        figure = level.ceiling.best if level.ceiling else float("nan")
        yield f"{level.name} GB/s, {size >> 10} KiB", figure, add_gbps(size, rounds)


def carm(threads: int) -> str:
    """What carm-roofline prints, or why it did not run."""
    program = shutil.which("carm")
    if program is None or shutil.which("cc") is None:
        return "carm-roofline is not here (it needs a C compiler, too)"
    command = [program, "benchmark", "-t", "roofline", "-d", "f32", "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout or done.stderr


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--carm", action="store_true")
    arguments = parser.parse_args()
    print("| " + " | ".join(HEADINGS) + " |")
    print("|" + " --- |" * len(HEADINGS))
    outside = 0
    with tempfile.TemporaryDirectory() as folder:
        place = arguments.store or Path(folder)
        found = measured(arguments.backend, arguments.threads, place)
        for what, ours, theirs in rows(found, arguments.threads, arguments.rounds):
            outside += not 0.9 <= ours / theirs <= 1.1
            print(f"| {what} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |", flush=True)
    if arguments.carm:
        print(carm(arguments.threads))
    return int(outside > 0)


if __name__ == "__main__":
    # NumPy's BLAS reads its threads when it is imported: start again with those asked for.
    if os.environ.get("OPENBLAS_NUM_THREADS") is None:
        asked = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
        names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        os.execve(
            sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(names, asked)
        )
    sys.exit(main())
