"""`onnxprof sweep PLAN.toml`: measure what is left of a plan."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onnxprof.cli import loudness
from onnxprof.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.jobs.options import Options
    from onnxprof.publish.tables.plan import PlanLine
    from onnxprof.sweeps.devices import Ask
    from onnxprof.sweeps.ledger import Ledger
    from onnxprof.sweeps.places import Place
    from onnxprof.sweeps.planning.ahead import Ahead, Outlook
    from onnxprof.sweeps.resume import Policy

#: Rows of a dry run, and remarks of one kind; `-v` prints all.
_MOST_ROWS, _MOST_NOTES = 40, 10
_Store = Annotated[
    str, typer.Option(metavar="DIR|URL", help="Where runs are stored [default: runs].")
]
_Fleet = Annotated[
    str,
    typer.Option(
        metavar="WHERE", help="Other machines: ssh://USER@HOST,…, ray://HOST:PORT or local:N."
    ),
]
_Mixed = Annotated[
    bool, typer.Option("--mixed-versions", help="Let machines with other versions measure, too.")
]


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="See onnxprof sweep init.")],
    store: _Store = "",
    fleet: _Fleet = "",
    mixed_versions: _Mixed = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the jobs and what they will take; run none.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Run what is in the store, too.")] = False,
    stale: Annotated[
        bool,
        typer.Option("--stale", help="Run again what another runtime or driver version measured."),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run what only failed so far, too.")
    ] = False,
    for_: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="TIME",
            help="Do as much as fits, such as 1h or 90m, the most informative first.",
        ),
    ] = "",
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for a device that onnxprof is measuring on."),
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print events as JSON, a document a line (docs/json.md).")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print failures and the end alone.")
    ] = False,
) -> int:
    """Measure every combination that a plan lists, but for what is in the store already."""
    from onnxprof.cli.commands.sweeping.elsewhere import machines, store_at
    from onnxprof.cli.commands.sweeping.told import listening
    from onnxprof.cli.options import parse_duration
    from onnxprof.sweeps.ledger import Ledger
    from onnxprof.sweeps.planning.ahead import Ahead
    from onnxprof.sweeps.plans.read import read_plan
    from onnxprof.sweeps.plans.survey import survey
    from onnxprof.sweeps.versions import open_points

    seconds = parse_duration(for_, "--for") if for_ else None
    policy = _policy(again, retry_failed, stale)
    read = read_plan(plan)
    place = store_at(store, is_written=not dry_run)
    with machines(fleet, mixed_versions, read) as (devices_of, places):
        surveyed = survey(read, devices_of, _asking(fleet, dry_run))
        ahead = Ahead.of(surveyed, place, policy, open_points(surveyed.unasked, bool(fleet)))
        if dry_run:
            return _preview(ahead, as_json)
        with listening(place.root, as_json, quiet) as listen:
            ledger = Ledger(place, policy, listen)
            return _conduct(ahead, ledger, seconds, None if wait else 0.0, places)


def _asking(fleet: str, dry_run: bool) -> Ask:
    """How versions of a runtime are asked what they take; on other machines they are not."""
    from onnxprof.sweeps.devices import unasked
    from onnxprof.sweeps.versions import installing, kept

    if fleet:
        return unasked
    return kept if dry_run else installing(say)


def _policy(again: bool, retry_failed: bool, stale: bool) -> Policy:
    from onnxprof.sweeps.planning.current import Versions
    from onnxprof.sweeps.resume import Policy

    policy = Policy(again, retry_failed)
    return replace(policy, is_current=Versions().are_current) if stale else policy


def _conduct(
    ahead: Ahead,
    ledger: Ledger,
    seconds: float | None,
    wait_s: float | None,
    places: Sequence[Place],
) -> int:
    from onnxprof.store.upkeep.leftovers import remove_leftovers
    from onnxprof.sweeps.conduct import conduct
    from onnxprof.sweeps.here import Here
    from onnxprof.sweeps.plans.survey import warm_up
    from onnxprof.sweeps.runner import Deadline

    remove_leftovers(ledger.store.root)
    tasks = ahead.ordered(is_short=seconds is not None)
    if not places:
        warm_up(tasks)
    deadline = None if seconds is None else Deadline(seconds, ahead.at_least)
    places = places or [Here(wait_s, learner=ahead.remembered)]
    try:
        ended = conduct(tasks, places, ledger, ahead.planned(), deadline, before=ahead.before())
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    for text in (foreign := ahead.foreign_phases()):
        say(text)
    return 2 if ended.failed or ahead.surveyed.notes or foreign else int(ledger.wrong > 0)


def _preview(ahead: Ahead, as_json: bool) -> int:
    from onnxprof.cli.board.words import planned
    from onnxprof.cli.commands.sweeping.told import as_json_lines
    from onnxprof.cli.output import display
    from onnxprof.publish.tables.plan import plan_table

    outlooks = ahead.outlooks(ahead.previewed())
    problems = [each.problem for each in outlooks if each.problem]
    foreign = ahead.foreign_phases()
    if as_json:
        for event in (ahead.planned(), *ahead.before(), *ahead.events(outlooks)):
            as_json_lines(event)
    else:
        is_whole = loudness.level() >= loudness.DETAILED
        display(plan_table(map(_line, outlooks), None if is_whole else _MOST_ROWS))
        for text in (*ahead.surveyed.notes, *ahead.open_points, *foreign):
            say(text)
        _say_some(problems, is_whole)
        _say_some([each.reason for each in ahead.skipped()], is_whole)
        say(planned(ahead.planned()))
    return 2 if problems or ahead.surveyed.notes or foreign else 0


def _say_some(texts: Sequence[str], is_whole: bool) -> None:
    """Each text once; of many the first, and how many more there are."""
    every = list(dict.fromkeys(texts))
    shown = every if is_whole or len(every) <= _MOST_NOTES + 1 else every[:_MOST_NOTES]
    for text in shown:
        say(text)
    if len(shown) < len(every):
        say(f"{len(every) - len(shown):,} more of this kind; -v says all")


def _line(outlook: Outlook) -> PlanLine:
    from onnxprof.publish.tables.plan import PlanLine

    task, asked = outlook.task, outlook.task.options
    dims = "".join(f" {name}={size}" for name, size in asked.dims)
    kind = task.device_kind or asked.device or "?"
    where = f"{asked.backend} {asked.provider or kind}"
    counted = f" t{asked.threads}" if asked.threads else ""
    return PlanLine(
        model=f"{task.model_name}{dims}",
        where=f"{where}{counted}{_unusual(asked)}",
        left=outlook.left,
        done=outlook.done,
        failed=outlook.failed,
        seconds=outlook.seconds,
        memory_bytes=outlook.memory_bytes,
    )


def _unusual(asked: Options) -> str:
    """What else tells the rows of a plan apart: ` written seed=1`; nothing where all is usual."""
    said = {
        "runtime": "",
        "granularity": "",
        "timer": "timer=",
        "seed": "seed=",
        "processes": "processes=",
    }
    given = {each.name: (getattr(asked, each.name), each.default) for each in fields(asked)}
    rare = {name: value for name, (value, usual) in given.items() if value != usual}
    told = "".join(f" {words}{rare[name]}" for name, words in said.items() if name in rare)
    phase = f" {asked.phase}" if asked.phase else ""
    return told + phase + "".join(f" {word}" for word in asked.setup.words)
