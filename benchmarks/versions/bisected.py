"""Is an operator found that a version of onnxruntime made slower, inside a network, and bisected?

    python benchmarks/versions/bisected.py [--good 1.22.1] [--slow 1.23.2] [--convolutions 9]
        [--processes 6] [--budget 6]

Downloads the versions between. The network is that of `network.py`. Prints the command, what it
prints, and the CPU seconds of it all.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from network import warped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--good", default="1.22.1")
    parser.add_argument("--slow", default="1.23.2")
    parser.add_argument("--convolutions", type=int, default=9)
    parser.add_argument("--processes", type=int, default=6)
    parser.add_argument("--budget", type=float, default=6.0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "warped.onnx").write_bytes(warped(asked.convolutions).SerializeToString())
        words = ["compare", "warped.onnx", "--threads", "1", "--bisect"]
        words += ["--runtime", f"onnxruntime=={asked.good}"]
        words += ["--runtime", f"onnxruntime=={asked.slow}"]
        words += ["--processes", str(asked.processes), "--budget", str(asked.budget)]
        print(f"onnxprof {shlex.join(words)}", flush=True)
        done = subprocess.run([sys.executable, "-m", "onnxprof", *words], cwd=folder, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"exit code {done.returncode}; {used.ru_utime + used.ru_stime:.0f} s of CPU")


if __name__ == "__main__":
    main()
