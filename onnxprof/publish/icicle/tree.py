"""The time of a run by module scope: rows are the parts of names, steps are the leaves.

`site/assets/where.js` grows the same tree from the numbers that a page has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from onnxprof.analysis.reconcile import CLOSING, Status, TimedRow
from onnxprof.publish.drawing.scopes import MOST_MEMBERS, chunk_name, chunks, paths
from onnxprof.publish.text.safe import in_page

#: The scope of steps that belong to no layer.
NO_LAYER = "(no layer)"
#: Layers of a fused step that its label names.
MOST_NAMED = 3


@dataclass(slots=True)
class Part:
    """A scope or a step: what it is called below its parent, and the time of the steps within."""

    name: str
    where: str
    """Its name from the top down."""
    ns: int = 0
    steps: int = 0
    row: int = -1
    """Of a step the number of its row; -1 for a scope."""
    layer: str = ""
    """Of a step its first layer; empty where it belongs to none."""
    members: list[Part] = field(default_factory=list)

    def rows(self) -> Iterator[int]:
        """The rows of all steps within."""
        if self.row >= 0:
            yield self.row
        for member in self.members:
            yield from member.rows()


@dataclass(frozen=True, slots=True)
class Tree:
    """The steps of a run in their scopes, and what the un-profiled latency has besides."""

    root: Part
    closing: tuple[Part, ...]
    """Interruptions and overhead that take time; a negative overhead is not among them."""

    @property
    def whole_ns(self) -> int:
        """The un-profiled latency; the sum of the steps if the overhead is negative or unknown."""
        return self.root.ns + sum(part.ns for part in self.closing)


def grown(rows: Sequence[TimedRow]) -> Tree:
    """The tree of the rows of a run, with scopes in the order of the layer table.

    A fused step stands under the scope that all of its layers have in common, with its whole time:
    nobody measured the parts, and the scope of its first layer did not take all of it.
    """
    layers = _layers(rows)
    names = [name for step in layers.values() for name in step]
    known = dict(zip(names, paths(names), strict=True))
    root = Part("", "")
    scopes: dict[tuple[str, ...], Part] = {(): root}
    for number, step in layers.items():
        scope, label = _place(rows[number], [known[name] for name in step])
        home = _opened(scopes, scope)
        leaf = Part(label, "/".join((*scope, label)), row=number, layer=(step or [""])[0])
        home.members.append(leaf)
        ns = rows[number].median_ns or 0
        for part in (*(scopes[scope[:i]] for i in range(len(scope) + 1)), leaf):
            part.ns += ns
            part.steps += 1
    return Tree(replace(root, members=_tidied(root)), tuple(_closing(rows)))


def _layers(rows: Sequence[TimedRow]) -> dict[int, list[str]]:
    """The layers of each step that has a time, by the number of its row."""
    homes = {id(row.step): i for i, row in enumerate(rows) if row.step and _is_timed(row)}
    found: dict[int, list[str]] = {i: [] for i in homes.values()}
    for row in rows:
        home = homes.get(id(row.step)) if row.step else None
        if home is not None and row.layer is not None:
            found[home].append(in_page(row.layer.name))
    return found


def _is_timed(row: TimedRow) -> bool:
    return row.median_ns is not None and row.status is not Status.FUSED


def _closing(rows: Sequence[TimedRow]) -> Iterator[Part]:
    for row in rows:
        is_total = row.status is Status.TOTAL
        if row.status in CLOSING and not is_total and row.median_ns and row.median_ns > 0:
            yield Part(row.name, row.name, row.median_ns)


def _place(row: TimedRow, layers: Sequence[list[str]]) -> tuple[tuple[str, ...], str]:
    """The scope of a step, and its name there."""
    if not layers:
        return (NO_LAYER,), in_page(row.name)
    scope = layers[0][:-1]
    for path in layers[1:]:
        pairs = zip(scope, path[:-1], strict=False)
        differs = (i for i, (a, b) in enumerate(pairs) if a != b)
        scope = scope[: next(differs, len(path) - 1)]
    kept = layers if len(layers) <= MOST_NAMED else layers[: MOST_NAMED - 1]
    ends = ["/".join(path[len(scope) :]) for path in kept]
    more = [f"{len(layers) - len(kept)} more"] if len(kept) < len(layers) else []
    return tuple(scope), " + ".join(ends + more)


def _opened(scopes: dict[tuple[str, ...], Part], scope: tuple[str, ...]) -> Part:
    """The part of a scope, made with those around it where it is new."""
    for i in range(1, len(scope) + 1):
        if scope[:i] not in scopes:
            made = scopes[scope[:i]] = Part(scope[i - 1], "/".join(scope[:i]))
            scopes[scope[: i - 1]].members.append(made)
    return scopes[scope]


def _tidied(part: Part) -> list[Part]:
    """The members: a scope with but one of them is one with it, too many are gathered by place."""
    members = [_joined(replace(member, members=_tidied(member))) for member in part.members]
    if len(members) <= MOST_MEMBERS:
        return members
    return [_gathered(part, chunk) for chunk in chunks(members)]


def _joined(part: Part) -> Part:
    if len(part.members) != 1:
        return part
    (only,) = part.members
    return replace(only, name=f"{part.name}/{only.name}")


def _gathered(parent: Part, members: Sequence[Part]) -> Part:
    name = chunk_name(members[0].name, members[-1].name)
    return Part(
        name,
        "/".join(filter(None, (parent.where, name))),
        sum(member.ns for member in members),
        sum(member.steps for member in members),
        members=list(members),
    )
