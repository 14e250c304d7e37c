"""The axes along which a model's runs have several sizes, and their lines over each of them.

A line is one system with all else held still: over the batch each system of the page, over a free
axis or the length of a phase the runs that differ in nothing but that size.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from onnxprof.compare.axes.families import BATCH, families, leading, size_in, sizes_in
from onnxprof.publish.drawing.sizes import is_geometric
from onnxprof.publish.pages.catalogue import Entry, ModelPage
from onnxprof.publish.phases.cells import UNITS
from onnxprof.publish.text.safe import in_page
from onnxprof.records.run import Request
from onnxprof.records.sequences.phase import Phase, PhaseKind

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One system over the sizes of an axis."""

    words: Words
    """Device, backend, settings, and sizes of other axes that are held still."""
    system: Words
    """The same without any size: equal for all lines of one system."""
    points: tuple[tuple[int, int], ...]
    """Sizes, smallest first, each with the place of its run among the page's entries."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands on the x axis of the page's charts."""

    key: str
    """As the address names it: `batch`, the name of a free axis, `decode:`."""
    title: str
    """What its sizes are: `batch size`, `sequence_length`, `tokens in the cache`."""
    item: str
    """What throughput counts over it: `item`, `token`, `step`, `inference`."""
    lines: tuple[Line, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every size of a line, smallest first."""
        return tuple(sorted({size for line in self.lines for size, _ in line.points}))

    @property
    def is_logarithmic(self) -> bool:
        """Whether its sizes are powers rather than even steps."""
        return is_geometric(self.sizes)

    def count(self, size: int, batch: int) -> int:
        """Of an inference, what throughput counts; as `count` of charts/axes.js."""
        return batch * size if self.key == f"{PhaseKind.PREFILL.value}:" else batch

    @property
    def size(self) -> str:
        """What stands before a size: `batch`."""
        return BATCH if self.key == BATCH else self.title

    @property
    def names(self) -> tuple[str, ...]:
        """What its lines are called: without what all of them have in common."""
        return _names([line.words for line in self.lines])


def axes(page: ModelPage) -> tuple[Axis, ...]:
    """Those with two sizes at least, the one with most of them first; without any the batch alone.

    Axes that follow another one, as a total its parts, are none. Of as many sizes the batch comes
    first, then phases.
    """
    batch = [*_over_batch(page)]
    others = [*_over_phases(page), *_over_dims(page)]
    found = [axis for axis in batch if len(axis.sizes) > 1 or not others] + others
    each: dict[str, Axis] = {}
    for axis in found:
        each.setdefault(axis.key, axis)
    return tuple(sorted(each.values(), key=lambda axis: -len(axis.sizes)))


def plain(page: ModelPage, found: Sequence[Axis]) -> dict[str, Any]:
    """What the page's script reads: `axes`, and the number of each entry's system without sizes."""
    systems = [_system(page, entry) for entry in page.entries]
    kinds = list(dict.fromkeys(systems))
    return {
        "kinds": [kinds.index(system) for system in systems],
        "axes": [
            {
                "key": in_page(axis.key),
                "x": in_page(axis.title),
                "item": axis.item,
                "log": int(axis.is_logarithmic),
                "lines": [
                    [in_page(name), kinds.index(line.system), line.points]
                    for name, line in zip(axis.names, axis.lines, strict=True)
                ],
            }
            for axis in found
        ],
    }


def _system(page: ModelPage, entry: Entry, phase: bool = False) -> Words:
    """Device, backend and settings of an entry without sizes of axes; with its phase if asked."""
    asked, system = entry.run.request, page.systems[entry.system]
    sizes = {f"{name}={size}" for name, size in asked.dims} | (
        {asked.phase} if not phase else set()
    )
    settings = (word for word in system.settings if word not in sizes)
    return system.device, system.backend, *settings


def _over_batch(page: ModelPage) -> Iterator[Axis]:
    places = [i for i, entry in enumerate(page.entries) if entry.result and entry.batch > 0]
    lines = []
    for number, system in enumerate(page.systems):
        mine = [i for i in places if page.entries[i].system == number]
        if mine:
            points = tuple(sorted((page.entries[i].batch, i) for i in mine))
            words = (system.device, system.backend, *system.settings)
            lines.append(Line(words, _system(page, page.entries[mine[0]]), points))
    if lines:
        yield Axis(BATCH, "batch size", "item", tuple(lines))


def _over_dims(page: ModelPage) -> Iterator[Axis]:
    good = [i for i, entry in enumerate(page.entries) if entry.result]

    def asked(place: int) -> Request:
        return page.entries[place].run.request

    def alike(place: int) -> Words:
        return _system(page, page.entries[place], phase=True)

    for name in leading([asked(place) for place in good]):
        if name != BATCH and (groups := families(good, name, asked, alike)):
            sized = [[(size_in(asked(i), name) or 0, i) for i in group] for group in groups]
            yield Axis(name, name, _item(page, groups), _lines(page, sized, name))


def _over_phases(page: ModelPage) -> Iterator[Axis]:
    for kind in PhaseKind:
        groups: dict[Hashable, list[tuple[int, int]]] = {}
        for place, entry in enumerate(page.entries):
            asked = entry.run.request
            phase = Phase.of(asked.phase) if entry.result and asked.phase else None
            if phase and phase.kind is kind:
                known = _system(page, entry), asked.batch, asked.dims
                groups.setdefault(known, []).append((phase.size, place))
        several = [group for group in groups.values() if len(group) > 1]
        if several:
            item = "step" if kind is PhaseKind.STEPS else "token"
            title = f"{UNITS[kind]} ({kind.value})"
            yield Axis(f"{kind.value}:", title, item, _lines(page, several))


def _item(page: ModelPage, groups: Sequence[Sequence[int]]) -> str:
    """An inference, where each is of one item of the batch."""
    batches = {page.entries[i].batch for group in groups for i in group}
    return "inference" if batches == {1} else "batch item"


def _lines(
    page: ModelPage, groups: Sequence[Sequence[tuple[int, int]]], axis: str = ""
) -> tuple[Line, ...]:
    """Of sizes and places; those of a phase have no axis by name."""
    sizes = [[sizes_in(page.entries[i].run.request) for _, i in group] for group in groups]
    every = [each for mine in sizes for each in mine]
    made = []
    for group, mine in zip(groups, sizes, strict=True):
        first = page.entries[group[0][1]]
        words = (*_system(page, first, phase=bool(axis)), *_held(mine, every, axis))
        made.append(Line(words, _system(page, first), tuple(sorted(dict(group).items()))))
    return tuple(made)


def _held(points: Sequence[dict[str, int]], every: Sequence[dict[str, int]], axis: str) -> Words:
    """Sizes of other axes that a line has one of, and the others have another."""
    return tuple(
        f"batch {size}" if name == BATCH else f"{name}={size}"
        for name, size in points[0].items()
        if name != axis
        and len({point.get(name) for point in points}) == 1
        and len({point.get(name) for point in every}) > 1
    )


def _names(lines: Sequence[Words]) -> tuple[str, ...]:
    """Names that tell the lines apart; the backend is in each."""
    shared = set.intersection(*map(set, lines)) if len(lines) > 1 else {lines[0][0]}
    return tuple(
        " · ".join(word for i, word in enumerate(words) if i == 1 or word not in shared)
        for words in lines
    )
