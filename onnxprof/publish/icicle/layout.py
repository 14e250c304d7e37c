"""Rectangles of an icicle: width is time, each level is a part of the layers' names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxprof.publish.icicle.tree import Part, Tree

#: Parts narrower than this, relative to the whole width, are drawn as one: five pixels of a page.
LEAST = 0.004


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Where a part stands: nanoseconds from the left and in width, levels from the top."""

    part: Part
    level: int
    start_ns: int
    is_closing: bool = False
    is_rest: bool = False
    """Whether it stands for several parts that are too narrow to be drawn."""


def laid_out(tree: Tree, least: float = LEAST) -> list[Rectangle]:
    """The rectangles from left to right, each before those within; linear in the steps.

    Parts of less than `least` of the whole are gathered, in each scope at its end.
    """
    found = list(_row(tree.root.members, 0, 0, least * tree.whole_ns))
    start = tree.root.ns
    for part in tree.closing:
        found.append(Rectangle(part, 0, start, is_closing=True))
        start += part.ns
    return found


def _row(members: Sequence[Part], level: int, start: int, least: float) -> Iterator[Rectangle]:
    rest = [part for part in members if part.ns < least]
    if level and len(rest) == len(members):
        return  # the scope's own rectangle says as much
    if len(rest) < 2:
        rest = []
    for part in members:
        is_narrow = part.ns < least
        if rest and is_narrow:
            continue
        yield Rectangle(part, level, start)
        if not is_narrow:
            yield from _row(part.members, level + 1, start, least)
        start += part.ns
    if any(part.ns for part in rest):
        yield Rectangle(gathered(rest), level, start, is_rest=True)


def gathered(parts: Sequence[Part]) -> Part:
    """Parts that are too small to stand alone, as one, named by how many steps are in it."""
    steps = sum(part.steps for part in parts)
    return Part(
        f"{steps:,} smaller", "", sum(part.ns for part in parts), steps, members=list(parts)
    )
