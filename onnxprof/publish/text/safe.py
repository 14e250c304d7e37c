"""Untrusted names and shapes as text that is safe to print."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Sequence

from onnxprof.records.layer import Shape, Tensor

#: Control, format (bidirectional overrides among them), surrogate and line-separating characters.
_UNSAFE = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: str, keep: str = "") -> str:
    """The text with control and format characters escaped, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or not _is_unsafe(c) else _escape(c) for c in text)


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def counted(count: int, one: str, several: str) -> str:
    """`1 layer`, `1,024 layers`."""
    return f"{count:,} {one if count == 1 else several}"


def shape_text(shape: Shape) -> str:
    """`[1,3,N,?]`; `?` stands for what is not known, alone for an unknown rank."""
    if shape is None:
        return "?"
    return f"[{','.join('?' if d is None else str(d) for d in shape)}]"


def tensor_text(tensor: Tensor) -> str:
    """`name float32[1,3]`, with the value of a shape operand behind it."""
    value = "" if tensor.value is None else f" = {list(tensor.value)}"
    return f"{tensor.name} {tensor.dtype}{shape_text(tensor.shape)}{value}"


def shortened(text: str, longest: int) -> str:
    """A long text with its middle cut out: a third of the start, two thirds of the end."""
    if len(text) <= longest:
        return text
    head = (longest - 1) // 3
    return f"{text[:head]}…{text[head + 1 - longest :]}"


def _evenly(text: str, longest: int) -> str:
    """A long text with its middle cut out: equal parts of start and end."""
    head = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:head]}…{text[head + 1 - longest :]}"


def _start(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _end(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"…{text[1 - longest :]}"


Cut = Callable[[str, int], str]
#: Ways to cut names in a column, by preference among those that leave most of them distinct.
CUTS: tuple[Cut, ...] = (shortened, _evenly, _start, _end)


def telling_cut(texts: Sequence[tuple[str, int]]) -> Cut:
    """The cut that leaves most of these (text, longest) pairs distinct."""
    return max(CUTS, key=lambda cut: len({cut(text, longest) for text, longest in texts}))


def in_markdown(text: str) -> str:
    """The text on one line with Markdown and HTML escaped: no cell, row, tag, link or mention.

    Control and format characters become escapes: a line break would end a row of a table.
    """
    text = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return "".join(f"\\{c}" if c in "\\|*_`[]~#" else c for c in text)


def in_page(text: str) -> str:
    """The text as valid UTF-8 and XML 1.0 (markup is not escaped).

    Control, format and surrogate characters become escapes, unassigned code points U+FFFD.
    """
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(char) == "Cn" else char for char in printable(text)
    )


def in_json(text: str) -> str:
    """A JSON document with control and format characters escaped; its values are the same."""
    if text.isascii():
        return text
    return "".join(_json_escape(c) if c != "\n" and _is_unsafe(c) else c for c in text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1]
