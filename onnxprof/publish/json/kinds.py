"""Kinds of JSON values, as the parts of a JSON Schema (draft 2020-12)."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

Kind = dict[str, Any]

TEXT: Kind = {"type": "string"}
NUMBER: Kind = {"type": "number"}
WHOLE: Kind = {"type": "integer"}
COUNT: Kind = {"type": "integer", "minimum": 0}
FLAG: Kind = {"type": "boolean"}
_PLAIN: Mapping[Any, Kind] = {
    str: TEXT,
    Path: TEXT,
    float: NUMBER,
    int: WHOLE,
    bool: FLAG,
    type(None): {"type": "null"},
}


def known(kind: Kind) -> Kind:
    """The kind, or null for what is not known or does not apply."""
    return {"anyOf": [kind, {"type": "null"}]}


def listed(kind: Kind) -> Kind:
    """A list of values of one kind."""
    return {"type": "array", "items": kind}


def mapped(kind: Kind) -> Kind:
    """An object with any keys, whose values are of one kind."""
    return {"type": "object", "additionalProperties": kind}


def interval(kind: Kind) -> Kind:
    """A list of the lower and the upper end; null where there is none."""
    return known({"type": "array", "items": kind, "minItems": 2, "maxItems": 2})


def record(keys: Mapping[str, Kind], rare: Mapping[str, Kind] | None = None) -> Kind:
    """An object that has all `keys`, and those in `rare` where they apply.

    Others may come with later versions of onnxprof: readers pass over what they do not know.
    """
    return {
        "type": "object",
        "properties": {**keys, **(rare or {})},
        "required": list(keys),
    }


@cache
def of(kind: Any) -> Kind:
    """The kind of a record's field, by its Python type, as `store.encoding.to_json` writes it."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    if dataclasses.is_dataclass(kind):
        return record(fields_of(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return {"anyOf": [of(each) for each in get_args(kind)]}
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind))
    raise TypeError(f"no JSON kind for {kind!r}")


def _tuple(items: tuple[Any, ...]) -> Kind:
    if items[-1] is Ellipsis:
        return listed(of(items[0]))
    parts = [of(each) for each in items]
    return {"type": "array", "prefixItems": parts, "minItems": len(parts), "maxItems": len(parts)}


def fields_of(cls: Any) -> dict[str, Kind]:
    """The kinds of a record's fields by name."""
    hints = get_type_hints(cls)
    return {each.name: of(hints[each.name]) for each in dataclasses.fields(cls)}
