"""Costs of an opened model as expressions in its free axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from onnxprof.cost.fit import BATCH
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.errors import ModelError
from onnxprof.model.file import ModelFile, missing_dims
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import Sizing
from onnxprof.model.suggestion import suggested
from onnxprof.records.layer import LayerTable

#: The size of axes for which the graph accepts none of the usual ones.
_USUAL = 64
_NO_BATCH = "no input has a batch axis"


def symbolic_costs(model: ModelFile, sizes: Sizing) -> SymbolicCost:
    """Costs in the batch, where it is free, and in all free axes; looked at around `sizes`.

    Axes that are computed from others are no axes of the costs. Raises UsageError for an invalid
    dim, ModelError where the graph differs from size to size.
    """
    sizes = sizes.beside(suggested(model, sizes))
    unknown = missing_dims(model, dict.fromkeys(sizes.order, 0))
    sizes = sizes.beside({dim.name: _USUAL for dim in unknown})
    own = inspect(model, 1, sizes.at(1)).batch
    twice = inspect(model, 2, sizes.at(2))
    batch = {} if twice.obstacle or twice.batch != 2 else {BATCH: 1}

    def table_at(point: Mapping[str, int]) -> LayerTable:
        given = {name: size for name, size in point.items() if name != BATCH}
        items = point.get(BATCH, own)
        return inspect(model, items, replace(sizes, known=given).at(items))

    try:
        found = symbolic(table_at, {**batch, **sizes.known})
    except ModelError as error:
        raise ModelError(error.what, where=model.name, remedy=error.remedy) from error
    return replace(found, obstacle="" if batch else twice.obstacle or _NO_BATCH)
