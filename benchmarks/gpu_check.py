"""Everything that only a GPU can show, as one command with a time limit.

    python benchmarks/gpu_check.py --out DIR [--seconds 470] [--parts devices,kernels,…]

Runs the parts below in turn, each in processes of its own with a limit of its own, and writes
`report.json`, `report.md` and `runs/` into DIR as it goes, so that what was reached stays when
time runs out. A part passes, fails with a reason, or is skipped where its runtime is not there;
the exit code is 1 if one failed. For a machine without a network, `gpu_wheels.py` beside this
downloads what it needs.

devices     doctor lists a GPU with its facts, and which backends work on it
kernels     onnxruntime on CUDA under `cupti`: rows within 3 % of CUDA events around the call
ort         networks on onnxruntime with CUDA: parity, rows that add up, power and clocks
prefix      one of them under the prefix timer: layers within 10 % of the device's times
torch       the same networks on torch with CUDA
tensorrt    one network on TensorRT
suite       the tests that need a GPU
site        the pages of all those runs
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onnxprof.analysis.reconcile import Reconciliation, Status, reconcile
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Quantity
from onnxprof.store.folder import Store, load

ROOT = Path(__file__).resolve().parent.parent
NETWORKS = "zoo:lenet,zoo:alexnet,zoo:squeezenet,zoo:resnet50,zoo:mobilenet-v2,zoo:vgg16"
#: Layers' device times over CUDA events around the call, and over prefixes' segments.
NEAR, NEARER = 0.10, 0.03


class Skip(Exception):
    """Why a part cannot run here."""


class Failure(Exception):
    """What is wrong."""


@dataclass(slots=True)
class Outcome:
    """What came of a part."""

    part: str
    state: str
    """`passed`, `failed` or `skipped`."""
    seconds: float
    reason: str = ""
    figures: dict[str, float | str] = field(default_factory=dict)


@dataclass(slots=True)
class Check:
    """One call of this program: where it writes, what it measures, when it must end."""

    out: Path
    networks: tuple[str, ...]
    batches: str
    provider: str
    budget: float
    ends: float
    figures: dict[str, float | str] = field(default_factory=dict)
    limit: float = 60.0
    patience: float = 1.0
    """What the seconds of every part are multiplied by, on a busy machine."""
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        """The folder of stored runs."""
        return self.out / "runs"

    def left(self) -> float:
        """Seconds that the part at hand may still take."""
        return self.limit - time.monotonic()

    def onnxprof(self, *words: str) -> str:
        """What a command prints. Raises Failure with its last line where it fails."""
        return self.program("-m", "onnxprof", *words)

    def program(self, *words: str) -> str:
        """The same for any program of this Python."""
        seconds = max(1.0, self.left())
        try:
            done = subprocess.run(
                [sys.executable, *words],
                capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Failure(f"{' '.join(words[:5])} … took longer than {seconds:.0f} s") from None
        with (self.out / "log.txt").open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        if done.returncode:
            said = [*done.stderr.splitlines(), *done.stdout.splitlines()] or ["no message"]
            raise Failure(f"{' '.join(words[:4])} … exits with {done.returncode}: {said[-1][:300]}")
        return done.stdout

    def profile(self, store: str, networks: Sequence[str], *options: str) -> list[Run]:
        """Measure, and return what was stored under DIR/runs/STORE."""
        folder = self.runs / store
        try:
            self.onnxprof(
                *("profile", *networks, "--budget", str(self.budget), "--store", str(folder)),
                *("--quiet", "--no-wait", *options),
            )
        finally:
            made = [load(path) for path in Store(folder).paths()] if folder.exists() else []
            self.figures["runs"] = len(made)
        return made

    def diagnosis(self) -> Any:
        """What doctor says, asked once."""
        if not self.told:
            self.told = json.loads(self.onnxprof("doctor", "--format", "json"))
        return self.told

    def works(self, backend: str, device: str) -> None:
        """Raises Skip where doctor says that a backend has no such device."""
        states = [s for s in self.diagnosis()["backends"] if s["backend"] == backend]
        fitting = [s for s in states if s["device"].partition(":")[0] == device]
        if not any(state["usable"] for state in fitting):
            details = [s["detail"] for s in fitting or states] or ["no such backend"]
            raise Skip(f"{backend} on {device}: {details[0]}")


def devices(check: Check) -> None:
    """A GPU is listed, and by name."""
    told = check.diagnosis()
    gpus = [s["device"] for s in told["devices"] if s["device"]["kind"] == "cuda"]
    check.figures["devices"] = ", ".join(gpu["id"] for gpu in gpus) or "none"
    if not gpus:
        raise Skip(told["no_gpu"] or "the driver lists no GPU")
    blank = [key for key in ("name", "memory_bytes", "driver", "features") if not gpus[0][key]]
    if blank:
        raise Failure(f"{gpus[0]['id']} has no {', '.join(blank)}")


def kernels(check: Check) -> None:
    """Rows of a network at the largest batch against CUDA events."""
    check.works("ort", check.provider)
    if check.provider != "cuda":
        raise Skip("kernels are timed on CUDA alone")
    largest = check.batches.split(",")[-1]
    (run,) = check.profile(
        *("kernels", ("zoo:resnet50",), "--provider", "cuda", "--timer", "cupti"),
        *("--batch", largest),
    )
    if not run.kernels:
        raise Failure("no kernel was recorded")
    whole = float(check.program(__file__, "events", "--out", str(check.out), "--batches", largest))
    ratio = reconcile(run).layer_sum_ns / whole
    check.figures |= {"rows over events": round(ratio, 4), "kernel": run.kernels[0].name[:60]}
    if abs(ratio - 1) > NEARER:
        raise Failure(f"the rows are {ratio:.3f} of what CUDA events say of the call")


def networks(backend: str) -> Callable[[Check], None]:
    """The networks at all batches on one backend."""

    def measure(check: Check) -> None:
        check.works(backend, check.provider)
        options = ("--provider", check.provider) if backend == "ort" else ()
        device = () if backend == "ort" else ("--device", check.provider)
        where = ("--backend", backend, *options, *device, "--batch", check.batches)
        judge(check, check.profile(backend, check.networks, *where))

    return measure


def judge(check: Check, runs: Sequence[Run]) -> None:
    """Outputs are right, rows add up, and the GPU's readings are there. Raises Failure."""
    good = [run for run in runs if run.timings is not None]
    wrong = [named(run) for run in good if run.parity and run.parity.passed is False]
    sums = {named(run): reconcile(run) for run in good}
    apart = [name for name, each in sums.items() if added_up(each) != each.total_ns]
    blind = [named(run) for run in good if check.provider == "cuda" and not has_power(run)]
    overheads = [each.overhead_ns / each.total_ns for each in sums.values()]
    check.figures |= {
        "good runs": len(good),
        "overhead, median": round(float(np.median(overheads or [0.0])), 4),
        "timers": ", ".join(sorted({run.timer for run in good})),
    }
    if not runs:
        raise Failure("nothing was measured")
    for what, which in (
        ("failed", [f"{named(run)}: {run.failure}" for run in runs if run.timings is None]),
        ("give wrong outputs", wrong),
        ("do not add up", apart),
        ("have neither power nor clocks", blind),
    ):
        if which:
            raise Failure(f"{len(which)} of {len(runs)} {what}: {which[0]}")


