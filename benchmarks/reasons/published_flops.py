"""Published "Theoretical Flops" of rai-project/dlperf against onnxprof's cost model.

    python benchmarks/reasons/published_flops.py CLONE [--batch 1] [--within 0.01]

For every layer that a clone's timing tables have a row for, on its first device (the figures are
the same on all), the published operations over ours. Prints Markdown: by class of layer how many
differ by more than `--within`, between which ratios, and the rule that gives the published figure
exactly. A difference that no rule gives is listed, and makes the exit code 1. Kernels of pooling
were not published: where a window of whole size gives the figure it is taken for the kernel.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path

from onnxprof.cost.count import costs
from onnxprof.imports.dlperf import folder, sheets, tables
from onnxprof.records.layer import Layer, LayerTable

POOLS = ("MaxPool", "AveragePool", "Pooling")


@dataclass(frozen=True, slots=True)
class Found:
    """One layer's operations as published and as counted."""

    model: str
    layer: Layer
    published: int
    ours: int | None
    stuck: bool

    @property
    def ratio(self) -> float | None:
        """Published over ours; infinite where ours are none, None where they are not known."""
        if self.ours is None:
            return None
        return self.published / self.ours if self.ours else float("inf")


def out(layer: Layer) -> int:
    """Elements of the first output."""
    return prod(size for size in layer.outputs[0].shape or () if isinstance(size, int))


def kernel(published: int, layer: Layer) -> int:
    """Places of a square window that gives the published figure; 0 if none does."""
    places, rest = divmod(published, out(layer) or 1)
    return places if not rest and isqrt(places) ** 2 == places else 0


def macs(layer: Layer) -> int:
    """Multiply-accumulates of a convolution or product from its shapes."""
    first, second = (tensor.shape or () for tensor in layer.inputs[:2])
    inner = second[1:] if layer.op_type == "Conv" else first[-1:]
    return out(layer) * prod(size for size in inner if isinstance(size, int))


def dilated(layer: Layer, published: int) -> bool:
    """Whether it is what a dilated kernel would take without holes."""
    size = (layer.inputs[1].shape or (0,))[-1]
    if layer.op_type != "Conv" or not isinstance(size, int) or size < 2:
        return False
    places, rest = divmod(published * size * size, 2 * macs(layer) or 1)
    return not rest and isqrt(places) ** 2 == places and (isqrt(places) - 1) % (size - 1) == 0


def unflattened(layer: Layer, published: int) -> bool:
    """Whether it is a product over 512 of 25,088 columns, as of a Flatten that flattens nothing."""
    inner = (layer.inputs[0].shape or (0,))[-1]
    columns, rest = divmod(published - out(layer), 2 * out(layer) or 1)
    return isinstance(inner, int) and not rest and columns > 0 and inner % columns == 0


Rule = tuple[str, Callable[[Layer, int], bool]]
#: By class, what the published figure is, in words and by shapes.
RULES: Mapping[str, Sequence[Rule]] = {
    "Conv": (
        (
            "2 a multiply-accumulate; ours has the bias, too",
            lambda layer, given: given == 2 * macs(layer),
        ),
        ("that of a dilated kernel with its holes multiplied", dilated),
    ),
    "Gemm": (
        (
            "2 a multiply-accumulate and 1 an output, also where nothing is added",
            lambda layer, given: given == 2 * macs(layer) + out(layer),
        ),
        (
            "that of the channels alone: the Flatten before it is listed with an output that is"
            " not flat",
            unflattened,
        ),
    ),
    "Relu": (
        (
            "3 an element; ours 1 comparison, and 1 product where there is a slope",
            lambda layer, given: given == 3 * out(layer),
        ),
    ),
    "BatchNorm": (
        (
            "2 an element; ours has the factor and shift of each channel, too",
            lambda layer, given: given == 2 * out(layer),
        ),
    ),
    "ElementWise": (
        (
            "1 an element of a sum, 2 of a product; ours 1 for each operand after the first",
            lambda layer, given: given in (out(layer), 2 * out(layer)),
        ),
    ),
    "Pooling": (
        (
            "1 a place of the window; ours one comparison fewer",
            lambda layer, given: kernel(given, layer) > 0,
        ),
    ),
    "Dropout": (
        (
            "1 an element; ours 0, since inference passes it by",
            lambda layer, given: given == out(layer),
        ),
    ),
    "Softmax": (
        (
            "3 an element; ours also the largest, which is taken out first",
            lambda layer, given: given == 3 * out(layer),
        ),
    ),
}


