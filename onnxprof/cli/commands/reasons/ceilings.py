"""`onnxprof ceilings`: what a device sustains at most through a backend, measured and stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import (
    TABLES,
    deliver,
    deliver_document,
    display,
    file_format,
    note,
    plain_text,
    say,
)
from onnxprof.cli.parameters import Own, takes

if TYPE_CHECKING:
    from onnxprof.jobs.ceilings.parent import CeilingsPlan
    from onnxprof.processes.confined import Limits
    from onnxprof.records.ceilings import Ceilings

_FORMATS = {name: TABLES[name] for name in ("table", "csv", "json")}
#: In place of a format: the document of `--json`.
_DOCUMENT = "document"
_BUDGET_S = 45.0


@takes(
    *("backend", "provider", "device", "threads", "budget", "again", "list_", "datasheet"),
    *("format", "as_json", "output", "store", "timeout", "memory", "wait"),
    device=Own("A device's id or kind [default: the provider's first]."),
    budget=Own("Seconds of measuring, all graphs together.", default=_BUDGET_S, least=1),
)
def ceilings(
    asked: dict[str, Any],
    again: Annotated[
        bool, typer.Option("--again", help="Measure even where stored ceilings still hold.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List what is stored.")] = False,
    datasheet: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FIGURE", help="A vendor's figure to show beside, as fp32=2 TFLOP/s."
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="table, csv or json; by default that of the output file.")
    ] = "",
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where ceilings are stored [default: runs].")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which one graph is given up.")
    ] = 60.0,
    memory: Annotated[
        float, typer.Option(min=0, help="GiB that measuring may use; 0 for what is free.")
    ] = 0.0,
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for a device that onnxprof is measuring on."),
    ] = True,
) -> int:
    """Measure what a device sustains at most through a backend: arithmetic, memory, calls.

    Small generated graphs are timed once for a device, backend and number of threads, and stored;
    later calls print what is stored, until a version or the machine changes.
    """
    from onnxprof import folders
    from onnxprof.cli.options import memory_limit
    from onnxprof.processes.confined import Limits
    from onnxprof.reasons.datasheet import parse

    chosen = file_format(format, output, _FORMATS, "table", as_json)
    sheet = parse(datasheet or [])
    chosen = _DOCUMENT if as_json else chosen
    root = folders.store(store)
    if list_:
        _list(root, chosen, output)
        return 0
    limits = Limits(timeout, memory_limit(memory))
    _write(_found(asked, root, again, sheet, limits, None if wait else 0.0), chosen, output)
    return 0


def _found(
    asked: dict[str, Any],
    root: Path,
    again: bool,
    sheet: tuple[tuple[str, str], ...],
    limits: Limits,
    wait_s: float | None,
) -> Ceilings:
    """Stored ceilings that still hold, else new ones."""
    from dataclasses import replace

    from onnxprof.jobs.ceilings.parent import planned
    from onnxprof.reasons.freshness import stale
    from onnxprof.store.beside.ceilings import newest

    plan = planned(
        *(asked["backend"], asked["device"], asked["provider"], asked["threads"]),
        asked["budget"].seconds,
        sheet,
    )
    kept = None if again else newest([root], plan.key)
    if kept is not None:
        why = stale(kept, plan.device, plan.environment)
        if not why:
            note(f"Measured {kept.created}; --again measures anew.")
            return replace(kept, datasheet=sheet) if sheet else kept
        say(f"stored ceilings are stale: {why}")
    return _measured(plan, root, limits, wait_s)


def _measured(plan: CeilingsPlan, root: Path, limits: Limits, wait_s: float | None) -> Ceilings:
    from onnxprof.cli.output import stderr_console
    from onnxprof.cli.progress import steps
    from onnxprof.jobs.ceilings.parent import measured
    from onnxprof.processes.device_lock import held
    from onnxprof.publish.text.sentences import threads
    from onnxprof.store.beside.ceilings import save
    from onnxprof.store.folder import Store

    key = plan.key
    Store(root).check_writable()
    say(
        f"measuring ceilings of {key.device_id} through {key.backend}, {threads(key.threads)}:"
        f" {len(plan.probes)} graphs, some {plan.budget_s:.0f} s"
    )
    with held(key.device_id, say, wait_s), steps(stderr_console(), "ceilings") as progress:
        found = measured(plan, limits, progress)
    path = save(root, found)
    say(f"stored in {path}")
    return found


def _write(found: Ceilings, chosen: str, output: Path | None) -> None:
    from onnxprof.publish.reasons import ceilings as shown

    if chosen == _DOCUMENT:
        from onnxprof.publish.json.reasons import ceilings as document

        return deliver_document(document(found), output)
    if chosen == "table":
        if output is None:
            return display(*shown.tables(found))
        text = plain_text(*shown.tables(found))
    else:
        text = shown.to_csv(found) if chosen == "csv" else shown.json_text(found)
    deliver(text, output)


def _list(root: Path, chosen: str, output: Path | None) -> None:
    import json

    from onnxprof.publish.reasons import ceilings as shown
    from onnxprof.publish.text.csv import csv_of_records
    from onnxprof.store.beside.ceilings import stored
    from onnxprof.store.folder import tell

    sets, problems = stored([root])
    tell(problems, say)
    rows = shown.listed((each, _staleness(each)) for each in sets)
    if not rows:
        note(f"No ceilings in {root}. Measure them with onnxprof ceilings.")
    if chosen == _DOCUMENT:
        from onnxprof.publish.json.reasons import ceilings_list

        deliver_document(ceilings_list(rows), output)
    elif chosen == "csv":
        deliver(csv_of_records(shown.LISTED, rows), output)
    elif chosen == "json":
        deliver(json.dumps(rows, indent=2) + "\n", output)
    elif rows:
        table = shown.list_table(rows)
        display(table) if output is None else deliver(plain_text(table), output)


def _staleness(found: Ceilings) -> str:
    """Why stored ceilings do not hold here; those of another machine are not judged."""
    from onnxprof.errors import OnnxprofError
    from onnxprof.machine.facts import environment
    from onnxprof.plugins import registry
    from onnxprof.reasons.freshness import stale

    try:
        backend = registry.backend(found.key.backend)
        devices = {device.id: device for device in backend.devices()}
    except OnnxprofError:
        return ""
    device = devices.get(found.key.device_id)
    return stale(found, device, environment(backend=backend)) if device else ""
