"""What is derived from the same records again and again, kept while a block of code lasts.

A page of forty runs asks for the table of each of them dozens of times: in the advice about every
other run, in each alignment, in each list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, TypeVarTuple

R = TypeVar("R")
Things = TypeVarTuple("Things")

#: By function and identities: the objects, so that no other ones get these, and what was made.
_KEPT: ContextVar[dict[tuple[object, ...], tuple[object, Any]] | None] = ContextVar(
    "kept", default=None
)


@contextmanager
def remembering() -> Iterator[None]:
    """Within, what `once` makes of the same objects is made once; all of it is kept to the end."""
    if _KEPT.get() is not None:
        yield
        return
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def once(make: Callable[[*Things], R], *things: *Things) -> R:
    """What a function makes of these very objects, which nobody changes afterwards.

    Outside of `remembering` it is made each time. Raises what the function raises.
    """
    kept = _KEPT.get()
    if kept is None:
        return make(*things)
    key = (make, *map(id, things))
    if key not in kept:
        kept[key] = things, make(*things)
    made: R = kept[key][1]
    return made
