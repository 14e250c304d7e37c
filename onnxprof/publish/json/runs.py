"""Runs as documents: a stored one, and those that were just measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.reconcile import Reconciliation, Status
from onnxprof.publish.json import parts
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    WHOLE,
    Kind,
    interval,
    known,
    listed,
    mapped,
    of,
    record,
)
from onnxprof.publish.json.listing import SUMMARY
from onnxprof.records.ceilings import Ceilings
from onnxprof.records.run import Run
from onnxprof.store.summary import Summary

if TYPE_CHECKING:
    from onnxprof.publish.icicle.table import By

_MS = known(NUMBER)
_ROW = record(
    {
        **{"model": TEXT, "device": TEXT, "backend": TEXT, "batch": COUNT},
        **dict.fromkeys(("layer_name", "layer_type", "op_type"), TEXT),
        **dict.fromkeys(("input_names", "output_names", "input_shapes", "output_shapes"), TEXT),
        **{"status": of(Status), "step": TEXT},
        **{"median_ms": _MS, "p5_ms": _MS, "p95_ms": _MS, "samples": known(COUNT)},
        **{"share": known(NUMBER), "caveat": known(TEXT)},
        **{"flops": known(COUNT), "bytes": known(COUNT), "intensity": known(NUMBER)},
        **{"bound": known(TEXT), "fraction_of_ceiling": known(NUMBER)},
        "alive_bytes": known(COUNT),
    }
)
_SUMS = record(
    {
        **{"total_ms": NUMBER, "is_latency": FLAG, "interval_ms": interval(NUMBER)},
        **{"samples": COUNT, "layers_ms": NUMBER, "no_layer_ms": NUMBER},
        **{"interruptions_ms": _MS, "overhead_ms": _MS, "empty_call_ms": _MS},
        "traced_over_untraced": known(NUMBER),
    }
)
_STEP_ROOF: Mapping[str, Kind] = {
    **{"name": TEXT, "ms": _MS, "alone_ms": _MS, "waits_ms": _MS},
    **{"flops": known(COUNT), "macs": known(COUNT), "bytes": known(COUNT)},
    **{"intensity": known(NUMBER), "precision": TEXT, "unknown": TEXT},
    **{"gflops": known(NUMBER), "gbps": known(NUMBER)},
    **{"compute_ms": _MS, "memory_ms": _MS, "overhead_ms": _MS},
    **{"bound": known(TEXT), "fraction_of_ceiling": known(NUMBER)},
    **{"at_least": FLAG, "algorithm": TEXT},
}
_BOUNDS: Mapping[str, Kind] = {
    **{"measured_ms": _MS, "call_ms": _MS, "in_sequence_ms": _MS, "critical_path_ms": _MS},
    **{"fused_in_sequence_ms": _MS, "fused_critical_path_ms": _MS, "at_least": FLAG},
    **{"other_algorithms": listed(TEXT), "beaten": listed(TEXT)},
}
_ROOFLINE = record(
    {
        "ceilings": known(TEXT),
        "steps": listed(record(_STEP_ROOF)),
        "bounds": known(record(_BOUNDS)),
    }
)
_PERCENTILES = listed(
    record({"percentile": NUMBER, "ms": _MS, "samples": COUNT, "samples_needed": COUNT})
)
_STREAMS = record(
    {
        **{"streams": COUNT, "threads": COUNT, "items_per_s": known(NUMBER)},
        **{"single_items_per_s": known(NUMBER), "percentiles": _PERCENTILES, "failure": TEXT},
    }
)
_PART = record({"name": TEXT, "level": WHOLE, "ms": NUMBER, "share": known(NUMBER), "steps": COUNT})
RUN = Document(
    "run",
    "A stored run: facts, how its times add up, layers, caveats",
    {
        **{"run": SUMMARY, "timer_used": TEXT, "command": TEXT},
        **{"environment": mapped(TEXT), "device": parts.DEVICE},
        **{"sums": known(_SUMS), "rows": listed(_ROW), "warnings": parts.WARNINGS},
        **{"percentiles": _PERCENTILES, "streams": known(_STREAMS)},
        "parity": known(
            record({"reference": TEXT, "passed": known(FLAG), "reason": TEXT, "text": TEXT})
        ),
        **{"roofline": known(_ROOFLINE), "repeat": listed(TEXT)},
    },
    {"by": record({"what": {"enum": ["scope", "operator"]}, "parts": listed(_PART)})},
)
_FAILURE = record({"model": TEXT, "batch": known(COUNT), "reason": TEXT}, {"dims": mapped(COUNT)})
PROFILE = Document(
    "profile",
    "What a measurement gave: runs, and what was not measured",
    {
        **{"store": TEXT, "runs": listed(SUMMARY)},
        "warnings": mapped(parts.WARNINGS),
        "failures": listed(_FAILURE),
    },
)


def run(
    shown: Run,
    summary: Summary,
    ceilings: Ceilings | None = None,
    by: By | None = None,
) -> dict[str, Any]:
    """The document of `runs show`; `by` adds its times up by scope or operator as well.

    Raises StoreError for a run whose times do not match its steps.
    """
    from onnxprof.analysis.reconcile import reconcile
    from onnxprof.publish.latency.percentiles import of_run, percentile_records
    from onnxprof.publish.latency.streams import streams_record
    from onnxprof.publish.reasons.roofs import roofline_json
    from onnxprof.publish.repeating.lines import repeat
    from onnxprof.publish.tables.timings import timing_records

    sums = None if shown.timings is None else reconcile(shown)
    body = {
        **_facts(shown, summary),
        "sums": None if sums is None else _sums(sums),
        "rows": [] if sums is None else timing_records(shown, ceilings),
        "warnings": parts.warnings(shown),
        "percentiles": percentile_records(of_run(shown)),
        "streams": streams_record(shown),
        "parity": _parity(shown),
        "roofline": None if sums is None else roofline_json(shown, ceilings),
        "repeat": list(repeat(shown).lines),
    }
    if by is not None and sums is not None:
        body["by"] = {"what": by.value, "parts": list(_parts(sums, by.value))}
    return RUN.of(body)


def _facts(shown: Run, summary: Summary) -> dict[str, Any]:
    from onnxprof.publish.tables.runs import list_records

    return {
        "run": list_records([summary])[0],
        "timer_used": shown.timer,
        "command": shown.command,
        "environment": dict(shown.environment),
        "device": parts.device(shown.device),
    }


def _parity(shown: Run) -> dict[str, Any] | None:
    from onnxprof.publish.text.sentences import parity_text

    found = shown.parity
    if found is None:
        return None
    return {
        "reference": found.reference,
        "passed": found.passed,
        "reason": found.reason,
        "text": parity_text(found),
    }


def _sums(sums: Reconciliation) -> dict[str, Any]:
    is_whole = sums.is_whole
    low, high = sums.interval_ns
    return {
        "total_ms": sums.total_ns / 1e6,
        "is_latency": is_whole,
        "interval_ms": [low / 1e6, high / 1e6] if is_whole else None,
        "samples": sums.samples,
        "layers_ms": (sums.layer_sum_ns - sums.unattributed_ns) / 1e6,
        "no_layer_ms": sums.unattributed_ns / 1e6,
        "interruptions_ms": _ms(sums.interruptions_ns),
        "overhead_ms": sums.overhead_ns / 1e6 if is_whole else None,
        "empty_call_ms": _ms(sums.empty_ns),
        "traced_over_untraced": sums.inflation if is_whole else None,
    }


def _parts(sums: Reconciliation, by: str) -> Iterable[dict[str, Any]]:
    from onnxprof.publish.icicle.layout import laid_out
    from onnxprof.publish.icicle.operators import by_operator
    from onnxprof.publish.icicle.tree import grown

    total = sums.total_ns
    if by == "operator":
        for found in by_operator(sums.rows):
            yield _part(found.operator, 0, found.ns, found.steps, total)
        return
    for each in laid_out(grown(sums.rows), 0.0):
        if not each.is_closing:
            yield _part(each.part.name, each.level, each.part.ns, each.part.steps, total)


def _part(name: str, level: int, ns: int, steps: int, total_ns: int) -> dict[str, Any]:
    share = ns / total_ns if total_ns else None
    return {"name": name, "level": level, "ms": ns / 1e6, "share": share, "steps": steps}


def _ms(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e6


def profiled(
    stored: Sequence[tuple[Run, str]],
    store: str,
    failures: Sequence[tuple[str, int, Mapping[str, int], str]] = (),
) -> dict[str, Any]:
    """The document of `profile`: runs with the paths of their files, failed ones as well.

    `failures` are (model, batch, other sizes, reason) of what left no run.
    """
    from dataclasses import replace

    from onnxprof.publish.tables.runs import list_records
    from onnxprof.store.summary import summarise

    summaries = [replace(summarise(shown), file=path) for shown, path in stored]
    return PROFILE.of(
        {
            "store": store,
            "runs": list_records(summaries),
            "warnings": {path: parts.warnings(shown) for shown, path in stored},
            "failures": [
                {"model": model, "batch": batch, "dims": dict(dims), "reason": reason}
                for model, batch, dims, reason in failures
            ],
        }
    )
