"""The model plot as a PDF: the site's drawing in its light colours, vector, on one page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Any

from onnxprof.publish.pdf.glyphs import legible
from onnxprof.publish.pdf.typesetter import Manuscript
from onnxprof.publish.text.safe import in_page, shortened

#: Largest width or height of a PDF page, in points (ISO 32000-1, annex C.2).
MOST_POINTS = 14_400
_POINTS_PER_PIXEL = 0.75
_CREATED = "1980-01-01T00:00:00Z"
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)"[^>]*?\bheight="([\d.]+)"')
_VARIABLES = re.compile(r":root\{([^}]*)\}")
_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_VARIABLE = re.compile(r"(--[\w-]+):([^;}]+)")
_USE = re.compile(r"var\((--[\w-]+)\)")
_TITLES = re.compile(r"<title\b[^>]*>.*?</title>", re.DOTALL)
#: A reader's own font may be anything; the template names those within the typst package.
_FONT = re.compile(r"font:([\d.]+px)[^;}]*")
_RULE = re.compile(r"([^{}]+)\{([^}]*)\}")
_TEXT = re.compile(r'<text class="(\w+)" x="([\d.-]+)" y="([\d.-]+)">(.*?)</text>\n?', re.DOTALL)
_PART = re.compile(
    rf'(<g transform="translate\(([\d.-]+) ([\d.-]+)\)">)|(</g>)|{_TEXT.pattern}', re.DOTALL
)
_PAIR = re.compile(r"([\w-]+):([^;]+)")
_BLANKS = re.compile(r"[ \t\r\n]+")


def manuscript(svg: str, model: str, batch: int) -> Manuscript:
    """The manuscript of a drawing's PDF."""
    width, height = _size(svg)
    scale = min(_POINTS_PER_PIXEL, MOST_POINTS / max(width, height, 1.0))
    drawing = legible(printed(svg))
    texts = list(_texts(drawing, scale))
    data = {
        "svg": _TEXT.sub("", drawing),
        "texts": texts,
        "styles": _text_styles(drawing, {text[0] for text in texts}, scale),
        "width": round(width * scale, 2),
        "height": round(height * scale, 2),
        "title": f"{legible(shortened(in_page(model), 60))}, batch {batch}",
    }
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Manuscript("plot.typ", text, _CREATED)


def printed(svg: str) -> str:
    """The drawing with custom properties replaced by values, without tooltips and media rules."""
    return _TITLES.sub("", _STYLE.sub(lambda match: _plain_style(match[1]), svg, count=1))


def _texts(svg: str, scale: float) -> Iterator[tuple[str, float, float, str]]:
    """Class, place in points and words of every text of a drawing."""
    shifts = [(0.0, 0.0)]
    for part in _PART.finditer(svg):
        begin, dx, dy, end, style, x, y, words = part.groups()
        left, top = shifts[-1]
        if begin:
            shifts.append((left + float(dx), top + float(dy)))
        elif end:
            shifts.pop()
        else:
            at = round((left + float(x)) * scale, 3), round((top + float(y)) * scale, 3)
            yield style, *at, _BLANKS.sub(" ", unescape(words)).strip(" ")


def _text_styles(svg: str, classes: set[str], scale: float) -> dict[str, tuple[Any, ...]]:
    """Size in points, colour, weight and whether the place is that of the end, by class."""
    found = _STYLE.search(svg)
    rules = _RULE.findall(found[1]) if found else []
    return {name: _text_style(rules, name, scale) for name in sorted(classes)}


def _text_style(rules: Sequence[tuple[str, str]], name: str, scale: float) -> tuple[Any, ...]:
    held: dict[str, str] = {}
    for names, css in rules:
        if {"text", f".{name}"} & set(names.strip().split(",")):
            held |= {key.strip(): value for key, value in _PAIR.findall(css)}
    size = float(held.get("font-size", "16px").removesuffix("px"))
    weight = int(held.get("font-weight", "400"))
    return (
        round(size * scale, 3),
        held.get("fill", "#000"),
        weight,
        held.get("text-anchor") == "end",
    )


def _size(svg: str) -> tuple[float, float]:
    match = _SIZE.search(svg)
    return (float(match[1]), float(match[2])) if match else (1.0, 1.0)


def _plain_style(css: str) -> str:
    css = _MEDIA.sub("", css)
    values = {
        pair[1]: pair[2] for block in _VARIABLES.findall(css) for pair in _VARIABLE.finditer(block)
    }
    rules = _USE.sub(lambda use: values.get(use[1], "#000"), _VARIABLES.sub("", css))
    plain = _FONT.sub(r"font-size:\1;font-family:Libertinus Serif", rules)
    return f"<style>{plain}</style>"
