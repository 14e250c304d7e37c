"""Declarations in a model file's metadata: default sizes of axes, and values for inputs.

Two entries of `metadata_props` in JSON, which the zoo's networks carry and any file may:
`onnxprof.dims` maps a symbolic axis to its usual size, `onnxprof.inputs` an input to a fill,
`{"kind": "integers", "low": 0, "high": 30522}`. Files are untrusted: an invalid entry is a
ModelError when it is needed, and is ignored where the user gives sizes and arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from onnxprof.errors import ModelError
from onnxprof.zoo.declaration import Fill

if TYPE_CHECKING:
    from onnx import ModelProto

DIMS_KEY = "onnxprof.dims"
INPUTS_KEY = "onnxprof.inputs"
KINDS = ("normal", "uniform", "integers", "constant", "range")
#: Larger than any sequence or image axis.
MAX_SIZE = 1 << 20
_MAX_TEXT = 1 << 16
#: Whole numbers up to here are exact in the JSON of every language.
_MAX_NUMBER = float(1 << 53)


def dims(model: ModelProto, where: str = "") -> dict[str, int]:
    """Default sizes by symbolic axis. Raises ModelError for an invalid entry."""
    sizes = _object(model, DIMS_KEY, where, "Give sizes with --dim")
    for name, size in sizes.items():
        if type(size) is not int or not 0 <= size <= MAX_SIZE:
            raise _bad(DIMS_KEY, f"{name!r} is {size!r}, no size", where, "Give sizes with --dim")
    return sizes


def fills(model: ModelProto, where: str = "") -> dict[str, Fill]:
    """Fills by input name. Raises ModelError for an invalid entry."""
    declared = _object(model, INPUTS_KEY, where, _ARRAYS)
    return {name: _fill(name, facts, where) for name, facts in declared.items()}


_ARRAYS = "Give arrays with --inputs FILE.npz"


def _fill(name: str, facts: Any, where: str) -> Fill:
    if not isinstance(facts, dict) or facts.get("kind") not in KINDS:
        what = f"{name!r} is none of {', '.join(KINDS)}"
        raise _bad(INPUTS_KEY, what, where, _ARRAYS)
    low, high = facts.get("low", 0.0), facts.get("high", 1.0)
    if not (_is_number(low) and _is_number(high)):
        raise _bad(INPUTS_KEY, f"the bounds of {name!r} are no numbers", where, _ARRAYS)
    fill = Fill(facts["kind"], float(low), float(high))
    if fill.kind in ("uniform", "integers") and not fill.low < fill.high:
        raise _bad(INPUTS_KEY, f"{name!r} has no value between its bounds", where, _ARRAYS)
    return fill


def _is_number(value: Any) -> bool:
    good = type(value) in (int, float) and abs(value) <= _MAX_NUMBER
    return good and math.isfinite(value)


def _object(model: ModelProto, key: str, where: str, remedy: str) -> dict[str, Any]:
    text = _metadata(model).get(key, "{}")
    if len(text) > _MAX_TEXT:
        raise _bad(key, f"it is longer than {_MAX_TEXT} characters", where, remedy)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _bad(key, "it is no JSON", where, remedy) from None
    if not isinstance(value, dict):
        raise _bad(key, "it is no JSON object", where, remedy)
    return value


def _metadata(model: ModelProto) -> Mapping[str, str | bytes]:
    return {entry.key: entry.value for entry in model.metadata_props}


def _bad(key: str, what: str, where: str, remedy: str) -> ModelError:
    place = f"{where}, " if where else ""
    return ModelError(what, where=f"{place}metadata {key}", remedy=remedy)
