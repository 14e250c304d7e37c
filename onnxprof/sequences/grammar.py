"""What `--phase` may be: `prefill:512`, `decode:512..2048`, `decode:0,100`, `steps:16`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from onnxprof.errors import UsageError
from onnxprof.records.sequences.phase import Phase, PhaseKind

_LARGEST = 1 << 24
_MOST_POINTS = 64
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})(?:/(\d{1,4}))?")
_REMEDY = "Write --phase prefill:512, --phase decode:512..2048 or --phase steps:16"


def points(texts: Iterable[str]) -> tuple[Phase, ...]:
    """Every phase that the texts name, each once, in order. Raises UsageError.

    A range doubles its start until its end, which is there, too; `512..2048/7` are seven sizes at
    even distances.
    """
    return tuple(dict.fromkeys(phase for text in texts for phase in _points(text)))


def single(text: str) -> str:
    """The phase at one size that a text names, empty for none. Raises UsageError for several."""
    found = [str(phase) for phase in points([text] if text else [])]
    if len(found) > 1:
        raise UsageError(
            f"--phase {text} names {len(found)} sizes, and one is taken",
            remedy=f"Choose one, as in --phase {found[0]}",
        )
    return found[0] if found else ""


def chosen(texts: Iterable[str]) -> tuple[str, ...]:
    """Which phases are meant, as a run has them: `decode` for any size, or those at sizes.

    Raises UsageError.
    """
    kinds = {kind.value for kind in PhaseKind}
    found = [[text.strip()] if text.strip() in kinds else points([text]) for text in texts]
    return tuple(dict.fromkeys(str(phase) for each in found for phase in each))


def _points(text: str) -> Iterator[Phase]:
    name, colon, sizes = text.strip().partition(":")
    kinds = {kind.value: kind for kind in PhaseKind}
    if name not in kinds or not colon:
        raise UsageError(f"--phase {text!r} is not KIND:SIZE", remedy=_REMEDY)
    kind = kinds[name]
    for item in sizes.split(","):
        for size in _sizes(text, item.strip()):
            yield _checked(text, Phase(kind, size))


def _sizes(text: str, item: str) -> list[int]:
    if item.isdecimal() and len(item) < 10:
        return [int(item)]
    match = _RANGE.fullmatch(item)
    if match is None:
        raise UsageError(f"--phase {text!r}: {item!r} is no size or range", remedy=_REMEDY)
    start, end = int(match[1]), int(match[2])
    if end < start:
        raise UsageError(f"--phase {text!r}: {end} is below {start}", remedy=_REMEDY)
    return _even(text, start, end, int(match[3])) if match[3] else _doubled(text, start, end)


def _doubled(text: str, start: int, end: int) -> list[int]:
    if start == 0 and end > 0:
        raise UsageError(
            f"--phase {text!r}: a range that doubles cannot begin at 0",
            remedy="Give the number of sizes, as in 0..2048/5, or list the sizes: 0,512,2048",
        )
    sizes = []
    while start < end:
        sizes.append(start)
        start *= 2
    return [*sizes, end]


def _even(text: str, start: int, end: int, count: int) -> list[int]:
    if not 2 <= count <= _MOST_POINTS:
        raise UsageError(f"--phase {text!r}: {count} sizes", remedy=f"Ask for 2 to {_MOST_POINTS}")
    step = (end - start) / (count - 1)
    return list(dict.fromkeys(round(start + step * i) for i in range(count)))


def _checked(text: str, phase: Phase) -> Phase:
    least = 0 if phase.kind is PhaseKind.DECODE else 1
    if not least <= phase.size <= _LARGEST:
        raise UsageError(
            f"--phase {text!r}: {phase.size} is not between {least} and {_LARGEST}", remedy=_REMEDY
        )
    return phase
