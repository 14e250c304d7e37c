"""What `runs export` takes on large stores, against pyarrow reading and writing the same files.

    python benchmarks/speed/store_export.py [--sizes 500,2000]

For each size and format: CPU milliseconds a run and most MiB of an exporting process; for the
bare limit, of a process in which pyarrow reads every run's samples and writes them into one file;
their ratio, and the exponent of growth.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import stores

BARE = """
import pathlib, sys
import pyarrow.parquet as pq
paths = sorted(pathlib.Path(sys.argv[1]).rglob("*.parquet"))
with pq.ParquetWriter(sys.argv[2], pq.read_schema(paths[0]), compression="zstd") as writer:
    for path in paths:
        writer.write_table(pq.read_table(path))
"""


def used(*command: str) -> tuple[float, float]:
    """CPU seconds and most MiB of one process."""
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="500,2000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    taken: dict[str, list[float]] = {}
    print("| runs | format | CPU ms a run | MiB | bare, CPU ms a run | ratio |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            root = Path(folder) / str(size)
            stores.fill(root, size)
            bare, _ = used("-c", BARE, str(root), str(Path(folder) / "bare"))
            for ending in ("csv", "json", "parquet"):
                output = str(Path(folder) / f"out.{ending}")
                own, most = used(
                    *("-m", "onnxprof", "runs", "export", "--store", str(root), "-o", output)
                )
                taken.setdefault(ending, []).append(own)
                a_run = f"{own / size * 1e3:.2f} | {most:.0f} | {bare / size * 1e3:.2f}"
                print(f"| {size} | {ending} | {a_run} | {own / bare:.1f} |", flush=True)
    for ending, seconds in taken.items():
        if len(sizes) > 1:
            growth = math.log(seconds[-1] / seconds[0]) / math.log(sizes[-1] / sizes[0])
            print(f"growth, {ending}: {growth:.2f}")


if __name__ == "__main__":
    main()
