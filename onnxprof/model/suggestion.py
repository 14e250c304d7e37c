"""Sizes of symbolic axes that a graph accepts, to suggest in the error that asks for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import islice

from onnxprof.errors import OnnxprofError, UsageError
from onnxprof.model.dims.grammar import Size, spelled
from onnxprof.model.file import ModelFile, batch_axes, missing_dims, rebatched
from onnxprof.model.fitting import fit
from onnxprof.model.graph.walk import walk
from onnxprof.model.rebatch.axes import FreeDim
from onnxprof.model.shapes import infer
from onnxprof.model.sizing import Sizing

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


def suggested(model: ModelFile, sizes: Sizing) -> dict[str, Size]:
    """Sizes that the graph takes for the axes without one; empty where no trial does."""
    missing = missing_dims(model, dict.fromkeys(sizes.order, 0))
    return _search(model, missing, sizes)[0] if missing else {}


def _remedy(model: ModelFile, missing: tuple[FreeDim, ...], sizes: Sizing) -> str:
    taken, refusal = _search(model, missing, sizes)
    return f"Add {_options(taken)}" if taken else f"Add --dim NAME=SIZE for each. {refusal}"


def _search(
    model: ModelFile, missing: tuple[FreeDim, ...], sizes: Sizing
) -> tuple[dict[str, Size], str]:
    """The first sizes that no node refuses, for certain if possible; else the first refusal.

    First with axes computed from others as the graph demands it, then with less of that.
    """
    nodes = sum(1 for _ in walk(model.structure.graph)) + 1
    always = {name for refusals in _tried(model, sizes, {}) for name, _ in refusals}
    first, fair = "", dict[str, Size]()
    for trial in islice(_fitting(model, missing, sizes), max(_MOST_NODES // nodes, 1)):
        refused, doubtful = (
            [refusal for refusal in refusals if refusal[0] not in always]
            for refusals in _tried(model, sizes, trial)
        )
        if not refused and not doubtful:
            return _at_any_batch(model, sizes, trial), ""
        if refused and not first:
            name, reason = refused[0]
            first = f"With {_options(trial)}, node {name!r} refuses: {reason}"
        if not refused:
            fair = fair or trial
    return fair, first


def _fitting(
    model: ModelFile, missing: tuple[FreeDim, ...], sizes: Sizing
) -> Iterator[dict[str, Size]]:
    """Sizes to try, those of which the graph's own demands are met first."""
    tried: list[dict[str, Size]] = [{}]
    for bodies in (True, False):
        demanded = dict(fit(model, sizes, [m.name for m in missing], bodies=bodies).sizes)
        if demanded not in tried:
            tried.append(demanded)
            free = tuple(m for m in missing if m.name not in demanded)
            for trial in _trials(free):
                yield {m.name: {**trial, **demanded}[m.name] for m in missing}
    yield from map(dict, _trials(missing))


def _at_any_batch(model: ModelFile, sizes: Sizing, trial: dict[str, Size]) -> dict[str, Size]:
    """Sizes that fit one item, with axes tied to the batch where more items need that.

    At known sizes inference knows more of a graph than with sizes that are all symbolic.
    """
    if batch_axes(model, {}).fixed or not any(_tried(model, sizes, trial, 2)):
        return trial
    for name in (name for name, size in trial.items() if isinstance(size, int)):
        rest = {other: size for other, size in trial.items() if other != name}
        demanded = fit(model, sizes.beside(rest), [name], bodies=True).sizes.get(name)
        if isinstance(demanded, str):
            better = {**trial, name: demanded}
            if not any(any(_tried(model, sizes, better, batch)) for batch in (1, 2)):
                return better
    return trial


def _options(sizes: Mapping[str, Size]) -> str:
    return " ".join(f"--dim {shlex.quote(spelled(*pair))}" for pair in sizes.items())


def _tried(
    model: ModelFile, sizes: Sizing, trial: Mapping[str, Size], batch: int = 1
) -> tuple[list[_Refusal], list[_Refusal]]:
    """(certain, possible) refusals of operands by nodes at these sizes."""
    try:
        made = rebatched(model, batch, sizes.beside(trial).at(batch))
    except OnnxprofError as error:
        return [("inputs", error.what)], []
    if batch > 1 and made.obstacle:
        return [("inputs", made.obstacle)], []
    scope = infer.infer(made.structure, trust_declared=False)
    return scope.refusals, scope.doubts


def _trials(missing: tuple[FreeDim, ...]) -> Iterator[Mapping[str, int]]:
    """Sizes to try: one for all axes; then with empty caches, one axis of 1, or a doubled total."""
    if not missing:
        yield {}
        return
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
