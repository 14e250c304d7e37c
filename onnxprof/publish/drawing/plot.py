"""The model plot: a self-contained SVG of a layer table.

The topology is the same at every batch size, so a graph is laid out once (`plan`) and drawn
once a batch size (`draw`); only the shape texts differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from onnxprof.analysis.once import once
from onnxprof.publish.drawing.layout import Box, Drawing, Edge, Point, lay_out
from onnxprof.publish.text.numbers import sizes_text
from onnxprof.publish.text.safe import in_page, shortened
from onnxprof.records.layer import Layer, LayerKind, LayerTable

#: An edge that skips more ranks than this becomes a reference beside the consumer: long edges
#: make a layered drawing slow to compute and unreadable.
LONGEST_EDGE = 60

#: Width and height of a layer, an input, a folded scope and a reference.
BOXES = ((232.0, 42.0), (232.0, 30.0), (232.0, 42.0), (160.0, 20.0))
_NODE, _INPUT, _, _REFERENCE = (Box(*size) for size in BOXES)
#: Widths of a bold letter and of a small figure in the widest of the fonts.
_LETTER, _FIGURE = 7.3, 6.0
_MARGIN = 20.0
_HEAD = 58.0

#: Operators that do most of a network's arithmetic.
COMPUTE = frozenset(
    (
        "Conv",
        "ConvTranspose",
        "ConvInteger",
        "QLinearConv",
        "DeformConv",
        "Gemm",
        "MatMul",
        "MatMulInteger",
        "QLinearMatMul",
        "QGemm",
        "FusedMatMul",
        "Einsum",
        "Attention",
        "MultiHeadAttention",
        "LSTM",
        "GRU",
        "RNN",
        "Scan",
        "Loop",
        "If",
    )
)
_MOVEMENT = frozenset(
    (
        "Reshape",
        "Transpose",
        "Concat",
        "Split",
        "Slice",
        "Gather",
        "GatherND",
        "GatherElements",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
        "Expand",
        "Tile",
        "Pad",
        "Identity",
        "Cast",
        "DepthToSpace",
        "SpaceToDepth",
        "ScatterND",
        "Scatter",
        "ScatterElements",
        "Shape",
        "Constant",
        "ConstantOfShape",
        "Resize",
        "Upsample",
    )
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A laid-out graph: the drawn rows of the layer table, positions and edges."""

    rows: tuple[int, ...]
    """Row of the layer table behind each box; references come after them."""
    references: tuple[tuple[int, int], ...]
    """(producer, consumer) boxes of each edge that was cut."""
    edges: tuple[Edge, ...]
    drawing: Drawing


def plan(table: LayerTable) -> Plan:
    """Lay out the inputs of a model and the nodes that depend on them."""
    rows = drawn(table)
    layers = [table.layers[i] for i in rows]
    kept, cut = cut_long(links(layers), len(layers))
    edges = [*kept, *((len(layers) + k, b) for k, (_, b) in enumerate(cut))]
    boxes = [_box(layer) for layer in layers] + [_REFERENCE] * len(cut)
    return Plan(rows, tuple(cut), tuple(edges), lay_out(boxes, edges))


def topology(table: LayerTable) -> tuple[object, ...]:
    """What a plan depends on; tables with the same topology can share one."""
    return once(_topology, table)


def _topology(table: LayerTable) -> tuple[object, ...]:
    return tuple(
        (layer.kind, layer.name, _names(layer.inputs), _names(layer.outputs), layer.parent)
        for layer in table
    )


def draw(plan: Plan, table: LayerTable, title: str) -> str:
    """The SVG of a plan with the operators, names and output shapes of a table."""
    drawing = plan.drawing
    width = max(drawing.width, 300.0) + 2 * _MARGIN
    height = drawing.height + _HEAD + _MARGIN
    layers = [table.layers[i] for i in plan.rows]
    constant = len(table.nodes) - sum(layer.kind is LayerKind.NODE for layer in layers)
    shift = (width - drawing.width) / 2
    body = [
        *(_path(points) for points in drawing.paths if points),
        *(_node(layer, drawing.corners[k]) for k, layer in enumerate(layers)),
        *_references(plan, layers),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-labelledby="t">',
            f'<title id="t">{_text(title)}, batch {table.batch}</title>',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{_n(width)}" height="{_n(height)}"/>',
            _heading(title, table, constant, drawing.layered),
            f'<g transform="translate({_n(shift)} {_n(_HEAD)})">',
            *body,
            "</g>",
            "</svg>",
            "",
        ]
    )


