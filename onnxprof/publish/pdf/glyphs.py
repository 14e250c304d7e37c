"""Escapes for characters that the fonts of a PDF do not have.

Documents use the fonts within the typst package alone, so that they have the same bytes on every
machine. Those cover Latin, Greek, Cyrillic and the symbols of mathematics; any other character is
shown as its escape (`\\u4e2d`), never as an empty box. Scripts whose letters change with their
neighbours are among the others, and so are combining marks: typst 0.15 fails on some of their
sequences.
"""

from __future__ import annotations

import re

#: First and last code points; `tests/publish/test_pdf.py` has typst show every one of them.
SHOWN = (
    *((0x20, 0x7E), (0xA0, 0x2AF), (0x370, 0x482), (0x48A, 0x4FF), (0x1E00, 0x1FFF)),
    *((0x2010, 0x2027), (0x2030, 0x2040), (0x2044, 0x2052), (0x2070, 0x20BF)),
    *((0x2100, 0x211E), (0x2126, 0x2151), (0x2153, 0x2184), (0x2190, 0x23FF)),
    *((0x2460, 0x262F), (0x200B, 0x200B), (0xFFFD, 0xFFFD)),
)
_OTHERS = re.compile(f"[^\n{''.join(f'{chr(a)}-{chr(b)}' for a, b in SHOWN)}]")


def legible(text: str) -> str:
    """The text with Python's escapes for characters that the fonts do not have."""
    if text.isascii():
        return text
    return _OTHERS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
