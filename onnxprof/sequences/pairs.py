"""Pairs of inputs and outputs that are one state, by what operators do and by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from onnxprof.records.layer import Layer, Tensor
from onnxprof.sequences.names import stem
from onnxprof.sequences.reach import Graph, operands


@dataclass(frozen=True, slots=True)
class Carrier:
    """How an operator takes a state and returns it: positions, and the axis that grows."""

    places: tuple[tuple[int, int], ...]
    """(input, output) of each state."""
    axis: int | None = None
    attribute: str = ""
    """The attribute by which its output may be where its input is; empty for never."""
    always: bool = False
    """Whether it always may."""
    length: int | None = None
    """The position of the tokens in the cache, which it takes where it always is."""


_CELL = Carrier(((5, 1), (6, 2)))
_SHARE = "past_present_share_buffer"
#: By (domain, operator); positions and axes are of the operators' specifications.
CARRIERS: Mapping[tuple[str, str], Carrier] = {
    ("", "LSTM"): _CELL,
    ("", "GRU"): Carrier(((5, 1),)),
    ("", "RNN"): Carrier(((5, 1),)),
    ("", "Attention"): Carrier(((4, 1), (5, 2)), 2),
    ("com.microsoft", "GroupQueryAttention"): Carrier(((3, 1), (4, 2)), 2, always=True),
    ("com.microsoft", "SparseAttention"): Carrier(((3, 1), (4, 2)), 2, always=True),
    ("com.microsoft", "MultiHeadAttention"): Carrier(((6, 1), (7, 2)), 2, length=8),
    ("com.microsoft", "Attention"): Carrier(((4, 1),), 3, _SHARE),
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): Carrier(((5, 1), (6, 2)), 2, _SHARE),
    ("com.microsoft", "DecoderMaskedSelfAttention"): Carrier(((4, 1),), 3, _SHARE),
}


@dataclass(frozen=True, slots=True)
class Tie:
    """An input and an output that are one state."""

    input: Tensor
    output: Tensor
    evidence: tuple[str, ...]
    axis: int | None = None
    shared: bool = False


def ties(graph: Graph, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tie]:
    """One for each state that is taken and returned, in the order of the inputs."""
    finder = _Finder(graph, inputs, outputs)
    found = [*finder.by_operator(), *finder.by_name(), *finder.by_growth()]
    order = {tensor.name: place for place, tensor in enumerate(inputs)}
    return sorted(found, key=lambda tie: order[tie.input.name])


@dataclass(slots=True)
class _Finder:
    graph: Graph
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    _taken: set[str] = field(default_factory=set)
    _ahead: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    _behind: dict[str, dict[str, set[int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ahead = {t.name: self.graph.ahead(t.name) for t in self.inputs}
        self._behind = {t.name: self.graph.behind(t.name) for t in self.outputs}

    def by_operator(self) -> Iterator[Tie]:
        """An operator that has a state takes the one and returns the other."""
        for layer in self.graph.table.nodes:
            carrier = CARRIERS.get((layer.domain, layer.op_type))
            for taken, returned in carrier.places if carrier else ():
                ins = [t for t in self._free_inputs() if taken in self._reads(t, layer)]
                outs = [t for t in self._free_outputs() if returned in self._makes(t, layer)]
                if carrier and len(ins) == len(outs) == 1 and fits(ins[0], outs[0]):
                    yield self._tied(layer, carrier, (ins[0], taken), (outs[0], returned))

    def _tied(
        self, layer: Layer, carrier: Carrier, taken: tuple[Tensor, int], made: tuple[Tensor, int]
    ) -> Tie:
        before, after = taken[0], made[0]
        self._taken |= {f"< {before.name}", f"> {after.name}"}
        straight = _is_at(layer.inputs, before) and _is_at(layer.outputs, after)
        switched = dict(layer.attributes).get(carrier.attribute, "0") not in ("", "0")
        counted = any(place == carrier.length for place, _ in operands(layer))
        shared = straight and (carrier.always or switched or counted)
        axis = carrier.axis if straight else _axis(before, after, carrier.axis)
        why = f"{layer.op_type} {layer.name} takes and returns it"
        return Tie(before, after, (why, *_alike(before, after)), axis, shared)

    def by_name(self) -> Iterator[Tie]:
        """Names that are equal without the words for past and present."""
        befores, afters = _stems(self._free_inputs()), _stems(self._free_outputs())
        for (words, kind), inputs in befores.items():
            outputs = afters.get((words, kind), [])
            if len(inputs) != 1 or len(outputs) != 1:
                continue
            (before, says), (after, says_too) = inputs[0], outputs[0]
            if (says or says_too) and before.name != after.name and fits(before, after):
                self._taken |= {f"< {before.name}", f"> {after.name}"}
                axis = _axis(before, after, self._joined(before, after))
                said = (*_alike(before, after), *self._growth(before, after))
                yield Tie(before, after, said, axis)

    def by_growth(self) -> Iterator[Tie]:
        """A Concat adds to the one what makes the other."""
        for before in self._free_inputs():
            outs = [t for t in self._free_outputs() if self._growth(before, t) and fits(before, t)]
            joined = self._joined(before, outs[0]) if len(outs) == 1 else None
            axis = _axis(before, outs[0], joined) if len(outs) == 1 else None
            if axis is not None:
                self._taken |= {f"< {before.name}", f"> {outs[0].name}"}
                yield Tie(before, outs[0], self._growth(before, outs[0]), axis)

    def _growth(self, before: Tensor, after: Tensor) -> tuple[str, ...]:
        ahead, behind = self._ahead[before.name], self._behind[after.name]
        joins = (
            layer.name
            for layer in self.graph.table.nodes
            if layer.op_type == "Concat" and layer.name in ahead and layer.name in behind
        )
        return tuple(f"Concat {name} adds to it" for name in joins)[:1]

    def _joined(self, before: Tensor, after: Tensor) -> int | None:
        """The free axis along which a Concat makes the one of the other, with nothing between."""
        rank = len(before.shape or ())
        for layer in self.graph.table.nodes:
            joins = layer.op_type == "Concat" and _is_at(layer.inputs, before)
            if joins and _is_at(layer.outputs, after) and rank:
                axis = int(dict(layer.attributes).get("axis", "0")) % rank
                return None if isinstance((before.shape or ())[axis], int) else axis
        return None

    def _free_inputs(self) -> list[Tensor]:
        return [t for t in self.inputs if f"< {t.name}" not in self._taken]

    def _free_outputs(self) -> list[Tensor]:
        return [t for t in self.outputs if f"> {t.name}" not in self._taken]

    def _reads(self, tensor: Tensor, layer: Layer) -> set[int]:
        return self._ahead[tensor.name].get(layer.name, set())

    def _makes(self, tensor: Tensor, layer: Layer) -> set[int]:
        return self._behind[tensor.name].get(layer.name, set())


def _is_at(tensors: Sequence[Tensor], wanted: Tensor) -> bool:
    return any(tensor.name == wanted.name for tensor in tensors)


def _stems(
    tensors: Sequence[Tensor],
) -> dict[tuple[tuple[str, ...], str], list[tuple[Tensor, bool]]]:
    """By the words that are left, and the type: a state has one input and one output."""
    found: dict[tuple[tuple[str, ...], str], list[tuple[Tensor, bool]]] = defaultdict(list)
    for tensor in tensors:
        words, says = stem(tensor.name)
        found[words, tensor.dtype].append((tensor, says))
    return {key: _sayers(every) for key, every in found.items()}


def _sayers(every: list[tuple[Tensor, bool]]) -> list[tuple[Tensor, bool]]:
    """Those whose names say that they are a state, where some do: `state` beside `input`."""
    return [pair for pair in every if pair[1]] or every


def fits(before: Tensor, after: Tensor) -> bool:
    """Whether the output may be the input of the next inference, as far as types say."""
    if before.dtype != after.dtype:
        return False
    if before.shape is None or after.shape is None:
        return True
    pairs = list(zip(before.shape, after.shape, strict=False))
    unlike = sum(isinstance(a, int) and isinstance(b, int) and a != b for a, b in pairs)
    return len(before.shape) == len(after.shape) and unlike <= 1


def _axis(before: Tensor, after: Tensor, known: int | None) -> int | None:
    """The axis along which the output is longer: the one whose size differs."""
    if before.shape is None or after.shape is None:
        return known
    differing = [
        axis
        for axis, (a, b) in enumerate(zip(before.shape, after.shape, strict=True))
        if a != b and a is not None
    ]
    return differing[0] if len(differing) == 1 else known


def _alike(before: Tensor, after: Tensor) -> tuple[str, ...]:
    said = []
    if stem(before.name)[0] == stem(after.name)[0]:
        said.append("the names differ in nothing but past and present")
    axis = _axis(before, after, None)
    if axis is not None and before.shape and after.shape:
        said.append(f"axis {axis} is {before.shape[axis]} before and {after.shape[axis]} after")
    elif before.shape is not None and before.shape == after.shape:
        said.append("the shapes are equal")
    return tuple(said)
