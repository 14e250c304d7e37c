"""Which inputs and outputs of a model are states, and what its other inputs say of a sequence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from onnxprof.records.layer import LayerKind, LayerTable, Tensor
from onnxprof.records.sequences.states import Role, State, States
from onnxprof.sequences.names import is_after, is_before
from onnxprof.sequences.pairs import Tie, ties
from onnxprof.sequences.reach import Graph

_WHOLE = ("int64", "int32")
#: Axes of tokens as vectors: batch, tokens, channels.
_VECTORS = 3
#: Inputs by name, where no operator says what they are; the first that fits counts.
_NAMES: tuple[tuple[Role, str], ...] = (
    (Role.BRANCH, r"use_cache"),
    (Role.MASK, r"mask"),
    (Role.LAST, r"^seqlens?_k$"),
    (Role.TOTAL, r"^total_seq(uence)?_?len"),
    (Role.KEPT, r"^(past|cache)_?(seq(uence)?)?_?len(gth)?s?$"),
    (Role.POSITIONS, r"position_?ids?$|^cache_position$|^positions?$"),
    (Role.BEAMS, r"^(num_beams|beam_width)$"),
    (Role.BEAM, r"^(beam_idx|cache_indirection)$"),
    (Role.TOKENS, r"(^|_)(input_ids|input_?embeds|inputs_embeds|tokens?|token_ids|ids)$"),
)
#: What operators of attention say of the inputs that they read as they are, by position.
_OPERANDS: Mapping[tuple[str, str], Mapping[int, Role]] = {
    ("com.microsoft", "GroupQueryAttention"): {5: Role.LAST, 6: Role.TOTAL, 9: Role.POSITIONS},
    ("com.microsoft", "SparseAttention"): {7: Role.TOTAL, 8: Role.TOTAL},
    ("com.microsoft", "Attention"): {6: Role.KEPT},
    ("com.microsoft", "MultiHeadAttention"): {8: Role.KEPT, 9: Role.BEAM},
    ("com.microsoft", "DecoderMaskedMultiHeadAttention"): {
        **{7: Role.KEPT, 8: Role.BEAMS, 9: Role.BEAM},
    },
    ("com.microsoft", "DecoderMaskedSelfAttention"): {
        **{6: Role.KEPT, 7: Role.BEAMS, 8: Role.BEAM},
    },
    ("", "Attention"): {6: Role.TOTAL},
}
_ENCODED = re.compile(r"encoder(?!.*decoder)|cross|segment|token_type")


def detect(table: LayerTable, outputs: Sequence[Tensor]) -> States:
    """The states of a model by its layers, whose axes may be symbolic, and its outputs."""
    graph = Graph(table)
    inputs = [layer.outputs[0] for layer in table if layer.kind is LayerKind.INPUT]
    tied = ties(graph, inputs, outputs)
    states = [_state(tie) for tie in tied]
    taken = {state.input for state in states}
    returned = {state.output for state in states}
    rest = [tensor for tensor in inputs if tensor.name not in taken]
    states += _unreturned(rest, states)
    states += _only_returned([t for t in outputs if t.name not in returned], states)
    known = {state.input for state in states}
    roles = _roles(graph, [tensor for tensor in rest if tensor.name not in known])
    if Role.TOKENS not in roles.values() and any(state.axis is not None for state in states):
        roles |= _vectors([tensor for tensor in rest if tensor.name not in {*known, *roles}])
    return States(tuple(states), tuple(roles.items()))


def _state(tie: Tie) -> State:
    before = tie.input
    shape = before.shape if before.shape is not None else tie.output.shape
    return State(
        before.name, tie.output.name, before.dtype, shape, tie.axis, tie.shared, tie.evidence
    )


def _unreturned(rest: Sequence[Tensor], paired: Sequence[State]) -> Iterator[State]:
    """Inputs that are states by their names alone: of the same form as others, or `past`."""
    like = {(state.dtype, len(state.shape or ())) for state in paired}
    for tensor in rest:
        shape = tensor.shape or ()
        fits = not like or (tensor.dtype, len(shape)) in like
        if is_before(tensor.name) and len(shape) > 2 and fits:
            said = ("the name says past", "the model does not return it")
            axis = None if _ENCODED.search(tensor.name.lower()) else _longest(tensor)
            yield State(tensor.name, "", tensor.dtype, tensor.shape, axis, False, said)


def _only_returned(rest: Sequence[Tensor], paired: Sequence[State]) -> Iterator[State]:
    """Outputs that are states by their names: those of a file for the prompt alone."""
    if any(state.input and state.output for state in paired):
        return
    for tensor in rest:
        if is_after(tensor.name):
            said = ("the name says present", "the model does not take it")
            yield State("", tensor.name, tensor.dtype, tensor.shape, _longest(tensor), False, said)


def _longest(tensor: Tensor) -> int | None:
    """The axis that grows, where it is the only one without a size."""
    free = [axis for axis, size in enumerate(tensor.shape or ()) if not isinstance(size, int)]
    return free[0] if len(free) == 1 else None


def _roles(graph: Graph, rest: Sequence[Tensor]) -> dict[str, Role]:
    roles = dict(_by_operators(graph, rest))
    for tensor in rest:
        role = _by_name(tensor)
        if role is not None and tensor.name not in roles:
            roles[tensor.name] = role
    roles = _of_decoder(roles)
    if Role.TOKENS not in roles.values():
        roles |= _embedded(graph, [t for t in rest if t.name not in roles])
    return roles


def _of_decoder(roles: dict[str, Role]) -> dict[str, Role]:
    """Without the tokens and masks of the encoder, in a file that has both."""
    theirs = {role for name, role in roles.items() if "decoder" in name.lower()}
    if Role.TOKENS not in theirs:
        return roles
    both = (Role.TOKENS, Role.MASK, Role.POSITIONS)
    return {n: role for n, role in roles.items() if role not in both or "decoder" in n.lower()}


def _by_operators(graph: Graph, rest: Sequence[Tensor]) -> Iterator[tuple[str, Role]]:
    """Counts that attention reads as they are; what it computes from a mask is no input."""
    roles = {
        layer.name: _OPERANDS[layer.domain, layer.op_type]
        for layer in graph.table.nodes
        if (layer.domain, layer.op_type) in _OPERANDS
    }
    for tensor in rest:
        if tensor.dtype not in _WHOLE:
            continue
        for name, places in graph.ahead(tensor.name).items():
            yield from (
                (tensor.name, role) for p, role in roles.get(name, {}).items() if p in places
            )


def _by_name(tensor: Tensor) -> Role | None:
    name = tensor.name.lower()
    if _ENCODED.search(name):
        return None
    return next((role for role, pattern in _NAMES if re.search(pattern, name)), None)


def _embedded(graph: Graph, rest: Sequence[Tensor]) -> dict[str, Role]:
    """The first input that is the index of a table: tokens by another name."""
    gathers = {n.name for n in graph.table.nodes if n.op_type in ("Gather", "GatherBlockQuantized")}
    for tensor in rest:
        ahead = graph.ahead(tensor.name)
        if tensor.dtype in _WHOLE and any(1 in ahead[n] for n in gathers if n in ahead):
            return {tensor.name: Role.TOKENS}
    return {}


def _vectors(rest: Sequence[Tensor]) -> dict[str, Role]:
    """The first input of [batch, tokens, channels], of a block that embeds nothing itself."""
    for tensor in rest:
        is_float = tensor.dtype not in _WHOLE and len(tensor.shape or ()) == _VECTORS
        if is_float and not _ENCODED.search(tensor.name.lower()):
            return {tensor.name: Role.TOKENS}
    return {}
