"""The error that quantising adds at each layer: both networks on the same inputs.

Run it in a process of its own, since it runs models. The reference runs both on the CPU with its
optimisations off, with the outputs of layers as outputs of the model; what the runtime fuses
rounds no more than that.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.checks.quantised.rewiring import fed, pruned, shown
from onnxprof.compare.quantised.gains import LayerError, sqnr_db
from onnxprof.compare.quantised.match import Group, Match, match
from onnxprof.errors import ModelError, UsageError
from onnxprof.model.feeds import from_file, generate
from onnxprof.model.file import ModelFile, batch_axes, declared_fills, prepare
from onnxprof.model.graph.read import read_prepared
from onnxprof.model.layers import inspect
from onnxprof.model.opened import Opened
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable, PreparedModel
from onnxprof.records.step import Granularity

Arrays = Mapping[str, NDArray[Any]]
#: Bytes of tensors that one session has as outputs.
SHARE_BYTES = 256 << 20
#: Elements that an axis of unknown size counts as.
_UNKNOWN = 64


@dataclass(frozen=True, slots=True)
class Question:
    """A float network and a quantised form of it, and on which inputs."""

    original: Opened
    quantised: Opened
    batch: int
    dims: tuple[tuple[str, int], ...] = ()
    seed: int = 0
    inputs: str = ""
    """The user's .npz file; empty for generated inputs."""
    threads: int = 1
    feed: Callable[[ModelFile], Arrays] | None = None
    """Picklable: the inputs, by the float model. Without it they are of the file, or the seed."""


@dataclass(frozen=True, slots=True)
class _Side:
    model: PreparedModel
    table: LayerTable
    threads: int

    @classmethod
    def of(cls, model: ModelFile, question: Question) -> _Side:
        dims = dict(question.dims)
        made = prepare(model, question.batch, dims)
        return cls(made, inspect(model, question.batch, dims), question.threads)

    def run(self, proto: Any, inputs: Arrays) -> Arrays:
        """Outputs of a changed model."""
        try:
            source = proto.SerializeToString()
        except Exception as error:
            raise ModelError(f"no layer's error can be told: {error}") from error
        work = Workload(
            replace(self.model, source=source),
            self.table,
            inputs,
            self.threads,
            granularity=Granularity.WRITTEN,
        )
        gc.collect()
        with registry.reference().open(work) as session:
            session.infer()
            return dict(session.values())


def layer_errors(question: Question) -> dict[str, LayerError]:
    """The error at each matched layer's output, under the names of the float layers.

    Raises ModelError and BackendError for models that do not run, UsageError where the two
    networks have no layer in common.
    """
    models = question.original.unpacked(), question.quantised.unpacked()
    original, quantised = (_Side.of(model, question) for model in models)
    found = match(original.table, quantised.table)
    if not found.groups:
        raise UsageError(
            "no layer of the quantised network has a counterpart",
            where=f"{question.original.facts.name}, {question.quantised.facts.name}",
        )
    inputs = _inputs(question, models[0], original.table)
    errors: dict[str, LayerError] = {}
    for groups in _shares(list(_comparable(found, original.table)), original.table):
        errors |= _errors(original, quantised, found, groups, inputs)
    return errors


def _inputs(question: Question, model: ModelFile, table: LayerTable) -> Arrays:
    if question.feed is not None:
        return question.feed(model)
    if question.inputs:
        return from_file(Path(question.inputs), table, batch_axes(model, {}).axes)[0]
    return generate(table, question.seed, declared_fills(model))


def _comparable(found: Match, table: LayerTable) -> Iterator[Group]:
    """Those that yield floats."""
    kinds = {t.name: t.dtype for layer in table.nodes for t in layer.outputs}
    for group in found.groups:
        known = group.float_tensor and group.quantised_tensor
        if known and kinds.get(group.float_tensor, "") in ("float32", "float16", ""):
            yield group


def _shares(groups: Sequence[Group], table: LayerTable) -> Iterator[list[Group]]:
    """Groups in order, as many at once as `SHARE_BYTES` allows."""
    shapes = {t.name: t.shape for layer in table.nodes for t in layer.outputs}
    share: list[Group] = []
    held = 0
    for group in groups:
        size = 4
        for axis in shapes.get(group.float_tensor) or (_UNKNOWN,) * 3:
            size *= axis if isinstance(axis, int) else _UNKNOWN
        if share and held + size > SHARE_BYTES:
            yield share
            share, held = [], 0
        share.append(group)
        held += size
    if share:
        yield share


