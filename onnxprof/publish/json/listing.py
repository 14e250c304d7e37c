"""A list of stored runs as a document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from onnxprof.analysis.grades import Grade
from onnxprof.publish.json.documents import Document
from onnxprof.publish.json.kinds import COUNT, NUMBER, TEXT, known, listed, mapped, of, record
from onnxprof.records.step import Granularity
from onnxprof.records.warning import WarningKind
from onnxprof.store.summary import Summary

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
