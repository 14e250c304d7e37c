"""How times of layers grow with the context, beside their symbolic costs.

    python benchmarks/decoders/growth.py [MODEL…] [--prefill 64..512/4] [--decode 64..1024/4]
        [--budget 3]

On the CPU at batch 1 with one thread. For prefill and decode: the sums of all layers whose cost has
one order, and the attention that grows most, with the order and sign of measured times and of the
cost, and the cost's operations as an expression in n, the length. Exit code 1 where the growth of
attention's time contradicts its cost in order or sign; ~ is where samples are too noisy to tell.
MODEL is a file, zoo:NAME, or `tiny` for two of the tests' decoders, the default.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from subjects import TINY, models

import onnxprof as op
from onnxprof.compare.growth.orders import Order
from onnxprof.compare.growth.rows import Growth, GrowthRow
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.layer import LayerTable
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.sequences.planned import in_phase

_BASE = 64


def costs(reference: str, kind: PhaseKind) -> SymbolicCost:
    """Costs of a phase as expressions in n, its length."""
    model = open_model(reference)

    def table_at(point: Mapping[str, int]) -> LayerTable:
        sizes = in_phase(model, str(Phase(kind, point["n"])), {})[1]
        return inspect(model, 1, sizes)

    return symbolic(table_at, {"n": _BASE})


def expression(found: SymbolicCost, layers: tuple[str, ...]) -> str:
    """Operations of some layers in n."""
    works = [one.work for one in found.layers if one.name in layers]
    total: object = 0
    for work in works:
        total = total if work is None else total + work.flops
    return str(total)


def printed(model: str, growth: Growth, found: SymbolicCost) -> bool:
    """Print a growth; whether attention's time grows as its cost does."""
    attention = _attention(growth)
    first, last = growth.sizes[0], growth.sizes[-1]
    rows: list[tuple[str, GrowthRow]] = [(f"({row.blocks} blocks)", row) for row in growth.sums]
    rows += [(row.layers[0], row) for row in attention[:3]]
    for name, row in rows:
        mark = {True: "✓", False: "≠", None: "~"}[row.agrees]
        cost = "?" if row.cost is None else row.cost.word
        print(
            f"| {model} | {growth.over.value} {first}–{last} | {name} | {row.times_ns[0] / 1e3:.1f}"
            f" | {row.times_ns[-1] / 1e3:.1f} | {row.fit.order.word} | {cost} | {mark}"
            f" | `{expression(found, row.layers)}` |",
            flush=True,
        )
    highest = max((row for row in growth.sums if row.cost is not None), key=lambda r: r.cost or 0)
    return highest.agrees is not False


def _attention(growth: Growth) -> list[GrowthRow]:
    """Blocks whose cost has the phase's highest order, those that grow most first."""
    wanted = Order.QUADRATIC if growth.over is PhaseKind.PREFILL else Order.LINEAR
    found = [row for row in growth.rows if row.cost is wanted]
    return sorted(found, key=lambda row: -row.grown_ns)


def main() -> int:
    """Measure, print a table, and return 1 where an order differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="*", default=[TINY])
    parser.add_argument("--prefill", default="64..512/4")
    parser.add_argument("--decode", default="64..1024/4")
    parser.add_argument("--budget", type=float, default=3.0)
    given = parser.parse_args()
    differ = 0
    print("| model | phase | layers | first µs | last µs | time | cost | | operations |")
    print("| --- | --- | --- | ---: | ---: | --- | --- | --- | --- |")
    with models(given.models) as references:
        for model in references:
            wanted = (f"prefill:{given.prefill}", f"decode:{given.decode}")
            runs = op.profile(model, phases=wanted, threads=1, budget=given.budget, progress=False)
            [phased] = op.phases(runs)
            for growth in phased.growths:
                differ += not printed(phased.model, growth, costs(model, growth.over))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
