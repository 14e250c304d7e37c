"""Parts that several documents have: devices, what was asked, warnings."""

from __future__ import annotations

from typing import Any

from onnxprof.publish.json.kinds import TEXT, Kind, fields_of, known, listed, of, record
from onnxprof.records.device import Device
from onnxprof.records.run import Request, Run
from onnxprof.records.warning import WarningKind
from onnxprof.store.encoding import LATER

#: Fields of a device that are 0 where they are not known; a document has null there.
_ZERO_IF_UNKNOWN = (
    *("memory_bytes", "physical_cores", "logical_cores"),
    *("base_clock_mhz", "max_clock_mhz", "memory_clock_mhz"),
)
_DEVICE = fields_of(Device)
DEVICE = record(_DEVICE | {name: known(_DEVICE[name]) for name in _ZERO_IF_UNKNOWN})
WARNINGS = listed(record({"kind": of(WarningKind), "text": TEXT}))


def _request() -> Kind:
    """What was asked; options that are left as they are stand in no document."""
    kinds = fields_of(Request)
    always = {name: kind for name, kind in kinds.items() if name not in LATER}
    return record(always, {name: kinds[name] for name in LATER})


REQUEST = _request()


def device(found: Device) -> dict[str, Any]:
    """A device, with null for what is not known of it."""
    from onnxprof.store.encoding import to_json

    facts: dict[str, Any] = to_json(found)
    return facts | {name: facts[name] or None for name in _ZERO_IF_UNKNOWN}


def warnings(run: Run) -> list[dict[str, str]]:
    """The warnings of a run, by kind and in words."""
    from onnxprof.publish.text.warnings import warning_texts

    texts = warning_texts(run)
    return [
        {"kind": warning.kind.value, "text": text}
        for warning, text in zip(run.warnings, texts, strict=True)
    ]
