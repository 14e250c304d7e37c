"""What a gate found, as a document; `onnxprof/gate/report/document.py` fills it in."""

from __future__ import annotations

from onnxprof.compare.gates.requirement import Requirement
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, FLAG, NUMBER, TEXT, known, listed, mapped, of, record

_NUMBER = known(NUMBER)
_NOISE = record(
    {
        **{"process_scatter": NUMBER, "tells_apart_from": NUMBER},
        **{"finds_slowdown_of": _NUMBER, "unchanged_called_slower": NUMBER},
        **{"one_run_of_each_wrong": NUMBER, "too_noisy": FLAG, "pairs_that_would_do": known(COUNT)},
    }
)
_LAYER = record(
    {
        **{"layer": TEXT, "layers": listed(TEXT), "old_ms": _NUMBER, "new_ms": _NUMBER},
        **{"ratio": _NUMBER, "low": _NUMBER, "high": _NUMBER, "verdict": TEXT},
    }
)
_CASE = record(
    {
        **{"model": TEXT, "batch": known(COUNT), "baseline": TEXT, "outcome": TEXT},
        **{"phase": known(TEXT), "dims": mapped(COUNT), "stops": FLAG, "why": known(TEXT)},
        **{"ratio": _NUMBER, "low": _NUMBER, "high": _NUMBER, "within_limit": known(FLAG)},
        **{"old_ms": _NUMBER, "new_ms": _NUMBER},
        **{"noise": known(_NOISE), "layers": listed(_LAYER)},
    }
)
GATE = Document(
    "gate",
    "Whether models got slower: the rule, and each case with its noise and layers",
    {
        **{"exit_code": COUNT, "max_slowdown": NUMBER, "false_alarms": NUMBER},
        **{"require": known(of(Requirement)), "pairs": COUNT, "confidence": NUMBER},
        "cases": listed(_CASE),
    },
)
