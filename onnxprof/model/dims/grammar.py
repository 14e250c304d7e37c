"""What stands behind `--dim`: a size, sizes to take in turn, or an axis tied to others.

Until a model is read an axis has a `Size`: a number, or the text that gives it. `1,16,128` are
sizes in turn; `past+new` is computed from other axes, with sums and products; both may be mixed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from onnxprof.errors import UsageError

#: A size, or the text that gives one or several.
Size = int | str
#: Sizes by the names of axes; a name may begin with a model's and a colon.
Dims = tuple[tuple[str, Size], ...]

_FORM = "Write --dim sequence=128, --dim sequence=1,16,128 or --dim total=past+new"
_MOST_DIGITS = 19
#: Of the sizes of all axes.
MOST_COMBINATIONS = 100_000
#: Parted at the last sign of equality that is not within braces.
_ITEM = re.compile(r"(.+)=((?:[^={}]|\{[^{}]*\})*)", re.DOTALL)
_BLANK = re.compile(r"\s+(?![^{]*\})")


def parse(items: Sequence[str]) -> dict[str, Size]:
    """`NAME=SIZE`, `NAME=1,16` and `NAME=A+B` items by name. Raises UsageError for other ones."""
    dims: dict[str, Size] = {}
    for item in items:
        parts = _ITEM.fullmatch(item)
        if parts is None:
            raise UsageError(f"--dim {item!r} is not NAME=SIZE", remedy=_FORM)
        name, text = parts.groups()
        size = read(text, f"--dim {item!r}")
        if dims.get(name, size) != size:
            remedy = f"Write --dim {name}={dims[name]},{size} to measure both"
            raise UsageError(f"--dim gives {name!r} two sizes", remedy=remedy)
        dims[name] = size
    return dims


def read(text: str, where: str) -> Size:
    """A size, or the text of several or of a tie, without blanks. Raises UsageError."""
    pieces = list(dict.fromkeys(_piece(piece, where) for piece in _pieces(text)))
    return pieces[0] if len(pieces) == 1 else ",".join(map(str, pieces))


def of_values(values: Iterable[Any], where: str) -> Size:
    """The same from numbers and texts, as Python and a plan have them. Raises UsageError."""
    texts = [str(value) for value in values if type(value) in (int, str)]
    refuse_many({where: len(texts)})
    return read(",".join(texts), where)


def alternatives(size: Size) -> tuple[Size, ...]:
    """The sizes to take in turn, each a number or a tie."""
    if isinstance(size, int):
        return (size,)
    return tuple(int(piece) if piece.isdecimal() else piece for piece in _pieces(size))


def is_swept(size: Size) -> bool:
    """Whether it is several sizes in turn."""
    return len(alternatives(size)) > 1


def combinations(dims: Dims) -> list[Dims]:
    """Every combination of the sizes that are to be taken in turn, the last axis fastest.

    Raises UsageError for more than anybody measures.
    """
    refuse_many({name: len(alternatives(size)) for name, size in dims})
    names = [name for name, _ in dims]
    every = product(*(alternatives(size) for _, size in dims))
    return [tuple(zip(names, chosen, strict=True)) for chosen in every]


def refuse_many(counts: Mapping[str, int]) -> None:
    """Raise UsageError for numbers of sizes, by axis, that multiply to more than anybody measures.

    Combinations are refused before they are made: three lists of a thousand fill the memory.
    """
    many = prod(counts.values())
    if many > MOST_COMBINATIONS:
        axes = " x ".join(f"{each:,} of {name}" for name, each in counts.items() if each > 1)
        raise UsageError(
            f"{many:,} combinations of sizes ({axes})",
            remedy=f"Name fewer sizes: up to {MOST_COMBINATIONS:,} combinations are taken",
        )


def count(dims: Dims) -> int:
    """How many combinations there are."""
    return prod(len(alternatives(size)) for _, size in dims)


def numbers(dims: Iterable[tuple[str, Size]]) -> dict[str, int]:
    """The axes that have a number already."""
    return {name: size for name, size in dims if isinstance(size, int)}


def ties(dims: Iterable[tuple[str, Size]]) -> dict[str, str]:
    """The axes that are tied to others, by the expression; of one combination."""
    return {name: size for name, size in dims if isinstance(size, str)}


def names_in(expression: str, axes: Iterable[str] = ()) -> tuple[str, ...]:
    """The axes that an expression is computed from; an axis of that very name is it alone."""
    from onnxprof.model.shapes.rules import sizes

    return (expression,) if expression in set(axes) else sizes.names(expression)


def resolved(dims: Dims) -> Dims:
    """One combination with every tie whose axes all have numbers replaced by its number.

    Raises UsageError for a tie whose value is no size, and for axes tied in a circle.
    """
    known, open_ = numbers(dims), ties(dims)
    known |= settled(open_, known)
    return tuple((name, known.get(name, size)) for name, size in dims)


def single(dims: Dims, remedy: str = "") -> Dims:
    """The sizes of one measurement. Raises UsageError where an axis has several in turn."""
    for name, size in dims:
        if is_swept(size):
            usual = "Give one here; onnxprof profile measures one after the other"
            raise UsageError(f"--dim {name}={size} is several sizes", remedy=remedy or usual)
    return resolved(dims)


def fixed(dims: Dims) -> dict[str, int]:
    """The same as numbers. Raises UsageError for a tie to an axis that has no size here."""
    found = dict(single(dims))
    for name, text in ties(found.items()).items():
        lacking = [inner for inner in names_in(text, found) if inner not in found]
        raise UsageError(f"--dim {name}={text}: no size is given for {', '.join(lacking)}")
    return numbers(found.items())


def settled(open_: Mapping[str, str], known: Mapping[str, int]) -> dict[str, int]:
    """The sizes of tied axes, as far as the axes that they are tied to have sizes.

    Raises UsageError for a value that is no size, and for axes tied to each other in a circle.
    """
    _refuse_circle(open_)
    found: dict[str, int] = {}
    waiting = dict(open_)
    while True:
        sized = {**known, **found}
        ready = {
            name: text
            for name, text in waiting.items()
            if all(inner in sized for inner in names_in(text, sized))
        }
        if not ready:
            return found
        for name, text in ready.items():
            found[name] = _value(name, text, sized)
            del waiting[name]


def _value(name: str, text: str, sized: Mapping[str, int]) -> int:
    from onnxprof.model.shapes.rules import sizes

    value = sizes.evaluate(text, sized)
    if value is None or value.denominator != 1 or value < 0:
        given = ", ".join(f"{inner}={sized[inner]}" for inner in names_in(text, sized))
        came = "no number" if value is None else str(value)
        raise UsageError(f"--dim {name}={text} would be {came}", where=given)
    return int(value)


def _refuse_circle(open_: Mapping[str, str]) -> None:
    for start in open_:
        seen, waiting = set[str](), [start]
        while waiting:
            for inner in names_in(open_[waiting.pop()], open_):
                if inner == start:
                    what = f"--dim {start}={open_[start]} is tied to itself"
                    raise UsageError(what, remedy=f"Give a size to one axis of: {', '.join(open_)}")
                if inner in open_ and inner not in seen:
                    seen.add(inner)
                    waiting.append(inner)


def _pieces(text: str) -> list[str]:
    """The text at its commas, those in parentheses and braces left out."""
    pieces, depth = [""], 0
    for letter in text:
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces]


def _piece(text: str, where: str) -> Size:
    from onnxprof.model.shapes.rules import sizes

    digits = text.removeprefix("+")
    if digits.isdecimal() and digits.isascii():
        if len(digits) > _MOST_DIGITS:
            raise UsageError(f"{where}: {text[:24]}… is no size for an axis", remedy=_FORM)
        return int(digits)
    if not text:
        raise UsageError(f"{where} has an empty size", remedy=_FORM)
    if sizes.parse(text) is None:
        raise UsageError(
            f"{where}: {text!r} is no size and no sum of axes",
            remedy=f"{_FORM}; in a sum, a name that is no word stands in braces: "
            "--dim 'total={my axis}+new'",
        )
    return compact(text)


def compact(expression: str) -> str:
    """An expression without blanks between its names."""
    return _BLANK.sub("", expression)


def marked(expression: str, axes: Iterable[str]) -> str:
    """An expression with the names of axes in braces where they are no words.

    `past-length+new` is read as a difference until it is known that there is such an axis.
    """
    known = set(axes)
    if known.issuperset(names_in(expression, known)):
        return expression
    from onnxprof.model.shapes.rules.sizes import quoted

    odd = sorted((name for name in known if quoted(name) not in ("", name)), key=len, reverse=True)
    if not odd:
        return expression
    pattern = re.compile(r"\{[^{}]*\}|" + "|".join(map(re.escape, odd)))
    return pattern.sub(lambda found: quoted(found[0]) or found[0], expression)


def spelled(name: str, size: Size) -> str:
    """As it stands behind `--dim`."""
    return f"{name}={size}"


def each(dims: Dims) -> Iterator[str]:
    """`sequence=1,16`, in order."""
    return (spelled(name, size) for name, size in dims)


__all__ = [
    "Dims",
    "Size",
    "alternatives",
    "combinations",
    "compact",
    "count",
    "each",
    "fixed",
    "is_swept",
    "marked",
    "names_in",
    "numbers",
    "of_values",
    "parse",
    "read",
    "refuse_many",
    "resolved",
    "settled",
    "single",
    "spelled",
    "ties",
]
