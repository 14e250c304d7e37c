"""Parsing of option texts that several commands share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onnxprof.errors import UsageError

if TYPE_CHECKING:
    from onnxprof.store.folder import Filters

_LARGEST_BATCH = 1 << 20
_LONGEST_DURATION = 20


def parse_batches(text: str) -> tuple[int, ...]:
    """`1,8` as (1, 8), in the order given, repeats dropped. Raises UsageError."""
    if not text.strip():
        raise UsageError(f"--batch {text!r} names no batch size", remedy="Write --batch 1,8")
    return tuple(dict.fromkeys(_batch(item) for item in _items(text, "--batch")))


def parse_names(text: str, option: str) -> tuple[str, ...]:
    """`ort,torch` as ("ort", "torch"). Raises UsageError for an empty item."""
    return tuple(_items(text, option))


def parse_filters(
    models: Sequence[str] | None,
    devices: Sequence[str] | None,
    backends: Sequence[str] | None,
    batch: str,
    tags: Sequence[str] | None = None,
    dims: Sequence[str] | None = None,
    phases: Sequence[str] | None = None,
) -> Filters:
    """Filters of stored runs; a text may list several backends. Raises UsageError."""
    from onnxprof.sequences.grammar import chosen
    from onnxprof.store.folder import Filters

    names = [name for text in backends or () for name in parse_names(text, "--backend")]
    batches = parse_batches(batch) if batch else ()
    return Filters(
        tuple(models or ()),
        tuple(devices or ()),
        tuple(names),
        batches,
        tuple(tags or ()),
        _sizes(dims or ()),
        chosen(phases or ()),
    )


def _sizes(items: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """`past=0,128` items as sizes by axis. Raises UsageError, also for a tie."""
    from onnxprof.model.dims.grammar import alternatives, parse

    found = []
    for name, size in parse(items).items():
        sizes = [each for each in alternatives(size) if isinstance(each, int)]
        if len(sizes) != len(alternatives(size)):
            raise UsageError(f"--dim {name}={size} is no size", remedy=f"Write --dim {name}=0,128")
        found.append((name, tuple(sizes)))
    return tuple(found)


def _items(text: str, option: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise UsageError(
            f"{option} {text!r} has an empty item", remedy="Put one comma between two items"
        )
    return items


def _batch(text: str) -> int:
    number = _integer(text)
    if number is None:
        raise UsageError(f"--batch: {text!r} is not a whole number", remedy="Write --batch 1,8")
    if not 1 <= number <= _LARGEST_BATCH:
        raise UsageError(f"--batch {text}: not between 1 and {_LARGEST_BATCH}")
    return number


def parse_pairs(items: Sequence[str], option: str) -> tuple[tuple[str, str], ...]:
    """`NAME=VALUE` items as pairs, each once. Raises UsageError for one without name or value."""
    pairs: dict[tuple[str, str], None] = {}
    for item in items:
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (name and equals and value):
            raise UsageError(
                f"{option} {item!r} is not NAME=VALUE", remedy="docs/backends.md lists the names"
            )
        pairs[name, value] = None
    return tuple(pairs)


def parse_duration(text: str, option: str) -> float:
    """`1h30m`, `90m`, `45s` as seconds; a bare number is seconds. Raises UsageError."""
    match = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if match is None or not any(match.groups()) or len(text) > _LONGEST_DURATION:
        raise UsageError(f"{option} {text!r} is no time", remedy=f"Write {option} 1h, 90m or 45s")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not total:
        raise UsageError(f"{option} {text!r} is no time at all")
    return float(total)


def parse_percent(text: str, option: str, least: float, most: float) -> float:
    """`5%` as 0.05, from `least` to `most`; a number without the sign is a fraction below 1.

    Raises UsageError.
    """
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,9})?|\.\d{1,9})\s*(%?)", text.strip())
    if match is None or (not match[2] and float(match[1]) >= 1):
        raise UsageError(f"{option} {text!r} is no percentage", remedy=f"Write {option} 5%")
    value = float(match[1]) / (100 if match[2] else 1)
    if not least <= value <= most:
        raise UsageError(f"{option} {text}: not between {100 * least:g}% and {100 * most:g}%")
    return value


def memory_limit(gib: float) -> int:
    """Bytes that one measurement may use; for 0 GiB, what there is."""
    from onnxprof.machine.memory import limit_bytes

    return limit_bytes(gib)


def _integer(text: str) -> int | None:
    digits = text.lstrip("+-")
    # int() refuses thousands of digits with an error of its own
    return int(text) if digits.isdecimal() and len(digits) < 20 else None
