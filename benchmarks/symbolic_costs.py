"""Costs as expressions against the concrete model, layer by layer, over the zoo.

    python benchmarks/symbolic_costs.py [NAME…]

Each network is looked at once; its expressions are then evaluated at six batch sizes and, where it
has such axes, three lengths, and every field of every layer's cost is compared. Exit code 1 if any
differs. MACs stand beside the published figure.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path

import onnx

from onnxprof.cost.count import costs, total
from onnxprof.cost.symbolic import SymbolicCost
from onnxprof.model.costs import symbolic_costs
from onnxprof.model.file import ModelFile, with_defaults
from onnxprof.model.graph.parameters import parameters
from onnxprof.model.graph.walk import normalise
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing
from onnxprof.zoo.catalogue import entry, names, skeleton_path

BATCHES = (1, 2, 3, 5, 8, 16)
LENGTHS = (33, 96, 211)


def opened(name: str) -> ModelFile:
    """A network without its weights, which no cost depends on."""
    path = Path(skeleton_path(name))
    structure = onnx.load(path)
    counted = parameters(structure)
    return ModelFile(path, name, f"zoo:{name}", structure, normalise(structure, path)[0], counted)


def differences(model: ModelFile, found: SymbolicCost) -> tuple[int, int]:
    """(sizes looked at, layers whose cost differs there)."""
    dims = list(with_defaults(model, {}))
    differ = points = 0
    for batch, length in product(BATCHES, LENGTHS if dims else (0,)):
        sizes = {dim: length + 5 * at for at, dim in enumerate(dims)}
        concrete = costs(inspect(model, batch, sizes))
        expressed = found.at({"batch": batch, **sizes})
        differ += sum(a != b for a, b in zip(concrete, expressed, strict=True))
        points += 1
    return points, differ


def main() -> int:
    failed = 0
    for name in sys.argv[1:] or names():
        model, start = opened(name), time.process_time()
        found = symbolic_costs(model, sizing(model, {}))
        seconds = time.process_time() - start
        points, differ = differences(model, found)
        failed += bool(differ)
        published = entry(name).published
        usual = with_defaults(model, {})
        macs = total(costs(inspect(model, 1, usual))).operations.macs
        beside = f"{100 * (macs / published.macs - 1):+.2f} %" if published.macs else "-"
        reason = " (says why)" if published.departure and published.macs else ""
        print(
            f"{name}: {len(found.layers)} layers, {points} sizes, {differ} differ, "
            f"{len(found.unknown())} unknown; {seconds:.2f} CPU s; MACs {beside} of the "
            f"published{reason}",
            flush=True,
        )
    print(f"{failed} networks differ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
