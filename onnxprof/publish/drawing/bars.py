"""Small charts as inline SVG, styled by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.publish.text.numbers import three
from onnxprof.publish.text.safe import in_page, shortened

XY = tuple[float, float]
#: Letters of a label behind a line: as many as its room holds in the larger type of phones.
_LABEL = 32
#: Lines that have labels; of more a reader sees which is which by pointing at them.
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One system's figures over batch sizes."""

    key: str
    label: str
    points: tuple[XY, ...]
    """(batch, value), by batch; values above zero."""
    grades: tuple[str, ...] = ()
    """How far each value can be trusted: `solid`, `rough`, `noise`, or empty; none for all."""


def sparkline(points: Sequence[XY], width: int = 72, height: int = 18) -> str:
    """A line without axes on logarithmic scales, with the last point marked; empty below 2 points.

    The scale spans a factor of three at least, so that noise does not look like a trend.
    """
    if len(points) < 2:
        return ""
    x = _log_scale([batch for batch, _ in points], (3, width - 4))
    y = _log_scale(_widened([value for _, value in points]), (height - 4, 4))
    spots = [(x(batch), y(value)) for batch, value in points]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in spots)
    end = spots[-1]
    return (
        f'<svg class="spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'aria-hidden="true"><polyline points="{line}"/>'
        f'<circle cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="2"/></svg>'
    )


def bar(share: float, width: int = 100) -> str:
    """A bar for a share, which is clamped to 0 to 1."""
    length = round(max(0.0, min(1.0, share)) * width, 1)
    return (
        f'<svg class="bar" viewBox="0 0 {width} 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{length:g}" height="10"/></svg>'
    )


def whiskers(share: float, ends: tuple[float, float] | None, width: int = 100) -> str:
    """A bar for a share with whiskers between two others, such as p5 and p95."""

    def placed(value: float) -> str:
        return f"{round(max(0.0, min(1.0, value)) * width, 1):g}"

    path = ""
    if ends is not None:
        low, high = map(placed, ends)
        path = f'<path d="M{low} 5H{high}M{low} 1V9M{high} 1V9"/>'
    return (
        f'<svg class="bar whiskered" viewBox="0 0 {width} 10" preserveAspectRatio="none" '
        f'aria-hidden="true"><rect width="{placed(share)}" height="4" y="3"/>{path}</svg>'
    )


def panel(title: str, lines: Sequence[Line], *, labelled: bool = False) -> str:
    """Values over batch sizes, one line a system; each point links to its run.

    Empty for a single batch size: a point alone is no chart.
    """
    points = [point for line in lines for point in line.points]
    batches = sorted({batch for batch, _ in points})
    if len(batches) < 2:
        return ""
    named = labelled and 1 < len(lines) <= _MOST_NAMED
    width, height, right = 560 if named else 420, 190, 240 if named else 10
    values = _widened([value for _, value in points])
    x = _log_scale(batches, (48, width - right - 8))
    y = _log_scale(values, (height - 28, 14))
    low, high = min(values), max(values)
    marks = [
        *(_grid(y(v), three_short(v), width - right) for v in ticks(low, high)),
        *(_foot(x(b), f"{b:g}", height) for b in _spread(batches, x)),
        *(_line(line, x, y) for line in lines),
    ]
    if named:
        marks += _end_labels(lines, width - right + 2, y, height - 26)
    return (
        f'<figure class="panel"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="document" aria-label="{escape(title)} over '
        f'batch size">{"".join(marks)}</svg></figure>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Round values within a range on a logarithmic scale, at most six of them."""
    start, end = math.floor(math.log10(low)), math.ceil(math.log10(high))
    inside: list[float] = []
    for mantissas in ((1, 2, 5), (1, 3), (1,)):
        marks = (m * 10.0**e for e in range(start, end + 1) for m in mantissas)
        inside = [v for v in marks if low * 0.95 <= v <= high * 1.05]
        if len(inside) <= 6:
            break
    return inside[:: math.ceil(len(inside) / 6) or 1]


def three_short(value: float) -> str:
    """An axis label without trailing zeros."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _log_scale(values: Sequence[float], span: tuple[float, float]) -> Callable[[float], float]:
    low, high = math.log(min(values)), math.log(max(values))
    if high - low < 1e-9:
        middle = sum(span) / 2
        return lambda _: middle
    factor = (span[1] - span[0]) / (high - low)
    return lambda value: span[0] + (math.log(value) - low) * factor


def _widened(values: Sequence[float], factor: float = 3.0) -> list[float]:
    """The values, with a lower and a higher one added where they span less than the factor."""
    low, high = min(values), max(values)
    if high / low >= factor:
        return list(values)
    middle, half = math.sqrt(low * high), math.sqrt(factor)
    return [*values, middle / half, middle * half]


def _grid(y: float, label: str, right: float) -> str:
    return (
        f'<line class="grid" x1="44" x2="{right:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="38" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>'
    )


def _foot(x: float, label: str, height: float) -> str:
    return f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{label}</text>'


def _spread(batches: Sequence[float], x: Callable[[float], float]) -> list[float]:
    """The batches whose labels fit without touching each other."""
    kept: list[float] = []
    for batch in batches:
        if not kept or x(batch) - x(kept[-1]) >= 26:
            kept.append(batch)
    return kept


def _line(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    spots = " ".join(f"{x(batch):.1f},{y(value):.1f}" for batch, value in line.points)
    grades = line.grades or ("",) * len(line.points)
    return (
        f'<g class="line" data-system="{escape(line.key)}"><polyline points="{spots}"/>'
        + "".join(
            _dot(line, point, grade, x, y) for point, grade in zip(line.points, grades, strict=True)
        )
        + "</g>"
    )


def _dot(
    line: Line, point: XY, grade: str, x: Callable[[float], float], y: Callable[[float], float]
) -> str:
    """A filled, half or hollow point."""
    batch, value = point
    words = f"{in_page(line.label)}, batch {batch:g}: {three(value)}{', ' if grade else ''}{grade}"
    kind = f' class="{grade}"' if grade else ""
    place = f'cx="{x(batch):.1f}" cy="{y(value):.1f}"'
    half = f'<path d="M{x(batch):.1f} {y(value) - 3:.1f}a3 3 0 0 0 0 6z"/>'
    return (
        f'<a href="#{escape(line.key)}/{batch:g}" data-batch="{batch:g}" '
        f'aria-label="{escape(words)}"><circle{kind} {place} r="3"/>'
        f"{half if grade == 'rough' else ''}"
        f'<circle class="reach" {place} r="10"><title>{escape(words)}</title></circle></a>'
    )


def _end_labels(
    lines: Sequence[Line], x: float, y: Callable[[float], float], bottom: float
) -> list[str]:
    """Labels at the ends of the lines, moved apart vertically."""
    ends = sorted((y(line.points[-1][1]) + 4, line.key, line) for line in lines if line.points)
    places: list[float] = []
    for at, _, _ in ends:
        places.append(max(at, places[-1] + 14) if places else at)
    lift = max(0.0, places[-1] - bottom)
    return [
        f'<a href="#{escape(line.key)}/{line.points[0][0]:g}" class="name" '
        f'data-system="{escape(line.key)}"><text x="{x:g}" y="{place - lift:.1f}">'
        f"{escape(shortened(in_page(line.label), _LABEL))}</text></a>"
        for (_, _, line), place in zip(ends, places, strict=True)
    ]
