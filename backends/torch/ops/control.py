"""Control flow, sequences and optional values. A sequence is a list of tensors.

A body is a function of captured values and of its own inputs; it returns a list.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnxprof.backends.torch.base.lazy import torch
from onnxprof.backends.torch.base.operator import Table, on_host

Body = Callable[[Sequence[Any], Sequence[Any]], list[Any]]


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else tuple(values)


def _if(condition: Any, *captured: Any, then_branch: Body, else_branch: Body) -> Any:
    branch = then_branch if bool(condition) else else_branch
    return _one_or_all(branch(captured, ()))


def _loop(trips: Any, condition: Any, *rest: Any, body: Body, inputs: int) -> Any:
    """Run until the count or the condition ends the loop; scan outputs are stacked."""
    state, captured = list(rest[: inputs - 2]), rest[max(inputs - 2, 0) :]
    most = None if trips is None else int(trips)
    going = condition is None or bool(condition)
    held, turn = len(state), 0
    gathered: list[list[Any]] | None = None
    while going and (most is None or turn < most):
        results = body(captured, (torch.tensor(turn), torch.tensor(True), *state))
        going, state = bool(results[0]), results[1 : 1 + held]
        gathered = gathered or [[] for _ in results[1 + held :]]
        for kept, value in zip(gathered, results[1 + held :], strict=True):
            kept.append(value)
        turn += 1
    scans = len(getattr(body, "outputs", ())) - 1 - held
    empty = [[] for _ in range(max(scans, 0))] if gathered is None else gathered
    return _one_or_all([*state, *(_stacked(values) for values in empty)])


def _stacked(values: list[Any]) -> Any:
    return torch.stack(values) if values else torch.zeros(0)


def _scan(*rest: Any, body: Body, inputs: int, num_scan_inputs: int,
          scan_input_axes: list[int] | None = None, scan_input_directions: list[int] | None = None,
          scan_output_axes: list[int] | None = None,
          scan_output_directions: list[int] | None = None) -> Any:  # fmt: skip
    held = inputs - num_scan_inputs
    state, given, captured = list(rest[:held]), rest[held:inputs], rest[inputs:]
    axes = scan_input_axes or [0] * num_scan_inputs
    back = scan_input_directions or [0] * num_scan_inputs
    length = given[0].shape[axes[0]]
    gathered: list[list[Any]] = []
    for turn in range(length):
        parts = [
            x.select(axis, length - 1 - turn if reverse else turn)
            for x, axis, reverse in zip(given, axes, back, strict=True)
        ]
        results = body(captured, (*state, *parts))
        state = results[:held]
        gathered = gathered or [[] for _ in results[held:]]
        for kept, value in zip(gathered, results[held:], strict=True):
            kept.append(value)
    turned = scan_output_directions or [0] * len(gathered)
    out_axes = scan_output_axes or [0] * len(gathered)
    scans = [
        torch.stack(values[::-1] if reverse else values, axis)
        for values, axis, reverse in zip(gathered, out_axes, turned, strict=True)
    ]
    return _one_or_all([*state, *scans])


def _scan_8(lengths: Any, *rest: Any, body: Body, inputs: int, num_scan_inputs: int,
            directions: list[int] | None = None) -> Any:  # fmt: skip
    """The first version runs every item of a batch by itself."""
    del lengths
    count = inputs - 1
    own, captured = rest[:count], rest[count:]
    items = [
        _scan(*(x[i] for x in own), *captured, body=body, inputs=count,
              num_scan_inputs=num_scan_inputs, scan_input_directions=directions)
        for i in range(own[0].shape[0])
    ]  # fmt: skip
    if not isinstance(items[0], tuple):
        return torch.stack(items)
    return tuple(torch.stack(parts) for parts in zip(*items, strict=True))


def _sequence_map(first: Any, *rest: Any, body: Body, inputs: int) -> Any:
    """Every iteration gets all tensors, and one item of every sequence."""
    given, captured = (first, *rest)[:inputs], (first, *rest)[inputs:]
    turns = [
        body(captured, [x[i] if isinstance(x, list) else x for x in given])
        for i in range(len(first))
    ]
    if not turns:
        return []
    return _one_or_all([list(parts) for parts in zip(*turns, strict=True)])


def _sequence(*x: Any) -> Any:
    return list(x)


def _empty(*, dtype: int = 1) -> Any:
    del dtype
    return []


def _at(sequence: Any, position: Any) -> Any:
    return sequence[int(position)]


def _insert(sequence: Any, item: Any, position: Any = None) -> Any:
    place = len(sequence) if position is None else int(position)
    made = list(sequence)
    made.insert(place, item)
    return made


def _erase(sequence: Any, position: Any = None) -> Any:
    made = list(sequence)
    del made[-1 if position is None else int(position)]
    return made


def _length(sequence: Any) -> Any:
    return torch.tensor(len(sequence), dtype=torch.int64)


def _concat(sequence: Any, *, axis: int, new_axis: int = 0) -> Any:
    return (torch.stack if new_axis else torch.cat)(sequence, axis)


def _split(x: Any, sizes: Any = None, *, axis: int = 0, keepdims: int = 1) -> Any:
    if sizes is None:
        parts = torch.split(x, 1, axis)
        return list(parts) if keepdims else [part.squeeze(axis) for part in parts]
    whole = sizes.tolist()
    return list(torch.split(x, whole, axis))


def _optional(x: Any = None, *, type: Any = None) -> Any:
    del type
    return x


def _has_element(x: Any = None) -> Any:
    return torch.tensor(x is not None)


def table() -> Table:
    """Operator to function."""
    return {
        "If": on_host(_if, 0), "Loop": on_host(_loop, 0, 1), "Scan": {8: _scan_8, 9: _scan},
        "SequenceMap": _sequence_map, "SequenceConstruct": _sequence, "SequenceEmpty": _empty,
        "SequenceAt": on_host(_at, 1), "SequenceInsert": on_host(_insert, 2),
        "SequenceErase": on_host(_erase, 1), "SequenceLength": _length,
        "ConcatFromSequence": _concat, "SplitToSequence": on_host(_split, 1),
        "Optional": _optional, "OptionalGetElement": _optional,
        "OptionalHasElement": _has_element,
    }  # fmt: skip
