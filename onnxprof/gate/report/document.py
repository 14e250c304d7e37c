"""A gate's outcome as a JSON document for programs."""

from __future__ import annotations

from typing import Any

from onnxprof.compare.changes import Row
from onnxprof.gate.cases import Case, Gated
from onnxprof.gate.report.layers import verdict
from onnxprof.gate.rule import Spread, plain_alarms, seen_from, unchanged_alarms
from onnxprof.model.dims.grammar import numbers
from onnxprof.publish.json.documents import text
from onnxprof.publish.json.gates import GATE


def document(gated: Gated) -> str:
    """An object in ASCII: the rule, and each case with its noise and layers; unknown is null."""
    rule = gated.rule
    whole = {
        "exit_code": gated.exit_code,
        "max_slowdown": rule.max_slowdown,
        "false_alarms": rule.false_alarms,
        "require": None if gated.required is None else gated.required.value,
        "pairs": gated.pairs,
        "confidence": 1 - 2 * rule.level,
        "cases": [_case(gated, case) for case in gated.cases],
    }
    return text(GATE.of(whole))


def _case(gated: Gated, case: Case) -> dict[str, Any]:
    judged, pair = case.judgement, case.pair
    return {
        "model": case.model,
        "batch": case.batch,
        "phase": case.phase or None,
        "dims": numbers(case.dims),
        "baseline": case.origin,
        "outcome": case.outcome.value,
        "stops": gated.stops(case),
        "why": case.why or None,
        "ratio": None if judged is None else judged.ratio,
        "low": None if judged is None else judged.low,
        "high": None if judged is None else judged.high,
        "within_limit": None if judged is None else judged.within,
        "old_ms": None if pair is None else _ms(pair.latency.a_ns),
        "new_ms": None if pair is None else _ms(pair.latency.b_ns),
        "noise": None if case.noise is None else _noise(gated, case, case.noise),
        "layers": [] if pair is None else [_layer(row) for row in pair.rows],
    }


def _noise(gated: Gated, case: Case, noise: Spread) -> dict[str, Any]:
    rule, pairs = gated.rule, gated.pairs
    return {
        "process_scatter": noise.of_processes,
        "tells_apart_from": gated.sees(noise),
        "finds_slowdown_of": seen_from(noise, pairs, rule),
        "unchanged_called_slower": unchanged_alarms(noise, pairs, rule),
        "one_run_of_each_wrong": plain_alarms(noise, rule),
        "too_noisy": gated.is_blunt(case),
        "pairs_that_would_do": gated.enough(noise),
    }


def _layer(row: Row) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    return {
        "layer": row.name,
        "layers": list(row.layers),
        "old_ms": _ms(row.a_ns),
        "new_ms": _ms(row.b_ns),
        "ratio": row.ratio,
        "low": low,
        "high": high,
        "verdict": verdict(row),
    }


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6
