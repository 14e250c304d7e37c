"""The executed graph beside the file's as CSV, and as the body of a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from onnxprof.analysis.optimised import Fate, Optimised, Part
from onnxprof.compare.systems import runtime_version
from onnxprof.publish.text.csv import csv_of_records
from onnxprof.records.layer import Layer
from onnxprof.records.step import Confidence

#: The columns of the CSV: a row a layer of the file, and one a step without layers.
COLUMNS = (
    *("layer", "operator", "fate", "position", "step", "executed_as"),
    *("nodes", "share", "confidence", "provider"),
)
_INSERTED, _UNTIED = "inserted", "not known"


def to_csv(found: Optimised) -> str:
    """A row a layer, in the order of execution, then layers that no step does the work of."""
    return csv_of_records(COLUMNS, _rows(found))


def _rows(found: Optimised) -> Iterator[dict[str, Any]]:
    for part in found.parts:
        for layer in part.layers or (None,):
            yield _of_layer(layer, _fate(part)) | _of_step(part)
    blank = dict.fromkeys(COLUMNS)
    for each in found.gone:
        yield blank | _of_layer(each.layer, each.fate.value)


def _fate(part: Part) -> str:
    if part.layers:
        return part.fate.value
    return _INSERTED if part.is_inserted else _UNTIED


def _of_layer(layer: Layer | None, fate: str) -> dict[str, Any]:
    return {
        "layer": layer.name if layer else None,
        "operator": layer.op_type if layer else None,
        "fate": fate,
    }


def _of_step(part: Part) -> dict[str, Any]:
    step = part.step
    return {
        "position": part.number,
        "step": step.name,
        "executed_as": step.op_type,
        "nodes": step.nodes,
        "share": None if part.share is None else f"{part.share:.6f}",
        "confidence": step.confidence.value if step.layers else Confidence.NONE.value,
        "provider": step.provider,
    }


def body(found: Optimised) -> dict[str, Any]:
    """What was asked, the steps in order, and the layers without one, for `--json`."""
    asked = found.run.request
    fates = found.fates()
    return {
        "model": asked.model_name,
        "model_sha256": asked.model_sha256,
        "backend": asked.backend,
        "provider": asked.provider,
        "runtime": runtime_version(found.run),
        "batch": asked.batch,
        "dims": dict(asked.dims),
        "phase": asked.phase,
        "options": list(asked.setup.words),
        "layers": found.layers,
        "counts": {fate.value: fates[fate] for fate in Fate} | {_INSERTED: found.inserted.total()},
        "steps": [_step(part) for part in found.parts],
        "without_step": [_of_layer(each.layer, each.fate.value) for each in found.gone],
    }


def _step(part: Part) -> dict[str, Any]:
    layers = [{"layer": layer.name, "operator": layer.op_type} for layer in part.layers]
    return _of_step(part) | {"share": part.share, "fate": _fate(part), "layers": layers}
