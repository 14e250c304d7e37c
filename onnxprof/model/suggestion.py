"""Sizes of symbolic axes that a graph accepts, to suggest in the error that asks for them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
#: Sizes at which the model is run to see whether it does.
_MOST_RUNS = 6
#: From a batch and sizes to why the model does not run at them; empty where it does.
Run = Callable[[int, Mapping[str, int]], str]
#: (node name, why it does not accept its operands).
_Refusal = tuple[str, str]


def refuse_missing(model: ModelFile, sizes: Sizing, run: Run | None = None) -> None:
    """Raise UsageError for symbolic axes without a size, with sizes that the graph takes.

    `run` is asked about what inference accepts. Where no trial succeeds, the message names the node
    that refuses the first one.
    """
    missing = missing_dims(model, dict.fromkeys(sizes.order, 0))
    if not missing:
        return
    listed = "; ".join(f"{m.name} (of {', '.join(m.inputs)})" for m in missing)
    raise UsageError(
        f"no size given for symbolic axes: {listed}",
        where=str(model.path),
        remedy=_Search(model, sizes, missing, run).remedy(),
    )


def suggested(model: ModelFile, sizes: Sizing) -> dict[str, Size]:
    """Sizes that the graph takes for the axes without one; empty where no trial does."""
    missing = missing_dims(model, dict.fromkeys(sizes.order, 0))
    return _Search(model, sizes, missing, None).found().sizes if missing else {}


@dataclass(frozen=True, slots=True)
class _Found:
    """Sizes that fit; or none, and why the first ones do not."""

    sizes: dict[str, Size]
    refusal: str = ""
    only_one: bool = False
    """More than one item do not fit."""


class _Search:
    """Looks for sizes of a model's axes that fit together."""

    def __init__(
        self,
        model: ModelFile,
        sizes: Sizing,
        missing: tuple[FreeDim, ...],
        run: Run | None,
    ) -> None:
        self._model, self._sizes, self._missing, self._run = model, sizes, missing, run
        self._runs = _MOST_RUNS
        self._is_free = not batch_axes(model, {}).fixed
        refused, _ = self._refusals({})
        self._always = {name for name, _ in refused}

    def remedy(self) -> str:
        """What to add to the command."""
        found = self.found()
        if not found.sizes:
            return f"Add --dim NAME=SIZE for each. {found.refusal}{self._shared()}"
        one = " --batch 1" if found.only_one else ""
        return f"Add {_options(found.sizes)}{one}"

    def _shared(self) -> str:
        """What to know of axes that several inputs have: a node may want them to differ."""
        shared = [m for m in self._missing if len(m.inputs) > 1]
        told = (f"{m.name!r} is one axis of {' and '.join(m.inputs)}" for m in shared)
        known = "; ".join(told)
        return f". Inputs share axes, which have one size each: {known}" if shared else ""

    def found(self) -> _Found:
        """The first sizes that no node refuses, for certain if possible; else the first refusal.

        First with axes computed from others as the graph demands it, then with less of that.
        """
        nodes = sum(1 for _ in walk(self._model.structure.graph)) + 1
        first, fair = "", dict[str, Size]()
        for trial in islice(self._trials(), max(_MOST_NODES // nodes, 1)):
            refused, doubtful = self._new_refusals(trial)
            if refused or doubtful:
                if refused and not first:
                    first = _told(trial, *refused[0])
                fair = fair or ({} if refused else trial)
                continue
            if not self._runs:
                return _Found({}, first)
            better, only_one = self._at_any_batch(trial)
            why = self._runs_into(better, 1)
            if not why:
                only_one = only_one or (self._is_free and bool(self._runs_into(better, 2)))
                return _Found(better, "", only_one)
            first = first or f"With {_options(better)}, {why}"
        return _Found(fair, first)

    def _trials(self) -> Iterator[dict[str, Size]]:
        """Sizes to try, those of which the graph's own demands are met first."""
        missing = self._missing
        tried: list[dict[str, Size]] = [{}]
        for bodies in (True, False):
            demanded = self._demanded(self._sizes, [m.name for m in missing], bodies)
            if demanded not in tried:
                tried.append(demanded)
                free = tuple(m for m in missing if m.name not in demanded)
                for trial in _trials(free):
                    yield {m.name: {**trial, **demanded}[m.name] for m in missing}
        yield from map(dict, _trials(missing))

    def _demanded(self, sizes: Sizing, names: Sequence[str], bodies: bool) -> dict[str, Size]:
        return dict(fit(self._model, sizes, names, bodies=bodies).sizes)

    def _at_any_batch(self, trial: dict[str, Size]) -> tuple[dict[str, Size], bool]:
        """Sizes that fit one item, with axes tied to the batch where more items need that.

        And whether they fit one item only. At known sizes inference knows more of a graph than with
        sizes that are all symbolic.
        """
        if not self._is_free or not any(self._new_refusals(trial, 2)):
            return trial, False
        for name in (name for name, size in trial.items() if isinstance(size, int)):
            rest = {other: size for other, size in trial.items() if other != name}
            demanded = self._demanded(self._sizes.beside(rest), [name], True).get(name)
            if isinstance(demanded, str):
                better = {**trial, name: demanded}
                if not any(any(self._new_refusals(better, batch)) for batch in (1, 2)):
                    return better, False
        return trial, True

    def _new_refusals(
        self, trial: Mapping[str, Size], batch: int = 1
    ) -> tuple[list[_Refusal], list[_Refusal]]:
        """The refusals that are not there whatever the sizes."""
        certain, possible = self._refusals(trial, batch)
        return (
            [refusal for refusal in certain if refusal[0] not in self._always],
            [refusal for refusal in possible if refusal[0] not in self._always],
        )

    def _refusals(
        self, trial: Mapping[str, Size], batch: int = 1
    ) -> tuple[list[_Refusal], list[_Refusal]]:
        """(certain, possible) refusals of operands by nodes at these sizes."""
        try:
            made = rebatched(self._model, batch, self._sizes.beside(trial).at(batch))
        except OnnxprofError as error:
            return [("", error.what)], []
        if batch > 1 and made.obstacle:
            return [("", made.obstacle)], []
        scope = infer.infer(made.structure, trust_declared=False)
        return scope.refusals, scope.doubts

    def _runs_into(self, trial: Mapping[str, Size], batch: int) -> str:
        """Why the model does not run at these sizes; empty where it does, or nobody tries."""
        if self._run is None:
            return ""
        self._runs -= 1
        return self._run(batch, self._sizes.beside(trial).at(batch))


def _told(trial: Mapping[str, Size], node: str, reason: str) -> str:
    who = f"node {node!r} refuses" if node else "the inputs do not go together"
    return f"With {_options(trial)}, {who}: {reason}"


def _options(sizes: Mapping[str, Size]) -> str:
    return " ".join(f"--dim {shlex.quote(spelled(*pair))}" for pair in sizes.items())


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
