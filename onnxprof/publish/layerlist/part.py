"""What the list of layers needs of one model, made with the model's page and kept beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from onnxprof.analysis.reconcile import Reconciliation, Status, TimedRow
from onnxprof.compare.settings import Facet, Settings, Work, facet_words, usual, work_words
from onnxprof.publish.drawing.plot import COMPUTE
from onnxprof.publish.pages.catalogue import Entry, ModelPage, standing_entry
from onnxprof.publish.pages.embed import Pool, covered
from onnxprof.publish.pages.layer_rows import operator
from onnxprof.publish.text.numbers import sized_text
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Layer, LayerKind, LayerTable

#: What a layer without a time is; in the index the n-th of them is the number -1 - n.
WITHOUT = (
    Status.FUSED,
    Status.FOLDED,
    Status.CONSTANT,
    Status.NOT_EXECUTED,
    Status.UNTIMED,
    Status.UNKNOWN,
)
#: What a run has instead of the sizes of most runs, where its own have no words.
USUAL_SIZES = "default sizes"
_PLACES = {status: -1 - place for place, status in enumerate(WITHOUT)}
_UNKNOWN = _PLACES[Status.UNKNOWN]


def part(page: ModelPage) -> bytes:
    """The layers of a model on every system that the site shows a good run of, as JSON."""
    sets = Pool()
    runs = [
        _run(entry, entry.result, name, sets, page)
        for name, entry in _standing(page)
        if entry.result is not None
    ]
    made = {
        "slug": page.slug,
        "name": in_page(page.facts.name),
        "sets": list(sets.places),
        "runs": runs,
    }
    return json.dumps(made, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _standing(page: ModelPage) -> Iterator[tuple[str, Entry]]:
    """The good runs, each with its system; of several with one name and batch, one stands."""
    good = [entry for entry in page.entries if entry.result is not None]
    work = usual(entry.settings.work for entry in good) or Settings().work
    alike: dict[tuple[str, int], list[Entry]] = {}
    for entry in good:
        alike.setdefault((_system(entry, page, work), entry.batch), []).append(entry)
    for (name, _), entries in alike.items():
        if stands := standing_entry(entries):
            yield name, stands


def _system(entry: Entry, page: ModelPage, work: Work) -> str:
    """A name that is the same for all models: device, runtime, threads, what is unusual.

    The sizes of most of a model's runs are its usual ones, as on the first page.
    """
    system, settings = page.systems[entry.system], entry.settings
    runtime = system.backend if entry.bound_ns is not None else system.runtime
    parts = [system.device, runtime]
    for facet in (Facet.THREADS, Facet.GRAPH, Facet.SETUP):
        parts += facet_words(settings, facet)
    parts += () if settings.work == work else work_words(settings.work) or (USUAL_SIZES,)
    return " · ".join(parts)


def _run(
    entry: Entry, result: Reconciliation, name: str, sets: Pool, page: ModelPage
) -> dict[str, Any]:
    table = entry.run.table
    system = page.systems[entry.system]
    rows = {id(row.layer): row for row in result.rows if row.layer is not None}
    nodes = [(layer, rows.get(id(layer))) for layer in table.nodes]
    return {
        "batch": entry.batch,
        "system": in_page(name),
        "key": system.key,
        "bound": int(entry.bound_ns is not None),
        "total": result.total_ns,
        "set": sets.place(_set(table)),
        "ns": [_cell(row) for _, row in nodes],
        "main": list(_mains(nodes, table)),
    }


def _set(table: LayerTable) -> tuple[tuple[str, str, str, str], ...]:
    """Name, operator, first output's shape and element type of each layer."""
    return tuple((in_page(layer.name), *_described(layer)) for layer in table.nodes)


def _described(layer: Layer) -> tuple[str, str, str]:
    out = layer.outputs[0] if layer.outputs else None
    shape = in_page(sized_text(out)) if out else ""
    return in_page(operator(layer)), shape, in_page(out.dtype) if out else ""


def _cell(row: TimedRow | None) -> int:
    """Nanoseconds, or below 0 why there are none."""
    if row is None:
        return _UNKNOWN
    if row.median_ns is not None and row.status is Status.TIMED:
        return max(row.median_ns, 0)
    return _PLACES.get(row.status, _UNKNOWN)


def _mains(
    nodes: Sequence[tuple[Layer, TimedRow | None]], table: LayerTable
) -> Iterator[tuple[int, str]]:
    """Where a step's first layer does not do its work: the row, and the operator that does."""
    operators = {layer.name: layer.op_type for layer in table if layer.kind is LayerKind.NODE}
    for place, (layer, row) in enumerate(nodes):
        if row is None or row.status is not Status.TIMED or layer.op_type in COMPUTE:
            continue
        told = (operators.get(name, "") for name in covered(row))
        if main := next((name for name in told if name in COMPUTE), ""):
            yield place, in_page(main)
