"""The envelope that every document has, and a document as text.

A document is an object whose `schema` names its kind and version, and whose `onnxprof` is the
version that wrote it. `docs/json.md` has the rules for readers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnxprof
from onnxprof.publish.json.kinds import COUNT, TEXT, Kind, record

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of document: what it is called, what it holds, and its version."""

    name: str
    title: str
    keys: Mapping[str, Kind]
    rare: Mapping[str, Kind] = field(default_factory=dict)
    """Keys that stand there only where they apply."""
    version: int = 1
    """Grows when a reader of the last one would be misled; a key that is added misleads nobody."""

    @property
    def schema_id(self) -> str:
        """What the key `schema` says: `onnxprof.runs-list/1`."""
        return f"onnxprof.{self.name}/{self.version}"

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of these documents."""
        envelope: dict[str, Kind] = {"schema": {"const": self.schema_id}, "onnxprof": TEXT}
        whole = record({**envelope, **self.keys}, self.rare)
        return {"$schema": _DRAFT, "$id": self.schema_id, "title": self.title, **whole}

    def of(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The document with this body."""
        return {"schema": self.schema_id, "onnxprof": onnxprof.__version__, **body}


ERROR = Document(
    "error",
    "Why a command with --json gives no document of its own",
    {
        "error": record({"what": TEXT, "where": TEXT, "remedy": TEXT}),
        "exit_code": COUNT,
    },
)


def error(what: str, exit_code: int, where: str = "", remedy: str = "") -> dict[str, Any]:
    """The document in place of one that could not be made."""
    body = {"what": what, "where": where, "remedy": remedy}
    return ERROR.of({"error": body, "exit_code": exit_code})


def text(document: Any) -> str:
    """The document, or a list, in ASCII, which every console takes; indented, a line's end last."""
    return _encoded(document, indent=2) + "\n"


def line(document: Any) -> str:
    """The document on one line, for outputs of several as they come."""
    return _encoded(document, indent=None) + "\n"


def _encoded(document: Any, indent: int | None) -> str:
    try:
        made = json.dumps(document, indent=indent, allow_nan=False)
    except ValueError:
        made = json.dumps(_finite(document), indent=indent, allow_nan=False)
    return made.replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    """The value with null for what is no finite number, of which JSON has none."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
