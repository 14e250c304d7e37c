"""The sizes of a model's free axes: those given, those of arrays, declared ones, computed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from onnxprof.errors import UsageError
from onnxprof.model.dims.grammar import Size, marked, names_in, numbers, settled, ties
from onnxprof.model.file import ModelFile, batch_axes, model_axes, with_defaults
from onnxprof.model.rebatch.axes import BATCH


@dataclass(frozen=True, slots=True)
class Sizing:
    """Sizes of a model's free axes at any batch."""

    order: tuple[str, ...]
    known: Mapping[str, int]
    """Sizes that the batch has no part in."""
    open: Mapping[str, str]
    """Axes that are computed from others, by the expression."""
    batch_names: tuple[str, ...]

    def at(self, batch: int) -> dict[str, int]:
        """The sizes at a batch; without those that are computed from an axis without a size.

        Raises UsageError for a computed size that is none.
        """
        whole = {**dict.fromkeys(self.batch_names, batch), **self.known}
        whole |= settled(self.open, whole)
        return {name: whole[name] for name in self.order if name in whole}

    def beside(self, more: Mapping[str, Size]) -> Sizing:
        """The same with sizes of further axes, or with others of these."""
        whole = {**self.asked, **more}
        return replace(
            self,
            order=tuple(dict.fromkeys((*self.order, *more))),
            known=numbers(whole.items()),
            open=ties(whole.items()),
        )

    @property
    def asked(self) -> dict[str, Size]:
        """The sizes and expressions by axis."""
        return {**self.known, **self.open}


def sizing(
    model: ModelFile, asked: Mapping[str, Size], arrays: Mapping[str, int] | None = None
) -> Sizing:
    """What is known of a model's axes: what was asked goes before its arrays and declarations.

    Raises UsageError for an axis that the model does not have, ModelError for a wrong declaration.
    """
    given = {**(arrays or {}), **asked}
    fixed, open_ = numbers(given.items()), ties(given.items())
    stand_ins = {**fixed, **dict.fromkeys(open_, 0)}
    whole = with_defaults(model, stand_ins)
    batch_names = tuple(dict.fromkeys((*batch_axes(model, {}).symbols, BATCH)))
    axes = model_axes(model)
    open_ = {name: marked(text, {*axes, BATCH}) for name, text in open_.items()}
    for name, text in open_.items():
        for inner in names_in(text, axes):
            if inner not in axes and inner != BATCH:
                raise UsageError(
                    f"--dim {name}={text}: the model has no symbolic axis {inner!r}",
                    remedy=f"It has: {', '.join(sorted(axes - {name}))}",
                )
    batch_names = tuple(n for n in batch_names if n not in whole)
    known = {name: size for name, size in whole.items() if name not in open_}
    return Sizing(tuple(whole), known, open_, batch_names)
