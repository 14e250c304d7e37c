"""Costs of an opened model as expressions in its free axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnxprof.cost.fit import BATCH
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.errors import ModelError
from onnxprof.model.file import ModelFile, missing_dims, with_defaults
from onnxprof.model.layers import inspect
from onnxprof.model.suggestion import suggested
from onnxprof.records.layer import LayerTable

#: The size of axes for which the graph accepts none of the usual ones.
_USUAL = 64
_NO_BATCH = "no input has a batch axis"


def symbolic_costs(model: ModelFile, dims: Mapping[str, int]) -> SymbolicCost:
    """Costs in the batch, where it is free, and in all symbolic axes; looked at around `dims`.

    Raises UsageError for an invalid dim, ModelError where the graph differs from size to size.
    """
    sizes = with_defaults(model, dims)
    sizes.update(suggested(model, sizes))
    sizes.update({dim.name: _USUAL for dim in missing_dims(model, sizes)})
    own = inspect(model, 1, sizes).batch
    twice = inspect(model, 2, sizes)
    batch = {} if twice.obstacle or twice.batch != 2 else {BATCH: 1}

    def table_at(point: Mapping[str, int]) -> LayerTable:
        given = {name: size for name, size in point.items() if name != BATCH}
        return inspect(model, point.get(BATCH, own), given)

    try:
        found = symbolic(table_at, {**batch, **sizes})
    except ModelError as error:
        raise ModelError(error.what, where=model.name, remedy=error.remedy) from error
    return replace(found, obstacle="" if batch else twice.obstacle or _NO_BATCH)