def _errors(
    original: _Side, quantised: _Side, found: Match, groups: Sequence[Group], inputs: Arrays
) -> dict[str, LayerError]:
    """Errors of these groups; their inputs are fed from the float network, too."""
    theirs = {name: inputs[t] for name, t in found.carried.items() if t in inputs}
    borders = _borders(found, groups, quantised.table)
    wanted = {g.quantised_tensor: g.float_tensor for g in groups}
    values = _float_values(original, {*wanted.values(), *borders.values()}, inputs)
    so_far = _quantised_values(quantised, wanted | borders, {}, theirs)
    feeds = {
        v: a for v, t in borders.items() if (a := _like(so_far.get(v), values.get(t))) is not None
    }
    alone = _quantised_values(quantised, wanted, feeds, theirs)
    errors: dict[str, LayerError] = {}
    for group in groups:
        told = _error(values, so_far, alone, group)
        if told is not None:
            errors |= dict.fromkeys(group.float_layers, told)
    return errors


def _borders(found: Match, groups: Sequence[Group], table: LayerTable) -> dict[str, str]:
    """Tensors of the quantised network that these groups read, and the float ones to feed."""
    names = {n for group in groups for n in group.quantised_layers}
    layers = {layer.name: layer for layer in table.nodes}
    maker = {t.name: layer for layer in table.nodes for t in layer.outputs}
    yields = {g.quantised_tensor: g.float_tensor for g in found.groups if g.float_tensor}
    waiting = [t.name for name in names for t in layers[name].inputs]
    borders, seen = {}, set[str]()
    while waiting:
        tensor = waiting.pop()
        if tensor in seen:
            continue
        seen.add(tensor)
        if tensor in yields:
            borders[tensor] = yields[tensor]
        elif tensor in maker and maker[tensor].name in found.beside:
            waiting += [t.name for t in maker[tensor].inputs]
    return borders


def _float_values(side: _Side, tensors: set[str], inputs: Arrays) -> Arrays:
    proto = read_prepared(side.model)
    there = {name for node in proto.graph.node for name in node.output}
    shown(proto, sorted(tensors & there))
    pruned(proto)
    return side.run(proto, inputs)


def _quantised_values(
    side: _Side, wanted: Mapping[str, str], feeds: Arrays, inputs: Arrays
) -> dict[str, NDArray[Any]]:
    """What the wanted tensors hold, dequantised, with others fed where `feeds` has them."""
    proto = read_prepared(side.model)
    there = {name for node in proto.graph.node for name in node.output}
    outputs = shown(proto, [tensor for tensor in wanted if tensor in there])
    given = dict(inputs)
    kept = {v: a for v, a in feeds.items() if v in there and a.dtype.kind == "f"}
    names = fed(proto, list(kept)) if kept else {}
    given |= {names[v]: np.asarray(a, np.float32) for v, a in kept.items()}
    pruned(proto)
    read = {value.name for value in proto.graph.input}
    values = side.run(proto, {name: array for name, array in given.items() if name in read})
    return {v: values[name] for v, name in outputs.items() if name in values}


def _error(values: Arrays, so_far: Arrays, alone: Arrays, group: Group) -> LayerError | None:
    """None where the tensors are not there or not alike."""
    reference = values.get(group.float_tensor)
    first, second = (its.get(group.quantised_tensor) for its in (so_far, alone))
    if reference is None or first is None or second is None or not reference.size:
        return None
    reference = _like(first, reference)
    if reference is None or first.shape != second.shape or reference.dtype.kind != "f":
        return None
    largest = np.max(np.abs(np.asarray(reference, np.float64) - first))
    return LayerError(sqnr_db(reference, first), sqnr_db(reference, second), float(largest))


def _like(wanted: NDArray[Any] | None, array: NDArray[Any] | None) -> NDArray[Any] | None:
    """The array in the shape of the other; None where one is missing or has other elements.

    Tools put reshapes around a layer.
    """
    if wanted is None or array is None or wanted.size != array.size:
        return None
    return array.reshape(wanted.shape)
