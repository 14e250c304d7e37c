"""A run's roofline as SVG: intensity across, attained rate up, area is time, colour what binds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.publish.drawing.bars import ticks
from onnxprof.publish.pages.embed import body_rows
from onnxprof.publish.roofline import labels, lines, names
from onnxprof.publish.roofline.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axes, axes
from onnxprof.publish.roofline.kinds import bound_of, kind_of
from onnxprof.publish.roofline.shapes import mark
from onnxprof.publish.text.numbers import count, duration, percent, three
from onnxprof.publish.text.roofs import why_text
from onnxprof.publish.text.safe import in_page, shortened
from onnxprof.reasons.roofline import Roof, Roofline, step_rows

#: Steps that are drawn, the longest ones; a line says what the others take.
MOST = 150
#: A step that takes the whole latency has this radius; areas are as times.
_WHOLE, _SMALLEST = 62.0, 1.8
_NAMED, _NAMED_SHARE, _LONGEST = 3, 0.04, 26


@dataclass(frozen=True, slots=True)
class Spot:
    """A step with its place in the plane."""

    roof: Roof
    share: float
    x: float
    y: float

    @property
    def radius(self) -> float:
        """So that its area is as its time."""
        return max(_SMALLEST, _WHOLE * math.sqrt(max(0.0, self.share)))


@dataclass(frozen=True, slots=True)
class Drawing:
    """The picture, and what is not in it."""

    svg: str
    """Empty where no step's work is known."""
    strip: bool
    """Whether steps without arithmetic stand at its left."""
    unknown: int
    """Steps whose operations or bytes are not known."""
    unknown_share: float
    shorter: int
    """Steps that are left out since others take longer."""
    shorter_share: float
    ceilings: tuple[str, ...] = ()
    """What its lines are, from left to right, then the highest rates."""


def draw(roofs: Roofline, name: str) -> Drawing:
    """The roofline of a run of the model of that name."""
    total = roofs.sums.total_ns or 1
    timed = sorted((r for r in roofs.roofs if r.time_ns), key=lambda roof: -(roof.time_ns or 0))
    known = [roof for roof in timed if _is_known(roof)]
    shown, rest = known[:MOST], known[MOST:]
    unknown = [roof for roof in timed if not _is_known(roof)]
    return Drawing(
        _svg(roofs, shown, name) if shown else "",
        any(not _flops(roof) for roof in shown),
        len(unknown),
        sum(roof.time_ns or 0 for roof in unknown) / total,
        len(rest),
        sum(roof.time_ns or 0 for roof in rest) / total,
        _ceiling_texts(roofs, shown),
    )


def _ceiling_texts(roofs: Roofline, shown: Sequence[Roof]) -> tuple[str, ...]:
    peaks, slopes = _ceilings(roofs, shown)
    return tuple(line.label for line in (*slopes, *peaks))


def _is_known(roof: Roof) -> bool:
    work = roof.work
    return work is not None and work.flops is not None and bool(work.bytes)


def _flops(roof: Roof) -> int:
    return (roof.work.flops or 0) if roof.work else 0


def _svg(roofs: Roofline, shown: Sequence[Roof], name: str) -> str:
    peaks, slopes = _ceilings(roofs, shown)
    counting = [roof for roof in shown if _flops(roof)]
    moving = [roof for roof in shown if not _flops(roof)]
    plane = axes(
        [(_intensity(roof), roof.gflops or 0.0) for roof in counting],
        [line.rate for line in slopes],
        peaks[0].rate if peaks else 0.0,
        [roof.gbps or 0.0 for roof in moving],
    )
    spots = [_spot(roof, plane, roofs.sums.total_ns) for roof in shown]
    drawn = list(_slopes(plane, slopes, peaks[0].rate if peaks else plane.high_y))
    starts = _peak_starts(plane, peaks, slopes)
    words = f"Roofline of {in_page(name)}: operations a byte across, attained GFLOP/s up"
    return (
        f'<svg class="roofs" viewBox="0 0 {WIDTH} {HEIGHT}" role="document" '
        f'aria-label="{escape(words)}">'
        + "".join(_grid(plane, bool(moving)))
        + "".join(_roof_lines(drawn, plane, starts))
        + "".join(_marks(roofs, spots))
        + "".join(_words(drawn, plane, starts, spots))
        + "</svg>"
    )


