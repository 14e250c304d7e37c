"""Sweeps as documents: an event as it happens, one a line, and how the sweeps of a store stand.

Their records are in a package that imports this one, so the bodies come as dicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, FLAG, NUMBER, TEXT, Kind, known, listed, of, record

_JOB = record(
    {
        **{"key": TEXT, "model": TEXT, "backend": TEXT, "provider": TEXT, "device": TEXT},
        **{"batch": COUNT, "threads": COUNT, "dims": listed(of(tuple[str, int])), "node": TEXT},
        **{"runtime": TEXT, "phase": TEXT},
    }
)
_EVENTS = (
    *("planned", "foreseen", "started", "advanced", "finished", "failed", "skipped"),
    *("already_stored", "noted", "ended"),
)
#: What an event has besides, by its kind.
_DETAILS: Mapping[str, Kind] = {
    "job": _JOB,
    **dict.fromkeys(("jobs", "done", "left", "skipped"), COUNT),
    **{"failed": COUNT, "finished": COUNT},
    **{"seconds": known(NUMBER), "memory_bytes": known(COUNT)},
    **{"doing": TEXT, "share": NUMBER, "run": TEXT, "latency_ns": known(NUMBER)},
    **{"caveats": listed(TEXT), "reason": TEXT, "cause": TEXT, "text": TEXT},
}
EVENT = Document(
    "sweep-event",
    "Something that happened in a sweep; one document a line",
    {"version": COUNT, "event": {"enum": list(_EVENTS)}, "at": TEXT},
    _DETAILS,
)

_RUNNING = record({"job": _JOB, "doing": TEXT, "share": NUMBER})
_TALLY = record(
    {
        **dict.fromkeys(("jobs", "done", "found", "finished", "failed", "skipped"), COUNT),
        **{"expected_s": known(NUMBER), "expected_at_s": NUMBER, "elapsed_s": NUMBER},
        "places": listed(record({"node": TEXT, "device": TEXT, "running": known(_RUNNING)})),
        "failures": listed(record({"job": _JOB, "reason": TEXT})),
        "latest": known(record({"job": _JOB, "latency_ns": known(NUMBER), "seconds": NUMBER})),
        **{"note": TEXT, "is_over": FLAG},
    }
)
_STATUS = record(
    {
        **{"state": TEXT, "began": TEXT, "written": TEXT, "version": COUNT},
        **{"writer": {"type": "object"}, "tally": _TALLY},
        **{"left": COUNT, "left_s": known(NUMBER)},
    }
)
STATUS = Document(
    "sweep-status", "How the sweeps of a store stand, oldest first", {"sweeps": listed(_STATUS)}
)


def event(body: Mapping[str, Any]) -> dict[str, Any]:
    """The document of one event, from `sweeps.events.as_json`."""
    return EVENT.of(body)


def status(sweeps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The document of `sweep status`."""
    return STATUS.of({"sweeps": [dict(each) for each in sweeps]})