_STYLE = """
:root{color-scheme:light dark;--ink:#1b1d20;--soft:#5b6168;--rule:#c9cdd2;--page:#fff;
--box:#fff;--compute:#0b63b5;--move:#a86400}
@media (prefers-color-scheme:dark){:root{--ink:#e4e6e8;--soft:#9aa1a9;--rule:#454a51;
--page:#141618;--box:#1a1d20;--compute:#6cb2f5;--move:#d9a04a}}
text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;
fill:var(--ink);font-variant-numeric:tabular-nums}
:root{background:var(--page)}.page{fill:var(--page)}.b{fill:var(--box);stroke:var(--rule)}.i{fill:none;stroke:var(--rule)}
.o{font-weight:600}.n,.s,.r{fill:var(--soft);font-size:9.5px}.s{text-anchor:end}
.e{fill:none;stroke:var(--soft);stroke-opacity:.55}
.h{font-size:14px;font-weight:600}.k{fill:var(--rule)}.k.c{fill:var(--compute)}
.k.m{fill:var(--move)}.d{stroke-dasharray:2 2}
""".strip()


def drawn(table: LayerTable) -> tuple[int, ...]:
    """Rows of the inputs and of the nodes that depend on them.

    Nodes that depend on constants alone are left out: they are computed while loading, and would
    be drawn at the top, far from their consumers.
    """
    known: set[str] = set()
    rows = []
    for i, layer in enumerate(table):
        if layer.kind is LayerKind.INPUT or not _is_constant(layer, known):
            rows.append(i)
        else:
            known.update(tensor.name for tensor in layer.outputs)
    return tuple(rows)


def _is_constant(layer: Layer, known: set[str]) -> bool:
    if layer.kind is not LayerKind.NODE:
        return True
    if not layer.inputs:
        return layer.op_type == "Constant" and not layer.domain
    return all(tensor.name in known for tensor in layer.inputs) and not layer.parent


def _box(layer: Layer) -> Box:
    return _NODE if layer.kind is LayerKind.NODE else _INPUT


def _names(tensors: Sequence[object]) -> tuple[str, ...]:
    return tuple(getattr(tensor, "name", "") for tensor in tensors)


def links(layers: Sequence[Layer]) -> list[Edge]:
    """Edges from producers to consumers, each once, in consumer order."""
    producer = {
        tensor.name: i for i, layer in enumerate(layers) for tensor in layer.outputs if tensor.name
    }
    links: dict[Edge, None] = {}
    for i, layer in enumerate(layers):
        if layer.kind is not LayerKind.NODE:
            continue
        for tensor in layer.inputs:
            source = producer.get(tensor.name)
            if source is not None and source != i:
                links[source, i] = None
    return [*links, *_out_of_subgraphs(layers, links)]


def _out_of_subgraphs(layers: Sequence[Layer], links: dict[Edge, None]) -> list[Edge]:
    """Edges from the last layers of a subgraph to the control-flow layer that contains it."""
    place = {layer.name: i for i, layer in enumerate(layers) if layer.kind is LayerKind.NODE}
    leads = {source for source, _ in links}
    return [
        (i, place[layer.parent])
        for i, layer in enumerate(layers)
        if layer.parent in place and place[layer.parent] != i and i not in leads
    ]


def cut_long(links: Sequence[Edge], n: int) -> tuple[list[Edge], list[Edge]]:
    """(edges to draw, edges that skip more than LONGEST_EDGE ranks) of `n` boxes."""
    rank = _ranks(links, n)
    kept = [(a, b) for a, b in links if rank[b] - rank[a] <= LONGEST_EDGE]
    cut = [(a, b) for a, b in links if rank[b] - rank[a] > LONGEST_EDGE]
    return kept, cut


