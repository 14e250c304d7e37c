"""A network's graph from its definition in torch, for maintainers."""

from __future__ import annotations

import math
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from onnxprof.zoo.declaration import Entry, Fill, Input, Source

if TYPE_CHECKING:
    from onnx import ModelProto

#: Batch size of the example that the exporter traces; 0 and 1 would become constants.
_BATCH = 2


def torch_source(
    factory: str,
    *gains: tuple[str, float],
    shifts: tuple[tuple[str, float], ...] = (),
    outputs: tuple[str, ...] = (),
) -> Source:
    """The network that `module:function` of `onnxprof.zoo.networks` returns.

    Its `forward` takes the entry's inputs in order, by their names.
    """
    return Source(partial(_build, factory, outputs), gains, shifts)


def _build(factory: str, outputs: tuple[str, ...], entry: Entry) -> ModelProto:
    from onnxprof.exporters.torch.exporter import to_proto

    module, _, function = factory.partition(":")
    network = getattr(import_module(f"onnxprof.zoo.networks.{module}"), function)()
    model: ModelProto = to_proto(
        network,
        {item.name: _example(item, dict(entry.dims)) for item in entry.inputs},
        axes={item.name: _symbols(item) for item in entry.inputs},
        outputs=outputs,
    )
    return model


def _symbols(item: Input) -> dict[int, str]:
    return {axis: size for axis, size in enumerate(item.shape) if isinstance(size, str)}


def _example(item: Input, dims: dict[str, int]) -> Any:
    """A tensor of the declared type, filled as the entry says."""
    import torch

    sizes = {"batch": _BATCH, **dims}
    shape = [sizes[size] if isinstance(size, str) else size for size in item.shape]
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
