"""Comparisons, alignments and scalings of runs as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.grades import Grade
from onnxprof.compare.systems import Difference
from onnxprof.compare.table import Fate, RowKind, Unplaced
from onnxprof.compare.verdict import Caveat, Remark, Verdict
from onnxprof.compare.versions.search import Mark
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    interval,
    known,
    listed,
    mapped,
    of,
    record,
)
from onnxprof.publish.json.parts import REQUEST
from onnxprof.records.sequences.phase import PhaseKind
from onnxprof.records.step import Confidence

if TYPE_CHECKING:
    from onnxprof.compare.changes import Comparison
    from onnxprof.compare.growth.phases import Phases
    from onnxprof.compare.over_batches import Batches
    from onnxprof.compare.scaling import Scaling
    from onnxprof.compare.table import Alignment
    from onnxprof.compare.versions.bisecting import Bisection

_FIGURE = known(NUMBER)
_SIDE = record(
    {
        **{"request": REQUEST, "created": TEXT, "command": TEXT},
        **{"samples": COUNT, "grade": known(of(Grade))},
    }
)
_CHANGE = record(
    {
        **{"layer": TEXT, "layers": listed(TEXT), "share": NUMBER},
        **{"a_ms": _FIGURE, "b_ms": _FIGURE, "ratio": _FIGURE, "low": _FIGURE, "high": _FIGURE},
        **{"q": _FIGURE, "verdict": of(Verdict), "only_a": listed(TEXT), "only_b": listed(TEXT)},
    }
)
_DECIBELS = {"anyOf": [NUMBER, {"type": "null"}, {"enum": ["inf", "-inf"]}]}
_GAIN = record(
    {
        **{"layers": listed(TEXT), "ran_as": listed(TEXT), "matched_by": known(TEXT)},
        **{"float_ms": _FIGURE, "quantised_ms": _FIGURE, "conversions_ms": NUMBER},
        "gained_ms": _FIGURE,
        "error": known(
            record({"own_sqnr_db": _DECIBELS, "sqnr_db": _DECIBELS, "max_abs": _FIGURE})
        ),
    }
)
_CONVERSION = record({"step": TEXT, "operator": TEXT, "layer": known(TEXT), "ms": NUMBER})
_BLOCKED = record(
    {
        **{"layer": TEXT, "operator": TEXT, "reason": TEXT, "ms": NUMBER},
        **{"conversions": listed(TEXT), "conversions_ms": NUMBER},
    }
)
_QUANTISED = record(
    {
        **{"float_side": {"enum": ["a", "b"]}, "layers": COUNT, "matched": COUNT},
        **{"by_structure": COUNT, "part_of_time": NUMBER, "conversions_ms": NUMBER},
        **{"rows": listed(_GAIN), "conversions": listed(_CONVERSION)},
        "blocked": listed(_BLOCKED),
    }
)
_OPERATOR = record(
    {
        **{"operator": TEXT, "rows": COUNT, "a_ms": NUMBER, "b_ms": NUMBER},
        **{"slower": COUNT, "faster": COUNT},
    }
)
_TRIED = record(
    {
        **{"step": COUNT, "version": TEXT, "good_ms": _FIGURE, "ms": _FIGURE},
        **{"ratio": _FIGURE, "low": _FIGURE, "high": _FIGURE, "verdict": known(of(Verdict))},
        **{"outcome": of(Mark), "why": TEXT},
    }
)
_BISECTION = record(
    {
        **{"package": TEXT, "good": TEXT, "slow": TEXT, "layer": known(TEXT)},
        **{"first_slow": TEXT, "last_good": TEXT, "not_judged": listed(TEXT)},
        **{"explained": NUMBER, "steps": listed(_TRIED), "left_out": listed(TEXT)},
    }
)
_PAIR = record(
    {
        **{"a": listed(_SIDE), "b": listed(_SIDE), "processes_a": COUNT, "processes_b": COUNT},
        **{"differences": listed(of(Difference)), "caveats": listed(of(Caveat))},
        **{"latency": _CHANGE, "rows": listed(_CHANGE)},
        **{"interruptions_a_ms": _FIGURE, "interruptions_b_ms": _FIGURE},
        **{"overhead_a_ms": NUMBER, "overhead_b_ms": NUMBER},
    },
    {"quantised": _QUANTISED, "operators": listed(_OPERATOR)},
)
COMPARE = Document(
    "compare",
    "What is slower, faster or the same in B",
    {
        **{"threshold": NUMBER, "ratios_of": TEXT, "regressed": FLAG},
        **{"pairs": listed(_PAIR), "unmatched_a": listed(_SIDE), "unmatched_b": listed(_SIDE)},
    },
    {"bisection": known(_BISECTION)},
)

_COLUMN = record(
    {
        **{"label": TEXT, "version": TEXT, "device": TEXT, "timer": TEXT, "processes": COUNT},
        **{"total_ns": known(WHOLE), "interval_ns": interval(WHOLE), "samples": COUNT},
        **{"grade": known(of(Grade)), "parity": known(FLAG), "whole": FLAG},
        **{"request": REQUEST, "created": TEXT, "command": TEXT},
    }
)
_CELL = record(
    {
        **{"ns": known(WHOLE), "share": _FIGURE, "ratio": _FIGURE, "interval": interval(NUMBER)},
        **{"verdict": known(of(Verdict)), "steps": listed(TEXT)},
        **{"confidence": of(Confidence), "missing": mapped(of(Fate))},
    }
)
_BLOCK = record({"layers": listed(TEXT), "operators": listed(TEXT), "cells": listed(_CELL)})
#: The sums of an alignment, by their kinds; which there are depends on the runs.
_SUMS = {kind.value.replace(" ", "_"): _BLOCK for kind in RowKind if kind is not RowKind.BLOCK}
_ALIGNMENT = {
    **{"baseline": COUNT, "threshold": NUMBER},
    **{"columns": listed(_COLUMN), "blocks": listed(_BLOCK)},
    **{"unplaced": listed(of(Unplaced)), "remarks": listed(of(Remark))},
}
ALIGN = Document(
    "align", "Runs of one model side by side, a block of layers a row", _ALIGNMENT, _SUMS
)

_POINT = record(
    {
        **{"system": TEXT, "latency_ns": NUMBER, "interval_ns": interval(NUMBER)},
        **{"samples": COUNT, "inferences_per_s": NUMBER, "samples_per_s": NUMBER},
        **{"speedup": _FIGURE, "speedup_interval": interval(NUMBER)},
        "verdict": known(of(Verdict)),
    }
)
_AT_A_BATCH = record(
    {
        "batch": COUNT,
        "points": listed(known(_POINT)),
        "alignment": record(_ALIGNMENT, _SUMS),
    },
    {"size": COUNT},
)
OVER_BATCHES = Document(
    "align-over-batches",
    "Systems against one another, batch by batch",
    {
        **{"model": TEXT, "systems": listed(TEXT), "left_out": listed(COUNT)},
        "batches": listed(_AT_A_BATCH),
    },
    {"axis": TEXT},
)

_POLYNOMIAL = record({"order": COUNT, "coefficients_ns": listed(NUMBER), "misfit": NUMBER})
_GROWN_BLOCK = {"layers": listed(TEXT), "operators": listed(TEXT), "times_ns": listed(NUMBER)}
_GROWN_ROW = record(
    {**_GROWN_BLOCK, "fit": _POLYNOMIAL, "cost_order": known(COUNT), "agrees": known(FLAG)}
)
_GROWN = {
    **{"sizes": listed(COUNT), "latencies_ns": listed(NUMBER)},
    **{"fit": _POLYNOMIAL, "sums": listed(_GROWN_ROW), "rows": listed(_GROWN_ROW)},
}
_LINE = record(
    {
        **{"fixed_ns": _FIGURE, "fixed_interval_ns": interval(NUMBER)},
        **{"item_ns": _FIGURE, "item_interval_ns": interval(NUMBER)},
        **{"misfit": _FIGURE, "half_size": _FIGURE},
    }
)
_SIZE = record(
    {
        **{"size": COUNT, "latency_ns": NUMBER, "interval_ns": interval(NUMBER)},
        **{"samples": COUNT, "per_s": NUMBER, "gain": _FIGURE},
        **{"gain_interval": interval(NUMBER), "verdict": known(of(Verdict))},
    }
)
_SCALED_ROW = record(
    {
        **{"kind": of(RowKind), "layers": listed(TEXT), "operators": listed(TEXT)},
        **{"times_ns": listed(_FIGURE), "line": _LINE, "saturated_at": known(COUNT)},
    }
)
_SCALING = record(
    {
        **{"model": TEXT, "system": TEXT, "axis": TEXT, "points": listed(_SIZE), "line": _LINE},
        **{"is_straight": FLAG, "straight_within": NUMBER, "best": COUNT},
        **{"alike": listed(COUNT), "saturated_at": known(COUNT), "within_limit": known(COUNT)},
        **{"rows": listed(_SCALED_ROW), "growth": known(record(_GROWN))},
    }
)
SCALING = Document(
    "scaling",
    "What a call costs at any size, what an item adds, which size is worth it",
    {"scalings": listed(_SCALING)},
)

_PHASE = record(
    {
        **{"phase": TEXT, "run": TEXT, "batch": COUNT, "latency_ns": NUMBER},
        **{"interval_ns": interval(NUMBER), "tokens_per_s": known(NUMBER)},
    }
)
_GROWTH = record({"kind": of(PhaseKind), **_GROWN})
_MODEL_PHASES = record(
    {
        **{"model": TEXT, "system": TEXT, "columns": listed(_PHASE)},
        "rows": listed(record({"kind": of(RowKind), **_GROWN_BLOCK})),
        "growths": listed(_GROWTH),
    }
)
PHASES = Document(
    "phases",
    "Phases of models with states side by side, and how layers grow with the length",
    {"models": listed(_MODEL_PHASES)},
)


def compared(comparison: Comparison) -> dict[str, Any]:
    """The document of `compare`."""
    from onnxprof.publish.comparing.changes import plain

    return COMPARE.of(plain(comparison))


def versions_compared(comparison: Comparison, bisection: Bisection | None) -> dict[str, Any]:
    """The document of `compare --runtime`: also times by operator, and the search for a version."""
    from onnxprof.publish.comparing.versions import plain

    return COMPARE.of(plain(comparison, bisection))


def aligned(found: Alignment | Batches) -> dict[str, Any]:
    """The document of `align`, also over batches."""
    from onnxprof.compare.table import Alignment
    from onnxprof.publish.comparing.alignment_text import plain
    from onnxprof.publish.comparing.over_batches import plain_batches

    if isinstance(found, Alignment):
        return ALIGN.of(plain(found))
    return OVER_BATCHES.of(plain_batches(found))


def scaled(every: Sequence[Scaling], limit_ns: int | None = None) -> dict[str, Any]:
    """The document of `scaling`."""
    from onnxprof.publish.scaling.data import plain

    return SCALING.of({"scalings": plain(every, limit_ns)})


def phases_side_by_side(every: Sequence[Phases]) -> dict[str, Any]:
    """The document of `phases`."""
    from onnxprof.publish.phases.data import plain

    return PHASES.of({"models": plain(every)})
