"""Models as documents: layers, their costs, what is in memory, what a runtime made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    fields_of,
    known,
    listed,
    mapped,
    of,
    record,
)
from onnxprof.records.cost import CostTotal, LayerCost
from onnxprof.records.layer import LayerKind
from onnxprof.records.memory import PredictedMemory

if TYPE_CHECKING:
    from onnxprof.cost.symbolic import SymbolicCost
    from onnxprof.records.layer import LayerTable

_SIZE = {"anyOf": [COUNT, TEXT, {"type": "null"}]}
_TENSOR = record(
    {"name": TEXT, "dtype": TEXT, "shape": known(listed(_SIZE))}, {"value": listed(WHOLE)}
)
_LAYER = record(
    {
        **{"name": TEXT, "kind": of(LayerKind), "layer_type": TEXT, "op_type": TEXT},
        **{"domain": TEXT, "opset": known(COUNT)},
        **{"inputs": listed(_TENSOR), "outputs": listed(_TENSOR)},
        **{"attributes": mapped(TEXT), "given_name": TEXT, "parent": TEXT},
    }
)
_TABLE = {"model": TEXT, "batch": COUNT, "dims": mapped(COUNT), "obstacle": TEXT}
INSPECT = Document(
    "inspect",
    "Layers of a model with their tensors and shapes, by batch size",
    {
        **{"model": TEXT, "phase": TEXT, "parameters": COUNT},
        "tables": listed(record({**_TABLE, "layers": listed(_LAYER)})),
        "fed": mapped(TEXT),
    },
)

_DERIVED = {"flops": known(COUNT), "flops_per_byte": known(NUMBER)}
_TOTAL = {**fields_of(CostTotal), **_DERIVED, "read_bytes": COUNT, "written_bytes": COUNT}
_COSTED = record(
    {
        **{**_TABLE, "total": record(_TOTAL), "operators": mapped(record(_TOTAL))},
        "layers": listed(record({**fields_of(LayerCost), **_DERIVED})),
    }
)
COST = Document(
    "inspect-cost",
    "What each layer of a model has to compute and to move",
    {"model": TEXT, "phase": TEXT, "tables": listed(_COSTED)},
)

_STEP = record(
    {"layer": TEXT, "alive_bytes": COUNT, "at_least": FLAG, "tensors": mapped(known(COUNT))}
)
_ALIVE = record(
    {
        **{"batch": COUNT, "weights_bytes": COUNT, "weights_at_least": FLAG},
        **{"peak_bytes": COUNT, "peak_at_least": FLAG},
        "predicted": record({**fields_of(PredictedMemory), "peak_bytes": COUNT}),
        "steps": listed(_STEP),
    }
)
ALIVE = Document(
    "inspect-alive",
    "What is in memory while each layer of a model runs",
    {"model": TEXT, "phase": TEXT, "tables": listed(_ALIVE)},
)

_EXPRESSION = known(TEXT)
_KINDS = ("macs", "adds", "multiplies", "divisions", "exponentials", "comparisons")
_SUMS = dict.fromkeys(("flops", *_KINDS, "read_bytes", "written_bytes"), TEXT)
_SYMBOLIC_LAYER = record(
    {
        **dict.fromkeys(("layer_name", "op_type", "domain", "parent"), TEXT),
        **dict.fromkeys(("flops", *_KINDS, "times"), _EXPRESSION),
        **{"read_bytes": TEXT, "written_bytes": TEXT, "parameters": COUNT},
        **dict.fromkeys(("unknown", "bound", "left_out"), TEXT),
    }
)
_AT_SIZES = record({"sizes": mapped(COUNT), "macs": COUNT, "flops": COUNT, "bytes": COUNT})
SYMBOLIC = Document(
    "inspect-symbolic",
    "The cost of each layer as an expression in the free axes",
    {
        **{"model": TEXT, "phase": TEXT, "axes": listed(TEXT), "names_in_file": mapped(TEXT)},
        **{"total": record(_SUMS), "at_least": FLAG, "at_most": FLAG},
        **{"evaluated": listed(_AT_SIZES), "layers": listed(_SYMBOLIC_LAYER)},
    },
)


def inspected(
    tables: Sequence[LayerTable],
    model: str,
    parameters: int,
    fed: Mapping[str, str],
    phase: str = "",
) -> dict[str, Any]:
    """The document of `inspect`; `fed` describes the values for each input by name."""
    from onnxprof.publish.tables.layers import plain

    every = [plain(table, model=model) for table in tables]
    body = {"parameters": parameters, "tables": every, "fed": dict(fed)}
    return INSPECT.of({"model": model, "phase": phase, **body})


def costed(
    tables: Sequence[tuple[LayerTable, Sequence[LayerCost]]], model: str, phase: str = ""
) -> dict[str, Any]:
    """The document of `inspect --cost`."""
    from onnxprof.publish.reasons.costs import plain

    every = [plain(table, costs, model) for table, costs in tables]
    return COST.of({"model": model, "phase": phase, "tables": every})


def alive(tables: Sequence[LayerTable], model: str, block: int, phase: str = "") -> dict[str, Any]:
    """The document of `inspect --alive`; `block` is that of the channels in memory."""
    from onnxprof.publish.reasons.alive import plain

    every = [plain(table, block) for table in tables]
    return ALIVE.of({"model": model, "phase": phase, "tables": every})


def symbolic(
    cost: SymbolicCost, model: str, points: Sequence[Mapping[str, int]], phase: str = ""
) -> dict[str, Any]:
    """The document of `inspect --cost --symbolic`."""
    from onnxprof.publish.reasons.symbolic_costs import plain

    return SYMBOLIC.of({**plain(cost, model, points), "phase": phase})


_OF_LAYER = record({"layer": TEXT, "operator": TEXT})
_STEP = record(
    {
        **{"position": COUNT, "step": TEXT, "executed_as": TEXT, "nodes": COUNT, "fate": TEXT},
        **{"share": known(NUMBER), "confidence": TEXT, "provider": TEXT},
        "layers": listed(_OF_LAYER),
    }
)
OPTIMIZED = Document(
    "optimized",
    "The executed graph of a model beside that of its file",
    {
        **{"model": TEXT, "model_sha256": TEXT, "backend": TEXT, "provider": TEXT},
        **{"runtime": TEXT, "batch": COUNT, "dims": mapped(COUNT), "phase": TEXT},
        **{"options": listed(TEXT), "layers": COUNT},
        **{"counts": mapped(COUNT), "steps": listed(_STEP)},
        "without_step": listed(record({"layer": TEXT, "operator": TEXT, "fate": TEXT})),
    },
)


def optimized(body: Mapping[str, Any]) -> dict[str, Any]:
    """The document of `onnxprof optimized`, from `publish.optimised.records.body`."""
    return OPTIMIZED.of(body)
