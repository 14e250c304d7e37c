"""Which network of the zoo a model is, for what only the catalogue knows of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from onnxprof.records.layer import ModelFacts

if TYPE_CHECKING:
    from onnxprof.zoo import Entry

_ZOO = "zoo:"


def zoo_entry(facts: ModelFacts) -> Entry | None:
    """The zoo's network with these bytes, else that of this reference; None for other models."""
    by_digest, by_name = _catalogue()
    named = facts.reference.removeprefix(_ZOO) if facts.reference.startswith(_ZOO) else ""
    return by_digest.get(facts.sha256) or by_name.get(named)


@cache
def _catalogue() -> tuple[dict[str, Entry], dict[str, Entry]]:
    from onnxprof.zoo import entries

    found = entries()
    return {e.sha256: e for e in found if e.sha256}, {e.name: e for e in found}
