"""`onnxprof doctor`: which backends and devices work here, and what the others need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onnxprof.cli.choosing import Json
from onnxprof.cli.output import deliver_document, note

if TYPE_CHECKING:
    from pathlib import Path

    from onnxprof.cli.defaults.found import File
    from onnxprof.doctor import Diagnosis, Tested

WIDTH = 80


class Format(StrEnum):
    """How to print a diagnosis."""

    TABLE = "table"
    JSON = "json"


def doctor(
    format_: Annotated[Format, typer.Option("--format", help="For people or for programs.")] = (
        Format.TABLE
    ),
    as_json: Json = False,
    conformance: Annotated[
        bool,
        typer.Option("--conformance", help="Run the tests that backends have; half a minute."),
    ] = False,
) -> None:
    """Say which backends and devices work here and, for those that do not, what to install.

    Exit code 0 if at least one backend works, else 1.
    """
    from onnxprof.cli.defaults.found import in_force
    from onnxprof.doctor import diagnose, self_tests
    from onnxprof.publish.json.tools import doctor as document
    from onnxprof.publish.text.safe import printable

    file = in_force()
    _check(file)
    diagnosis = diagnose(_folders())
    tests = self_tests() if conformance else ()
    if as_json or format_ is Format.JSON:
        deliver_document(document(diagnosis, tests, str(file.path) if file else ""))
    else:
        lines = _lines(diagnosis, tests, str(file.path) if file else "")
        typer.echo("\n".join(map(printable, lines)))
    if not diagnosis.works:
        note('No backend works here: pip install "onnxprof[cpu]"')
        raise typer.Exit(1)


def _check(file: File | None) -> None:
    """Look at every table of the file of defaults. Raises UsageError for what is wrong in it."""
    from onnxprof.cli.defaults.values import check_tables
    from onnxprof.cli.lazy import load
    from onnxprof.cli.main import COMMANDS

    if file is None:
        return
    check_tables(file, COMMANDS)
    for name in file.values:
        if name in COMMANDS:
            _check_command(file, [name], load(name, COMMANDS[name]))


def _check_command(file: File, path: list[str], command: Any) -> None:
    from onnxprof.cli.defaults.values import check_members, defaults_of, section_of
    from onnxprof.cli.lazy import loaded
    from onnxprof.cli.main import COMMANDS

    members = loaded(command)
    if not members:
        defaults_of(file, command, path, COMMANDS)
        return
    check_members(file, path, members)
    for name in section_of(file, path):
        _check_command(file, [*path, name], members[name])


def _folders() -> dict[str, Path]:
    from onnxprof import folders

    return {"cache": folders.cache(), "store": folders.store(), "locks": folders.locks()}


def _tests(tests: Sequence[Tested]) -> Iterator[tuple[str, str]]:
    for tested in tests:
        if tested.result is None:
            yield tested.backend, f"could not be tested: {tested.error}"
            continue
        yield tested.result.runtime, str(tested.result)
        if yardstick := tested.result.yardstick:
            yield yardstick.name, f"for comparison: {yardstick}"
        yield from ((verdict.name, verdict.failure) for verdict in tested.result.failures)


def _lines(diagnosis: Diagnosis, tests: Sequence[Tested], file: str) -> Iterator[str]:
    yield f"onnxprof {diagnosis.version}"
    yield from _section("Backends", _backends(diagnosis))
    yield from _section("Devices", _devices(diagnosis))
    yield from _section("Plugins that did not load", _broken(diagnosis))
    yield from _section("Extras", _extras(diagnosis))
    yield from _section("Folders", _places(diagnosis))
    yield from _section("Defaults", (("file", file or "none (docs/configuration.md)"),))
    yield from _section("Isolation of measurements", _guards(diagnosis))
    yield from _section("Machine", diagnosis.facts)
    yield from _section("Conformance (and the tests that do not pass)", _tests(tests))
    yield from _section("Take note", (("!", note) for note in diagnosis.notes))


def _backends(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    for entry in diagnosis.backends:
        state = "works" if entry.usable else "does not work"
        yield f"{entry.backend} {entry.device}", f"{state}: {entry.detail}"
        if entry.remedy:
            yield "", f"-> {entry.remedy}"
    if not diagnosis.backends:
        yield "none", "no backend is registered"
        yield "", "-> pip install -e . in onnxprof's source tree, or reinstall onnxprof"


def _devices(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    from onnxprof.publish.text.device import device_text

    for seen in diagnosis.devices:
        users = ", ".join(seen.backends) or "no backend"
        yield seen.device.id, f"{device_text(seen.device)}; used by {users}"
        sources = ", ".join(("peak memory", *seen.sources))
        yield "", f"telemetry: {sources}"
        for absence in seen.absent:
            yield "", f"not read: {absence.what} ({absence.reason})"
    if diagnosis.no_gpu:
        yield "cuda", f"none: {diagnosis.no_gpu}"


def _broken(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    for plugin in diagnosis.broken:
        yield f"{plugin.kind} {plugin.name}", f"{plugin.distribution}: {plugin.error}"
        yield "", f"-> {plugin.remedy}"


def _extras(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    for extra in diagnosis.extras:
        present = ", ".join(f"{package} {number}" for package, number in extra.installed)
        lacks = f"lacks {', '.join(extra.missing)}" if extra.missing else ""
        detail = "; ".join(part for part in (present, lacks) if part)
        yield extra.name, f"{extra.purpose}: {detail}"
        if extra.remedy:
            yield "", f"-> {extra.remedy}"


def _places(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    for place in diagnosis.folders:
        state = "" if place.exists else ", not there yet"
        room = f"{place.free_bytes / 1e9:.1f} GB free" if place.writable else "cannot be written to"
        yield place.purpose, f"{place.path} ({room}{state})"


def _guards(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    for guard in diagnosis.guards:
        yield guard.name, guard.detail


def _section(
    title: str, rows: Iterator[tuple[str, str]] | tuple[tuple[str, str], ...]
) -> list[str]:
    listed = [(name.strip(), text) for name, text in rows]
    if not listed:
        return []
    indent = min(30, 4 + max(len(name) for name, _ in listed))
    return ["", title, *(line for row in listed for line in _row(*row, indent))]


def _row(name: str, text: str, indent: int) -> list[str]:
    """A name and its text, the text wrapped beside it."""
    from textwrap import wrap

    lines = wrap(text, WIDTH - indent, break_on_hyphens=False) or [""]
    head = f"  {name}"
    beside = (
        [f"{head:<{indent}}{lines[0]}"] if len(head) < indent else [head, " " * indent + lines[0]]
    )
    return [*(line.rstrip() for line in beside), *(" " * indent + line for line in lines[1:])]
