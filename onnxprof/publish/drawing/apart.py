"""Short labels that tell the names of a list apart; `site/assets/figures.js` makes the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from onnxprof.publish.text.safe import shortened

_SCOPES = re.compile(r"[^/.:]*[/.:]+|[^/.:]+")
_WORDS = re.compile(r"[^_-]*[_-]+|[^_-]+")


def apart(names: Sequence[str], longest: int) -> list[str]:
    """A label for each name: those of more letters lose what they share with the others.

    A label keeps the end of its name and the part that differs from each other name, and as many
    parts before its end as there is room for. Labels of different names are never equal.
    """
    split = {name: _pieces(name) for name in names}
    labels = [
        _label(name, [parts for other, parts in split.items() if other != name], longest)
        for name in names
    ]
    owners: dict[str, set[str]] = {}
    for name, label in zip(names, labels, strict=True):
        owners.setdefault(label, set()).add(name)
    return [
        label if len(owners[label]) == 1 else name
        for name, label in zip(names, labels, strict=True)
    ]


def _label(name: str, others: Iterable[Sequence[str]], longest: int) -> str:
    if len(name) <= longest:
        return name
    parts = _pieces(name)
    kept = {len(parts) - 1, *(_first_difference(parts, other) for other in others)}
    for place in reversed(range(len(parts) - 1)):
        if len(_joined(parts, kept | {place})) > longest:
            break
        kept.add(place)
    return shortened(_joined(parts, kept), 2 * longest)


def _pieces(name: str) -> list[str]:
    """The name's scopes, each with the mark behind it; its words where it has no scope."""
    scopes = _counted(_SCOPES.findall(name))
    return scopes if len(scopes) > 1 else _counted(_WORDS.findall(name)) or [name]


def _counted(parts: Iterable[str]) -> list[str]:
    """A number belongs to what it counts: `layer/3/`."""
    found: list[str] = []
    for part in parts:
        if found and part[0] in "0123456789":
            found[-1] += part
        else:
            found.append(part)
    return found


def _first_difference(parts: Sequence[str], other: Sequence[str]) -> int:
    places = range(len(parts))
    return next((i for i in places if parts[i : i + 1] != other[i : i + 1]), places[-1])


def _joined(parts: Sequence[str], kept: Collection[int]) -> str:
    """The parts that are kept, an ellipsis for each row of others."""
    return "".join(
        part if i in kept else "…" if i == 0 or i - 1 in kept else ""
        for i, part in enumerate(parts)
    )