def _ceilings(roofs: Roofline, shown: Sequence[Roof]) -> tuple[list[lines.Line], list[lines.Line]]:
    if roofs.ceilings is None:
        return [], []
    counting = (roof.work.precision for roof in shown if roof.work and roof.work.least_flops)
    return lines.peaks(roofs.ceilings, counting), lines.slopes(roofs.ceilings)


def _intensity(roof: Roof) -> float:
    return (roof.work.intensity or 0.0) if roof.work else 0.0


def _spot(roof: Roof, plane: Axes, total_ns: int) -> Spot:
    """Without arithmetic it stands left of all intensities, as high as its GB/s on the slopes."""
    share = (roof.time_ns or 0) / total_ns if total_ns else 0.0
    if _flops(roof):
        return Spot(roof, share, plane.x(_intensity(roof)), plane.y(roof.gflops or 0.0))
    middle = (LEFT + plane.left) / 2
    return Spot(roof, share, middle, plane.y((roof.gbps or 0.0) * plane.low_x))


def _grid(plane: Axes, strip: bool) -> Iterator[str]:
    for value in ticks(plane.low_y, plane.high_y):
        if plane.low_y <= value <= plane.high_y:
            y = plane.y(value)
            yield f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}"/>'
            yield _text(LEFT - 6, y + 4, f"{value:,.12g}", "end")
    for value in ticks(plane.low_x, plane.high_x):
        if plane.low_x <= value <= plane.high_x:
            x = plane.x(value)
            yield f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>'
            yield _text(x, BOTTOM + 16, f"{value:,.12g}", "middle")
    yield _text(4, 12, "attained, GFLOP/s", "start")
    yield _text(RIGHT, HEIGHT - 6, "operations a byte, FLOP/B", "end")
    if strip:
        yield f'<path class="edge" d="M{plane.left:.1f} {TOP}V{BOTTOM}"/>'
        yield _text(LEFT, HEIGHT - 6, "no arithmetic", "start")


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


Starts = Sequence[tuple[lines.Line, float]]


def _peak_starts(plane: Axes, peaks: Sequence[lines.Line], slopes: Sequence[lines.Line]) -> Starts:
    """Each line of a highest rate, with the place across where it begins: at the first slope."""
    fastest = slopes[0].rate if slopes else 0.0
    found = []
    for line in peaks:
        start = line.rate / fastest if fastest else 0.0
        found.append((line, plane.x(min(max(plane.low_x, start), plane.high_x))))
    return found


def _roof_lines(drawn: Sequence[labels.Slope], plane: Axes, starts: Starts) -> Iterator[str]:
    for slope in drawn:
        ends = f"M{slope.x1:.1f} {slope.y1:.1f}L{slope.x2:.1f} {slope.y2:.1f}"
        yield f'<path class="ceiling" d="{ends}"/>'
    for line, x in starts:
        yield f'<path class="ceiling" d="M{x:.1f} {plane.y(line.rate):.1f}H{RIGHT}"/>'


