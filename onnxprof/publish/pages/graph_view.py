"""What the page's script draws a model from: boxes and edges with places, folded by scope.

Everything is laid out here, a scope at a time, once for all batch sizes; the script moves
boxes apart when a scope is opened, and colours them by the run that is chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from onnxprof.publish.drawing.layout import Box, Edge, lay_out
from onnxprof.publish.drawing.plot import BOXES, COMPUTE, cut_long, drawn, links, topology
from onnxprof.publish.drawing.scopes import Scope, gathered
from onnxprof.publish.drawing.strips import wrapped
from onnxprof.publish.pages.catalogue import ModelPage
from onnxprof.publish.pages.embed import embedded, tensor_names
from onnxprof.publish.text.safe import in_page
from onnxprof.records.layer import Layer, LayerKind, LayerTable

#: Kinds of boxes, as numbers that the script knows.
NODE, INPUT, SCOPE, REFERENCE = range(4)


#: Pixels above and below a drawing that is shown whole.
_AROUND = 34


def graphs(page: ModelPage) -> list[dict[str, Any]]:
    """The drawing of each topology among the page's runs, in the order of `embed.page_data`."""
    tables: dict[tuple[object, ...], LayerTable] = {}
    for entry in page.entries:
        tables.setdefault(topology(entry.run.table), entry.run.table)
    return [graph(table) for table in tables.values()]


def scripts(drawings: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """A file for each of these drawings."""
    for number, drawing in enumerate(drawings):
        yield f"plot/graph-{number}.js", f"onnxprof.graph({number},{embedded(drawing)});\n"


def rooms(drawings: Sequence[dict[str, Any]]) -> str:
    """Heights in pixels that the page keeps free; 0 for one with scopes to open, which scrolls."""
    heights = (0 if len(d["scopes"]) > 1 else d["scopes"][0]["h"] + _AROUND for d in drawings)
    return " ".join(map(str, heights))


def graph(table: LayerTable) -> dict[str, Any]:
    """The drawing of a table as plain values.

    `nodes` are [row among the table's nodes or -1, tensors read, tensors made]; `scopes` have
    boxes of [kind, number, x, y] and edges of [from, to, x, y, …], all from their own corner.
    A box's number is that of its node or scope; of a reference, that of the node it stands for.
    """
    layers = [table.layers[i] for i in drawn(table)]
    place = {id(layer): i for i, layer in enumerate(table.nodes)}
    tensors = {name: i for i, name in enumerate(tensor_names(table))}
    root = gathered([layer.name for layer in layers])
    return {
        "tensors": [in_page(name) for name in tensors],
        "nodes": [
            [
                place.get(id(layer), -1),
                [tensors[t.name] for t in layer.inputs if layer.kind is LayerKind.NODE],
                [tensors[t.name] for t in layer.outputs],
            ]
            for layer in layers
        ],
        "scopes": _scopes(root, layers),
    }


@dataclass(slots=True)
class _Room:
    """One scope while edges are sorted into it."""

    scope: Scope
    number: int
    up: int
    spots: dict[int, int] = field(default_factory=dict)
    """From the number of a layer to that of its box here."""
    edges: dict[Edge, int] = field(default_factory=dict)
    """Boxes that are linked, and the layer that the first such link comes from."""
    given: dict[tuple[int, int], None] = field(default_factory=dict)
    """Layers elsewhere, and the boxes here that read what they make."""


def _scopes(root: Scope, layers: Sequence[Layer]) -> list[dict[str, Any]]:
    rooms = _rooms(root)
    homes: dict[int, list[int]] = {}
    for room in rooms:
        for layer in room.spots:
            homes.setdefault(layer, []).append(room.number)
    for a, b in links(layers):
        _sort_in(rooms, homes[a], homes[b], a, b)
    return [_drawing(room, rooms, layers) for room in rooms]


def _rooms(root: Scope) -> list[_Room]:
    """Every scope, those that hold others before them."""
    rooms = [_Room(root, 0, -1)]
    for room in rooms:  # grows while it is gone through
        for spot, member in enumerate(room.scope.members):
            if isinstance(member, Scope):
                room.spots |= dict.fromkeys(member.layers(), spot)
                rooms.append(_Room(member, len(rooms), room.number))
            else:
                room.spots[member] = spot
    return rooms


def _sort_in(rooms: list[_Room], above: list[int], below: list[int], a: int, b: int) -> None:
    """An edge where both ends are, and a reference in each scope around its end alone."""
    pairs = zip(above, below, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    room = rooms[above[shared - 1]]
    if room.spots[a] != room.spots[b]:
        room.edges.setdefault((room.spots[a], room.spots[b]), a)
    for number in below[shared:]:
        rooms[number].given[a, rooms[number].spots[b]] = None


def _drawing(room: _Room, rooms: Sequence[_Room], layers: Sequence[Layer]) -> dict[str, Any]:
    members = _numbered(room, rooms, layers)
    kept, cut = cut_long(list(room.edges), len(members))
    given = list(dict.fromkeys([*room.given, *((room.edges[edge], edge[1]) for edge in cut)]))
    sources = list(dict.fromkeys(layer for layer, _ in given)) if room.up >= 0 else []
    spots = {layer: len(members) + i for i, layer in enumerate(sources)}
    if room.up < 0:  # at the top a reference stands for one edge, beside its reader
        references = [layer for layer, _ in given]
        more = [(len(members) + i, reader) for i, (_, reader) in enumerate(given)]
    else:
        references = sources
        more = [(spots[layer], reader) for layer, reader in given]
    boxes = [*members, *((REFERENCE, layer) for layer in references)]
    leads = [_leads(kind, number, layers) for kind, number in boxes]
    return _placed(room, boxes, [*kept, *more], leads)


def _leads(kind: int, number: int, layers: Sequence[Layer]) -> bool:
    """Whether a column may well begin with a box: what follows is often one step with it."""
    return kind == SCOPE or (kind == NODE and layers[number].op_type in COMPUTE)


def _placed(
    room: _Room,
    boxes: Sequence[tuple[int, int]],
    edges: Sequence[Edge],
    leads: Sequence[bool],
) -> dict[str, Any]:
    sizes = [Box(*BOXES[kind]) for kind, _ in boxes]
    drawing = wrapped(lay_out(sizes, edges), sizes, leads)
    corners = zip(boxes, drawing.corners, strict=True)
    return {
        "name": in_page(room.scope.name),
        "up": room.up,
        "w": round(drawing.width),
        "h": round(drawing.height),
        "boxes": [[kind, number, round(x), round(y)] for (kind, number), (x, y) in corners],
        "edges": [
            [a, b, *(round(value) for point in path for value in point)]
            for (a, b), path in zip(edges, drawing.paths, strict=True)
            if path
        ],
    }


def _numbered(
    room: _Room, rooms: Sequence[_Room], layers: Sequence[Layer]
) -> list[tuple[int, int]]:
    """Kind and number of the box of each member."""
    inner = iter(each.number for each in rooms if each.up == room.number)
    return [
        (SCOPE, next(inner))
        if isinstance(member, Scope)
        else (INPUT if layers[member].kind is LayerKind.INPUT else NODE, member)
        for member in room.scope.members
    ]
