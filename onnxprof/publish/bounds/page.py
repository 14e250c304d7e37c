"""Published lower bounds by model, device and batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.pages.device import DevicePage
from onnxprof.publish.pages.render import SiteFacts, render

#: Where the page lies in a site.
PATH = "bounds.html"


@dataclass(frozen=True, slots=True)
class Line:
    """One model at one batch size."""

    model: ModelPage
    cells: tuple[tuple[str, Entry] | None, ...]
    """For each device the key of the system and its run; None where there is none."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Everything that was published."""

    devices: tuple[DevicePage, ...]
    tables: tuple[tuple[int, tuple[Line, ...]], ...]
    """By batch size."""
    models: int
    runs: int


def bounds(models: Sequence[ModelPage], devices: Sequence[DevicePage]) -> Bounds:
    """The published runs among all runs of a site."""
    found = [(model, _published(model)) for model in models]
    found = [(model, cells) for model, cells in found if cells]
    named = {device_id for _, cells in found for device_id, _ in cells}
    columns = tuple(device for device in devices if device.device.id in named)
    batches = sorted({batch for _, cells in found for _, batch in cells})
    tables = tuple((batch, tuple(_lines(found, columns, batch))) for batch in batches)
    return Bounds(columns, tables, len(found), sum(len(cells) for _, cells in found))


def bounds_page(found: Bounds, site: SiteFacts) -> str:
    """A table of models against devices for each batch size."""
    return render("bounds.html", site, PATH, bounds=found)


_Cells = Mapping[tuple[str, int], tuple[str, Entry]]


def _published(model: ModelPage) -> _Cells:
    """By device and batch size, the system's key and the run."""
    return {
        (entry.run.request.device_id, entry.batch): (model.systems[entry.system].key, entry)
        for entry in model.entries
        if entry.bound_ns is not None
    }


def _lines(
    found: Sequence[tuple[ModelPage, _Cells]], columns: Sequence[DevicePage], batch: int
) -> list[Line]:
    lines = [
        Line(model, tuple(cells.get((column.device.id, batch)) for column in columns))
        for model, cells in found
    ]
    return [line for line in lines if any(line.cells)]
