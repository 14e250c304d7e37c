"""How numbers, names and shapes are put into words: no markup, no records of runs."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from hashlib import sha256

from onnxprof.publish.text.safe import printable as escaped
from onnxprof.records.layer import Shape, Tensor

ZERO_WIDTH = "\u200b"
_BREAK_AFTER = re.compile(r"([/_.:\-]+)")
_SLUG_GAP = re.compile(r"[^a-z0-9]+")


def printable(text: str) -> str:
    """The text with what XML, a page or a reader chokes on made visible.

    Control, format and surrogate characters become escapes, code points that are no
    characters U+FFFD; what is left encodes as UTF-8 and is valid XML 1.0.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(char) == "Cn" else char for char in escaped(text)
    )


def pieces(name: str) -> list[str]:
    """Split a name where a line may break: after `/`, `_`, `.`, `:` and `-`."""
    parts = _BREAK_AFTER.split(printable(name))
    joined = [
        parts[i] + (parts[i + 1] if i + 1 < len(parts) else "") for i in range(0, len(parts), 2)
    ]
    return [piece for piece in joined if piece]


def softened(name: str, longest: int = 24) -> str:
    """The name with zero-width spaces where a line may break, also inside endless words."""
    return ZERO_WIDTH.join(
        piece[i : i + longest] for piece in pieces(name) for i in range(0, len(piece), longest)
    )


def shortened(name: str, limit: int) -> str:
    """The name cut in its middle to at most `limit` characters; its end tells most."""
    name = printable(name)
    if len(name) <= limit:
        return name
    head = (limit - 1) // 3
    return f"{name[:head]}…{name[-(limit - 1 - head) :]}"


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


def decimals(value: float, most: int = 3) -> int:
    """Decimals that print three significant digits, but at most so many of them."""
    if value == 0 or not math.isfinite(value):
        return 0
    exponent = math.floor(math.log10(abs(float(f"{value:.3g}"))))
    return min(most, max(0, 2 - exponent))


def three(value: float, most: int = 3) -> str:
    """The value with three significant digits, thousands set off, a true minus sign."""
    return f"{value:,.{decimals(value, most)}f}".replace("-", "\u2212")


#: The unit of a table of times: its name and how many nanoseconds it is.
Unit = tuple[str, int]
MICROSECONDS: Unit = ("µs", 1_000)
MILLISECONDS: Unit = ("ms", 1_000_000)


def unit_for(total_ns: int) -> Unit:
    """One unit for all of a run's times, so that they compare at a glance."""
    return MICROSECONDS if total_ns < 20_000_000 else MILLISECONDS


def duration(ns: int) -> str:
    """One duration with its unit, three significant digits."""
    for name, size in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if abs(ns) >= size:
            return f"{three(ns / size)}\u00a0{name}"
    return f"{ns}\u00a0ns"


def percent(share: float) -> str:
    """A share in per cent, without the sign: one decimal from 10 up, two below."""
    value = share * 100
    return f"{value:.{1 if abs(value) >= 9.995 else 2}f}".replace("-", "\u2212")


def count(value: int) -> str:
    """A large count: `25.6 M`, `61.7 k`, `108`."""
    for name, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if value >= size:
            return f"{three(value / size)}\u00a0{name}"
    return str(value)


def size(value: int) -> str:
    """A number of bytes in binary units: `97.8 MiB`."""
    for name, unit in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= unit:
            return f"{value / unit:.3g}\u00a0{name}"
    return f"{value}\u00a0B"


def shape_text(shape: Shape) -> str:
    """Axes joined by ×; `?` where unknown, `scalar` for rank 0, empty for unknown rank."""
    if shape is None:
        return ""
    if not shape:
        return "scalar"
    return "×".join("?" if dim is None else printable(str(dim)) for dim in shape)


def tensor_text(tensor: Tensor) -> str:
    """A tensor's shape, and its value where it is a shape operand."""
    text = shape_text(tensor.shape)
    if tensor.value is None:
        return text
    return f"{text} = [{', '.join(map(str, tensor.value))}]"
