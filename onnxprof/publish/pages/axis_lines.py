"""Latencies over axes other than the batch, as the charts of a model's page draw them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.compare.axes.families import BATCH, families, leading, sizes_in
from onnxprof.publish.pages.catalogue import Entry, ModelPage, System
from onnxprof.publish.text.safe import in_page
from onnxprof.records.run import Request


@dataclass(frozen=True, slots=True)
class AxisLines:
    """One axis, and for each system and choice of the other sizes its latencies over it."""

    axis: str
    lines: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]
    """The name of each line, and sizes with milliseconds, smallest first."""

    @property
    def json(self) -> str:
        """What the page's script reads."""
        made = [[in_page(name), points] for name, points in self.lines]
        return json.dumps([in_page(self.axis), made], separators=(",", ":"))


def over_axes(page: ModelPage) -> Iterator[AxisLines]:
    """Those of every axis other than the batch that has several sizes and follows none."""
    known = [entry for entry in page.entries if entry.latency_ns]
    for axis in leading([entry.run.request for entry in known]):
        if axis == BATCH:
            continue
        groups = families(known, axis, _asked, lambda entry: _alike(page, entry))
        if groups:
            lines = (_line(page.systems, group, axis, known) for group in groups)
            yield AxisLines(axis, tuple(lines))


def _asked(entry: Entry) -> Request:
    return entry.run.request


def _alike(page: ModelPage, entry: Entry) -> tuple[Any, ...]:
    return _name_of(page.systems[entry.system], entry)


def _name_of(system: System, entry: Entry) -> tuple[str, ...]:
    """The system, without the sizes of axes among its settings."""
    sizes = {f"{name}={size}" for name, size in entry.run.request.dims}
    plain = tuple(word for word in system.settings if word not in sizes)
    return system.device, system.backend, *plain


def _line(
    systems: Sequence[System], group: Sequence[Entry], axis: str, known: Sequence[Entry]
) -> tuple[str, tuple[tuple[int, float], ...]]:
    first = group[0]
    points = [sizes_in(entry.run.request) for entry in group]
    every = [sizes_in(entry.run.request) for entry in known]
    held = [
        f"batch {size}" if name == BATCH else f"{name}={size}"
        for name, size in points[0].items()
        if name != axis
        and len({point.get(name) for point in points}) == 1
        and len({point.get(name) for point in every}) > 1
    ]
    name = ", ".join((" · ".join(_name_of(systems[first.system], first)), *held))
    sized = {p[axis]: (e.latency_ns or 0) / 1e6 for p, e in zip(points, group, strict=True)}
    return name, tuple(sorted(sized.items()))
