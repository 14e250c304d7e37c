"""OpenVINO's names of element types."""

from __future__ import annotations

from collections.abc import Mapping

#: From OpenVINO's name of a type to that of the one table of types. Its `u2` is left out, since
#: its frontend reads no tensor of 2 bits (2026.4).
ELEMENTS: Mapping[str, str] = {
    "boolean": "bool", "string": "string",
    "f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16",
    "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2", "f8e8m0": "float8_e8m0fnu",
    "f4e2m1": "float4_e2m1fn",
    "i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "i4": "int4",
    "u64": "uint64", "u32": "uint32", "u16": "uint16", "u8": "uint8", "u4": "uint4",
}  # fmt: skip


def name_of(name: str) -> str:
    """OpenVINO's name of a type; empty for one that it lacks."""
    return next((theirs for theirs, ours in ELEMENTS.items() if ours == name), "")
