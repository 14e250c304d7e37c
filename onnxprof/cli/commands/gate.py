"""`onnxprof gate`: may a changed model be merged, or is it slower."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.output import deliver, display, say
from onnxprof.cli.parameters import Own, Phases, takes
from onnxprof.compare.gates.requirement import Requirement
from onnxprof.jobs.options import Options
from onnxprof.records.step import Timer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnxprof.cli.progress import Meter
    from onnxprof.gate.cases import Case, Gated
    from onnxprof.gate.conduct import Planned
    from onnxprof.gate.rule import Rule
    from onnxprof.gate.subject import Subject
    from onnxprof.jobs.job import Job
    from onnxprof.records.run import Run

#: Pairs of processes below which nothing is judged; onnxprof.gate.rule says the same.
_FEWEST = 4
_SUMMARY = "GITHUB_STEP_SUMMARY"

_Baseline = Annotated[
    str,
    typer.Option(
        "--baseline",
        metavar="DIR|REF",
        help="The old models: a folder with files of the same names, a file, or a git reference.",
    ),
]
_Slowdown = Annotated[
    str, typer.Option(metavar="PERCENT", help="The largest slowdown that passes.")
]
_Require = Annotated[
    Requirement | None,
    typer.Option(help="Exit code 1 unless each model is shown to be so; undecided is not enough."),
]
_Alarms = Annotated[
    str,
    typer.Option(metavar="PERCENT", help="How often models within the limit may be stopped."),
]
_Unchanged = Annotated[
    bool,
    typer.Option("--measure-unchanged", help="Measure a model whose bytes are the same, too."),
]
_Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write a comment's Markdown.")
]
_Quality = Annotated[
    Path | None,
    typer.Option("--code-quality", metavar="FILE", help="Write GitLab's Code Quality report."),
]
_GitHub = Annotated[
    bool,
    typer.Option(
        "--github",
        help=f"Print annotations of GitHub Actions, and append to ${_SUMMARY} where it is set.",
    ),
]
_Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document in place of the table.")
]
_Store = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the runs of old and new are stored.")
]


@takes(
    *("models", "baseline", "max_slowdown", "require", "false_alarms", "batch", "backend"),
    *("device", "provider", "threads", "budget", "processes", "dim", "phase", "inputs", "seed"),
    *("optimization_level", "session_option"),
    *("measure_unchanged", "markdown", "code_quality", "github", "json", "store"),
    device=Own("A device's id or its kind  [default: the backend's first]."),
    budget=Own(
        "Seconds of measuring for each of old and new; old against itself takes as much again.",
        default=10.0,
    ),
    processes=Own(
        "Pairs of fresh processes, in turns; the old model runs as many against itself.",
        default=15,
        least=_FEWEST,
    ),
)
def gate(
    asked: dict[str, Any],
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="The changed models.")],
    baseline: _Baseline,
    max_slowdown: _Slowdown = "5%",
    require: _Require = None,
    false_alarms: _Alarms = "1%",
    phase: Phases = None,
    measure_unchanged: _Unchanged = False,
    markdown: _Markdown = None,
    code_quality: _Quality = None,
    github: _GitHub = False,
    json: _Json = False,
    store: _Store = None,
) -> int:
    """Stop a pull request that makes a model slower, with a known rate of false alarms.

    Old and new are measured in turn on this machine, after the old model against itself: so it is
    known how far processes scatter here and which slowdown can be seen. Each batch, size of an axis
    and phase is a case of its own. The exit code is 0 if the
    gate passes, 1 if a model is slower by more than the limit or not shown to be as --require asks,
    2 for bad use or a model that could not be measured.
    """
    from onnxprof.cli.options import memory_limit, parse_percent
    from onnxprof.gate.rule import Rule
    from onnxprof.gate.subject import subjects
    from onnxprof.processes.limits import Limits
    from onnxprof.processes.scratch import scratch
    from onnxprof.writing import refuse_unwritable

    rule = Rule(
        parse_percent(max_slowdown, "--max-slowdown", 0.001, 10.0),
        parse_percent(false_alarms, "--false-alarms", 0.0001, 0.5),
    )
    options = Options(
        (),
        telemetry=False,
        timer=Timer.TRACE,
        limits=Limits(memory_bytes=memory_limit(0)),
        **asked,
    )
    _refuse(options, two_outputs=github and json)
    refuse_unwritable(markdown, code_quality)
    keep = _keeper(store)
    with scratch() as folder:
        meant = subjects(models, baseline, Path(folder), options.limits)
        plans = _planned(meant, options, phase or (), unchanged=measure_unchanged)
        gated = _conducted(plans, options, rule, require, keep)
    _write(gated, markdown, code_quality)
    _report(gated, github=github, json=json)
    return gated.exit_code


def _refuse(options: Options, *, two_outputs: bool) -> None:
    """Raise UsageError for what makes no sense together."""
    from onnxprof.errors import UsageError
    from onnxprof.plugins.placement import ALL

    if options.device == ALL:
        raise UsageError("a gate measures on one device", remedy="Name it with --device")
    if two_outputs:
        raise UsageError("--github and --json both print on stdout", remedy="Choose one")


def _keeper(store: Path | None) -> Callable[[Run], None]:
    """What is done with each run: stored where a store is named, else nothing."""
    from onnxprof import folders
    from onnxprof.store.folder import Store

    if store is None:
        return lambda _: None
    place = Store(folders.store(store))
    place.check_writable()
    return lambda run: say(f"stored {place.save(run)}")


def _planned(
    meant: list[Subject], options: Options, phases: Sequence[str], *, unchanged: bool
) -> list[Planned]:
    from rich.console import Console

    from onnxprof.cli.progress import fetching
    from onnxprof.gate.conduct import planned

    with fetching(Console(stderr=True)) as progress:
        plans = planned(meant, options, _hold, progress, phases=phases, unchanged=unchanged)
    jobs = [job for case in plans for job in case.jobs or () if job.table.obstacle]
    for text in dict.fromkeys(
        f"{job.facts.name} stays at batch {job.batch}: {job.table.obstacle}" for job in jobs
    ):
        say(text)
    return plans


def _hold(job: Job) -> AbstractContextManager[None]:
    from onnxprof.processes.device_lock import held

    return held(job.device.id, say)


def _conducted(
    plans: list[Planned],
    options: Options,
    rule: Rule,
    require: Requirement | None,
    keep: Callable[[Run], None],
) -> Gated:
    from rich.console import Console

    from onnxprof.cli.progress import Meter
    from onnxprof.gate.conduct import Told, conducted

    due = sum(case.jobs is not None for case in plans)
    seconds = options.process_budget.seconds * options.processes * 2
    with Meter(Console(stderr=True), max(1, 2 * due), seconds) as meter:
        told = Told(
            report=meter.update,
            announce=lambda case, seconds: _announce(meter, options.processes, case, seconds),
            noise=lambda gated, case: _tell_noise(meter, gated, case),
            done=meter.done,
        )
        return conducted(plans, options, rule, require, _hold, told, keep)


def _announce(meter: Meter, pairs: int, case: Case, seconds: float) -> None:
    meter.note(
        f"{case.title}: {pairs} pairs of processes of the old version, then {pairs} of old and new,"
        f" take some {seconds:.0f} s; fewer --processes take less"
    )


def _tell_noise(meter: Meter, gated: Gated, case: Case) -> None:
    """Say what the noise of this machine is, before the new version is measured."""
    from onnxprof.gate.report import words

    meter.done()
    if case.noise is None:
        return
    meter.note(f"{case.title}: {words.noise_text(gated, case.noise)}")
    if gated.is_blunt(case):
        meter.note(f"{case.title}: {words.blunt_text(gated, case.noise)}")


def _write(gated: Gated, comment: Path | None, quality: Path | None) -> None:
    from onnxprof.gate.report.code_quality import code_quality
    from onnxprof.gate.report.markdown import markdown

    if comment is not None:
        deliver(markdown(gated), comment)
    if quality is not None:
        deliver(code_quality(gated), quality)


def _report(gated: Gated, *, github: bool, json: bool) -> None:
    from onnxprof.gate.report.document import document
    from onnxprof.gate.report.terminal import rendered

    if json:
        deliver(document(gated))
    elif github:
        _to_github(gated)
    else:
        display(rendered(gated))


def _to_github(gated: Gated) -> None:
    """Print the table, in which nothing counts as a command, then annotations."""
    import os
    import secrets

    from onnxprof.gate.report.annotations import annotated, muted
    from onnxprof.gate.report.markdown import markdown
    from onnxprof.gate.report.terminal import rendered

    stop, go_on = muted(secrets.token_hex(16))
    typer.echo(stop)
    display(rendered(gated))
    typer.echo(go_on)
    for line in annotated(gated):
        typer.echo(line)
    place = os.environ.get(_SUMMARY)
    if place:
        with Path(place).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(markdown(gated))
