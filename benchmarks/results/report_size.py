"""How large a report is: the rows of the table in docs/report.md.

    python benchmarks/results/report_size.py [--model resnet50] [--most-mb 5]

Takes the measured runs of `results/`, so it says the same on every machine. Exit code 1 where a
report is larger than `--most-mb`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import onnxprof as op

STORE = Path(__file__).parents[2] / "results"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--most-mb", type=float, default=5.0)
    asked = parser.parse_args()
    alike = op.load(STORE, model=asked.model).newest()
    every = [run for run in alike if run.request.model_name == asked.model]
    most = 0
    print("runs | bytes")
    for name, runs in (("batch 1", [r for r in every if r.request.batch == 1]), ("all", every)):
        backends = sorted({run.request.backend for run in runs})
        with tempfile.TemporaryDirectory() as folder:
            size = op.report(runs, Path(folder, "report.html")).stat().st_size
        print(f"{name}: {len(runs)} runs on {', '.join(backends)} | {size:,}")
        most = max(most, size)
    return int(most > asked.most_mb * 1e6)


if __name__ == "__main__":
    sys.exit(main())
