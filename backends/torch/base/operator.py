"""Entries of the operator table, and their conversion to functions of tensors alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from onnxprof.errors import BackendError

Function = Callable[..., Any]
#: Stands for an input whose value is not known while loading.
COMPUTED = object()


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: a function of the inputs, with attributes as keyword-only parameters.

    Omitted inputs are None. A parameter `outputs` is given how many outputs the node has,
    `inputs` how many inputs, and `opset` the version of the operators that the model imports.
    """

    function: Function
    host: tuple[int, ...] = ()
    """Positions of inputs that are read on the host: sizes, axes, counts."""
    sized: bool = False
    """Whether these inputs may be lists of numbers, which replace constants when loading."""
    made: bool = False
    """Whether `function` takes only the attributes and returns the function of the inputs."""
    ready: Function | None = None
    """Takes the inputs that are constants, `COMPUTED` for others, and returns by position what
    `function` is given in their places: work that is done once, while loading."""


#: One function for all versions of an operator, or functions by their first version.
Entry = Function | Operator | Mapping[int, Function | Operator]
Table = Mapping[str, Entry]


def on_host(function: Function | Operator, *positions: int) -> Operator:
    """An operator that reads these inputs on the host."""
    operator = _operator(function)
    return Operator(operator.function, positions, made=operator.made)


def sized(function: Function | Operator, *positions: int) -> Operator:
    """An operator that reads these inputs on the host, as tensors or as lists of numbers."""
    return replace(on_host(function, *positions), sized=True)


def made(function: Function) -> Operator:
    """An operator whose function is made from the attributes when the model is loaded."""
    return Operator(function, made=True)


def _operator(entry: Function | Operator) -> Operator:
    return entry if isinstance(entry, Operator) else Operator(entry)


def at_version(entry: Entry, opset: int) -> Operator | None:
    """The entry for this version of the operators; None if all entries are newer."""
    if not isinstance(entry, Mapping):
        return _operator(entry)
    since = max((version for version in entry if version <= opset), default=None)
    return None if since is None else _operator(entry[since])


#: Attributes of early versions that only let a runtime save memory.
_IGNORED = frozenset({"consumed_inputs"})


def bind(operator: Operator, attributes: Mapping[str, Any], facts: Mapping[str, int]) -> Function:
    """The function of the inputs alone. Raises BackendError for an unknown attribute."""
    known, needed = _parameters(operator.function)
    given = {name: value for name, value in attributes.items() if name not in _IGNORED}
    if unknown := sorted(set(given) - known):
        raise BackendError(f"its attribute {unknown[0]!r} is not supported")
    given |= {name: value for name, value in facts.items() if name in known}
    if missing := sorted(needed - set(given)):
        raise BackendError(f"its attribute {missing[0]!r} is missing")
    if operator.made:
        made: Function = operator.function(**given)
        return made
    return partial(operator.function, **given) if given else operator.function


def _parameters(function: Function) -> tuple[set[str], set[str]]:
    """Names of the keyword-only parameters, and of those without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # a torch function that is written in C
        return set(), set()
    named = [p for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]
    return {p.name for p in named}, {p.name for p in named if p.default is p.empty}
