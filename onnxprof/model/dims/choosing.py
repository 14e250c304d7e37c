"""Which of the sizes that a command gives are for which of its models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from onnxprof.model.dims.grammar import Dims, Size


def names_of(reference: str, name: str = "") -> frozenset[str]:
    """What may stand before the colon of `MODEL:AXIS` for a model: `dir/a.onnx`, `a.onnx`, `a`."""
    path = PurePath(reference)
    return frozenset(filter(None, (reference, name, path.name, path.stem)))


def apart(name: str, models: Iterable[frozenset[str]]) -> tuple[str, str]:
    """(model, axis) of `MODEL:AXIS`; the model is empty where the text names none of these."""
    known = frozenset[str]().union(*models)
    places = [i for i, letter in enumerate(name) if letter == ":"]
    cut = max((i for i in places if name[:i] in known and name[i + 1 :]), default=-1)
    return ("", name) if cut < 0 else (name[:cut], name[cut + 1 :])


def for_models(
    dims: Dims, models: Sequence[frozenset[str]], axes: Sequence[frozenset[str] | None]
) -> list[Dims]:
    """The sizes for each model by its names and axes, None where those are not known.

    `MODEL:AXIS` is for that model alone and goes before a plain name. An axis that no model has
    goes to all of them, so that the first one refuses it.
    """
    known = frozenset[str]().union(*(theirs for theirs in axes if theirs is not None))
    pairs = zip(models, axes, strict=True)
    return [tuple(_of(dims, models, names, theirs, known).items()) for names, theirs in pairs]


def _of(
    dims: Dims,
    models: Sequence[frozenset[str]],
    mine: frozenset[str],
    axes: frozenset[str] | None,
    known: frozenset[str],
) -> dict[str, Size]:
    plain: dict[str, Size] = {}
    own: dict[str, Size] = {}
    for name, size in dims:
        model, axis = ("", name) if name in known else apart(name, models)
        if model:
            if model in mine:
                own[axis] = size
        elif axes is None or name in axes or name not in known:
            plain[name] = size
    return {**plain, **own}


def left_out(
    dims: Dims, models: Sequence[frozenset[str]], sized: Sequence[Dims]
) -> Iterator[tuple[int, str]]:
    """(number of a model, axis) of each size that is for the other models only."""
    for number, theirs in enumerate(sized):
        mine = dict(theirs)
        for name, _ in dims:
            if name not in mine and not apart(name, models)[0]:
                yield number, name
