"""The batch axes of a model's inputs, and the other symbolic axes, which need a size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from onnx import GraphProto, ModelProto, TypeProto, ValueInfoProto

from onnxprof.errors import UsageError
from onnxprof.model.graph.operators import STATE_INPUTS
from onnxprof.model.graph.walk import graphs, initializer_names
from onnxprof.model.shapes.rules import sizes

#: What a tie may call the batch, whatever the model calls it.
BATCH = "batch"
_BATCH_NAMES = {"n", "b", "bs", "bsz", "nb"}
_ANONYMOUS = re.compile(r"^(unk__\d+|unknown.*|\?|-1|None)?$")
_NOT_BATCH = re.compile(r"seq|len|time|height|width|chan|frame|^[hwtlsc]$", re.IGNORECASE)
_PRODUCT = re.compile(r"\s*[\w.]+(\s*\*\s*[\w.]+)+\s*")

Axis = tuple[str, int]


@dataclass(frozen=True, slots=True)
class BatchAxes:
    """The batch axes of a model's inputs, and the file's own batch size."""

    axes: tuple[Axis, ...]
    """(input name, axis) of each batch axis."""
    own: int
    """The file's own batch size: the fixed size, or 1 where the batch is symbolic."""
    fixed: bool
    """Whether the file fixes the batch, so that another size needs a rewrite of the graph."""
    symbols: tuple[str, ...] = ()
    """Names of the symbolic batch axes."""
    scaled: tuple[Axis, ...] = ()
    """(input name, axis) of each axis whose size is computed from the batch: `2*batch`."""
    problem: str = ""
    """Why there is no batch axis; empty if there is one."""


@dataclass(frozen=True, slots=True)
class FreeDim:
    """A symbolic axis other than the batch."""

    name: str
    inputs: tuple[str, ...]
    """Names of the inputs that have this axis."""


def tensor_type(value: TypeProto) -> TypeProto.Tensor | None:
    """The tensor type, also of an optional tensor; None for sequences and maps."""
    if value.HasField("tensor_type"):
        return value.tensor_type
    if value.HasField("optional_type"):
        return tensor_type(value.optional_type.elem_type)
    return None


def input_values(model: ModelProto) -> list[ValueInfoProto]:
    """The true inputs: graph inputs that are not initializers."""
    stored = initializer_names(model.graph)
    return [i for i in model.graph.input if i.name not in stored]


def name_anonymous(model: ModelProto) -> bool:
    """Name every input axis that has neither size nor name, as in `data.axis2`.

    Returns whether there was such an axis.
    """
    changed = False
    for name, axis, dim in _axes(model):
        sized = dim.HasField("dim_value") and dim.dim_value >= 0
        long = len(dim.dim_param) > sizes.MAX_TEXT
        if not sized and (long or not _is_writable(dim.dim_param)):
            dim.dim_param = f"{name}.axis{axis}"
            changed = True
    return changed


def _is_writable(name: str) -> bool:
    """Whether a name can be given behind `--dim`, and tells one axis from another."""
    return bool(name.strip()) and name.isprintable() and name not in ("?", "-1", "None")


def _axes(model: ModelProto) -> Iterator[tuple[str, int, Any]]:
    for value in input_values(model):
        held = tensor_type(value.type)
        if held is not None:
            for axis, dim in enumerate(held.shape.dim):
                yield value.name, axis, dim


def input_shapes(model: ModelProto) -> dict[str, list[int | str]]:
    """Input shapes by name; an axis without size and name is named as by `name_anonymous`."""
    copy = named_inputs(model)[0]
    return _shapes(copy)


def named_inputs(model: ModelProto) -> tuple[ModelProto, bool]:
    """A model of the true inputs only, axes named; and whether `name_anonymous` named one."""
    copy = ModelProto()
    copy.graph.input.extend(input_values(model))
    return copy, name_anonymous(copy)


def _shapes(model: ModelProto) -> dict[str, list[int | str]]:
    """Input shapes; every axis has a size or a name once name_anonymous has run."""
    shapes: dict[str, list[int | str]] = {}
    for name, _, dim in _axes(model):
        size = dim.dim_value if dim.HasField("dim_value") else dim.dim_param
        shapes.setdefault(name, []).append(size)
    return shapes


def rename(model: ModelProto, names: Mapping[str, int | str]) -> None:
    """Replace names of input axes by sizes, also those in computed axes.

    Every axis has a size or a name, see `name_anonymous`. What cannot be spelled loses its name.
    """
    computed = _computed(_shapes(model))
    for _, _, dim in _axes(model):
        text = dim.dim_param
        if dim.HasField("dim_value") or not (text in names or text in computed):
            continue
        size = names[text] if text in names else sizes.replaced(text, names)
        dim.Clear()
        if isinstance(size, int):
            dim.dim_value = max(size, 0)
        elif size is not None:
            dim.dim_param = size


