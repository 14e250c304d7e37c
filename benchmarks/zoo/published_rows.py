"""The thirty networks of rai-project/dlperf against the zoo's: which published rows line up.

    python benchmarks/zoo/published_rows.py CLONE [--model DUC] [--every]

A published layer table lists what computes and what is given (weights, shapes, the input). Its
layers are paired with those of the zoo's network by name, where the zoo's carries the names, else
by order, class, channels and kernel, and by what they read; what is given goes with the layer that
reads it. Prints Markdown: rows, pairs, pairs of one shape, and the others by the reason. A row that
no reason covers is listed, and makes the exit code 1. `--every` lists the rows behind each reason.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from onnxprof.imports.dlperf import folder, tables
from onnxprof.imports.dlperf.tables import Node, Published, Sizes
from onnxprof.model.file import open_found
from onnxprof.model.layers import inspect
from onnxprof.model.sources.resolve import Resolved
from onnxprof.records.layer import Layer, LayerTable, Tensor
from onnxprof.zoo.materialisation import hollow

#: Published model: the zoo's network.
NETWORKS = {
    "ArcFace": "arcface",
    "BVLC_AlexNet": "alexnet",
    "BVLC_CaffeNet": "caffenet",
    "BVLC_GoogleNet": "googlenet",
    "BVLC_RCNN_ILSVRC13": "rcnn-ilsvrc13",
    "DUC": "duc",
    "DenseNet-121": "densenet121",
    "Emotion-FerPlus": "fer-plus",
    "Inception-v1": "inception-v1",
    "Inception-v2": "inception-v2",
    "MNIST": "lenet",
    "MobileNet-v2": "mobilenet-v2",
    "ResNet018-v1": "resnet18",
    "ResNet018-v2": "resnet18-v2",
    "ResNet034-v1": "resnet34",
    "ResNet034-v2": "resnet34-v2",
    "ResNet050-v1": "resnet50",
    "ResNet050-v2": "resnet50-v2",
    "ResNet101-v1": "resnet101",
    "ResNet101-v2": "resnet101-v2",
    "ResNet152-v1": "resnet152",
    "ResNet152-v2": "resnet152-v2",
    "Shufflenet": "shufflenet",
    "Squeezenet-v1.1": "squeezenet",
    "Tiny_YOLO-v2": "tiny-yolo-v2",
    "VGG16": "vgg16",
    "VGG16-BN": "vgg16-bn",
    "VGG19": "vgg19",
    "VGG19-BN": "vgg19-bn",
    "Zfnet512": "zfnet512",
}
#: The part of the layers that must have names in common to go by names.
BY_NAME = 0.5
#: Classes that compute alike: a mean over the image, a matrix of what was one already.
_ALIKE = {"GlobalPooling": "Pooling", "Flatten": "Reshape", "Clip": "Relu", "Scale": "ElementWise"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a published table and its counterpart."""

    published: Node
    ours: str = ""
    """The layer or tensor of the zoo's network; empty if there is none."""
    same: bool = False
    """Whether both have one shape."""


def aligned(published: Published, ours: LayerTable) -> tuple[list[Row], bool]:
    """Every row with its counterpart, and whether names told it."""
    theirs = published.layers()
    known = {layer.name: layer for layer in ours.nodes}
    named = sum(node.name in known for node in theirs) >= BY_NAME * len(theirs)
    if named:
        pairs = {node.name: known[node.name] for node in theirs if node.name in known}
    else:
        pairs = dict(in_order(theirs, ours.nodes))
        _read_alike(pairs, theirs, ours.nodes)
    given = _given(theirs, pairs)
    rows = [
        _of_tensor(node, given.get(node.name))
        if node.is_constant
        else _of_layer(node, pairs.get(node.name))
        for node in published.nodes
    ]
    return rows, named


def _given(theirs: Sequence[Node], pairs: dict[str, Layer]) -> dict[str, Tensor]:
    """Of each published tensor the one at its place in the layer that goes with its reader."""
    found: dict[str, Tensor] = {}
    for node in theirs:
        if node.name in pairs:
            for name, tensor in zip(node.inputs, pairs[node.name].inputs, strict=False):
                found.setdefault(name, tensor)
    return found


def _of_layer(node: Node, layer: Layer | None) -> Row:
    if layer is None:
        return Row(node)
    same = _flat(node.output_shapes[0]) == _flat(_sizes(layer.outputs[0]))
    turned = _class(node.layer_type) == "Reshape"
    return Row(node, layer.name, same or (turned and _elements(node) == _elements(layer)))


