"""A diagnosis as lines of a terminal of 80 columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from onnxprof.publish.text.safe import printable

if TYPE_CHECKING:
    from onnxprof.doctor import Diagnosis, Tested

WIDTH = 80


def _tests(tests: Sequence[Tested]) -> Iterator[tuple[str, str]]:
    for tested in tests:
        if tested.result is None:
            yield tested.backend, f"could not be tested: {tested.error}"
            continue
        yield tested.result.runtime, str(tested.result)
        if yardstick := tested.result.yardstick:
            yield yardstick.name, f"for comparison: {yardstick}"
        yield from ((verdict.name, verdict.failure) for verdict in tested.result.failures)


def lines(diagnosis: Diagnosis, tests: Sequence[Tested] = (), file: str = "") -> list[str]:
    """All of it, safe to print; `file` has the user's defaults."""
    return [printable(line) for line in _lines(diagnosis, tests, file)]


def _lines(diagnosis: Diagnosis, tests: Sequence[Tested], file: str) -> Iterator[str]:
    yield f"onnxprof {diagnosis.version}"
    yield from _section("Backends", _backends(diagnosis))
    yield from _section("Devices", _devices(diagnosis))
    yield from _section("Plugins that did not load", _broken(diagnosis))
    yield from _section("Extras", _extras(diagnosis))
    yield from _section("Folders", _places(diagnosis))
    yield from _section(
        "Other versions of runtimes (remove a folder to be rid of it)", _apart(diagnosis)
    )
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


def _apart(diagnosis: Diagnosis) -> Iterator[tuple[str, str]]:
    from onnxprof.model.sources.policy import megabytes

    for place in dict.fromkeys(os.path.dirname(each.path) for each in diagnosis.runtimes):
        yield "in", place
    for each in diagnosis.runtimes:
        yield megabytes(each.size_bytes), each.name


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
