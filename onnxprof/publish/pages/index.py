"""The site's first page: every model, its best latency a device, and the matrix of systems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onnxprof.publish.drawing import bars
from onnxprof.publish.pages.catalogue import Entry, ModelPage, System, measured
from onnxprof.publish.pages.origins import zoo_entry
from onnxprof.publish.pages.render import SiteFacts, latencies, markup, rates, render

if TYPE_CHECKING:
    from markupsafe import Markup

    from onnxprof.publish.pages.device import DevicePage
    from onnxprof.publish.pages.pair import Pair

Column = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a model did on a device or a system."""

    best: Entry | None
    """The fastest; one with wrong outputs only where there is no other."""
    failed: bool
    """Measured, but without a latency."""


def index_page(
    models: Sequence[ModelPage],
    devices: Sequence[DevicePage],
    site: SiteFacts,
    compared: Sequence[Pair] = (),
    uncompared: int = 0,
    under_load: int = 0,
    published: tuple[int, int] = (0, 0),
    layered: int = 0,
) -> str:
    """The list of models, the matrix of models against systems, links to pairs of systems.

    `uncompared` is the number of pairs without a page, `under_load` that of runs under load.
    Published lower bounds are in no table here: `published` counts their models and devices.
    `layered` is the number of rows that the list of all layers has.
    """
    models = measured(models)
    pairs = sorted({_runtime(system) for model in models for system in model.systems})
    names = sorted({device for device, _ in pairs})
    runtimes = sorted({runtime for _, runtime in pairs})
    return render(
        "index.html",
        site,
        "index.html",
        columns=names,
        pairs=pairs,
        runtimes=runtimes,
        devices=devices,
        compared=compared,
        uncompared=uncompared,
        under_load=under_load,
        published=published,
        layered=layered,
        tasks=sorted({row.task for model in models if (row := zoo_entry(model.facts))}),
        rows=[_row(model, names, pairs, runtimes) for model in models],
        runs=sum(len(model.entries) for model in models),
    )


def _row(
    model: ModelPage, names: Sequence[str], pairs: Sequence[Column], runtimes: Sequence[str]
) -> dict[str, Any]:
    """A model's cells for each device and each system, and what its filters look at."""
    return {
        "model": model,
        "origin": zoo_entry(model.facts),
        "cells": _cells(model, [(name,) for name in names], lambda s: (s.device,)),
        "matrix": _cells(model, pairs, _runtime),
        "where": [f"{names.index(s.device)}.{runtimes.index(s.runtime)}" for s in model.systems],
        "spark": _spark(model),
    }


def _runtime(system: System) -> Column:
    return system.device, system.runtime


def _cells(
    model: ModelPage, columns: Sequence[Column], column: Callable[[System], Column]
) -> list[Cell]:
    placed = [(column(model.systems[entry.system]), entry) for entry in model.entries]
    return [_cell([entry for place, entry in placed if place == wanted]) for wanted in columns]


def _cell(entries: Sequence[Entry]) -> Cell:
    known = [entry for entry in entries if entry.latency_ns is not None]
    best = min(known, key=lambda e: (bool(e.wrong), e.latency_ns or 0), default=None)
    return Cell(best, bool(entries) and not known)


def _spark(model: ModelPage) -> Markup:
    """Throughput over batch size on the system that is shown first."""
    points = latencies([e for e in model.entries if e.system == model.first.system])
    return markup(bars.sparkline(rates(points)))