def _ranks(links: Sequence[Edge], n: int) -> list[int]:
    """Longest distance from a source, in file order; edges that go back are left out."""
    rank = [0] * n
    for a, b in sorted(links, key=lambda edge: edge[1]):
        if a < b:
            rank[b] = max(rank[b], rank[a] + 1)
    return rank


def _references(plan: Plan, layers: Sequence[Layer]) -> list[str]:
    corners = plan.drawing.corners[len(layers) :]
    return [
        _reference(layers[a], corner)
        for (a, _), corner in zip(plan.references, corners, strict=True)
    ]


def _heading(title: str, table: LayerTable, constant: int, layered: bool) -> str:
    note = f", {constant} constant, not drawn" if constant else ""
    note += "" if layered else "; too large to lay out: layers in file order"
    return (
        f'<text class="h" x="{_n(_MARGIN)}" y="26">{_text(shortened(in_page(title), 40))}</text>'
        f'<text class="n" x="{_n(_MARGIN)}" y="42">batch {table.batch}, {len(table.nodes)} layers'
        f"{note}</text>"
    )


def _node(layer: Layer, corner: Point) -> str:
    if layer.kind is LayerKind.INPUT:
        return _input(layer, corner)
    shape = sizes_text(layer.outputs[0].shape) if layer.outputs else ""
    shape = shortened(shape, 26)
    operator = shortened(
        in_page(layer.op_type), max(5, int((213 - _FIGURE * len(shape)) / _LETTER))
    )
    return (
        f'<g transform="translate({_n(corner[0])} {_n(corner[1])})">'
        f"<title>{_tooltip(layer)}</title>"
        f'<rect class="b" width="{_n(_NODE.width)}" height="{_n(_NODE.height)}"/>'
        f'<rect class="k{_class(layer)}" width="3" height="{_n(_NODE.height)}"/>'
        f'<text class="o" x="10" y="18">{_text(operator)}</text>'
        f'<text class="s" x="224" y="18">{_text(shape)}</text>'
        f'<text class="n" x="10" y="34">{_text(shortened(in_page(layer.name), 37))}</text></g>'
    )


def _input(layer: Layer, corner: Point) -> str:
    shape = sizes_text(layer.outputs[0].shape) if layer.outputs else ""
    return (
        f'<g transform="translate({_n(corner[0])} {_n(corner[1])})">'
        f"<title>{_tooltip(layer)}</title>"
        f'<rect class="i" width="{_n(_INPUT.width)}" height="{_n(_INPUT.height)}" rx="15"/>'
        f'<text class="n" x="14" y="19">{_text(shortened(in_page(layer.name), 18))}</text>'
        f'<text class="s" x="218" y="19">{_text(shortened(shape, 18))}</text></g>'
    )


def _reference(producer: Layer, corner: Point) -> str:
    name = shortened(in_page(producer.name), 23)
    return (
        f'<g transform="translate({_n(corner[0])} {_n(corner[1])})">'
        f"<title>from {_text(producer.name)}</title>"
        f'<rect class="i d" width="{_n(_REFERENCE.width)}" height="{_n(_REFERENCE.height)}"/>'
        f'<text class="r" x="6" y="13.5">← {_text(name)}</text></g>'
    )


def _tooltip(layer: Layer) -> str:
    lines = [layer.name, f"{layer.op_type or layer.layer_type}"]
    lines += [f"in {t.name} {t.dtype} {sizes_text(t.shape)}" for t in layer.inputs if layer.op_type]
    lines += [f"out {t.name} {t.dtype} {sizes_text(t.shape)}" for t in layer.outputs]
    return "\n".join(_text(line) for line in lines)


def _class(layer: Layer) -> str:
    if layer.op_type in COMPUTE:
        return " c"
    return " m" if layer.op_type in _MOVEMENT else ""


def _path(points: Sequence[Point]) -> str:
    steps = " ".join(f"{_n(x)} {_n(y)}" for x, y in points)
    return f'<path class="e" d="M{steps}"/>'


def _text(text: str) -> str:
    return escape(in_page(text))


def _n(value: float) -> str:
    return f"{value:g}" if value == round(value, 1) and abs(value) < 1e5 else f"{value:.1f}"
