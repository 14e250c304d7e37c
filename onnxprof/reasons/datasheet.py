"""A vendor's figures that a user gives, to stand beside what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from onnxprof.errors import UsageError

#: Other spellings of precisions and of main memory.
_NAMES = {
    "fp32": "float32",
    "f32": "float32",
    "fp16": "float16",
    "f16": "float16",
    "bf16": "bfloat16",
    "memory": "main",
    "dram": "main",
}
_KNOWN = ("float32", "float16", "bfloat16", "int8", "L1", "L2", "L3", "main")
_FIGURE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGTP]?)(FLOP/?s|FLOPS|OP/?s|OPS|B/s)", re.IGNORECASE)
_SCALES = {"": 1e-9, "k": 1e-6, "m": 1e-3, "g": 1.0, "t": 1e3, "p": 1e6}


def parse(items: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`fp32=2.1 TFLOP/s` as ("float32", "2.1 TFLOP/s"). Raises UsageError."""
    made: dict[str, str] = {}
    for item in items:
        given, _, text = item.partition("=")
        name = _NAMES.get(given.strip().lower(), given.strip())
        name = next((known for known in _KNOWN if known.lower() == name.lower()), "")
        if not name or not math.isfinite(giga(text.strip())):
            raise UsageError(
                f"--datasheet {item!r} is not NAME=FIGURE",
                remedy='Write --datasheet "fp32=2.1 TFLOP/s" or --datasheet "memory=460 GB/s"; '
                f"the names are {', '.join(_KNOWN)}",
            )
        is_rate = name in _KNOWN[:4]
        if is_rate == text.strip().lower().endswith("b/s"):
            wanted = "FLOP/s" if is_rate else "B/s"
            raise UsageError(f"--datasheet {item!r}: {name} is given in {wanted}")
        made[name] = text.strip()
    return tuple(made.items())


def giga(text: str) -> float:
    """A figure in units of 10^9: GFLOP/s or GB/s; NaN for what is no figure."""
    match = _FIGURE.fullmatch(text)
    return float(match[1]) * _SCALES[match[2].lower()] if match else math.nan
