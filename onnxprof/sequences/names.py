"""What the name of a state is without the words for past and present: `past.0.key` as `0 key`."""

from __future__ import annotations

import re

#: Words of exporters and frameworks; the rest of a name says which state it is.
_BEFORE = ("past", "prev", "previous", "old", "init", "initial")
_AFTER = ("present", "next", "new", "updated", "final", "current")
_EITHER = ("cache", "caches", "cached", "state", "states")
#: Words of states that also tell one from another.
_KEPT = ("buffer", "buf", "memory", "mem", "carry", "history", "hist")
_WEAK = ("in", "out", "input", "output", "inputs", "outputs")
#: `past_key_values.0.key` holds `key` twice.
_LEGACY = tuple((when, "key", kind) for when in ("past", "present") for kind in ("value", "values"))
_WORD = re.compile(r"[a-z]+|\d+")
#: `hn` and `cn` of LSTM cells, `stateN` of Silero's networks, `r1i` and `r1o` of matting.
_CELL = re.compile(r"(h|c)(?:_?(?:0|n|in|out|i|o))?")
_NUMBERED = re.compile(r"(.*\d)[io]")


def stem(name: str) -> tuple[tuple[str, ...], bool]:
    """The words that tell a state from others, and whether the name says that it is one.

    `in` and `out` do not: plain tensors are called so, too.
    """
    text = name.lower().removesuffix("_n")
    if match := _CELL.fullmatch(text):
        return (match[1],), True
    if match := _NUMBERED.fullmatch(text):
        return tuple(_WORD.findall(match[1])), True
    text = re.sub(r"staten$", "state", text)
    words = _WORD.findall(text)
    for legacy in _LEGACY:
        if tuple(words[: len(legacy)]) == legacy and len(words) > len(legacy):
            return _rest(words[len(legacy) :]), True
    rest = _rest(words)
    return rest, not {*_BEFORE, *_AFTER, *_EITHER, *_KEPT}.isdisjoint(words)


def _rest(words: list[str]) -> tuple[str, ...]:
    noise = {*_BEFORE, *_AFTER, *_EITHER, *_WEAK}
    return tuple(word for word in words if word not in noise)


def is_after(name: str) -> bool:
    """Whether a name alone says that it is a state after an inference: `present.0.key`."""
    words = _WORD.findall(name.lower())
    return bool(words) and (words[0] == "present" or words[-1] == "present")


def is_before(name: str) -> bool:
    """Whether a name alone says that it is a state before an inference: `past.0.key`."""
    words = _WORD.findall(name.lower())
    return bool(words) and words[0] == "past" and not {"len", "length", "lens"} & set(words)
