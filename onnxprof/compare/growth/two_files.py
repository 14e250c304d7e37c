"""Two files that are one model: one for the prompt, one for the tokens behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from math import prod

from onnxprof.records.layer import LayerKind, LayerTable, Tensor
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase, PhaseKind

#: The part of the elements of either's matrices that both have. A file for later tokens lacks no
#: more than what reads an encoder's outputs: an eighth of a decoder's layers.
_SHARED = 0.75
#: Runs of one file by their phases.
Group = Mapping[str, Run]


def pairs(groups: Sequence[Group]) -> list[tuple[int, int]]:
    """Places of groups that belong together, the prompt's first; each group is in one at most.

    Of several that would do, as where files were exported anew, those measured closest in time.
    """
    prompts = [i for i, group in enumerate(groups) if _kinds(group) == {PhaseKind.PREFILL}]
    behind = [i for i, group in enumerate(groups) if _kinds(group) == {PhaseKind.DECODE}]
    halves = [next(iter(group.values())) for group in groups]
    places = product(prompts, behind)
    fitting = [(i, j) for i, j in places if are_one_model(halves[i], halves[j])]
    fitting.sort(key=lambda pair: _seconds_between(groups[pair[0]], groups[pair[1]]))
    found: list[tuple[int, int]] = []
    for pair in fitting:
        if not {each for other in found for each in other} & set(pair):
            found.append(pair)
    return found


def _kinds(group: Group) -> set[PhaseKind]:
    return {Phase.of(text).kind for text in group}


def _seconds_between(prompt: Group, behind: Group) -> float:
    made = [[_created(run) for run in group.values()] for group in (prompt, behind)]
    return min(abs(one - other) for one, other in product(*made))


def _created(run: Run) -> float:
    try:
        return datetime.fromisoformat(run.created).timestamp()
    except ValueError:  # a stored file may say anything
        return 0.0


def are_one_model(prompt: Run, behind: Run) -> bool:
    """Whether the one's file computes the caches that the other's takes, with the same weights.

    A file that takes caches itself is no half: it has both phases.
    """
    first, second = Phase.of(prompt.request.phase), Phase.of(behind.request.phase)
    known = {tensor.name for tensor in _given(prompt.table)}
    caches = [tensor for tensor in _given(behind.table) if tensor.name not in known]
    tensors = [tensor for layer in prompt.table.nodes for tensor in layer.outputs]
    forms = {form for tensor in tensors for form in _forms(tensor, {first.total})}
    lengths = {second.kept, second.total}
    made = all(forms.intersection(_forms(cache, lengths)) for cache in caches)
    return bool(caches) and made and _share_weights(prompt.table, behind.table)


def _given(table: LayerTable) -> Iterator[Tensor]:
    return (layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT)


def _forms(tensor: Tensor, lengths: set[int]) -> Iterator[tuple[object, ...]]:
    """The type and shape; also with an axis of these lengths as the one that grows."""
    shape = tensor.shape or ()
    if shape:
        yield tensor.dtype, *shape
    for axis, size in enumerate(shape):
        if size in lengths:
            yield tensor.dtype, *shape[:axis], "grows", *shape[axis + 1 :]


def _share_weights(one: LayerTable, other: LayerTable) -> bool:
    first, second = _matrices(one), _matrices(other)
    larger = max(first.total(), second.total())
    return (first & second).total() >= _SHARED * larger


def _matrices(table: LayerTable) -> Counter[tuple[object, ...]]:
    """Elements of all weights of two axes and more, by type and shape."""
    found: Counter[tuple[object, ...]] = Counter()
    for layer in table:
        weight = layer.outputs[0] if layer.kind is LayerKind.INITIALIZER else None
        if weight is not None and weight.shape and len(weight.shape) > 1 and weight.is_static:
            sizes = [size for size in weight.shape if isinstance(size, int)]
            found[weight.dtype, *weight.shape] += prod(sizes)
    return found