def _of_tensor(node: Node, tensor: Tensor | None) -> Row:
    if tensor is None:
        return Row(node)
    # Of a shape operand the contents were published, in which 0 and -1 follow from the others.
    same = tensor.value is not None or _flat(node.output_shapes[0]) == _flat(_sizes(tensor))
    return Row(node, tensor.name, same)


def in_order(theirs: Sequence[Node], ours: Sequence[Layer]) -> Iterator[tuple[str, Layer]]:
    """The longest sequence of layers of one class and shape that both have."""
    a, b = [_key(node) for node in theirs], [_key(layer) for layer in ours]
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        row, below = longest[i], longest[i + 1]
        for j in reversed(range(len(b))):
            row[j] = below[j + 1] + 1 if a[i] == b[j] else max(below[j], row[j + 1])
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            yield theirs[i].name, ours[j]
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1


def _read_alike(pairs: dict[str, Layer], theirs: Sequence[Node], ours: Sequence[Layer]) -> None:
    """Pair what stands at another place: a shortcut that is listed before its branch."""
    tensors = {
        name: tensor.name
        for node in theirs
        if node.name in pairs
        for name, tensor in zip(node.outputs, pairs[node.name].outputs, strict=False)
    }
    taken = {layer.name for layer in pairs.values()}
    for node in theirs:
        source = tensors.get(node.inputs[0])
        if node.name in pairs or source is None:
            continue
        for layer in ours:
            reads = layer.name not in taken and layer.inputs and layer.inputs[0].name == source
            if reads and _key(layer) == _key(node):
                pairs[node.name] = layer
                taken.add(layer.name)
                tensors[node.outputs[0]] = layer.outputs[0].name
                break


def _key(layer: Node | Layer) -> tuple[object, ...]:
    """What two layers must have in common; the size of the image is none of it."""
    kind, shape = _class(layer.layer_type), _shape(layer)
    if kind == "Reshape":
        return kind, prod(shape)
    if kind == "Conv" and prod(shape[2:]) > 1:
        return kind, shape[1], _kernel(layer)
    # A convolution over one pixel is a product.
    return "Gemm" if kind == "Conv" else kind, *shape[1:2]


def _kernel(layer: Node | Layer) -> Sizes:
    return layer.input_shapes[1] if isinstance(layer, Node) else _sizes(layer.inputs[1])


def _class(layer_type: str) -> str:
    return _ALIKE.get(layer_type, layer_type)


def _shape(layer: Node | Layer) -> Sizes:
    return layer.output_shapes[0] if isinstance(layer, Node) else _sizes(layer.outputs[0])


def _elements(layer: Node | Layer) -> int:
    return prod(_shape(layer))


def _sizes(tensor: Tensor) -> Sizes:
    return tuple(size if isinstance(size, int) else -1 for size in tensor.shape or ())


def _flat(shape: Sizes) -> Sizes:
    """Without axes of one element, which say how a runtime writes the same."""
    return tuple(size for size in shape if size != 1)


def reason(row: Row, rows: Mapping[str, Row], published: Published, model: str) -> str:
    """Why a row has no counterpart, or one of another shape; empty if nothing tells."""
    if row.published.is_constant:
        return _of_given(row, rows, published)
    for pattern, words, applies in REASONS:
        if re.fullmatch(pattern, model) and applies(row):
            return words
    return ""


def _of_given(row: Row, rows: Mapping[str, Row], published: Published) -> str:
    readers = [node for node in published.layers() if row.published.name in node.inputs]
    if not any(rows[reader.name].ours for reader in readers):
        return "given to a layer without counterpart"
    if any(node.layer_type == "Conv" for node in readers) and not row.ours:
        return "a bias before a batch norm, which ours has none of"
    return ""


def _lacks(*classes: str) -> Callable[[Row], bool]:
    return lambda row: not row.ours and row.published.layer_type in classes


def _differs(*classes: str) -> Callable[[Row], bool]:
    """Whether the shape is another one; of any class if none is named."""
    return lambda row: (
        bool(row.ours)
        and not row.same
        and row.published.layer_type in (classes or {row.published.layer_type})
    )


def _named(pattern: str) -> Callable[[Row], bool]:
    return lambda row: re.fullmatch(pattern, row.published.name) is not None


