"""How far the zoo's networks are from what their runtimes can do: measured over lower bound.

    python benchmarks/reasons/zoo_bounds.py [--models lenet,resnet18 | --models all]
        [--backends ort,openvino,torch] [--batch 1] [--threads 0] [--budget 0.5] [--store DIR]

Measures the ceilings of each backend where the store has none that fit, profiles each network,
and prints Markdown: the un-profiled median over the least latency at these ceilings, with the
fusion that ran and with perfect fusion; steps that beat their ceiling by more than 5 % (a fault of
the cost or of the ceiling); and, for each family, the three steps that lose the most time against
their ceiling. What a store has already is not measured again. Run it on a quiet machine: noise
makes a network look further from its bound, and ceilings measured under load make it look nearer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxprof.machine.kernel import usable_cores
from onnxprof.publish.text.numbers import duration
from onnxprof.reasons.bounds import Bounds, bounds
from onnxprof.reasons.roofline import Roofline, roofline
from onnxprof.reasons.stored import Shelf
from onnxprof.records.run import Run
from onnxprof.store.folder import Store, load_good
from onnxprof.zoo.catalogue import entries

WORST = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """One network on one backend, held to the backend's ceilings."""

    run: Run
    roofs: Roofline
    bounds: Bounds

    @property
    def key(self) -> tuple[str, str]:
        """The network and the backend."""
        return self.run.request.model_name, self.run.request.backend


def command(*words: str) -> int:
    """A command of onnxprof; what it says on stderr is seen."""
    return subprocess.run([sys.executable, "-m", "onnxprof", *words], check=False).returncode


def measure(
    names: Sequence[str], backends: Sequence[str], asked: argparse.Namespace, store: Path
) -> None:
    """Ceilings of each backend, then each network, as far as the store lacks them."""
    have = {(run.request.model_name, run.request.backend) for run in stored(store)}
    for backend in backends:
        same = ("--backend", backend, "--threads", str(asked.threads), "--store", str(store))
        command("ceilings", *same)
        for name in names:
            if (name, backend) in have:
                continue
            print(f"{backend} {name}", file=sys.stderr, flush=True)
            command(
                *("profile", f"zoo:{name}", *same, "--batch", str(asked.batch), "--quiet"),
                *("--budget", str(asked.budget), "--no-parity", "--no-telemetry"),
                *(() if asked.verify else ("--no-verify",)),
            )


def stored(store: Path) -> list[Run]:
    """The good runs of a store."""
    paths = list(Store(store).paths()) if store.is_dir() else []
    return [run for _, run in load_good(paths, lambda _: None) if run.timings is not None]


def held(runs: Sequence[Run], store: Path) -> Iterator[Measured]:
    """Each run with its roofline; those without ceilings are left out."""
    shelf = Shelf([store])
    for run in runs:
        roofs = roofline(run, shelf.of(run))
        found = bounds(roofs)
        if found is not None:
            yield Measured(run, roofs, found)


def table(names: Sequence[str], backends: Sequence[str], found: Sequence[Measured]) -> None:
    """A network a row: latency, and how many times its bounds."""
    known = {one.key: one for one in found}
    heads = [f"{backend}: latency | over bound | perfect fusion" for backend in backends]
    print(f"| network | {' | '.join(heads)} |")
    print(f"| --- |{' ---: | ---: | ---: |' * len(backends)}")
    for name in names:
        cells = [_cells(known.get((name, backend))) for backend in backends]
        print(f"| {name} | {' | '.join(cells)} |")


def _cells(one: Measured | None) -> str:
    if one is None:
        return " | | "
    mark = "≤ " if one.bounds.at_least else ""
    over = one.bounds.measured_ns / one.bounds.in_sequence_ns
    fused = one.bounds.measured_ns / one.bounds.fused_in_sequence_ns
    return f"{duration(one.bounds.measured_ns)} | {mark}{over:.2f} | {mark}{fused:.2f}"


def beaten(found: Sequence[Measured]) -> int:
    """Steps faster than their ceiling, one a line; how many there are."""
    count = 0
    for one in found:
        for roof in one.roofs.beaten:
            count += 1
            name, backend = one.key
            print(
                f"- {name} on {backend}: {roof.name} takes {duration(roof.time_ns or 0)}, its bound"
                f" by {roof.bound} is {duration(roof.bound_ns)}"
            )
    return count


def worst(found: Sequence[Measured]) -> None:
    """Of each family and backend the steps that lose the most time against their ceiling."""
    family = {entry.name: entry.family for entry in entries()}
    print("| family | backend | network | layers | time | part of latency | bound by | attains |")
    print("| --- | --- | --- | --- | ---: | ---: | --- | ---: |")
    keys = sorted({(family[one.key[0]], one.key[1]) for one in found if one.key[0] in family})
    for kind, backend in keys:
        rows = [
            (((roof.time_ns or 0) - roof.bound_ns) / one.bounds.measured_ns, one, roof)
            for one in found
            if one.key[1] == backend and family.get(one.key[0]) == kind
            for roof in one.roofs.roofs
            if roof.fraction is not None and not roof.at_least
        ]
        for _, one, roof in sorted(rows, key=lambda row: -row[0])[:WORST]:
            share = (roof.time_ns or 0) / one.bounds.measured_ns
            print(
                f"| {kind} | {backend} | {one.key[0]} | `{roof.name}` |"
                f" {duration(roof.time_ns or 0)} | {share:.1%} | {roof.bound} |"
                f" {roof.fraction:.0%} |"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default="all")
    parser.add_argument("--backends", default="ort,openvino,torch")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--budget", type=float, default=0.5)
    parser.add_argument("--store", type=Path, default=Path("zoo_bounds"))
    parser.add_argument("--verify", action="store_true", help="check ties by values, too")
    asked = parser.parse_args()
    asked.threads = asked.threads or usable_cores()
    names = [e.name for e in entries()] if asked.models == "all" else asked.models.split(",")
    backends = asked.backends.split(",")
    measure(names, backends, asked, asked.store)
    found = list(held(stored(asked.store), asked.store))
    table(names, backends, found)
    print(f"\nSteps that beat their ceiling by more than 5 %: {len(found)} runs\n")
    count = beaten(found)
    print(f"\n{count} of {sum(len(one.roofs.roofs) for one in found)} steps\n")
    worst(found)
    return int(count > 0)


if __name__ == "__main__":
    sys.exit(main())
