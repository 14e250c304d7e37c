"""A model's page without its layers, samples and rows: what all other pages know of a model.

Some kilobytes a run, so that a site of any size fits into memory, and a page that is in the
cache is not made again for the sake of the index.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from onnxprof.analysis.reconcile import Reconciliation
from onnxprof.publish.pages.catalogue import Entry, ModelPage, System
from onnxprof.publish.reasons.macs import Macs
from onnxprof.records.layer import LayerTable, ModelFacts
from onnxprof.records.run import Run
from onnxprof.store.encoding import dumps, from_json, run_from_json, run_to_json, to_json


def light(page: ModelPage) -> ModelPage:
    """The page's figures alone: no table, no steps, no rows, no earlier runs."""
    return replace(page, entries=tuple(map(_light_entry, page.entries)))


def card(page: ModelPage) -> bytes:
    """A light page as JSON."""
    return dumps(
        {
            "slug": page.slug,
            "facts": to_json(page.facts),
            "systems": to_json(page.systems),
            "nodes": page.nodes,
            "entries": [_entry_to_json(entry) for entry in page.entries],
        }
    )


def from_card(data: bytes) -> ModelPage:
    """The light page. Raises ValueError or LookupError for what `card` did not make."""
    given = json.loads(data)
    return ModelPage(
        given["slug"],
        from_json(ModelFacts, given["facts"]),
        tuple(from_json(System, system) for system in given["systems"]),
        tuple(map(_entry_from_json, given["entries"])),
        int(given["nodes"]),
    )


def _light_entry(entry: Entry) -> Entry:
    result = entry.result and replace(entry.result, rows=())
    return replace(entry, run=_light_run(entry.run), result=result, older=())


def _light_run(run: Run) -> Run:
    """Kernels and calls stay: the page of a GPU lists them."""
    table = LayerTable((), run.table.batch, run.table.dims)
    return replace(run, table=table, steps=(), folded=(), timings=None)


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {
        "system": entry.system,
        "batch": entry.batch,
        "run": run_to_json(entry.run),
        "result": to_json(entry.result),
        "stem": entry.stem,
        "macs": to_json(entry.macs),
        "least": entry.least,
        "unchecked": entry.unchecked,
        "reach": entry.reach,
    }


def _entry_from_json(given: dict[str, Any]) -> Entry:
    result, macs = given["result"], given["macs"]
    return Entry(
        given["system"],
        given["batch"],
        run_from_json(given["run"]),
        None if result is None else from_json(Reconciliation, result),
        given["stem"],
        macs=None if macs is None else from_json(Macs, macs),
        least=given["least"],
        unchecked=given["unchecked"],
        reach=given["reach"],
    )
