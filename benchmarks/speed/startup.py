"""How long `onnxprof --help` takes, next to a Python that does nothing.

    python benchmarks/speed/startup.py [ROUNDS]

The two alternate, so that a busy machine slows both; medians and their ratio are printed.
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median
from time import perf_counter_ns

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "onnxprof --help": [sys.executable, "-m", "onnxprof", "--help"],
}


def seconds(command: list[str]) -> float:
    start = perf_counter_ns()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (perf_counter_ns() - start) / 1e9


def main(rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    # The first round fills caches.
    medians = {name: median(series[1:]) for name, series in times.items()}
    for name, value in medians.items():
        print(f"{name:<16} {value * 1e3:7.1f} ms  median of {rounds}")
    bare, full = medians.values()
    print(f"ratio            {full / bare:7.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
