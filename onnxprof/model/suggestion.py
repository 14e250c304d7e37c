"""Sizes of symbolic axes that a graph accepts, to suggest in the error that asks for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import islice

from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.model.file import ModelFile, missing_dims, rebatched
from onnxprof.model.graph.walk import walk
from onnxprof.model.rebatch.axes import FreeDim
from onnxprof.model.shapes import infer
from onnxprof.model.sizing import Sizing, sizing

#: Sizes that networks of text, sound and images are made for, the usual ones first.
_GENERAL = (128, 64, 32, 48, 256, 512, 16, 8, 1, 320, 640, 1024, 1536, 80, 100, 4, 2)
_IMAGES = (224, 128, 256, 64, 320, 512, 48, 32, 16, 8, 640, 299, 1024, 96, 384, 416, 1)
_SPATIAL = re.compile(r"height|width|(^|[._])[hw]$|image|pixel|axis[23]$", re.IGNORECASE)
_PAST = re.compile(r"past|cache", re.IGNORECASE)
_TOTAL = re.compile(r"total", re.IGNORECASE)
#: Nodes looked at in all trials together: an error message must not take long.
_MOST_NODES = 100_000
#: (node name, why it does not accept its operands).
_Refusal = tuple[str, str]


def refuse_missing(model: ModelFile, sizes: Sizing) -> None:
    """Raise UsageError for symbolic axes without a size, with sizes that the graph takes.

    Where no trial succeeds, the message names the node that refuses the first one.
    """
    dims = dict.fromkeys(sizes.order, 0)
    missing = missing_dims(model, dims)
    if not missing:
        return
    listed = "; ".join(f"{m.name} (of {', '.join(m.inputs)})" for m in missing)
    raise UsageError(
        f"no size given for symbolic axes: {listed}",
        where=str(model.path),
        remedy=_remedy(model, missing, sizes),
    )


def suggested(model: ModelFile, dims: Mapping[str, int]) -> dict[str, int]:
    """Sizes that the graph takes for the axes without one in `dims`; empty where no trial does."""
    missing = missing_dims(model, dims)
    return _search(model, missing, sizing(model, dims))[0] if missing else {}


def _remedy(model: ModelFile, missing: tuple[FreeDim, ...], sizes: Sizing) -> str:
    taken, refusal = _search(model, missing, sizes)
    return f"Add {_options(taken)}" if taken else f"Add --dim NAME=SIZE for each. {refusal}"


def _search(
    model: ModelFile, missing: tuple[FreeDim, ...], sizes: Sizing
) -> tuple[dict[str, int], str]:
    """The first sizes that no node refuses, for certain if possible; else the first refusal."""
    nodes = sum(1 for _ in walk(model.structure.graph)) + 1
    always = {name for refusals in _tried(model, sizes, {}) for name, _ in refusals}
    first, fair = "", dict[str, int]()
    for trial in islice(_trials(missing), max(_MOST_NODES // nodes, 1)):
        refused, doubtful = (
            [refusal for refusal in refusals if refusal[0] not in always]
            for refusals in _tried(model, sizes, trial)
        )
        if not refused and not doubtful:
            return trial, ""
        if refused and not first:
            name, reason = refused[0]
            first = f"With {_options(trial)}, node {name!r} refuses: {reason}"
        if not refused:
            fair = fair or trial
    return fair, first


def _options(sizes: Mapping[str, int]) -> str:
    return " ".join(f"--dim {shlex.quote(f'{name}={size}')}" for name, size in sizes.items())


def _tried(
    model: ModelFile, sizes: Sizing, trial: Mapping[str, int]
) -> tuple[list[_Refusal], list[_Refusal]]:
    """(certain, possible) refusals of operands by nodes at these sizes."""
    try:
        structure = rebatched(model, 1, sizes.beside(trial).at(1)).structure
    except OnnxprofError as error:
        return [("inputs", error.what)], []
    scope = infer.infer(structure, trust_declared=False)
    return scope.refusals, scope.doubts


def _trials(missing: tuple[FreeDim, ...]) -> Iterator[dict[str, int]]:
    """Sizes to try: one for all axes; then with empty caches, one axis of 1, or a doubled total."""
    for general, image in zip(_GENERAL, _IMAGES, strict=True):
        usual = {m.name: image if _SPATIAL.search(m.name) else general for m in missing}
        yield usual
        past = {name: 0 for name in usual if _PAST.search(name) and not _TOTAL.search(name)}
        if past and len(past) < len(usual):
            yield {**usual, **past}
        for name in usual if len(usual) > 1 else ():
            yield {**usual, name: 1}
        total = {name: 2 * size for name, size in usual.items() if _TOTAL.search(name)}
        if total:
            yield {**usual, **total}


__all__ = ["refuse_missing", "suggested"]