def added_up(sums: Reconciliation) -> int:
    """All rows but the total, in nanoseconds."""
    return sum(row.median_ns or 0 for row in sums.rows if row.status is not Status.TOTAL)


def named(run: Run) -> str:
    """A run in a message."""
    return f"{run.request.model_name} at batch {run.request.batch}"


def has_power(run: Run) -> bool:
    """Whether the driver was read beside it."""
    told = run.telemetry
    return told is not None and bool(told.of(Quantity.POWER) and told.of(Quantity.CLOCK))


def prefix(check: Check) -> None:
    """Un-profiled prefixes and the device's own times agree."""
    check.works("ort", check.provider)
    network, largest = check.networks[-1], check.batches.split(",")[-1]
    options = ("--provider", check.provider, "--batch", largest)
    (cut,) = check.profile("prefix", (network,), *options, "--timer", "prefix")
    (other,) = check.profile("other", (network,), *options, "--timer", "auto", "--no-parity")
    sums = [reconcile(run).layer_sum_ns for run in (cut, other)]
    ratio = sums[0] / max(1, sums[1])
    check.figures |= {"timers": f"{cut.timer}, {other.timer}", "layer sums": round(ratio, 4)}
    if cut.timer != "prefix":
        raise Failure(f"the timer was {cut.timer}")
    if check.provider == "cuda" and abs(ratio - 1) > NEAR:
        raise Failure(f"the layers add up to {ratio:.3f} of what {other.timer} says")


def tensorrt(check: Check) -> None:
    """One network, its engine built here."""
    check.works("tensorrt", "cuda")
    where = ("--backend", "tensorrt", "--device", "cuda", "--batch", "1,32")
    judge(check, check.profile("tensorrt", check.networks[:1], *where))


