"""Time and peak memory of materialising a zoo network: `zoo_materialise.py [NAME] [FOLDER]`.

The file is made afresh in a temporary cache (in FOLDER if given) and removed again.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from onnxprof import zoo


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "vgg19"
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        made = _seconds(name, Path(folder))
        again = _seconds(name, Path(folder))
    megabytes = zoo.entry(name).bytes / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak_mb = peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    print(f"{name}: {megabytes:.0f} MB in {made:.2f} s ({megabytes / made:.0f} MB/s)")
    print(f"cached and verified before: {again * 1e3:.2f} ms; peak RSS {peak_mb:.0f} MB")


def _seconds(name: str, folder: Path) -> float:
    start = time.perf_counter()
    zoo.materialise(name, cache=folder)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
