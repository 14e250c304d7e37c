"""Holds what `--json` prints to its schema, and stricter than readers have to be."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator

from onnxprof.publish.json.every import DOCUMENTS


def strict(schema: Any) -> Any:
    """The schema, with nothing allowed that it does not name."""
    if isinstance(schema, dict):
        made = {key: strict(value) for key, value in schema.items()}
        if "properties" in made and made.get("type") == "object":
            made.setdefault("additionalProperties", False)
        return made
    return [strict(each) for each in schema] if isinstance(schema, list) else schema


def checked(text: str, name: str) -> dict[str, Any]:
    """The document in a text, of the kind of that name; the text holds nothing else."""
    assert text.isascii()
    assert "\x7f" not in text
    document = json.loads(text, parse_constant=_refused)
    assert document["schema"] == DOCUMENTS[name].schema_id
    Draft202012Validator(strict(deepcopy(DOCUMENTS[name].schema))).validate(document)
    return dict(document)


def _refused(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")
