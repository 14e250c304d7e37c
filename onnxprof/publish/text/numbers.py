"""Formatting of numbers, names and shapes, without markup."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Shape, Tensor

ZERO_WIDTH = "\u200b"
_BREAK_AFTER = re.compile(r"([/_.:\-]+)")
_SLUG_GAP = re.compile(r"[^a-z0-9]+")


def pieces(name: str) -> list[str]:
    """Split a name where a line may break: after `/`, `_`, `.`, `:` and `-`."""
    parts = _BREAK_AFTER.split(in_page(name))
    joined = [
        parts[i] + (parts[i + 1] if i + 1 < len(parts) else "") for i in range(0, len(parts), 2)
    ]
    return [piece for piece in joined if piece]


def softened(name: str, longest: int = 24) -> str:
    """The name with zero-width spaces where a line may break, at least every `longest` letters."""
    return ZERO_WIDTH.join(
        piece[i : i + longest] for piece in pieces(name) for i in range(0, len(piece), longest)
    )


def slug(text: str) -> str:
    """A file name that every system takes, in `[a-z0-9-]`; may be empty or not unique."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return _SLUG_GAP.sub("-", plain).strip("-")[:60].strip("-")


def unique_slug(text: str, taken: Iterable[str], identity: str) -> str:
    """A slug for `text` that is not in `taken`; a digest of `identity` settles ties.

    Windows' device names and empty slugs get the digest, too.
    """
    plain = slug(text)
    lossless = plain == text.lower()
    reserved = re.fullmatch(r"con|prn|aux|nul|com\d|lpt\d|", plain)
    if not reserved and (lossless or plain not in set(taken)) and plain not in set(taken):
        return plain
    digest = sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}-{digest}".strip("-")


class Style(NamedTuple):
    """Digits, space and minus sign of figures."""

    digits: int
    """Significant digits, of which at most `digits - 1`, and at most three, are decimals."""
    space: str
    minus: str


#: For terminals, and for text that programs may read.
PLAIN = Style(4, " ", "-")
#: For pages and PDFs.
TYPESET = Style(3, "\u00a0", "\u2212")


def decimals(value: float, most: int = 3, digits: int = 3) -> int:
    """How many decimals show `digits` significant digits, at most `most`."""
    if value == 0 or not math.isfinite(value):
        return 0
    exponent = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    return min(most, max(0, digits - 1 - exponent))


def figure(value: float, style: Style, most: int = 3) -> str:
    """The value with the style's digits and minus sign, thousands set off."""
    return f"{value:,.{decimals(value, most, style.digits)}f}".replace("-", style.minus)


def three(value: float, most: int = 3) -> str:
    """The value with three significant digits, thousands set off, a true minus sign."""
    return figure(value, TYPESET, most)


#: The unit of a table of times: its name and how many nanoseconds it is.
Unit = tuple[str, int]
MICROSECONDS: Unit = ("µs", 1_000)
MILLISECONDS: Unit = ("ms", 1_000_000)


def unit_for(total_ns: int) -> Unit:
    """The unit for all times of a run, by the run's total."""
    return MICROSECONDS if total_ns < 20_000_000 else MILLISECONDS


#: Units of durations, the largest first, and how many nanoseconds each is.
UNITS: tuple[Unit, ...] = (("s", 10**9), ("ms", 10**6), ("µs", 10**3), ("ns", 1))


def duration(ns: float, style: Style = PLAIN) -> str:
    """One duration with its unit: `870 ns`, `45.91 µs`, `1.154 ms`, `2.041 s`."""
    for name, size in UNITS[:-1]:
        if abs(ns) >= size:
            return f"{figure(ns / size, style)}{style.space}{name}"
    whole = "0" if abs(ns) <= 0.5 else f"{ns:.0f}"  # without the sign of a zero
    return f"{whole}{style.space}ns".replace("-", style.minus)


def percent(fraction: float) -> str:
    """A fraction as a percentage to one decimal, `<0.1 %` where it is tiny."""
    if 0 < abs(fraction) < 0.0005:
        return "<0.1 %"
    return f"{100 * fraction:.1f} %"


def rate(value: float) -> str:
    """A number a second with four digits, or whole from 1,000 on."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def signed_percent(fraction: float) -> str:
    """A fraction in per cent with its sign and without the unit; `>9999` from 10,000 on."""
    value = 100 * fraction
    if value >= 10_000:
        return ">9999"
    return f"{value:+.1f}" if abs(value) < 99.95 else f"{value:+.0f}"


def percent_cell(share: float) -> str:
    """A share in per cent without the sign: one decimal from 10 up, two below."""
    value = share * 100
    return f"{value:.{1 if abs(value) >= 9.995 else 2}f}".replace("-", TYPESET.minus)


def count(value: int) -> str:
    """A large count: `25.6 M`, `61.7 k`, `108`."""
    for name, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{three(value / size)}\u00a0{name}"
    return str(value)


def scaled(value: float, unit: str = "") -> str:
    """Three digits and a decimal prefix, for terminals: `25.6 M`, `4.09 GB`."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:#.3g}".rstrip(".") + f" {prefix}{unit}"
    return f"{value:g} {unit}".rstrip()


def size(value: int) -> str:
    """A number of bytes in binary units: `97.8 MiB`."""
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= unit:
            return f"{value / unit:.3g}\u00a0{name}"
    return f"{value}\u00a0B"


@lru_cache(maxsize=1 << 14)
def sizes_text(shape: Shape) -> str:
    """Axes joined by ×; `?` where unknown, `scalar` for rank 0, empty for unknown rank."""
    if shape is None:
        return ""
    if not shape:
        return "scalar"
    return "×".join("?" if dim is None else in_page(str(dim)) for dim in shape)


def sized_text(tensor: Tensor) -> str:
    """A tensor's shape, and its value where it is a shape operand."""
    text = sizes_text(tensor.shape)
    if tensor.value is None:
        return text
    return f"{text} = [{', '.join(map(str, tensor.value))}]"
