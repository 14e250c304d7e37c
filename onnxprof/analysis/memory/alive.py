"""What is alive at each step of a run, and of a model that has not run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from onnxprof.analysis.memory import fusion
from onnxprof.analysis.memory.blocks import Layouts
from onnxprof.analysis.memory.liveness import Execution, Written, liveness
from onnxprof.analysis.memory.sharing import is_view, may_overwrite
from onnxprof.analysis.memory.sizes import tensor_bytes, total
from onnxprof.analysis.memory.tensors import Tensors
from onnxprof.analysis.once import once
from onnxprof.records.layer import Layer, LayerTable, Tensor
from onnxprof.records.memory import Liveness
from onnxprof.records.run import Run
from onnxprof.records.step import Step


def alive_in_run(run: Run) -> Liveness:
    """What was alive while each step of a run was executed, in the order of execution.

    Where a layer's step is not known, its activations are missing: all figures are lower limits.
    """
    return once(_alive_in, run.table, run.steps, run.folded)


def _alive_in(table: LayerTable, steps: tuple[Step, ...], folded: tuple[str, ...]) -> Liveness:
    tensors = once(Tensors, table)
    alive = _alive(tensors, [_of_step(step, tensors) for step in steps])
    known = {name for step in steps for name in step.layers} | set(folded)
    is_whole = not _misses(table, known, tensors)
    return alive if is_whole else replace(alive, at_least=(True,) * len(steps))


def _misses(table: LayerTable, known: Collection[str], tensors: Tensors) -> bool:
    """Whether a layer of the main graph yields an activation and is none of the known ones."""
    live = set(tensors.inputs)
    for layer in table.nodes:
        if not live.isdisjoint(tensors.reads(layer)):
            live.update(name for name, _ in tensors.outputs(layer))
            if layer.name not in known and not layer.parent and not is_view(layer):
                return True
    return False


def known_alive(run: Run) -> dict[str, int]:
    """Bytes alive while each step ran, by the step's name; without lower limits."""
    alive = alive_in_run(run)
    rows = zip(alive.steps, alive.alive_bytes, alive.at_least, strict=True)
    return {name: size for name, size, at_least in rows if not at_least}


def alive_in_table(table: LayerTable) -> Liveness:
    """What is alive while each layer runs, in the order of the file and with the usual fusions.

    A group that is usually computed in one step has one entry, named after its first layer.
    """
    tensors = Tensors(table)
    return _alive(tensors, _usual(table, tensors))


def executions_of(table: LayerTable, tensors: Tensors, block: int) -> list[Execution]:
    """The steps that onnxruntime will usually make of a table, with channels in whole blocks."""
    layouts = Layouts(tensors, block)
    works = [replace(w, seen=layouts.padded(w.layers)) for w in _usual(table, tensors)]
    executions = [
        _kept(each) if fusion.is_flattened(work.layers[0]) else each
        for each, work in zip(_executions(tensors, works), works, strict=True)
    ]
    return layouts.with_copies(executions, [work.layers for work in works])


def _kept(execution: Execution) -> Execution:
    """The same where no later activation takes the buffers of its outputs."""
    writes = tuple(replace(written, alike=None) for written in execution.writes)
    return replace(execution, writes=writes)


@dataclass(frozen=True, slots=True)
class _Work:
    """A step with the layers that it computes."""

    name: str
    layers: tuple[Layer, ...]
    seen: tuple[Tensor, ...] = ()
    """Outputs as they were at run time."""
    shared: tuple[str, ...] = ()


def _of_step(step: Step, tensors: Tensors) -> _Work:
    layers = tuple(tensors.layers[name] for name in step.layers if name in tensors.layers)
    return _Work(step.name, layers, step.outputs, step.shared)


def _usual(table: LayerTable, tensors: Tensors) -> list[_Work]:
    return [_Work(group[0].name, group) for group in fusion.groups(table, tensors)]


