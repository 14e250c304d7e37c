"""`onnxprof.inspect` and `onnxprof.cost`: what a model's file says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from onnxprof.api.base.door import public
from onnxprof.api.base.models import Model, referred
from onnxprof.api.base.telling import warn_each
from onnxprof.api.options import Sizes, axes, limits, sizes
from onnxprof.api.reading import Expressed, Seen, express, look
from onnxprof.errors import UsageError
from onnxprof.model.sources.resolve import resolve

if TYPE_CHECKING:
    from onnxprof.api.results.inspection import Costs, Inspection, SymbolicCosts
    from onnxprof.processes.limits import Limits


@public
def inspect(
    model: Model,
    batch: int | Iterable[int] = 1,
    dims: Sizes | None = None,
    *,
    phase: str = "",
    timeout: float = 900.0,
    memory: float = 0.0,
) -> Inspection:
    """List every layer with its operator, tensors, dtypes and shapes at batch sizes.

    `dims` has sizes of other free axes: a number, several, or a tie such as `"past + new"`.
    `phase` is that of a model with states whose sizes are meant: `decode:512`. The file is read in
    a process of its own with `timeout` in seconds and `memory` in GiB, 0 for what is free. What
    the model cannot have, such as a batch, is a warning. Raises UsageError or ModelError.

    >>> import onnxprof as op
    >>> found = op.inspect("zoo:lenet", batch=(1, 8))
    >>> [layer.op_type for layer in found.layers][:4]
    ['Reshape', 'Conv', 'Add', 'Relu']
    >>> found.tables[1].nodes[1].outputs[0].shape
    (8, 8, 28, 28)
    >>> found.parameters
    5994
    """
    from onnxprof.api.results.inspection import Inspection

    batches = sizes(batch)
    seen = _seen(model, batches, dims, phase, False, limits(timeout, memory))
    notes = tuple(seen.notes(batches))
    warn_each(notes)
    return Inspection(seen.name, tuple(seen.tables), seen.parameters, seen.fed, notes, seen.phase)


@public
def cost(
    model: Model,
    batch: int | Iterable[int] = 1,
    dims: Sizes | None = None,
    *,
    phase: str = "",
    timeout: float = 900.0,
    memory: float = 0.0,
) -> Costs:
    """Count the operations, bytes and parameters of each layer at batch sizes (docs/cost.md).

    The parameters are those of `inspect`. `symbolic_cost` counts in the free axes instead.

    >>> import onnxprof as op
    >>> found = op.cost("zoo:lenet")
    >>> found.layers[1].operations.macs
    156800
    """
    from onnxprof.api.results.inspection import Costs

    batches = sizes(batch)
    seen = _seen(model, batches, dims, phase, True, limits(timeout, memory))
    notes = tuple(seen.notes(batches))
    warn_each(notes)
    return Costs(seen.name, tuple(zip(seen.tables, seen.costs, strict=True)), notes, seen.phase)


@public
def symbolic_cost(
    model: Model,
    batch: int | Iterable[int] = 1,
    dims: Sizes | None = None,
    *,
    phase: str = "",
    timeout: float = 900.0,
    memory: float = 0.0,
) -> SymbolicCosts:
    """Count the operations and bytes of each layer as expressions in the free axes.

    `batch`, `dims` and `phase` say the sizes at which sums are shown, too.

    >>> import onnxprof as op
    >>> found = op.symbolic_cost("zoo:lenet")
    >>> [axis.name for axis in found.cost.axes]
    ['batch']
    """
    from onnxprof.api.results.inspection import SymbolicCosts

    batches = sizes(batch)
    made = _expressed(model, dims, phase, limits(timeout, memory))
    notes = (f"{made.name}: {made.note}",) if made.note else ()
    warn_each(notes)
    return SymbolicCosts(made.name, made.cost, tuple(made.points(batches)), notes, made.phase)


def _seen(
    model: Model,
    batches: tuple[int, ...],
    dims: Sizes | None,
    phase: str,
    is_costed: bool,
    within: Limits,
) -> Seen:
    with referred(model) as names:
        file = resolve(_only(names))
        return look(file, batches, axes(dims), is_costed, within, phase=phase)


def _expressed(model: Model, dims: Sizes | None, phase: str, within: Limits) -> Expressed:
    with referred(model) as names:
        file = resolve(_only(names))
        return express(file, axes(dims), within, phase=phase)


def _only(names: tuple[str, ...]) -> str:
    if len(names) != 1:
        raise UsageError(f"{len(names)} models are given, and one is taken")
    return names[0]
