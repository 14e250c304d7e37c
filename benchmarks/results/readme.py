"""Writes what results/README.md says of the runs, from the runs themselves.

    python benchmarks/results/readme.py [--check]

What stands between the two marks of the page is made anew: when and on what the runs were measured,
how many there are, what failed and why. `make results-readme` calls it; with `--check` it changes
nothing, and exit code 1 says that the page is of other runs.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from onnxprof.publish.text.numbers import scaled
from onnxprof.publish.text.safe import counted, printable
from onnxprof.records.run import RUNTIME, Run
from onnxprof.store.folder import load, scan
from onnxprof.store.summary import Summary
from onnxprof.sweeps.plans.expand import excluded, expanded
from onnxprof.sweeps.plans.read import read_plan

RESULTS = Path(__file__).parents[2] / "results"
BEGIN, END = "<!-- made by `make results-readme` -->", "<!-- end of what is made -->"
#: Facts of the machine and its software that the page names, and what it calls them.
_FACTS = {
    "cpu": "processor",
    "cpu.physical_cores": "cores",
    "memory.total": "memory",
    "os": "system",
    "kernel": "kernel",
    "python": "Python",
    "onnxprof": "onnxprof",
    "onnx": "onnx",
}
#: Reasons that are longer are cut: the run has all of it.
_LONGEST = 120


def main() -> int:
    """Write the page, or say whether it is of these runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder")
    asked = parser.parse_args()
    place = asked.results / "README.md"
    text = place.read_text("utf-8")
    made = page(text, asked.results)
    if asked.check:
        return int(made != text)
    place.write_text(made, "utf-8")
    return 0


def page(text: str, results: Path) -> str:
    """The page with what the runs say. Raises ValueError for a page without the two marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"results/README.md lacks {BEGIN} or {END}")
    body = "\n".join(_lines(results))
    return f"{before}{BEGIN}\n\n{body}\n\n{END}{after}"


def _lines(results: Path) -> Iterator[str]:
    summaries, problems = scan([results])
    if problems:
        raise problems[0]
    if not summaries:
        yield "There are no runs yet."
        return
    yield _counts(summaries, results)
    yield ""
    yield from _systems(summaries)
    yield ""
    yield from _coverage(summaries)
    failures = Counter(_cut(run.failure) for run in summaries if run.failure)
    if failures:
        yield "\nFailed runs, with their reasons:\n"
        yield from (f"- {count} × {reason}" for reason, count in failures.most_common())


def _counts(summaries: Sequence[Summary], results: Path) -> str:
    files = [path for path in results.rglob("*.parquet") if path.is_file()]
    whole = sum(path.stat().st_size for path in files)
    moments = sorted(run.created for run in summaries)
    networks = len({run.request.model_name for run in summaries})
    failed = sum(bool(run.failure) for run in summaries)
    runs = [load(run.path) for run in summaries]
    checked = sum(any(step.verdict == "verified" for step in run.steps) for run in runs)
    compared = sum(run.parity is not None for run in runs)
    return (
        f"{len(summaries):,} runs ({_asked(results):,} are in the plan) of {networks} networks,"
        f" {failed:,} of them failed, measured from {_moment(moments[0])} to {_moment(moments[-1])}"
        f" (UTC). The steps of {checked:,} runs were checked by values, the outputs of {compared:,}"
        f" were compared. {scaled(whole, 'B')} in {counted(len(files), 'file', 'files')},"
        f" {scaled(whole / len(summaries), 'B')} a run."
    )


def _asked(results: Path) -> int:
    """The jobs of the plan."""
    plan = read_plan(results / "plan.toml")
    tasks = excluded(plan, expanded(plan).tasks).tasks
    return sum(len(task.options.batches) for task in tasks)


def _moment(created: str) -> str:
    return created[:16].replace("T", " ")


def _systems(summaries: Sequence[Summary]) -> Iterator[str]:
    """A table of the machines: the newest run of each runtime and device is asked."""
    newest = {(run.request.device_id, run.request.backend): run for run in summaries}
    runs = {key: load(run.path) for key, run in newest.items()}
    for device in dict.fromkeys(device for device, _ in runs):
        mine = [run for (where, _), run in runs.items() if where == device]
        yield f"| machine | `{device}`: {printable(mine[0].device.name)} |\n| --- | --- |"
        facts = dict(mine[-1].environment)
        known = {name: facts[key] for key, name in _FACTS.items() if key in facts}
        yield from (f"| {name} | {printable(value)} |" for name, value in known.items())
        yield f"| runtimes | {', '.join(_runtimes(mine))} |"
        if thinned := [run.thinned for run in mine if run.thinned]:
            yield f"| samples | some {thinned[0].limit} of a kind, {thinned[0].rule} |"


def _runtimes(runs: Iterable[Run]) -> list[str]:
    return sorted({dict(run.environment).get(RUNTIME, run.request.backend) for run in runs})


def _coverage(summaries: Sequence[Summary]) -> Iterator[str]:
    """Good runs by runtime and threads, and batch."""
    good = [run for run in summaries if not run.failure]
    batches = sorted({run.request.batch for run in good})
    counts = Counter((*_row(run), run.request.batch) for run in good)
    yield "| runtime | threads | " + " | ".join(f"batch {batch}" for batch in batches) + " |"
    yield "| --- | --- |" + " ---: |" * len(batches)
    for backend, threads in sorted({_row(run) for run in good}, key=lambda row: (row[0], -row[1])):
        figures = " | ".join(str(counts[backend, threads, batch]) for batch in batches)
        yield f"| {backend} | {threads or 'all'} | {figures} |"


def _row(run: Summary) -> tuple[str, int]:
    return run.request.backend, run.request.threads


def _cut(reason: str) -> str:
    text = printable(" ".join(reason.split())).replace("|", "\\|")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


if __name__ == "__main__":
    sys.exit(main())