def _alive(tensors: Tensors, works: Sequence[_Work]) -> Liveness:
    given = {name: tensor_bytes(tensor) for name, tensor in tensors.inputs.items()}
    stored = [tensor_bytes(tensor) for tensor in tensors.stored]
    return liveness(_executions(tensors, works), given, stored)


def _executions(tensors: Tensors, works: Sequence[_Work]) -> list[Execution]:
    yields = [_yielded(work, tensors) for work in works]
    sources = tensors.sources({each.name for pairs in yields for each in pairs})
    equal = _equal(works, yields, tensors)
    spans = _spans(works, tensors)
    return [
        _execution(work, pairs, tensors, sources, equal, spans.get(index, -1))
        for index, (work, pairs) in enumerate(zip(works, yields, strict=True))
    ]


def _yielded(work: _Work, tensors: Tensors) -> list[Written]:
    """What the step leaves behind: the outputs that are not only read by its own layers."""
    inside: dict[str, int] = {}
    for layer in work.layers:
        for name in set(tensors.reads(layer)):
            inside[name] = inside.get(name, 0) + 1
    seen = {tensor.name: tensor for tensor in work.seen}
    return [
        _as_written(name, seen.get(tensor.name, tensor))
        for layer in work.layers
        for name, tensor in tensors.outputs(layer)
        if not tensors.readers(name) or tensors.readers(name) > inside.get(name, 0)
    ]


def _as_written(name: str, tensor: Tensor) -> Written:
    return Written(name, tensor_bytes(tensor), (tensor.shape, tensor.element_bits))


def _equal(
    works: Sequence[_Work], yields: Sequence[list[Written]], tensors: Tensors
) -> dict[str, str]:
    """From outputs of layers that equal another one in the step to the one that stands for all."""
    return {
        name: pairs[0].name
        for work, pairs in zip(works, yields, strict=True)
        for layer in work.layers
        if layer.name in work.shared
        for name, _ in tensors.outputs(layer)
        if pairs and pairs[0].name != name
    }


def _spans(works: Sequence[_Work], tensors: Tensors) -> dict[int, int]:
    """From steps with subgraphs to the last step of these."""
    at = {layer.name: index for index, work in enumerate(works) for layer in work.layers}
    spans: dict[int, int] = {}
    for index, work in enumerate(works):
        for layer in work.layers:
            for outer in tensors.ancestors(layer):
                if (around := at.get(outer.name)) is not None and around != index:
                    spans[around] = max(spans.get(around, around), index)
    return spans


def _execution(
    work: _Work,
    pairs: list[Written],
    tensors: Tensors,
    sources: Mapping[str, tuple[str, ...]],
    equal: dict[str, str],
    until: int,
) -> Execution:
    def held(names: Iterator[str]) -> tuple[str, ...]:
        found = (source for name in names for source in sources.get(name, ()))
        return tuple(dict.fromkeys(equal.get(source, source) for source in found))

    own = {name for layer in work.layers for name, _ in tensors.outputs(layer)}
    reads = (name for layer in work.layers for name in tensors.reads(layer) if name not in own)
    first = work.layers[0] if work.layers else None
    inside = first.parent if first else ""
    scratch, _ = total(map(tensor_bytes, work.seen)) if not work.layers else (0, False)
    return Execution(
        name=work.name,
        reads=held(reads),
        writes=tuple(each for each in pairs if each.name not in equal),
        view=first is not None and len(work.layers) == 1 and is_view(first),
        overwrites=held(_scoped(work, tensors, own)) if not inside else (),
        scratch_bytes=scratch,
        until=until,
    )


def _scoped(work: _Work, tensors: Tensors, own: Collection[str]) -> Iterator[str]:
    """Names of the inputs that may be overwritten, as other steps call them."""
    wanted = may_overwrite(work.layers)
    for layer in work.layers:
        for tensor, name in zip(layer.inputs, tensors.reads(layer), strict=True):
            if tensor.name in wanted and name not in own:
                yield name
