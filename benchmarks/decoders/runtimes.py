"""Which of the zoo's decoders, encoders and networks of today each runtime runs, and how exactly.

    python benchmarks/decoders/runtimes.py [NAME…] [--backend ort]… [--threads 2] [--budget 0.3]

A row for each network and its sizes: the largest error of an output against unoptimised
onnxruntime, by the measure of its verdict, and ≠ where that is beyond its tolerance; or the number
of the runtime's refusal, which is printed below with the operator and layer that it names. Decoders
run a prompt of 16 tokens and one token behind 16, models with other states four steps, all others
batch 1. NAME is a network of the zoo; the default is all with states, blocks of decoders, encoders,
later vision and int8 twins. Exit code 1 where an output differs.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module

import onnxprof as op
from onnxprof.errors import OnnxprofError
from onnxprof.model.file import open_model
from onnxprof.records.sequences.phase import PhaseKind
from onnxprof.sequences.planned import phases_of

_BACKENDS = ("ort", "openvino", "torch")
_FAMILIES = ("decoders", "towers", "vision", "int8")
_PHASES = {
    PhaseKind.PREFILL: "prefill:16",
    PhaseKind.DECODE: "decode:16",
    PhaseKind.STEPS: "steps:4",
}
_CELL = {None: "not compared", True: "", False: "≠ "}


@dataclass
class Table:
    """The rows so far, and the refusals that they refer to."""

    backends: Sequence[str]
    refusals: list[str] = field(default_factory=list)
    differ: int = 0

    def row(self, name: str, sizes: str, cells: Sequence[str]) -> None:
        """Print a row."""
        print(f"| {name} | {sizes} | {' | '.join(cells)} |", flush=True)

    def head(self) -> None:
        """Print the heads of the columns."""
        self.row("network", "sizes", self.backends)
        print(f"| --- | --- |{' ---: |' * len(self.backends)}")

    def refused(self, why: str) -> str:
        """The number of a refusal."""
        if why not in self.refusals:
            self.refusals.append(why)
        return f"no ({self.refusals.index(why) + 1})"

    def exact(self, run: op.Run) -> str:
        """The largest error of a run's outputs."""
        parity = run.parity
        if parity is None or not parity.outputs:
            return "not compared"
        self.differ += parity.passed is False
        errors = (
            o.rms_rel if o.whole and o.rms_rel is not None else o.max_rel for o in parity.outputs
        )
        return f"{_CELL[parity.passed]}{max(errors):.0e}"


def phases_in(reference: str) -> tuple[str, ...]:
    """The phases in which a model is measured; none where it has no states."""
    kinds = phases_of(open_model(reference))
    return tuple(text for kind, text in _PHASES.items() if kind in kinds)


def default() -> list[str]:
    """The networks of the families that this is about."""
    families = (import_module(f"onnxprof.zoo.families.{name}") for name in _FAMILIES)
    return [entry.name for family in families for entry in family.ENTRIES]


def measured(name: str, given: argparse.Namespace, table: Table) -> None:
    """Measure a network on each runtime, and print its rows."""
    wanted = phases_in(f"zoo:{name}")
    cells: dict[str, list[str]] = {phase: [] for phase in wanted or ("batch 1",)}
    for backend in given.backend:
        found = dict.fromkeys(cells, "")
        why = ""
        try:
            runs = op.profile(
                f"zoo:{name}", backend=backend, phases=wanted, threads=given.threads,
                budget=given.budget, progress=False, timer="trace",
            )  # fmt: skip
            found |= {run.request.phase or "batch 1": table.exact(run) for run in runs}
            why = next((failure.reason for failure in runs.failures), "")
        except OnnxprofError as error:
            why = str(error)
        for sizes, cell in found.items():
            cells[sizes].append(cell or table.refused(f"{backend}, {name}: {why}"))
    for sizes, row in cells.items():
        table.row(name, sizes, row)


def main() -> int:
    """Measure and print; returns 1 where an output differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--backend", action="append", choices=_BACKENDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--budget", type=float, default=0.3)
    given = parser.parse_args()
    given.backend = given.backend or list(_BACKENDS)
    warnings.simplefilter("ignore", RuntimeWarning)  # failures are in the table
    table = Table(given.backend)
    table.head()
    for name in given.names or default():
        measured(name, given, table)
    print()
    for number, why in enumerate(table.refusals, 1):
        print(f"{number}. {why}")
    return 1 if table.differ else 0


if __name__ == "__main__":
    sys.exit(main())
