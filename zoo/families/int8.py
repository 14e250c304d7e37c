"""Int8 twins of classics: the same weights in whole numbers, made when they are asked for."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from onnxprof.zoo.declaration import Entry, Published, Source, Twin
from onnxprof.zoo.families import imagenet, language, light, vision

if TYPE_CHECKING:
    from onnx import ModelProto

#: Classics, and those of which only convolutions and products are quantised.
_OF = ("resnet50", "squeezenet", "vgg16", "mobilenet-v2", "efficientnet-b0", "bert-base")
_PRODUCTS_ONLY = ("bert-base",)
#: What stands behind the name and the title, and what is done, by form.
_FORMS = {
    "static": (
        "-int8",
        "int8",
        "statically quantised (QDQ): weights int8, activations uint8 with the ranges of four "
        "seeded random inputs, no data for calibration",
    ),
    "dynamic": (
        "-int8-dyn",
        "int8, dynamic",
        "dynamically quantised: each inference finds the ranges of its activations",
    ),
}
_FOLDED = "batch norms folded"

TWINS: dict[str, Twin] = {
    f"{name}{ending}": Twin(name, form, name in _PRODUCTS_ONLY)
    for name in _OF
    for form, (ending, _, _) in _FORMS.items()
}


def _entry(name: str, how: Twin) -> Entry:
    of: Entry = next(
        each
        for module in (light, imagenet, vision, language)
        for each in module.ENTRIES
        if each.name == how.of
    )
    _, title, words = _FORMS[how.form]
    rest = "the rest in float32" if how.products_only else _FOLDED
    return replace(
        of,
        name=name,
        title=f"{of.title}, {title}",
        definition=f"zoo:{of.name}, {words}; {rest}",
        published=Published(),
    )


ENTRIES = tuple(_entry(name, how) for name, how in TWINS.items())


def _twin(name: str, _: Entry) -> ModelProto:
    from onnxprof.zoo.whole import structure

    return structure(name)


SOURCES: dict[str, Source] = {name: Source(partial(_twin, name)) for name in TWINS}
