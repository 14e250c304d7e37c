"""The wheels that gpu_check.py needs, for a GPU machine without a network.

    python benchmarks/gpu_wheels.py --out DIR [--python 3.12] [--have torch,numpy,…]

Downloads one wheel a package, in the versions that this environment has, for Linux on x86-64 and
that Python; packages that the other machine has are named in `--have`. There,
`pip install --no-index --no-deps --target FOLDER DIR/*.whl` and PYTHONPATH=FOLDER. onnxruntime-gpu,
torch and TensorRT are not among them: they must fit the driver.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

#: What the packages of a `pip install "onnxprof[site]"` and its tests are called.
WANTED = (
    *("onnx", "numpy", "pyarrow", "typer", "rich", "psutil", "platformdirs"),
    "filelock",
    *("jinja2", "typst", "graphlay", "plotly", "nvidia-ml-py"),
    *("pytest", "pytest-randomly", "hypothesis", "scipy"),
)
#: Wheels for Linux on x86-64, oldest C library last.
PLATFORMS = (
    *(f"manylinux_2_{n}_x86_64" for n in (39, 35, 34, 31, 28, 27, 17)),
    *("manylinux2014_x86_64", "manylinux1_x86_64"),
)


def wheels(out: Path, python: str, have: set[str]) -> int:
    """Download what is needed into DIR, one wheel a package, as this environment has them."""
    out.mkdir(parents=True, exist_ok=True)
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", *platforms, "-d", str(out)]
    names = [f"{name}=={version}" for name, version in closure(WANTED) if name not in have]
    print("\n".join(names))
    return subprocess.run([*command, *names], check=False).returncode


def closure(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """These packages and what they need, with the versions that are installed here."""
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop(0).lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        yield name, found.version
        needs = (Requirement(need) for need in found.requires or ())
        waiting += [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]


def main() -> int:
    """Parse and go."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--python", default="3.12")
    parser.add_argument("--have", default="")
    arguments = parser.parse_args()
    have = {name.strip().lower().replace("_", "-") for name in arguments.have.split(",")}
    return wheels(arguments.out, arguments.python, have)


if __name__ == "__main__":
    sys.exit(main())
