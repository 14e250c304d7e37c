"""How much of a float network's layers and time is matched with its quantised forms.

    python benchmarks/quantised_match.py --models squeezenet,mobilenet-v2,resnet18,bert-base

Each network of the zoo is quantised by onnxruntime.quantization on made-up inputs: statically
as QDQ and as QOperator, and dynamically. For each form: the part of the float layers that have a
counterpart, how many nodes have names that tell of another layer than the one they were matched
with, and how many layers are matched with the same nodes once every name of the quantised file is
replaced. With --time both are measured, and printed as well: the part of the float layers'
time in rows that both ran, rows over steps of the float run (lumped rows would make that
small), and the latency, quantised over float.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.networks import quantised_models

from onnxprof.compare.changes import compare
from onnxprof.compare.quantised.match import Match, match
from onnxprof.compare.quantised.names import origins
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import measured, plan
from onnxprof.measure.budget import Budget
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, with_defaults
from onnxprof.model.layers import inspect


def main() -> int:
    """Print a line a network and form."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="squeezenet,mobilenet-v2,resnet18,bert-base")
    parser.add_argument("--forms", default=",".join(quantised_models.FORMS))
    parser.add_argument("--time", action="store_true", help="measure both networks, too")
    parser.add_argument("--budget", type=float, default=3.0, help="seconds a measurement")
    parser.add_argument("--keep", type=Path, help="folder for the quantised files")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        print("network        form       layers  matched  misnamed  nameless", end="")
        print("  time  rows/steps  latency" if asked.time else "")
        for name in asked.models.split(","):
            for form in asked.forms.split(","):
                line(f"zoo:{name}", form, folder, asked.budget if asked.time else 0.0)
    return 0


def line(reference: str, form: str, folder: Path, seconds: float) -> None:
    """Quantise a network in one form, match, and print."""
    opened = open_model(reference)
    dims = with_defaults(opened, {})
    table = inspect(opened, 1, dims)
    name = reference.removeprefix("zoo:")
    path = folder / f"{name}-{form}.onnx"
    if not path.exists():
        feeds = [dict(generate(table, seed)) for seed in (1, 2)]
        quantised_models.quantise(opened.path, form, path, feeds)
    named = match(table, inspect(open_model(str(path)), 1, dims))
    bare = folder / f"{name}-{form}-nameless.onnx"
    onnx.save(quantised_models.nameless(onnx.load(path)), bare)
    renamed = match(table, inspect(open_model(str(bare)), 1, dims))
    same = agreeing(named, renamed)
    bare.unlink()
    wrong = misnamed(named)
    time = timed(reference, path, tuple(dims.items()), seconds) if seconds else ""
    layers = sum(len(group.float_layers) for group in named.groups) + len(named.only_float)
    print(
        f"{name:<14} {form:<9} {layers:>7}  {named.part:>6.1%} {wrong:>9}    {same:>6.1%}  {time}",
        flush=True,
    )
    if named.only_float:
        print(f"  without a counterpart: {', '.join(named.only_float[:6])}", file=sys.stderr)


def misnamed(found: Match) -> int:
    """Nodes whose names tell of a float layer of another group."""
    home = {name: group for group in found.groups for name in group.float_layers}
    count = 0
    for group in found.groups:
        for node in group.quantised_layers:
            told = next((name for name in origins(node) if name in home), "")
            count += bool(told) and home[told] is not group
    return count


def agreeing(named: Match, renamed: Match) -> float:
    """The part of the float layers that are matched with the same nodes without names.

    Nodes keep their order, so their numbers stand for them.
    """
    wanted = {g.float_layers: len(g.quantised_layers) for g in named.groups}
    found = {g.float_layers: len(g.quantised_layers) for g in renamed.groups}
    same = sum(len(k) for k, count in wanted.items() if found.get(k) == count)
    return same / max(1, sum(map(len, wanted)))


def timed(reference: str, path: Path, dims: tuple[tuple[str, int], ...], seconds: float) -> str:
    """Part of the float layers' time in rows that both ran, rows over steps, and the latency."""
    runs = []
    for model in (reference, str(path)):
        options = Options((model,), threads=1, budget=Budget(seconds), telemetry=False, dims=dims)
        (job,) = plan(replace(options, batches=(1,)))
        runs.append(measured(quiet(job), options.limits, lambda *_: None))
    pair = compare([([runs[0]], [runs[1]])], 0.02).pairs[0]
    assert pair.quantised is not None
    both = [row for row in pair.quantised.rows if row.gained_ns is not None]
    steps = [step for step in runs[0].steps if step.layers]
    counts = f"{len(both)}/{len(steps)}"
    return f"{pair.quantised.part_of_time:.1%} {counts:>8}      {pair.latency.ratio:.2f}"


def quiet(job: Job) -> Job:
    """Without checks that say nothing of times."""
    return job.asking(verify=False, parity=False)


if __name__ == "__main__":
    sys.exit(main())
