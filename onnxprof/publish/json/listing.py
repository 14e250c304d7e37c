"""Lists of stored runs, and their histories, as documents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from onnxprof.analysis.grades import Grade
from onnxprof.compare.systems import Difference
from onnxprof.compare.verdict import THRESHOLD, Verdict
from onnxprof.publish.history.requests import Kind as Outcome
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, NUMBER, TEXT, known, listed, mapped, of, record
from onnxprof.publish.json.parts import REQUEST
from onnxprof.records.step import Granularity
from onnxprof.records.warning import WarningKind
from onnxprof.store.summary import Summary

if TYPE_CHECKING:
    from onnxprof.publish.history.changes import Judgement
    from onnxprof.publish.history.lines import Line, Lines

_MS = known(NUMBER)
SUMMARY = record(
    {
        **dict.fromkeys(("id", "created", "model", "device", "device_name"), TEXT),
        **{"backend": TEXT, "provider": TEXT, "batch": COUNT, "threads": COUNT},
        **{"granularity": of(Granularity), "timer": TEXT},
        **{"median_ms": _MS, "low_ms": _MS, "high_ms": _MS, "samples": COUNT},
        **{"layer_sum_ms": _MS, "steps": COUNT, "energy_mj": _MS, "power_w": _MS},
        **{"peak_resident_bytes": known(COUNT), "warnings": listed(of(WarningKind))},
        **{"failure": TEXT, "path": TEXT, "dims": mapped(COUNT), "tags": listed(TEXT)},
        **{"grade": known(of(Grade)), "options": listed(TEXT)},
    }
)
LIST = Document("runs-list", "Stored runs, oldest first", {"runs": listed(SUMMARY)})


def runs_list(summaries: Iterable[Summary]) -> dict[str, Any]:
    """The document of `runs list`."""
    from onnxprof.publish.tables.runs import list_records

    return LIST.of({"runs": list_records(summaries)})


_AGAINST = record(
    {
        **{"created": TEXT, "ratio": known(NUMBER), "low": known(NUMBER), "high": known(NUMBER)},
        "verdict": of(Verdict),
    }
)
_PAST = record(
    {
        **{"created": TEXT, "outcome": of(Outcome), "reason": TEXT, "runtime": TEXT},
        **{"median_ms": _MS, "low_ms": _MS, "high_ms": _MS, "samples": COUNT},
        **{"grade": known(of(Grade)), "against": known(_AGAINST)},
        "changed": listed(of(Difference)),
    }
)
_REQUEST = record(
    {
        **{"id": TEXT, "request": REQUEST, "system": TEXT},
        **{"count": COUNT, "runs": listed(_PAST)},
    }
)
HISTORY = Document(
    "runs-history",
    "What changed from run to run of each request",
    {"threshold": NUMBER, "requests": listed(_REQUEST)},
)


def history(groups: Sequence[Lines]) -> dict[str, Any]:
    """The document of `runs history`; `count` includes the runs that `--limit` leaves out."""
    return HISTORY.of({"threshold": THRESHOLD, "requests": list(map(_requested, groups))})


def _requested(group: Lines) -> dict[str, Any]:
    from onnxprof.store.encoding import request_digest, to_json

    asked = group.entry.run.request
    return {
        **{"id": request_digest(asked), "request": to_json(asked), "system": group.system},
        **{"count": group.runs, "runs": list(map(_past, group.lines))},
    }


def _past(line: Line) -> dict[str, Any]:
    from onnxprof.publish.history.changes import trouble
    from onnxprof.store.encoding import to_json

    facts = line.facts
    low, high = facts.interval_ns or (None, None)
    return {
        **{"created": facts.created, "outcome": line.attempt.kind.value},
        **{"reason": trouble(line.attempt), "runtime": facts.runtime},
        **{"median_ms": _ms(facts.median_ns), "low_ms": _ms(low), "high_ms": _ms(high)},
        **{"samples": facts.samples, "grade": facts.grade.value if facts.grade else None},
        "against": None if line.against is None else _against(line.against),
        "changed": [to_json(each) for each in line.changed],
    }


def _against(judged: Judgement) -> dict[str, Any]:
    row = judged.latency
    low, high = row.interval or (None, None)
    figures = {"ratio": row.ratio, "low": low, "high": high}
    return {"created": judged.earlier.created, **figures, "verdict": row.verdict.value}


def _ms(ns: float | None) -> float | None:
    return None if ns is None else ns / 1e6