def read(clone: Path, batch: int) -> Iterator[Found]:
    """Every layer that has a row, of each model's first device at this batch size."""
    listed = folder.find(clone)
    first: dict[str, folder.Sheet] = {}
    once: dict[str, folder.Sheet] = {}
    for sheet in listed.sheets:
        if sheet.batch == batch:
            first.setdefault(sheet.model, sheet)
        if sheet.batch == 1:
            once.setdefault(sheet.model, sheet)
    for model, sheet in first.items():
        published = tables.parse(folder.read(listed.layers[model])[0])
        now, base = flops(sheet), flops(once[model])
        stuck = tables.stuck(published, base, now) if batch > 1 else frozenset()
        table = tables.table(published, batch, stuck, algorithms(sheet))
        yield from compared(model, table, now, stuck)


def flops(sheet: folder.Sheet) -> dict[str, int]:
    """Published operations by layer."""
    return {row.layer: row.flops for row in sheets.parse(folder.read(sheet.path)[0]).rows}


def algorithms(sheet: folder.Sheet) -> dict[str, tuple[str, ...]]:
    """What the rows of each layer name, which tells kinds of pooling apart."""
    rows = sheets.parse(folder.read(sheet.path)[0]).rows
    return {row.layer: (row.algorithm,) for row in rows}


def compared(
    model: str, table: LayerTable, now: Mapping[str, int], stuck: frozenset[str]
) -> Iterator[Found]:
    """Each layer with a row and what the cost model says of it."""
    counted = {cost.layer: cost.operations for cost in costs(table)}
    for layer in table.nodes:
        if layer.name in now:
            given, found = now[layer.name], counted[layer.name]
            yield Found(
                model, layer, given, ours(layer, found and found.flops, given), layer.name in stuck
            )


def ours(layer: Layer, counted: int | None, published: int) -> int | None:
    """Our count; with the window that gives the published figure, and an operator's least work."""
    if layer.op_type in POOLS:
        places = kernel(published, layer)
        return out(layer) * (places if layer.op_type == "AveragePool" else places - 1)
    if layer.layer_type == "ElementWise":
        return out(layer) * (len(layer.inputs) - 1)
    return counted


def explained(found: Found) -> str:
    """The rule that gives the published figure; empty if none does."""
    rules = RULES.get(found.layer.layer_type, ())
    return next((words for words, holds in rules if holds(found.layer, found.published)), "")


def main() -> int:
    """Print the table; 1 where a difference is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clone", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--within", type=float, default=0.01)
    asked = parser.parse_args()
    layers, differ = Counter[str](), Counter[tuple[str, str]]()
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    strange: list[Found] = []
    for found in read(asked.clone, asked.batch):
        kind = found.layer.layer_type
        layers[kind] += 1
        if found.ratio is not None and abs(found.ratio - 1) <= asked.within:
            continue
        if why := explained(found):
            differ[kind, why] += 1
            ratios[kind, why].append(found.ratio or float("nan"))
        else:
            strange.append(found)
    print(f"{sum(layers.values())} layers with a row at batch {asked.batch}\n")
    print("| class | layers | differ | published over ours | the published figure is |")
    print("| --- | ---: | ---: | --- | --- |")
    for kind, count in layers.most_common():
        rules = [why for name, why in differ if name == kind] or [""]
        for why in rules:
            told = ratios[kind, why]
            span = f"{min(told):.3g} to {max(told):.3g}" if told else ""
            print(f"| {kind} | {count} | {differ[kind, why]} | {span} | {why} |")
    print(f"\nnot explained: {len(strange)}")
    for found in strange[:60]:
        shape = found.layer.outputs[0].shape
        print(
            f"- {found.model} {found.layer.name} {found.layer.op_type} {shape}:"
            f" {found.published:,} published, {found.ours} ours"
        )
    return 1 if strange else 0


if __name__ == "__main__":
    sys.exit(main())