def find(model: ModelProto, whole: ModelProto) -> BatchAxes:
    """The batch axes of a model whose anonymous axes are named; `whole` has its nodes, too."""
    shapes = _shapes(model)
    computed = _computed(shapes)
    symbols = _batch_symbols(shapes, computed)
    if not symbols:
        return _fixed(whole, shapes)
    places = [(n, i, d) for n, dims in shapes.items() for i, d in enumerate(dims)]
    axes = tuple((n, i) for n, i, d in places if d in symbols)
    scaled = tuple((n, i) for n, i, d in places if symbols.intersection(computed.get(d, ())))
    return BatchAxes(axes, 1, False, tuple(sorted(symbols)), scaled)


def _computed(shapes: Mapping[str, list[int | str]]) -> dict[int | str, tuple[str, ...]]:
    """Axis names that are expressions, as `2*batch` and `past + tokens`, with the names inside.

    Names of axes may hold any character, so a text counts as an expression only where
    - every name in it is also an axis by itself, or
    - it has an operator other than a hyphen (`axis-0`), and one name in it is an axis by itself
      or it has one name only, or
    - it is a product with the batch (`batch*heads`), whose other factors need sizes as well.
    """
    texts = {d for dims in shapes.values() for d in dims if isinstance(d, str)}
    parsed = {text: sizes.names(text) for text in texts}
    alone = {text for text in texts if parsed[text] == (text,)}
    return {
        text: inside
        for text, inside in parsed.items()
        if text not in alone and inside
        if alone.issuperset(inside)
        or ((len(inside) == 1 or alone.intersection(inside)) and _is_arithmetic(text, inside))
        or _is_batch_product(text, inside)
    }


def _is_batch_product(text: str, names: Iterable[str]) -> bool:
    return bool(_PRODUCT.fullmatch(text)) and any(map(_is_batch_name, names))


def _is_batch_name(name: str) -> bool:
    return "batch" in name.lower() or name.lower() in _BATCH_NAMES


def _is_arithmetic(text: str, names: Iterable[str]) -> bool:
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "")
    return bool(re.search(r"[*/+(]| - ", text))


def _batch_symbols(
    shapes: Mapping[str, list[int | str]], computed: Mapping[int | str, tuple[str, ...]]
) -> set[str]:
    texts = [d for dims in shapes.values() for d in dims if isinstance(d, str)]
    named = {name for text in texts for name in computed.get(text, (text,))}
    symbols = {d for d in named if "batch" in d.lower()}
    symbols = symbols or {d for d in named if d.lower() in _BATCH_NAMES}
    symbols &= _leading(symbols, shapes, computed)
    first = next(iter(shapes.values()), [0])[0]
    first = computed.get(first, (first,))[0]
    if not symbols and isinstance(first, str) and not _NOT_BATCH.search(_plain(first)):
        symbols = {first}
    fronts = ((n, d[0]) for n, d in shapes.items())
    return symbols | {d for n, d in fronts if isinstance(d, str) and _is_anonymous(d, n)}


def _leading(
    symbols: set[str],
    shapes: Mapping[str, list[int | str]],
    computed: Mapping[int | str, tuple[str, ...]],
) -> set[str]:
    """Of names of a batch those that come first among them in any input: not `b` of `[N, a, b]`."""
    found = set[str]()
    for dims in shapes.values():
        names = (name for d in dims if isinstance(d, str) for name in computed.get(d, (d,)))
        found |= set(islice((name for name in names if name in symbols), 1))
    return found


def _plain(symbol: str) -> str:
    return "" if re.search(r"\.axis\d+$", symbol) else symbol


def _is_anonymous(dim: str, name: str) -> bool:
    return dim == f"{name}.axis0" or bool(_ANONYMOUS.match(dim))


def _fixed(model: ModelProto, shapes: Mapping[str, list[int | str]]) -> BatchAxes:
    states = _state_inputs(model)
    axes = [(n, 1 if n in states and len(d) == 3 else 0) for n, d in shapes.items()]
    ranked = [a for a in axes if len(shapes[a[0]]) > 1]
    for group in (axes, ranked):
        first = {shapes[n][axis] for n, axis in group}
        own = next(iter(first), None)
        if len(first) == 1 and isinstance(own, int) and own > 0:
            return BatchAxes(tuple(group), own, True)
    what = "its inputs do not share a first axis" if axes else "no input has a batch axis"
    return BatchAxes((), 1, True, problem=what)


