"""Reasons as documents: advice, ceilings of a device, layers of steps checked by values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import (
    COUNT,
    FLAG,
    NUMBER,
    TEXT,
    Kind,
    known,
    listed,
    mapped,
    of,
    record,
)
from onnxprof.publish.json.parts import DEVICE, device
from onnxprof.records.ceilings import Cache, CeilingsKey
from onnxprof.records.step import Confidence
from onnxprof.records.warning import RunWarning

if TYPE_CHECKING:
    from onnxprof.publish.tables.provenance import Checked
    from onnxprof.reasons.advice.advise import Advice
    from onnxprof.reasons.advice.applied import Applied
    from onnxprof.records.ceilings import Ceilings
    from onnxprof.records.run import Request

_GAIN = known(record({"expected_ns": NUMBER, "low_ns": NUMBER, "high_ns": NUMBER}))
_FINDING = record(
    {
        **{"rule": TEXT, "title": TEXT, "change": TEXT},
        **{"layers": listed(TEXT), "steps": listed(TEXT)},
        "evidence": listed(record({"meaning": TEXT, "value": NUMBER, "unit": TEXT})),
        **{"gain": _GAIN, "share": known(NUMBER), "rewrite": known(TEXT)},
    }
)
_ENDS: Kind = {"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}
_MEASURED = record(
    {
        **{"before_ns": NUMBER, "after_ns": NUMBER, "part": NUMBER},
        **{"interval": _ENDS, "verdict": TEXT},
    }
)
_APPLIED = record(
    {
        **{"target": TEXT, "operators": listed(of(tuple[str, int, int])), "worst": known(NUMBER)},
        **{"checks": COUNT, "bytes": COUNT, "predicted": _ENDS},
        **{"measured": known(_MEASURED), "is_inside": known(FLAG)},
    }
)
_ADVICE = record(
    {
        **{"model": TEXT, "backend": TEXT, "provider": TEXT, "device": TEXT},
        **{"batch": COUNT, "threads": COUNT, "latency_ns": NUMBER, "has_ceilings": FLAG},
        **{"findings": listed(_FINDING), "union": _GAIN, "rewritable": _GAIN},
    },
    {"applied": _APPLIED},
)
ADVISE = Document(
    "advise", "What to change, and the gain to expect, by run", {"advice": listed(_ADVICE)}
)

_CEILING: Kind = record(
    {"name": TEXT, "low": known(NUMBER), "high": known(NUMBER)},
    {
        **{"gflops": known(NUMBER), "gbps": known(NUMBER), "sure": FLAG},
        **{"kind": TEXT, "size": TEXT, "refused": TEXT},
    },
)
CEILINGS = Document(
    "ceilings",
    "What a device sustains at most through a backend",
    {
        **{"arithmetic": listed(_CEILING), "memory": listed(_CEILING)},
        **{"node_ns": known(NUMBER), "call_ns": known(NUMBER), "small_call_ns": known(NUMBER)},
        **{"key": of(CeilingsKey), "device": DEVICE, "created": TEXT, "command": TEXT},
        **{"environment": listed(of(tuple[str, str])), "caches": listed(of(Cache))},
        **{"points": listed({"type": "object"}), "warnings": listed(of(RunWarning))},
        **{"datasheet": listed(of(tuple[str, str])), "seconds": NUMBER},
    },
)
CEILINGS_LIST = Document(
    "ceilings-list",
    "Stored ceilings, oldest first",
    {
        "ceilings": listed(
            record(
                {
                    **{"created": TEXT, "device": TEXT, "backend": TEXT, "provider": TEXT},
                    **{"threads": COUNT, "runtime": TEXT},
                    **{"float32_gflops": known(NUMBER), "main_gbps": known(NUMBER)},
                    "stale": TEXT,
                }
            )
        )
    },
)

_CHECKED = record(
    {
        **{"step": TEXT, "op_type": TEXT, "layers": listed(TEXT), "share": known(NUMBER)},
        **{"confidence": of(Confidence), "verdict": TEXT, "reason": TEXT, "evidence": TEXT},
    }
)
PROVENANCE = Document(
    "provenance",
    "Which layers each step is tied to, and what values say of that",
    {
        **{"model": TEXT, "backend": TEXT, "provider": TEXT, "batch": COUNT},
        **{"dims": mapped(COUNT), "phase": TEXT},
        **{"verified_share": known(NUMBER), "steps": listed(_CHECKED)},
    },
)


def advised(every: Sequence[Advice], done: Applied | None = None) -> dict[str, Any]:
    """The document of `advise`, with what became of a rewrite."""
    from onnxprof.publish.reasons.advice import plain

    return ADVISE.of({"advice": plain(every, done)})


def ceilings(found: Ceilings) -> dict[str, Any]:
    """The document of `ceilings`."""
    from onnxprof.publish.reasons.ceilings import plain

    body = plain(found)
    body.pop("schema")  # that of the stored file
    return CEILINGS.of(body | {"device": device(found.device)})


def ceilings_list(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The document of `ceilings --list`, of the rows that its table shows."""
    return CEILINGS_LIST.of({"ceilings": list(rows)})


def checked(request: Request, steps: Sequence[Checked]) -> dict[str, Any]:
    """The document of `provenance`."""
    from onnxprof.publish.tables.provenance import plain

    return PROVENANCE.of(plain(request, steps))
