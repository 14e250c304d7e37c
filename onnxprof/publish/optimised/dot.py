"""The file's graph with executed steps as boxes around their layers, for Graphviz.

Edges are those of the file, since a runtime does not say which tensors pass between its steps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from onnxprof.analysis.optimised import Fate, Optimised, Part
from onnxprof.publish.optimised.table import title
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.records.layer import Layer

_LONGEST = 60
_INSERTED = 'shape=box style="rounded,dashed" color=gray50'
_LAYER = "shape=box"
_GONE = {
    Fate.FOLDED: "shape=box style=filled fillcolor=gray90 fontcolor=gray40 color=gray60",
    Fate.NOT_EXECUTED: "shape=box style=dotted fontcolor=gray40 color=gray60",
    Fate.UNKNOWN: "shape=box style=dotted",
}


def to_dot(found: Optimised) -> str:
    """A directed graph: `dot -Tsvg graph.dot -o graph.svg` draws it."""
    numbers = {id(layer): f"l{i}" for i, layer in enumerate(found.run.table.nodes)}
    lines = ["digraph optimised {", f"  label={_quoted(title(found))} labelloc=t;"]
    lines += ["  node [fontsize=10 height=0.2];", "  edge [arrowsize=0.6 color=gray40];"]
    drawn: set[int] = set()
    for part in found.parts:
        lines += _step(part, numbers, drawn)
    for each in found.gone:
        lines.append(f"  {_node(each.layer, numbers, _GONE[each.fate])}")
    lines += [f"  {a} -> {b};" for a, b in _edges(found, numbers)]
    return "\n".join((*lines, "}", ""))


def _step(part: Part, numbers: Mapping[int, str], drawn: set[int]) -> Iterator[str]:
    share = "" if part.share is None else f", {percent(part.share)}"
    head = f"{part.number}. {part.step.op_type}{share}"
    if not part.layers:
        yield f"  s{part.number} [{_INSERTED} label={_quoted(head)}];"
        return
    yield f"  subgraph cluster_{part.number} {{"
    yield f"    label={_quoted(head)} fontsize=10 style=rounded;"
    for layer in part.layers:  # one that several steps work for is drawn in the first of them
        if id(layer) not in drawn:
            drawn.add(id(layer))
            yield f"    {_node(layer, numbers, _LAYER)}"
    yield "  }"


def _node(layer: Layer, numbers: Mapping[int, str], style: str) -> str:
    return f"{numbers[id(layer)]} [{style} label={_quoted(layer.op_type, layer.name)}];"


def _edges(found: Optimised, numbers: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """From each layer to the layers that read it, once."""
    makers: dict[str, list[Layer]] = defaultdict(list)
    for layer in found.run.table.nodes:
        for tensor in layer.outputs:
            makers[tensor.name].append(layer)
    seen: set[tuple[str, str]] = set()
    for layer in found.run.table.nodes:
        for tensor in layer.inputs:
            for maker in makers.get(tensor.name, ()):
                pair = numbers[id(maker)], numbers[id(layer)]
                if pair not in seen:
                    seen.add(pair)
                    yield pair


def _quoted(*lines: str) -> str:
    """Lines of a label; names are untrusted, and Graphviz reads backslashes and quotes."""
    shown = (printable(shortened(line, _LONGEST)) for line in lines)
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in shown)
    label = "\\n".join(escaped)
    return f'"{label}"'
