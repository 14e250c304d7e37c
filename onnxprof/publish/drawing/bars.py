"""Small charts as inline SVG, styled by the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.publish.drawing.sizes import is_geometric
from onnxprof.publish.drawing.sizes import labelled as labelled_sizes
from onnxprof.publish.text.numbers import three
from onnxprof.publish.text.safe import in_page, shortened

XY = tuple[float, float]
#: Letters of a label behind a line: as many as its room holds in the larger type of phones.
_LABEL = 32
#: What a letter of one takes there.
_LETTER = 7.2
#: Lines that have labels; of more a reader sees which is which by pointing at them.
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One system's figures over the sizes of an axis."""

    key: str
    """Unique among the lines of a panel: the system's over the batch, its first run's else."""
    label: str
    points: tuple[XY, ...]
    """(size, value), by size; values above zero."""
    grades: tuple[str, ...] = ()
    """How far each value can be trusted: `solid`, `rough`, `noise`, `wrong`, or empty; none for
    all."""
    runs: tuple[str, ...] = ()
    """What the address calls the run of each point; none where that is `KEY/SIZE`."""

    @property
    def marks(self) -> tuple[tuple[XY, str, str], ...]:
        """Of each point its place, grade and run."""
        grades = self.grades or ("",) * len(self.points)
        runs = self.runs or tuple(f"{self.key}/{size:g}" for size, _ in self.points)
        return tuple(zip(self.points, grades, runs, strict=True))


def sparkline(line: Line, width: int = 72, height: int = 18) -> str:
    """A line without axes, with the last point marked, and those that are noise or wrong.

    The scale of values is logarithmic and spans a factor of three at least, so that noise does not
    look like a trend. Empty below two points.
    """
    if len(line.points) < 2:
        return ""
    x = _size_scale([size for size, _ in line.points], (3, width - 4))
    y = _log_scale(_widened([value for _, value in line.points]), (height - 4, 4))
    spots = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in line.points)
    last = len(line.points) - 1
    marks = (
        _mark(x(size), y(value), 2, grade)
        for i, ((size, value), grade, _) in enumerate(line.marks)
        if i == last or grade in ("noise", "wrong")
    )
    return (
        f'<svg class="spark" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'aria-hidden="true"><polyline points="{spots}"/>{"".join(marks)}</svg>'
    )


def _mark(x: float, y: float, radius: float, grade: str) -> str:
    """A filled, half or hollow dot, a cross where outputs are wrong."""
    if grade == "wrong":
        arm = radius + 0.5
        start = f"M{x - arm:.1f} {y - arm:.1f}"
        cross = f"{start}l{2 * arm:g} {2 * arm:g}m0 {-2 * arm:g}l{-2 * arm:g} {2 * arm:g}"
        return f'<path class="wrong" d="{cross}"/>'
    kind = f' class="{grade}"' if grade else ""
    dot = f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
    if grade != "rough":
        return dot
    arc = f"a{radius:g} {radius:g} 0 0 0 0 {2 * radius:g}z"
    return f'{dot}<path d="M{x:.1f} {y - radius:.1f}{arc}"/>'


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


@dataclass(frozen=True, slots=True)
class Over:
    """What the sizes of a panel's lines are."""

    title: str
    """`batch size`, `tokens in the cache`."""
    size: str
    """What stands before a size: `batch`."""


BATCHES = Over("batch size", "batch")


def panel(
    title: str, lines: Sequence[Line], over: Over = BATCHES, *, labelled: bool = False
) -> str:
    """Values over the sizes of an axis, one line a system; each point links to its run.

    Empty for a single size: a point alone is no chart.
    """
    points = [point for line in lines for point in line.points]
    sizes = sorted({size for size, _ in points})
    if len(sizes) < 2:
        return ""
    named = labelled and 1 < len(lines) <= _MOST_NAMED
    width, height, right = 560 if named else 420, 190, _room(lines) if named else 10
    values = _widened([value for _, value in points])
    x = _size_scale(sizes, (48, width - right - 8))
    y = _log_scale(values, (height - 28, 14))
    low, high = min(values), max(values)
    room = max(26, 7 * len(f"{sizes[-1]:,.0f}") + 8)
    marks = [
        *(_grid(y(v), three_short(v), width - right) for v in ticks(low, high)),
        *(_foot(x(size), f"{size:,.0f}", height) for size in labelled_sizes(sizes, x, room)),
        *(_line(line, over, x, y) for line in lines),
    ]
    if named:
        marks += _end_labels(lines, width - right + 2, y, height - 26)
    if over != BATCHES:
        marks.append(_foot((40 + width - right) / 2, escape(in_page(over.title)), height + 15))
        height += 18
    return (
        f'<figure class="panel"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {width} {height}" role="document" aria-label="{escape(title)} over '
        f'{escape(in_page(over.title))}">{"".join(marks)}</svg></figure>'
    )


def _room(lines: Sequence[Line]) -> int:
    """What the labels behind the lines take in the larger type of phones."""
    longest = max(min(_LABEL, len(in_page(line.label))) for line in lines)
    return 12 + math.ceil(_LETTER * longest)


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


def _size_scale(sizes: Sequence[float], span: tuple[float, float]) -> Callable[[float], float]:
    """Logarithmic where the sizes are powers."""
    if is_geometric(sizes):
        return _log_scale(sizes, span)
    low, high = min(sizes), max(sizes)
    return lambda size: span[0] + (size - low) * (span[1] - span[0]) / (high - low)


def _line(line: Line, over: Over, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    spots = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in line.points)
    dots = (_dot(line, over, x(p[0]), y(p[1]), p, grade, run) for p, grade, run in line.marks)
    return (
        f'<g class="line" data-system="{escape(line.key)}"><polyline points="{spots}"/>'
        f"{''.join(dots)}</g>"
    )


def _dot(line: Line, over: Over, x: float, y: float, point: XY, grade: str, run: str) -> str:
    size, value = point
    told = "wrong outputs" if grade == "wrong" else grade
    where = f"{over.size} {size:,.0f}"
    words = f"{line.label}, {where}: {three(value)}{', ' if told else ''}{told}"
    said = escape(in_page(words))
    reach = f'<circle class="reach" cx="{x:.1f}" cy="{y:.1f}" r="10">'
    return (
        f'<a href="#{escape(run)}" aria-label="{said}">{_mark(x, y, 3, grade)}'
        f"{reach}<title>{said}</title></circle></a>"
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
        f'<a href="#{escape(line.marks[0][2])}" class="name" '
        f'data-system="{escape(line.key)}"><text x="{x:g}" y="{place - lift:.1f}">'
        f"{escape(shortened(in_page(line.label), _LABEL))}</text></a>"
        for (_, _, line), place in zip(ends, places, strict=True)
    ]
