"""Time and memory of profiling both phases of a decoder of 1 B parameters in int4.

    python benchmarks/decoders/int4.py [MODEL] [--phase prefill:32] [--phase decode:32,256]
        [--threads 2] [--budget 3]

Runs `onnxprof profile` and prints its CPU and wall seconds, the resident memory of its largest
process and of all together, and the file's size. The bars are 5 minutes and 4 GB; the model is
below 1 GB. MODEL is zoo:llama-1b-int4 by default; it is made before the clock starts. Linux only.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "speed"))

from reaped import cost

from onnxprof.model.file import open_model

_SECONDS, _MB = 300.0, 4000.0


def main() -> int:
    """Measure and print; returns 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", nargs="?", default="zoo:llama-1b-int4")
    parser.add_argument("--phase", action="append")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, default=3.0)
    given = parser.parse_args()
    phases = given.phase or ["prefill:32", "decode:32,256"]
    size = sum(path.stat().st_size for path in open_model(given.model).files()) / 1e6
    with TemporaryDirectory(prefix="onnxprof-") as folder:
        words = [word for phase in phases for word in ("--phase", phase)]
        options = ["--threads", str(given.threads), "--budget", str(given.budget), "-q"]
        command = [sys.executable, "-m", "onnxprof", "profile", given.model, *words, *options]
        whole = shlex.join([*command, "--store", folder])
        spent = cost(["sh", "-c", f"{whole} || [ $? -eq 1 ]"])  # 1: outputs differ, and it says so
    print(f"{given.model}, {size:,.0f} MB, {', '.join(phases)}, {given.threads} threads")
    print(f"wall {spent.wall_s:.0f} s, CPU {spent.cpu_s:.0f} s (bar {_SECONDS:.0f} s of wall time)")
    print(f"largest process {spent.largest_mb:,.0f} MB", end=", ")
    print(f"together {spent.together_mb:,.0f} MB (bar {_MB:,.0f} MB)")
    return 1 if spent.wall_s > _SECONDS or spent.together_mb > _MB else 0


if __name__ == "__main__":
    sys.exit(main())