def _state_inputs(model: ModelProto) -> set[str]:
    nodes = (node for graph in graphs(model.graph) for node in graph.node)
    return {
        node.input[i]
        for node in nodes
        for i in STATE_INPUTS.get(node.op_type, ())
        if i < len(node.input) and not any(a.name == "layout" and a.i for a in node.attribute)
    }


def free_dims(model: ModelProto, batch: BatchAxes) -> tuple[FreeDim, ...]:
    """Symbolic input axes other than the batch, in order of appearance."""
    inputs_of: dict[str, list[str]] = {}
    shapes = _shapes(model)
    computed = _computed(shapes)
    for name, dims in shapes.items():
        for dim in (inner for d in dims if isinstance(d, str) for inner in computed.get(d, (d,))):
            if dim not in batch.symbols:
                inputs_of.setdefault(dim, []).append(name)
    return tuple(FreeDim(n, tuple(dict.fromkeys(inputs))) for n, inputs in inputs_of.items())


def check_dims(
    free: tuple[FreeDim, ...], batch: BatchAxes, dims: Mapping[str, int], model: ModelProto
) -> None:
    """Raise UsageError for a size of the batch or of an unknown axis, and for an invalid size."""
    known = [f.name for f in free]
    for name, size in dims.items():
        if name in batch.symbols:
            raise UsageError(f"{name!r} is the batch axis", remedy="Give its size with --batch")
        if name == BATCH and name not in known:
            raise UsageError("the batch is no axis of --dim", remedy="Give its size with --batch")
        if name not in known:
            there = _axes_there(known, batch)
            if name.rpartition(":")[2] in known:
                there += "; before a colon stands one of the models, by its file or its name"
            if output := _output_with(model, name):
                what = f"axis {name!r} is of output {output!r} alone: it follows from the inputs'"
                raise UsageError(what, remedy=there)
            raise UsageError(f"the model has no symbolic axis {name!r}", remedy=there)
        if not 0 <= size < 1 << 31:
            remedy = f"Give one from 0 to {(1 << 31) - 1}"
            raise UsageError(f"{name}={size} is no size for an axis", remedy=remedy)


def _output_with(model: ModelProto, axis: str) -> str:
    """The first output that has an axis of that name; empty where none has."""
    for value in model.graph.output:
        held = tensor_type(value.type)
        if held is not None and any(dim.dim_param == axis for dim in held.shape.dim):
            return str(value.name)
    return ""


def all_sizes(
    model: ModelProto, batch: BatchAxes, size: int, dims: Mapping[str, int]
) -> dict[str, int]:
    """Sizes by the names of the inputs' axes, computed axes included.

    Raises UsageError where an expression yields no valid size.
    """
    known = {**dict.fromkeys(batch.symbols, size), **dims}
    size_of = dict(known)
    for text, inside in _computed(_shapes(model)).items():
        value = sizes.evaluate(str(text), known)
        if value is None and not known.keys() >= set(inside):
            continue
        if value is None or value.denominator != 1 or not 0 <= value < 1 << 31:
            given = ", ".join(f"{name}={known[name]}" for name in inside)
            came = "no number" if value is None else str(value)
            raise UsageError(f"an axis of size {text!r} would be {came}", where=given)
        size_of[str(text)] = int(value)
    return size_of


def _axes_there(known: Sequence[str], batch: BatchAxes) -> str:
    """The remedy for an unknown axis: the axes that `--dim` may name, or `--batch`."""
    if known:
        return f"It has: {', '.join(known)}"
    if batch.symbols:
        named = ", ".join(repr(symbol) for symbol in batch.symbols)
        return f"Only its batch ({named}) is free: give that with --batch"
    return "All its axes have a size"


def set_sizes(
    model: ModelProto,
    every: Iterable[GraphProto],
    batch: BatchAxes,
    size: int,
    dims: Mapping[str, int],
) -> None:
    """Fix the batch axes, and every axis whose name is in dims, in `every` graph of the model.

    Raises UsageError where an expression yields no valid size.
    """
    known = all_sizes(model, batch, size, dims)
    for graph in every:
        for value in (*graph.input, *graph.output, *graph.value_info):
            _substitute(value.type, known)
    axes = set(batch.axes)
    for name, axis, dim in _axes(model):
        if (name, axis) in axes:
            dim.dim_value = size


def _substitute(value: TypeProto, known: Mapping[str, int]) -> None:
    kind = value.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        _substitute(getattr(value, kind).elem_type, known)
    if kind == "tensor_type":
        for dim in value.tensor_type.shape.dim:
            size = sizes.evaluate(dim.dim_param, known) if dim.dim_param else None
            if size is not None and size.denominator == 1 and size >= 0:
                dim.dim_value = int(size)