#: (published models, why, which rows), the first that holds.
REASONS: Sequence[tuple[str, str, Callable[[Row], bool]]] = (
    (".*", "a Dropout, which inference passes by and ours leaves out", _lacks("Dropout")),
    ("VGG1[69]", "a Flatten of what is flat, which ours leaves out", _lacks("Flatten")),
    (
        "ArcFace",
        "a slope's -1, published as 1: it is the number of channels",
        _differs("Reshape"),
    ),
    (
        "Shufflenet",
        "axes exchanged, published with the number of channels at the place of the groups",
        _differs("Transpose"),
    ),
    (
        "DUC",
        "a -1, published as 10,000: it is 304 × 10,000 ÷ 19",
        _differs("Reshape", "Softmax"),
    ),
    (
        "Tiny_YOLO-v2",
        "published 12×12: the last pooling keeps 13×13 by padding, which was left out there",
        _differs(),
    ),
    (
        "ResNet(050|101|152)-v1",
        "v1 halves the size in a unit's first 1×1, ours in its 3×3 (v1.5)",
        _differs("Conv", "BatchNorm", "Relu"),
    ),
    (
        "ResNet.*-v2",
        "a batch norm of the input, which ours has none of",
        _named(".*v2[0-9]_batchnorm0_fwd"),
    ),
    (
        "ResNet.*-v2",
        "an activation before the first unit, which has the stem's in the paper and in ours",
        _named(".*_stage1_(batchnorm|activation)0(_fwd)?"),
    ),
    (
        "MobileNet-v2",
        "the first bottleneck's 1×1 of expansion 1, which the paper's code and ours leave out",
        _lacks("Conv", "BatchNorm", "Relu"),
    ),
    (
        "MobileNet-v2",
        "64 channels at 28×28, as Gluon has them; 14×14 in the paper's table 2 and in ours",
        _differs(),
    ),
    (
        "MobileNet-v2|Squeezenet-v1.1",
        "the last Reshape to a matrix: ours has it before its product, or keeps the image's axes",
        _lacks("Reshape"),
    ),
)


def table_of(network: str) -> LayerTable:
    """The layers of a network of the zoo at batch 1; its weights are not made."""
    with tempfile.TemporaryDirectory() as scratch:
        path = hollow(network, Path(scratch))
        return inspect(open_found(Resolved(path, network, f"zoo:{network}")), 1)


def main() -> int:
    """Print the table; 1 where a row is not explained."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clone", type=Path)
    parser.add_argument("--model", default="", help="one published model")
    parser.add_argument("--every", action="store_true", help="list the rows behind each reason")
    asked = parser.parse_args()
    listed = folder.find(asked.clone).layers
    strange: list[str] = []
    print("| published | zoo | by | rows | lined up | of one shape | the others |")
    print("| --- | --- | --- | ---: | ---: | ---: | --- |")
    for model, network in NETWORKS.items():
        if asked.model not in ("", model):
            continue
        published = tables.parse(folder.read(listed[model])[0])
        rows, named = aligned(published, table_of(network))
        why = explained(rows, published, model)
        strange += [f"{model}: {row.published.name}" for row in why.pop("", [])]
        print(line(model, network, named, rows, why))
        if asked.every:
            print(*listing(why), sep="\n")
    print(*(f"not explained: {each}" for each in strange), sep="\n")
    return 1 if strange else 0


def explained(rows: Sequence[Row], published: Published, model: str) -> dict[str, list[Row]]:
    """The rows without a counterpart of their shape, by the reason."""
    known = {row.published.name: row for row in rows}
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if not (row.ours and row.same):
            found[reason(row, known, published, model)].append(row)
    return found


def line(
    model: str, network: str, named: bool, rows: Sequence[Row], why: dict[str, list[Row]]
) -> str:
    """One row of the Markdown table."""
    paired, same = (
        sum(map(bool, each)) for each in ([r.ours for r in rows], [r.same for r in rows])
    )
    others = "; ".join(f"{len(of)}: {words}" for words, of in why.items())
    by = "names" if named else "order"
    return f"| {model} | {network} | {by} | {len(rows)} | {paired} | {same} | {others} |"


def listing(why: dict[str, list[Row]]) -> Iterator[str]:
    """The rows behind each reason, a line each."""
    for words, rows in why.items():
        for row in rows:
            yield f"    {row.published.name} {row.published.output_shapes[0]}: {words}"


if __name__ == "__main__":
    sys.exit(main())
