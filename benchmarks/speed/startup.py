"""How long short commands take, next to the least that each of them needs.

    python benchmarks/speed/startup.py [ROUNDS]

`onnxprof --help` next to a Python that does nothing, and `onnxprof inspect` of a small model, made
before, next to `import onnx`. A command and its limit alternate, so that a busy machine slows
both; medians of wall time and of CPU time (of the processes that they start, too) and the ratios
are printed. Modules are compiled before, as those of an installed package are.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from statistics import median
from time import perf_counter_ns

#: (limit, command), each with the arguments of the interpreter.
PAIRS = (
    (["-c", "pass"], ["-m", "onnxprof", "--help"]),
    (["-c", "import onnx"], ["-m", "onnxprof", "inspect", "zoo:lenet"]),
)


def seconds(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of an interpreter and its children."""
    before, start = _used(), perf_counter_ns()
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    return (perf_counter_ns() - start) / 1e9, _used() - before


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def medians(runs: list[tuple[float, float]]) -> tuple[float, float]:
    walls, used = zip(*runs, strict=True)
    return median(walls), median(used)


def main(rounds: int) -> None:
    print(f"{'medians of ' + str(rounds):<32} {'wall ms':>8} {'CPU ms':>8}")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for pair in PAIRS:
            for arguments in pair:  # fills caches
                seconds(arguments, environment)
            taken = [[seconds(arguments, environment) for arguments in pair] for _ in range(rounds)]
            columns = [medians(list(column)) for column in zip(*taken, strict=True)]
            for arguments, (wall, used) in zip(pair, columns, strict=True):
                print(f"{' '.join(arguments):<32} {wall * 1e3:8.0f} {used * 1e3:8.0f}")
            (bare_wall, bare_used), (wall, used) = columns
            print(f"{'ratio':<32} {wall / bare_wall:8.2f} {used / bare_used:8.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
