"""Marks of equal meaning in area: a shape for each kind of bound, so that colour is not needed."""

from __future__ import annotations

import math

from onnxprof.publish.roofline.kinds import Kind


def mark(kind: Kind, x: float, y: float, radius: float) -> str:
    """A shape of the area of a circle of that radius, around a point.

    A disc is compute, a diamond a cache, a square main memory, a triangle overhead, a dashed ring
    what is not known.
    """
    if kind is Kind.CACHE:
        reach = radius * math.sqrt(math.pi / 2)
        return f'<path d="M{x:.1f} {y - reach:.1f}l{_diamond(reach)}z"/>'
    if kind is Kind.MAIN:
        side = radius * math.sqrt(math.pi)
        return (
            f'<rect x="{x - side / 2:.1f}" y="{y - side / 2:.1f}" '
            f'width="{side:.1f}" height="{side:.1f}"/>'
        )
    if kind is Kind.OVERHEAD:
        side = radius * math.sqrt(4 * math.pi / math.sqrt(3))
        height = side * math.sqrt(3) / 2
        top = y - 2 * height / 3
        return f'<path d="M{x:.1f} {top:.1f}l{side / 2:.1f} {height:.1f}h{-side:.1f}z"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'


def _diamond(reach: float) -> str:
    return f"{reach:.1f} {reach:.1f} {-reach:.1f} {reach:.1f} {-reach:.1f} {-reach:.1f}"


def swatch(kind: Kind) -> str:
    """The mark beside a word."""
    return (
        f'<svg class="key {kind.value}" width="14" height="14" viewBox="0 0 14 14" '
        f'aria-hidden="true">{mark(kind, 7, 7, 4.6)}</svg>'
    )
