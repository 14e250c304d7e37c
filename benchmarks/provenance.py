"""How much of the time is tied to layers of the file? Networks under the trace timer, as Markdown.

    python benchmarks/provenance.py [--models zoo:lenet,model.onnx | all] [--backend ort]
        [--batch 1] [--budget 0.3] [--dim NAME=SIZE ...]

Each network is measured once in a fresh process. Columns: executed steps and layers of the file;
the shares of the steps' time with confidence `exact` (verified by values) and `inferred`, of
steps that the runtime inserted (they pass a tensor on in another layout or type, or no layer of
the file has their operator), and of other steps that belong to no layer; and layers that two steps
claim, of which there may be none. Verified and tied are what is exact, and what is exact or
inferred, of all that was not inserted. The bars: 99 % of that verified, 98 % tied.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from onnxprof.analysis.step_times import estimates
from onnxprof.errors import OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.measure.budget import Budget
from onnxprof.model.dims.grammar import parse
from onnxprof.processes.confined import Limits
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Timer
from onnxprof.zoo import names

HEADINGS = ("model", "steps", "layers", "exact", "inferred", "inserted", "unknown", "claimed twice")
BAR, VERIFIED_BAR = 0.98, 0.99
INSERTED, UNKNOWN = "inserted", "unknown"


def shares(run: Run) -> dict[str, float]:
    """Parts of the steps' time by confidence; 1 in total."""
    assert run.timings is not None
    times = estimates(run.steps, run.timings)
    operators = {layer.op_type for layer in run.table.nodes}
    found = dict.fromkeys((Confidence.EXACT, Confidence.INFERRED, INSERTED, UNKNOWN), 0.0)
    for step, time_ns in zip(run.steps, times, strict=True):
        passes = step.evidence.startswith("passes on") or step.op_type not in operators
        stray = INSERTED if passes else UNKNOWN
        found[step.confidence if step.layers else stray] += float(time_ns) / times.sum()
    return found


def claimed_twice(run: Run) -> int:
    """How many layers stand in more than one step."""
    claims = Counter(layer for step in run.steps for layer in step.layers)
    return sum(count > 1 for count in claims.values())


def measured(model: str, arguments: argparse.Namespace) -> Run:
    """One run without parity."""
    options = Options(
        models=(model,),
        batches=(arguments.batch,),
        backend=arguments.backend,
        budget=Budget(arguments.budget),
        timer=Timer.TRACE,
        only_verify=True,
        dims=tuple(parse(arguments.dim).items()),
        parity=False,
    )
    return run_isolated(plan(options)[0], Limits(), lambda *_: None)


def line(cells: tuple[str, ...]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table and how many reach the bar."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=lambda text: text.split(","), default=["all"])
    parser.add_argument("--backend", default="ort")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--budget", type=float, default=0.3)
    parser.add_argument("--dim", action="append", default=[])
    arguments = parser.parse_args()
    if arguments.models == ["all"]:
        arguments.models = [f"zoo:{name}" for name in names()]
    print(f"{line(HEADINGS)}\n{line(('---',) * len(HEADINGS))}")
    tied: list[float] = []
    verified: list[float] = []
    for model in arguments.models:
        try:
            run = measured(model, arguments)
        except OnnxprofError as error:
            print(f"{model}: {error}", file=sys.stderr)
            continue
        found = shares(run)
        tied.append(1 - found[UNKNOWN] / (1 - found[INSERTED]))
        verified.append(found[Confidence.EXACT] / (1 - found[INSERTED]))
        counts = (str(len(run.steps)), str(len(run.table.layers)))
        cells = [f"{share:.2%}" for share in found.values()]
        told = (run.request.model_name, *counts, *cells, str(claimed_twice(run)))
        print(line(told), flush=True)
    reached = sum(share >= BAR for share in tied)
    print(f"\n{reached} of {len(tied)} networks have at least 98 % of their time tied to layers.")
    reached = sum(share >= VERIFIED_BAR for share in verified)
    print(f"{reached} of {len(verified)} networks have at least 99 % of it verified.")


if __name__ == "__main__":
    main()
