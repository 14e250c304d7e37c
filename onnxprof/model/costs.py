"""Costs of an opened model as expressions in its free axes."""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.fit import BATCH
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.model.file import ModelFile, free_axes, missing_dims, with_defaults
from onnxprof.model.layers import inspect
from onnxprof.records.layer import LayerTable

#: Usual sizes of axes for which nobody names one: of images, and of sequences and the like.
_IMAGE, _SEQUENCE = 256, 16


def symbolic_costs(model: ModelFile, dims: Mapping[str, int]) -> SymbolicCost:
    """Costs in the batch, where it is free, and in all symbolic axes; looked at around `dims`.

    Raises UsageError for an invalid dim, ModelError where the graph differs from size to size.
    """
    sizes = with_defaults(model, dims)
    for name, usual in _usual(model).items():
        sizes.setdefault(name, usual)
    own = inspect(model, 1, sizes).batch
    twice = inspect(model, 2, sizes)
    batch = {} if twice.obstacle or twice.batch != 2 else {BATCH: 1}

    def table_at(point: Mapping[str, int]) -> LayerTable:
        given = {name: size for name, size in point.items() if name != BATCH}
        return inspect(model, point.get(BATCH, own), given)

    return symbolic(table_at, {**batch, **sizes})


def _usual(model: ModelFile) -> dict[str, int]:
    """A usual size for each symbolic axis, by where inputs have it."""
    spatial = {
        size
        for shape in free_axes(model).values()
        for at, size in enumerate(shape or ())
        if isinstance(size, str) and at > 1 and len(shape or ()) > 3
    }
    names = [dim.name for dim in missing_dims(model, {})]
    return {name: _IMAGE if name in spatial else _SEQUENCE for name in names}
