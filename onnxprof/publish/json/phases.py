"""Phases of models with states as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.compare.table import RowKind
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    interval,
    known,
    listed,
    of,
    record,
)
from onnxprof.records.sequences.phase import PhaseKind

if TYPE_CHECKING:
    from onnxprof.compare.growth.phases import Phases

_FIT = record({"order": COUNT, "coefficients_ns": listed(NUMBER), "misfit": NUMBER})
_BLOCK = {"layers": listed(TEXT), "operators": listed(TEXT), "times_ns": listed(NUMBER)}
_ROW = record({**_BLOCK, "fit": _FIT, "cost_order": known(COUNT), "agrees": known(FLAG)})
_COLUMN = record(
    {
        **{"phase": TEXT, "run": TEXT, "batch": COUNT, "latency_ns": NUMBER},
        **{"interval_ns": interval(NUMBER), "tokens_per_s": known(NUMBER)},
    }
)
_GROWTH = record(
    {
        **{"kind": of(PhaseKind), "sizes": listed(COUNT), "latencies_ns": listed(NUMBER)},
        **{"fit": _FIT, "sums": listed(_ROW), "rows": listed(_ROW)},
    }
)
_PHASES = record(
    {
        **{"model": TEXT, "system": TEXT, "columns": listed(_COLUMN)},
        "rows": listed(record({"kind": of(RowKind), **_BLOCK})),
        "growths": listed(_GROWTH),
    }
)
PHASES = Document(
    "phases",
    "Phases of models with states side by side, and how layers grow with the length",
    {"models": listed(_PHASES)},
)


def side_by_side(every: Sequence[Phases]) -> dict[str, Any]:
    """The document of `phases`."""
    from onnxprof.publish.phases.data import plain

    return PHASES.of({"models": plain(every)})