def _words(
    drawn: Sequence[labels.Slope], plane: Axes, starts: Starts, spots: Sequence[Spot]
) -> Iterator[str]:
    """The labels of the lines and the names of the longest steps, none on another."""
    circles = [(spot.x, spot.y, spot.radius) for spot in spots]
    taken: list[names.Box] = []
    for slope, place in zip(drawn, labels.places(drawn, plane.angle, circles), strict=True):
        taken += labels.boxes(slope, place, plane.angle)
        yield _slope_label(plane, slope, place)
    for line, start in starts:
        x, y, anchor = _peak_place(start, plane.y(line.rate) - 5)
        taken.append(names.extent(x, y, anchor, line.label))
        yield _text(x, y, line.label, anchor, ' class="roof"')
    long = [spot for spot in spots[:_NAMED] if spot.share >= _NAMED_SHARE]
    marks = [names.Mark(s.x, s.y, s.radius, _name(s)) for s in long]
    others = [names.Mark(*circle) for circle in circles[len(long) :]]
    for name in names.placed(marks, others, taken):
        yield _text(name.x, name.y, name.text, name.anchor, ' class="name"')


def _name(spot: Spot) -> str:
    return f"{shortened(in_page(spot.roof.name), _LONGEST)} {percent(spot.share)}"


def _peak_place(x: float, y: float) -> tuple[float, float, str]:
    """Where the line begins, away from the marks under it; to the left where it begins late."""
    late = x > (LEFT + 2 * RIGHT) / 3
    return (RIGHT, y, "end") if late else (x + 4, y, "start")


def _slopes(plane: Axes, found: Sequence[lines.Line], top: float) -> Iterator[labels.Slope]:
    """The part of each bandwidth's line that lies in the plane, below the highest rate."""
    for line in found:
        start = max(plane.low_x, plane.low_y / line.rate)
        end = min(top / line.rate, plane.high_x)
        if start < end:
            ends = (plane.x(start), plane.y(start * line.rate))
            yield labels.Slope(line.label, *ends, plane.x(end), plane.y(end * line.rate))


def _slope_label(plane: Axes, slope: labels.Slope, place: labels.Place) -> str:
    """Along its line."""
    x, y = place.x, place.y
    turn = f"rotate({-plane.angle:.1f} {x:.1f} {y:.1f})"
    more = f' class="roof" transform="{turn}" dy="{place.aside}"'
    return _text(x, y, slope.label, "start", more)


def _marks(roofs: Roofline, spots: Sequence[Spot]) -> Iterator[str]:
    """A link a step to its row; the first can be reached by Tab, the script does the others."""
    places = _row_numbers(roofs)
    for number, spot in enumerate(spots):
        kind = kind_of(bound_of(spot.roof))
        row = places.get(id(spot.roof), 0)
        reached = "" if number == 0 else ' tabindex="-1"'
        name = escape(in_page(spot.roof.name))
        yield (
            f'<a class="{kind.value}" href="#t{row}" data-layer="{name}"{reached}>'
            f"<title>{escape(told(spot.roof, spot.share))}</title>"
            f"{mark(kind, spot.x, spot.y, spot.radius)}</a>"
        )


def _row_numbers(roofs: Roofline) -> Mapping[int, int]:
    """From a roof to the number of its row in the page's table."""
    places = {id(row): number for number, row in enumerate(body_rows(roofs.sums), 1)}
    pairs = zip(roofs.roofs, step_rows(roofs.sums), strict=True)
    return {id(roof): places[id(row)] for roof, row in pairs if id(row) in places}


def told(roof: Roof, share: float) -> str:
    """All of a step in a line, for whoever points at it."""
    work = roof.work
    parts = [f"{in_page(roof.name)}: {duration(roof.time_ns or 0)}, {percent(share)}"]
    if work is not None and work.flops is not None and work.bytes is not None:
        does = f"{count(work.macs)} MACs, " if work.macs else ""
        parts.append(f"{does}{count(work.flops)} FLOP, {count(work.bytes)} B")
        rates = f"{three(roof.gflops)} GFLOP/s, " if roof.gflops else ""
        parts.append(f"{rates}{three(roof.gbps or 0.0)} GB/s")
    why = why_text(roof)
    parts.append("what binds it is not known" if why == "?" else f"{why} of possible")
    return "; ".join(parts)
