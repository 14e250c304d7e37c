"""Are stored ceilings what another program sees? NumPy's matrix product and copies beside them.

    python benchmarks/ceilings.py [--backend ort] [--threads 1] [--store DIR] [--rounds 40]

Runs `onnxprof ceilings --again` and NumPy: float32 products of 256 to 1,024 rows by the BLAS of
NumPy, and `a + b` into an array that is there (STREAM's Add; McCalpin 1995) over working sets of
half of each level and of four times the last one. Bytes are counted as onnxprof counts them, each
read or write once. Printed as Markdown: the level, both figures, their ratio. Exit code 1 where no
ratio of a row is within 0.9 to 1.1. Others' loops are not those of a runtime, so say which and why.

Where there is a C compiler, a program of a few loops is a third opinion: fused multiply-adds in
registers, and the same addition, timed in bursts that are short against another program's turn.

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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from onnxprof.machine.caches import caches
from onnxprof.reasons import ceilings as derived
from onnxprof.records.ceilings import Cache, Ceilings
from onnxprof.store.beside.ceilings import stored

PRODUCTS = (256, 512, 1024)
#: What a quarter of the rounds does not exceed, as for ceilings.
QUIET = 0.25
HEADINGS = ("what", "onnxprof", "NumPy", "ratio", "C", "ratio")
#: Prints what a fused multiply-add loop attains in GFLOP/s, then additions over each size in GB/s.
LOOPS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
typedef float vec __attribute__((vector_size(64)));
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static int order(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}
static double quiet(double *taken, int count) {
    qsort(taken, count, sizeof *taken, order);
    return taken[count / 4];
}
static vec products(long count, vec b, vec c) {
    vec a[12] = {{0}};
    for (long i = 0; i < count; i++)
        for (int j = 0; j < 12; j++) a[j] = a[j] * b + c;
    for (int j = 1; j < 12; j++) a[0] += a[j];
    return a[0];
}
__attribute__((noinline)) static void add(float *out, const float *a, const float *b, long n) {
    for (long i = 0; i < n; i++) out[i] = a[i] + b[i];
}
int main(int argc, char **argv) {
    enum { ROUNDS = 400 };
    static double taken[ROUNDS];
    volatile float kept = 0;
    vec b, c;
    for (int i = 0; i < 16; i++) b[i] = 0.5f + argc * 1e-6f, c[i] = 0.25f;
    for (int r = 0; r < ROUNDS; r++) {
        double began = now();
        vec a = products(2000, b, c);
        taken[r] = now() - began;
        kept += a[0];
    }
    printf("%f\n", 2e-9 * 2000 * 12 * 16 / quiet(taken, ROUNDS));
    for (int k = 1; k < argc; k++) {
        long n = atol(argv[k]) / 12, rounds = n > 1000000 ? 40 : ROUNDS;
        long calls = n > 20000 ? 1 : 20000 / n + 1;
        float *x = calloc(n, 4), *y = calloc(n, 4), *z = calloc(n, 4);
        for (long i = 0; i < n; i++) x[i] = y[i] = z[i] = 1;
        for (int r = 0; r < rounds; r++) {
            double began = now();
            for (long i = 0; i < calls; i++) add(z, x, y, n);
            taken[r] = (now() - began) / calls;
        }
        printf("%f\n", 12e-9 * n / quiet(taken, rounds));
        free(x); free(y); free(z);
    }
    return kept == 1e30f;
}
"""


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


def loops(sizes: Sequence[int]) -> list[float]:
    """What compiled loops attain; NaN without a compiler."""
    compiler = shutil.which("cc")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "loops.c"), Path(folder, "loops")
        source.write_text(LOOPS)
        command = [str(compiler), "-O3", "-march=native", "-o", str(program), str(source)]
        if compiler is None or subprocess.run(command).returncode:
            return [float("nan")] * (1 + len(sizes))
        words = [str(program), *map(str, sizes)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return [float(line) for line in done.stdout.split()]


def measured(backend: str, threads: int, store: Path) -> Ceilings:
    """New ceilings, by the command that users have."""
    words = ["ceilings", "--again", "--backend", backend, "--threads", str(threads)]
    command = [sys.executable, "-m", "onnxprof", *words, "--store", str(store)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return stored([store])[0][-1]


def rows(found: Ceilings, threads: int, rounds: int) -> Iterator[tuple[str, float, float, float]]:
    """(what, onnxprof's figure, NumPy's, compiled loops')."""
    known: tuple[Cache, ...] = caches()
    sizes = [cache.reach(threads) // 2 for cache in known]
    sizes.append(4 * max(cache.reach(threads) for cache in known))
    peak, *others = loops(sizes) if threads == 1 else [float("nan")] * (1 + len(sizes))
    rate = derived.compute(found, "float32")
    best = max(product_gflops(side, rounds) for side in PRODUCTS)
    yield "float32 GFLOP/s", rate.best if rate else float("nan"), best, peak
    for level, size, other in zip(derived.levels(found), sizes, others, strict=True):
        figure = level.ceiling.best if level.ceiling else float("nan")
        yield f"{level.name} GB/s, {size >> 10} KiB", figure, add_gbps(size, rounds), other


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
        for what, ours, *others in rows(found, arguments.threads, arguments.rounds):
            outside += not any(0.9 <= ours / other <= 1.1 for other in others)
            cells = [f"{other:.1f} | {ours / other:.2f}" for other in others]
            print(f"| {what} | {ours:.1f} | {' | '.join(cells)} |", flush=True)
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
