"""The model plot as a PDF: the site's drawing in its light colours, vector, on one page."""

from __future__ import annotations

import json
import re

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
#: Fonts within the typst package: a reader's own may be anything.
_FONT = re.compile(r"font:([\d.]+px)[^;}]*")


def manuscript(svg: str, model: str, batch: int) -> Manuscript:
    """The manuscript of a drawing's PDF."""
    width, height = _size(svg)
    scale = min(_POINTS_PER_PIXEL, MOST_POINTS / max(width, height, 1.0))
    data = {
        "svg": legible(printed(svg)),
        "width": round(width * scale, 2),
        "height": round(height * scale, 2),
        "title": f"{legible(shortened(in_page(model), 60))}, batch {batch}",
    }
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return Manuscript("plot.typ", text, _CREATED)


def printed(svg: str) -> str:
    """The drawing with custom properties replaced by values, without tooltips and media rules."""
    return _TITLES.sub("", _STYLE.sub(lambda match: _plain_style(match[1]), svg, count=1))


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
