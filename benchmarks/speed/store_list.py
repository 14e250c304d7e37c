"""What `runs list` takes on large stores, cold and with the index, against a stat of every file.

    python benchmarks/speed/store_list.py [--sizes 2000,20000,100000] [--tagged 2000]

For each size: CPU seconds of a listing process without an index, with one, and of a process that
walks the store and looks at every file; their ratio, and the exponents of growth. And what it adds,
in a store of so many different runs, that all of them have a tag.
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

from onnxprof.store import tags
from onnxprof.store.folder import Store, scan
from onnxprof.store.index import NAME
from onnxprof.testing import sample_run

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


def tagged(root: Path, count: int) -> tuple[float, float]:
    """CPU of a listing before and after every run gets a tag."""
    store = Store(root)
    for i in range(count):
        store.save(sample_run(f"network-{i % 25:02}", 1 + i // 25, seed=i))
    time.sleep(2.5)
    listing = ("-m", "onnxprof", "runs", "list", "--store", str(root))
    seconds(*listing)
    before = seconds(*listing)
    tags.change(scan([root])[0], "all", is_set=True)
    return before, seconds(*listing)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="2000,20000,100000")
    parser.add_argument("--tagged", type=int, default=2000)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
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
        if arguments.tagged:
            bare, all_tagged = tagged(Path(folder) / "tagged", arguments.tagged)
            added = (all_tagged - bare) / arguments.tagged * 1e6
            print(
                f"{arguments.tagged} runs: {bare:.2f} CPU s, all tagged {all_tagged:.2f}", end=" "
            )
            print(f"({added:.0f} µs a run)")
    for name, first, last in zip(("cold", "index"), rows[0], rows[-1], strict=True):
        if len(sizes) > 1:
            growth = math.log(last / first) / math.log(sizes[-1] / sizes[0])
            print(f"growth, {name}: {growth:.2f}")


if __name__ == "__main__":
    main()
