"""Operators that only move data: no arithmetic, and their bytes.

A view shares its input's memory, as onnxruntime has it for Reshape, Squeeze, Unsqueeze, Flatten
and Identity (`Alias` in its kernel definitions), so that no byte moves. Where an operator picks
elements, it reads those that it picks, not the whole tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprof.cost.base.call import Call, Unknown
from onnxprof.cost.base.expression import Size
from onnxprof.cost.base.work import Estimate, Formula, Work

_BOUND = "how many elements are chosen is data: all of them count"


def _view(_: Call) -> Estimate:
    return Estimate(view=True)


def _copied(_: Call) -> Estimate:
    """Every input is read, every output written."""
    return Estimate()


def _generated(call: Call) -> Estimate:
    """Only the output is written."""
    return Estimate(reads=dict.fromkeys(range(len(call.inputs)), 0))


def _picked(call: Call) -> Estimate:
    """As many elements are read as the output has; none is known where its size is not."""
    try:
        return Estimate(reads={0: call.out_elements()})
    except Unknown:
        return Estimate(reads={0: 0})


def _chosen(_: Call) -> Estimate:
    """How many elements pass is decided by data."""
    return Estimate(bound=_BOUND)


def _shape(_: Call) -> Estimate:
    return Estimate(reads={0: 0})


def _scatter(call: Call) -> Estimate:
    """The data are copied, then updates are written over them, or combined with them."""
    kind = call.text("reduction", "none") or "none"
    if kind == "none":
        return Estimate()
    updates = call.elements(2)
    work = {
        "add": Work(adds=updates),
        "mul": Work(multiplies=updates),
        "max": Work(comparisons=updates),
        "min": Work(comparisons=updates),
    }.get(kind, Work())
    return Estimate(work)


def _range(call: Call) -> Estimate:
    """start + i · delta."""
    work = Work(adds=call.out_elements(), multiplies=call.out_elements())
    return Estimate(work)


def _dynamic_bias(call: Call) -> Estimate:
    """A bucket of each distance is computed, then looked up."""
    places = call.out()[-1] * call.out()[-2]
    work = Work(adds=2, multiplies=1, divisions=1, exponentials=1, comparisons=2) * places
    return Estimate(work, reads={0: call.out_elements()})


def _block_gather(call: Call) -> Estimate:
    """Rows of a quantised table are picked and scaled; zero points are taken off first."""
    out = call.out_elements()
    bits = call.integer("bits", 4)
    packed = call.input(0).dtype == "uint8" and bits < 8
    read: Size = out // (8 // bits) if packed else out
    block = call.integer("block_size", 128)
    reads = {0: read, 2: out // block}
    if call.has(3):
        reads[3] = out // block
    return Estimate(Work(adds=out, multiplies=out), reads=reads)


def _branches(_: Call) -> Estimate:
    """An If hands on what its branch yields."""
    return Estimate(view=True)


def _loop(call: Call) -> Estimate:
    """What each run of the body yields, besides the state, is copied to its place in the output."""
    return _stacked(call, len(call.inputs) - 2)


def _scan(call: Call) -> Estimate:
    """As a Loop; the inputs are read by the body, a slice each time."""
    first = 1 if call.layer.opset < 9 else 0
    return _stacked(call, len(call.inputs) - first - call.required("num_scan_inputs"))


def _stacked(call: Call, states: int) -> Estimate:
    inputs = dict.fromkeys(range(len(call.inputs)), 0)
    kept = dict.fromkeys(range(min(states, len(call.outputs))), 0)
    return Estimate(reads=inputs, writes=kept)


_VIEWS = (
    *("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "BitCast"),
    *("Optional", "OptionalGetElement", "SequenceConstruct", "SequenceAt", "ExpandDims"),
)
_COPIES = (
    *("Concat", "Transpose", "Cast", "CastLike", "Pad", "Tile", "Expand", "DepthToSpace"),
    *("SpaceToDepth", "ReverseSequence", "OneHot", "Trilu", "Split"),
    *("SplitToSequence", "ConcatFromSequence", "TensorScatter"),
)
_PICKS = (
    "Slice",
    "Gather",
    "GatherElements",
    "GatherND",
    "CenterCropPad",
    "TorchEmbedding",
    "Crop",
)
#: Their outputs' contents depend on shapes and attributes only.
_GENERATED = ("ConstantOfShape", "EyeLike", "Constant", "GivenTensorFill")

OPERATORS: Mapping[str, Formula] = {
    **dict.fromkeys(_VIEWS, _view),
    **dict.fromkeys(_COPIES, _copied),
    **dict.fromkeys(_PICKS, _picked),
    **dict.fromkeys(_GENERATED, _generated),
    **dict.fromkeys(("Shape", "Size", "SequenceLength", "OptionalHasElement"), _shape),
    **dict.fromkeys(("SequenceEmpty", "SequenceInsert", "SequenceErase"), _view),
    **dict.fromkeys(("Scatter", "ScatterElements", "ScatterND"), _scatter),
    "Compress": _chosen,
    "Range": _range,
    "If": _branches,
    "SequenceMap": _branches,
    "Loop": _loop,
    "Scan": _scan,
}
#: onnxruntime's own.
CONTRIB: Mapping[str, Formula] = {
    **dict.fromkeys(("ExpandDims",), _view),
    **dict.fromkeys(
        (
            *("Pad", "UnfoldTensor", "Trilu", "DepthToSpace", "SpaceToDepth", "ReorderInput"),
            *("ReorderOutput", "RestorePadding", "RemovePadding"),
        ),
        _copied,
    ),
    **dict.fromkeys(("GatherND", "TorchEmbedding", "DynamicSlice"), _picked),
    "Range": _range,
    "GatherBlockQuantized": _block_gather,
    "RelativePositionBias": _dynamic_bias,
}
#: Operators without arithmetic, whose operations are zero because there are none.
MOVERS = frozenset(
    (
        *(*_VIEWS, *_COPIES, *_PICKS, *_GENERATED, "Shape", "Size", "SequenceLength"),
        *("OptionalHasElement", "SequenceEmpty", "SequenceInsert", "SequenceErase", "Scatter"),
        *("ScatterElements", "ScatterND", "Compress", "MaxUnpool", "Dropout", "Resize"),
        *("Upsample", "If", "Loop", "Scan"),
    )
)
