"""Which axes of a model's inputs are the batch, and which others have no size yet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from onnx import ModelProto, TypeProto, ValueInfoProto

from onnxprof.contracts import UsageError
from onnxprof.graph import graphs, initializer_names

_BATCH_NAMES = {"n", "b", "bs", "bsz", "nb"}
_ANONYMOUS = re.compile(r"^(unk__\d+|unknown.*|\?|-1|None)?$")
_NOT_BATCH = re.compile(r"seq|len|time|height|width|chan|frame|^[hwtlsc]$", re.IGNORECASE)
#: Operators whose initial states have the batch at axis 1 (operator specification, layout 0).
_STATE_INPUTS = {"LSTM": (5, 6), "GRU": (5,), "RNN": (5,)}

Axis = tuple[str, int]


@dataclass(frozen=True, slots=True)
class BatchAxes:
    """Where the batch enters the model."""

    axes: tuple[Axis, ...]
    """(input name, axis) of each batch axis."""
    own: int
    """The file's own batch: the fixed size, or 1 where the batch is symbolic."""
    fixed: bool
    """The file fixes the batch, so another one needs a rewrite."""
    symbols: tuple[str, ...] = ()
    """Names of the symbolic batch axes."""
    problem: str = ""
    """Why there is no batch axis; empty if there is one."""


@dataclass(frozen=True, slots=True)
class FreeDim:
    """A symbolic axis other than the batch."""

    name: str
    inputs: tuple[str, ...]
    """The inputs that have it."""


def tensor_type(value: TypeProto) -> TypeProto.Tensor | None:
    """The tensor type, seen through an optional; None for sequences and maps."""
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
    """Give every input axis that has neither size nor name one like `data.axis2`."""
    changed = False
    for name, axis, dim in _axes(model):
        unnamed = dim.dim_param in ("", "?", "-1", "None") and not dim.dim_value
        if unnamed or dim.dim_value < 0:
            dim.dim_param = f"{name}.axis{axis}"
            changed = True
    return changed


def _axes(model: ModelProto) -> Iterator[tuple[str, int, Any]]:
    for value in input_values(model):
        held = tensor_type(value.type)
        if held is not None:
            for axis, dim in enumerate(held.shape.dim):
                yield value.name, axis, dim


def _shapes(model: ModelProto) -> dict[str, list[int | str]]:
    """Input shapes; every axis has a size or a name once name_anonymous has run."""
    shapes: dict[str, list[int | str]] = {}
    for name, _, dim in _axes(model):
        size = dim.dim_value if dim.HasField("dim_value") else dim.dim_param
        shapes.setdefault(name, []).append(size)
    return shapes


def find(model: ModelProto) -> BatchAxes:
    """The batch axes of a model whose anonymous axes are named."""
    shapes = _shapes(model)
    symbols = _batch_symbols(shapes)
    if symbols:
        axes = tuple(
            (n, i) for n, dims in shapes.items() for i, d in enumerate(dims) if d in symbols
        )
        return BatchAxes(axes, 1, False, tuple(sorted(symbols)))
    return _fixed(model, shapes)


def _batch_symbols(shapes: Mapping[str, list[int | str]]) -> set[str]:
    named = {d for dims in shapes.values() for d in dims if isinstance(d, str)}
    found = {d for d in named if "batch" in d.lower()}
    found = found or {d for d in named if d.lower() in _BATCH_NAMES}
    first = next(iter(shapes.values()), [0])[0]
    if not found and isinstance(first, str) and not _NOT_BATCH.search(_plain(first)):
        found = {first}
    fronts = ((n, d[0]) for n, d in shapes.items())
    return found | {d for n, d in fronts if isinstance(d, str) and _is_anonymous(d, n)}


def _plain(symbol: str) -> str:
    return "" if re.search(r"\.axis\d+$", symbol) else symbol


def _is_anonymous(dim: str, name: str) -> bool:
    return dim == f"{name}.axis0" or bool(_ANONYMOUS.match(dim))


def _fixed(model: ModelProto, shapes: Mapping[str, list[int | str]]) -> BatchAxes:
    states = _state_inputs(model)
    axes = [(n, 1 if n in states and len(d) == 3 else 0) for n, d in shapes.items()]
    ranked = [a for a in axes if len(shapes[a[0]]) > 1]
    for group in (axes, ranked):
        sizes = {shapes[n][axis] for n, axis in group}
        own = next(iter(sizes), None)
        if len(sizes) == 1 and isinstance(own, int) and own > 0:
            return BatchAxes(tuple(group), own, True)
    what = "its inputs do not share a first axis" if axes else "no input has a batch axis"
    return BatchAxes((), 1, True, problem=what)


def _state_inputs(model: ModelProto) -> set[str]:
    nodes = (node for graph in graphs(model.graph) for node in graph.node)
    return {
        node.input[i]
        for node in nodes
        for i in _STATE_INPUTS.get(node.op_type, ())
        if i < len(node.input) and not any(a.name == "layout" and a.i for a in node.attribute)
    }


def free_dims(model: ModelProto, batch: BatchAxes) -> tuple[FreeDim, ...]:
    """Symbolic input axes other than the batch, in order of appearance."""
    found: dict[str, list[str]] = {}
    for name, dims in _shapes(model).items():
        for dim in dims:
            if isinstance(dim, str) and dim not in batch.symbols:
                found.setdefault(dim, []).append(name)
    return tuple(FreeDim(n, tuple(dict.fromkeys(inputs))) for n, inputs in found.items())


def check_dims(free: tuple[FreeDim, ...], batch: BatchAxes, dims: Mapping[str, int]) -> None:
    """Raise UsageError for a size given to an axis that the model does not have."""
    known = [f.name for f in free]
    for name, size in dims.items():
        if name in batch.symbols:
            raise UsageError(f"{name!r} is the batch axis", remedy="Give its size with --batch")
        if name not in known:
            raise UsageError(
                f"the model has no symbolic axis {name!r}", remedy=_axes_there(known, batch)
            )
        if not 0 < size < 1 << 31:
            raise UsageError(f"{name}={size} is no size for an axis", remedy="Give a positive one")


def _axes_there(known: Sequence[str], batch: BatchAxes) -> str:
    """What `--dim` may name instead; the batch is an axis, but not one of these."""
    if known:
        return f"It has: {', '.join(known)}"
    if batch.symbols:
        named = ", ".join(repr(symbol) for symbol in batch.symbols)
        return f"Only its batch ({named}) is free: give that with --batch"
    return "All its axes have a size"


def set_sizes(model: ModelProto, batch: BatchAxes, size: int, dims: Mapping[str, int]) -> None:
    """Fix the batch axes, and every axis whose name is in dims, wherever it is declared."""
    sizes = {**dict.fromkeys(batch.symbols, size), **dims}
    for graph in graphs(model.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            _substitute(value.type, sizes)
    axes = set(batch.axes)
    for name, axis, dim in _axes(model):
        if (name, axis) in axes:
            dim.dim_value = size


def _substitute(value: TypeProto, sizes: Mapping[str, int]) -> None:
    kind = value.WhichOneof("value")
    if kind in ("sequence_type", "optional_type"):
        _substitute(getattr(value, kind).elem_type, sizes)
    if kind == "tensor_type":
        for dim in value.tensor_type.shape.dim:
            if dim.dim_param in sizes:
                dim.dim_value = sizes[dim.dim_param]
