"""What `runs list` takes on large stores, cold and with the index, against a stat of every file.

    python benchmarks/speed/store_list.py [--sizes 2000,20000]

For each size: CPU seconds of a listing process without an index, with one, and of a process that
walks the store and looks at every file; their ratio, and the exponents of growth.
"""

from __future__ import annotations

import argparse
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stores

from onnxprof.store.index import NAME

BARE = """
import os, sys
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        os.stat(os.path.join(folder, name))
"""


def seconds(*command: str) -> float:
    """CPU of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(root: Path) -> tuple[float, float, float]:
    listing = ("-m", "onnxprof", "runs", "list", "--store", str(root))
    seconds(*listing)  # imports
    (root / NAME).unlink(missing_ok=True)
    return seconds(*listing), seconds(*listing), seconds("-c", BARE, str(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="2000,20000")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    rows = []
    print("| runs | cold, CPU s | index, CPU s | stat, CPU s | index / stat |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            root = Path(folder) / str(size)
            stores.fill(root, size)
            time.sleep(2.5)  # what changed a moment ago is in no index
            cold, warm, bare = measured(root)
            rows.append((cold, warm))
            print(f"| {size} | {cold:.2f} | {warm:.2f} | {bare:.2f} | {warm / bare:.1f} |")
    for name, first, last in zip(("cold", "index"), rows[0], rows[-1], strict=True):
        if len(sizes) > 1:
            growth = math.log(last / first) / math.log(sizes[-1] / sizes[0])
            print(f"growth, {name}: {growth:.2f}")


if __name__ == "__main__":
    main()
