"""A network's graph from its definition in torch, for maintainers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxprof.zoo.declaration import Entry, Fill, Input, Source, size_of

if TYPE_CHECKING:
    from onnx import ModelProto

#: Batch size of the example that the exporter traces; 0 and 1 would become constants.
_BATCH = 2
#: Elements of a weight that keeps its values until it gets its recipe.
_SMALL = 1 << 16


def torch_source(
    factory: str,
    *gains: tuple[str, float],
    shifts: tuple[tuple[str, float], ...] = (),
    outputs: tuple[str, ...] = (),
    traced: tuple[tuple[str, int], ...] = (),
    apart: bool = False,
) -> Source:
    """The network that `module:function` of `onnxprof.zoo.networks` returns.

    Its `forward` takes the entry's inputs in order, by their names; those called `STEM.…` as one
    list, by the stem. `traced` has lengths to trace at where a default of 0 or 1 would become a
    constant.
    """
    return Source(partial(_build, factory, outputs, traced), gains, shifts, apart)


def _build(
    factory: str,
    outputs: tuple[str, ...],
    traced: tuple[tuple[str, int], ...],
    entry: Entry,
) -> ModelProto:
    import onnx_ir

    from onnxprof.exporters.torch.exporter import to_model

    module, _, function = factory.partition(":")
    network = getattr(import_module(f"onnxprof.zoo.networks.{module}"), function)()
    sizes = {"batch": _BATCH, **dict(entry.dims), **dict(traced)}
    traced_model = to_model(
        network,
        _arguments(entry.inputs, lambda item: _example(item, sizes)),
        axes=_arguments(entry.inputs, _symbols),
        outputs=outputs,
        input_names=tuple(item.name for item in entry.inputs),
    )
    _drop_values(traced_model)
    model: ModelProto = onnx_ir.to_proto(traced_model)
    _declare_axes(model, entry)
    return model


def _drop_values(model: Any) -> None:
    """Leave type and shape of large weights, which get recipes: their values take gigabytes."""
    from onnx import TensorProto
    from onnx_ir.serde import TensorProtoTensor

    for name, value in model.graph.initializers.items():
        held = value.const_value
        if held is not None and held.dtype.is_floating_point() and held.size > _SMALL:
            stub = TensorProto(name=name, dims=list(held.shape), data_type=held.dtype.value)
            value.const_value = TensorProtoTensor(stub)


def _arguments(inputs: Iterable[Input], make: Callable[[Input], Any]) -> dict[str, Any]:
    """What `forward` takes: inputs called `STEM.…` make a list."""
    made: dict[str, Any] = {}
    for item in inputs:
        stem, dot, _ = item.name.partition(".")
        if dot:
            made.setdefault(stem, []).append(make(item))
        else:
            made[stem] = make(item)
    return made


def _symbols(item: Input) -> dict[int, str]:
    """Names of symbolic axes; torch takes no sums for a name."""
    return {
        axis: size.replace(" + ", "_and_")
        for axis, size in enumerate(item.shape)
        if isinstance(size, str)
    }


def _declare_axes(model: ModelProto, entry: Entry) -> None:
    """Give inputs the axes of the entry, and sums of symbols in outputs the entry's order."""
    for value, item in zip(model.graph.input, entry.inputs, strict=True):
        for dim, size in zip(value.type.tensor_type.shape.dim, item.shape, strict=True):
            if isinstance(size, str):
                dim.dim_param = size
    sums = {frozenset(_terms(size)): str(size) for item in entry.inputs for size in item.shape}
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = sums.get(frozenset(_terms(dim.dim_param)), dim.dim_param)


def _terms(size: str | int) -> list[str]:
    return str(size).split(" + ")


def _example(item: Input, sizes: dict[str, int]) -> Any:
    """A tensor of the declared type, filled as the entry says."""
    import torch

    shape = [size_of(size, sizes) for size in item.shape]
    dtype, fill = getattr(torch, item.dtype), item.fill or Fill("normal")
    generator = torch.Generator().manual_seed(0)
    match fill.kind:
        case "integers":
            return torch.randint(int(fill.low), int(fill.high), shape, generator=generator).to(
                dtype
            )
        case "constant":
            return torch.full(shape, fill.low).to(dtype)
        case "range":
            return (torch.arange(shape[-1]) + fill.low).expand(shape).to(dtype).contiguous()
        case "uniform":
            values = torch.rand(math.prod(shape), generator=generator).reshape(shape)
            return (fill.low + (fill.high - fill.low) * values).to(dtype)
    return torch.randn(shape, generator=generator).to(dtype)
