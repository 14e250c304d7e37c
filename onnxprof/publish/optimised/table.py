"""A terminal table of executed steps, a line a layer, and what became of the other layers."""

from __future__ import annotations

from collections.abc import Iterator

from onnxprof.analysis.optimised import Fate, Optimised, Part
from onnxprof.compare.systems import runtime_version
from onnxprof.publish.tables.grid import Grid
from onnxprof.publish.text.numbers import percent
from onnxprof.publish.text.safe import counted, printable, shortened
from onnxprof.records.layer import Layer

_LONGEST = 80
_WIDEST_SHARE = 7
_COLUMNS = (
    ("#", None, None),
    ("executed as", 2, None),
    ("layer of the file", 3, None),
    ("operator", 2, None),
    ("share", None, _WIDEST_SHARE),
)
INSERTED, UNTIED = "(inserted)", "(not known)"
_GONE = {
    Fate.FOLDED: "(folded)",
    Fate.NOT_EXECUTED: "(left out)",
    Fate.UNKNOWN: "(not known)",
}


def parts(found: Optimised) -> Iterator[Grid | str]:
    """The table and the sentences below it."""
    yield Grid(title(found), _COLUMNS, [*_rows(found)])
    yield from sentences(found)


def title(found: Optimised) -> str:
    """The model, and what made what of it."""
    asked = found.run.request
    where = f"{asked.backend} {asked.provider}".rstrip()
    version = runtime_version(found.run)
    facts = (asked.model_name, asked.sizes, where, version, *asked.setup.words)
    return printable(", ".join(filter(None, facts)))


def _rows(found: Optimised) -> Iterator[tuple[str, ...]]:
    for part in found.parts:
        yield from _lines(part)
    for each in found.gone:
        yield ("", _GONE[each.fate], *_layer(each.layer), "")


def _lines(part: Part) -> Iterator[tuple[str, ...]]:
    """The first layer beside the step, the others below it."""
    share = "" if part.share is None else percent(part.share)
    first = (str(part.number), _name(part.step.op_type))
    if not part.layers:
        yield (*first, INSERTED if part.is_inserted else UNTIED, "", share)
        return
    head, *others = part.layers
    yield (*first, *_layer(head), share)
    for layer in others:
        yield ("", "", *_layer(layer), "")


def _layer(layer: Layer) -> tuple[str, str]:
    return _name(layer.name), _name(layer.op_type)


def _name(text: str) -> str:
    return printable(shortened(text, _LONGEST))


def sentences(found: Optimised) -> Iterator[str]:
    """How many layers came to what, and what was added, in a few lines."""
    fates = found.fates()
    steps = sum(not part.is_inserted for part in found.parts)
    yield (
        f"{counted(found.layers, 'layer', 'layers')} of the file run as"
        f" {counted(steps, 'step', 'steps')}: {fates[Fate.ALONE]:,} on their own,"
        f" {fates[Fate.FUSED]:,} fused with others."
    )
    yield from (
        f"{counted(fates[fate], 'layer is', 'layers are')} {words}."
        for fate, words in (
            (Fate.FOLDED, "computed while loading"),
            (Fate.NOT_EXECUTED, "left out: nothing depends on them, or they change nothing"),
            (Fate.UNKNOWN, "tied to no step, which a refuted step leaves open"),
        )
        if fates[fate]
    )
    if found.inserted:
        yield _inserted(found)


def _inserted(found: Optimised) -> str:
    kinds = [f"{kind} {count:,}" for kind, count in found.inserted.most_common()]
    shares = [part.share for part in found.parts if part.is_inserted and part.share is not None]
    time = f", {percent(sum(shares))} of the latency" if shares else ""
    many = counted(found.inserted.total(), "step was", "steps were")
    return f"{many} inserted{time}: {printable(', '.join(kinds))}."
