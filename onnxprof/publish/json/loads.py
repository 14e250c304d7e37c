"""Runs under load as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, FLAG, NUMBER, TEXT, known, listed, mapped, of, record
from onnxprof.records.scenarios.asked import Scenario
from onnxprof.records.scenarios.run import ScenarioRun

_MS = known(NUMBER)
_RUN = record(
    {
        **{"id": TEXT, "created": TEXT, "scenario": of(Scenario), "model": TEXT, "device": TEXT},
        **{"device_name": TEXT, "backend": TEXT, "provider": TEXT, "threads": COUNT},
        **{"sessions": COUNT, "max_batch": COUNT, "max_wait_ms": NUMBER},
        **{"target_latency_ms": _MS, "asked_rate": known(NUMBER), "quick": FLAG},
        **{"valid": known(FLAG), "reasons": known(TEXT), "queries": known(COUNT)},
        **{"samples": known(COUNT), "percentile": known(NUMBER), "percentile_ms": _MS},
        **{"estimate_ms": _MS, "scheduled_rate": known(NUMBER), "completed_rate": known(NUMBER)},
        **dict.fromkeys(("mean_ms", "p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "floor_ms"), _MS),
        **{"floor_rate": known(NUMBER), "loadgen": TEXT, "runtime": TEXT, "failure": TEXT},
        **{"label": TEXT, "options": TEXT, "command": TEXT, "environment": mapped(TEXT)},
        **{"dims": mapped(COUNT), "settings": mapped(TEXT)},
    }
)
SCENARIOS = Document(
    "scenarios", "Runs under MLCommons' LoadGen, oldest first", {"runs": listed(_RUN)}
)


def scenarios(runs: Sequence[ScenarioRun]) -> dict[str, Any]:
    """The document of `scenarios list`, `show` and `matrix`, and of `scenario`."""
    from onnxprof.publish.tables.scenarios import records

    rows = zip(records(runs), runs, strict=True)
    return SCENARIOS.of({"runs": [row | _facts(run) for row, run in rows]})


def _facts(run: ScenarioRun) -> dict[str, Any]:
    return {
        "command": run.command,
        "environment": dict(run.environment),
        "dims": dict(run.asked.dims),
        "settings": dict(run.answer.settings) if run.answer else {},
    }