def suite(check: Check) -> None:
    """The tests that need a GPU."""
    said = check.program("-m", "pytest", "-m", "gpu", "-p", "no:randomly", "tests")
    check.figures["pytest"] = said.strip().splitlines()[-1][-80:] if said.strip() else ""
    if " passed" not in said:
        raise Skip("no test had what it needs")


def site(check: Check) -> None:
    """Pages of everything that was stored."""
    stores = [w for p in sorted(check.runs.glob("*")) for w in ("--store", str(p))]
    if not stores:
        raise Skip("nothing was measured")
    check.onnxprof("site", "build", *stores, "--out", str(check.out / "site"))
    check.figures["pages"] = len(list((check.out / "site").rglob("*.html")))


#: Each part and its seconds.
PARTS: Mapping[str, tuple[Callable[[Check], None], float]] = {
    "devices": (devices, 20.0),
    "kernels": (kernels, 60.0),
    "ort": (networks("ort"), 140.0),
    "prefix": (prefix, 45.0),
    "torch": (networks("torch"), 80.0),
    "tensorrt": (tensorrt, 60.0),
    "suite": (suite, 60.0),
    "site": (site, 40.0),
}


def perform(name: str, check: Check) -> Outcome:
    """Run one part within its limit and within what is left of the whole."""
    part, seconds = PARTS[name]
    seconds *= check.patience
    began = time.monotonic()
    check.figures, check.limit = {}, min(began + seconds, check.ends)
    state, reason = "passed", ""
    try:
        if check.left() < 1:
            raise Skip("no time was left")
        part(check)
    except Skip as skipped:
        state, reason = "skipped", str(skipped)
    except Exception as error:  # whatever it is, the other parts go on
        state, reason = "failed", f"{type(error).__name__}: {error}"[:500]
    return Outcome(name, state, round(time.monotonic() - began, 1), reason, dict(check.figures))


def lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """The report as Markdown."""
    yield from ("| part | state | seconds | figures | reason |", "|" + " --- |" * 5)
    for each in outcomes:
        figures = "; ".join(f"{key} {value}" for key, value in each.figures.items())
        cells = (each.part, each.state, f"{each.seconds:.0f}", figures, each.reason)
        yield "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def run_parts(arguments: argparse.Namespace) -> int:
    """All parts in turn; 1 where one failed."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    check = Check(
        *(arguments.out.resolve(), tuple(arguments.networks.split(",")), arguments.batches),
        *(arguments.provider, arguments.budget, time.monotonic() + arguments.seconds),
        patience=arguments.patience,
    )
    outcomes: list[Outcome] = []
    for name in arguments.parts.split(","):
        outcomes.append(perform(name, check))
        (check.out / "report.json").write_text(json.dumps([asdict(o) for o in outcomes], indent=2))
        (check.out / "report.md").write_text("\n".join(lines(outcomes)) + "\n")
        print(f"{name}: {outcomes[-1].state} ({outcomes[-1].seconds} s) {outcomes[-1].reason}")
    return int(any(each.state == "failed" for each in outcomes))


def events(batch: int) -> float:
    """Nanoseconds of ResNet-50 between CUDA events before and after the call; least of twenty."""
    import torch

    from onnxprof.backends.ort.backend import OrtBackend
    from onnxprof.model.feeds import generate
    from onnxprof.model.file import open_model, prepare
    from onnxprof.model.layers import inspect
    from onnxprof.plugins.backend import Workload

    model = open_model("zoo:resnet50")
    table = inspect(model, batch, {})
    asked = Workload(prepare(model, batch, {}), table, generate(table), 1, "cuda")
    taken = []
    with OrtBackend().open(asked) as session:
        for _ in range(10):
            session.infer()
        for _ in range(20):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            session.infer()
            end.record()
            torch.cuda.synchronize()
            taken.append(start.elapsed_time(end) * 1e6)
    return float(np.median(taken))


def main() -> int:
    """Parse and go."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("run", "events"), default="run")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=470.0)
    parser.add_argument("--patience", type=float, default=1.0)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--batches", default="1,2,4,8,16,32")
    parser.add_argument("--provider", default="cuda", help="cpu tries the check itself")
    parser.add_argument("--budget", type=float, default=0.5)
    arguments = parser.parse_args()
    if arguments.what == "events":
        print(events(int(arguments.batches)))
        return 0
    return run_parts(arguments)


if __name__ == "__main__":
    sys.exit(main())
