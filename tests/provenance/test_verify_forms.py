"""Values that a runtime holds in another form than the file: signs moved, no tensors, sparse."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, numpy_helper
from support.elements.twins import twin
from support.networks import models
from support.networks.models import ints, model, node, value
from support.networks.provenance_corpus import convolutions, linears, residual, scalar
from support.runs.verified import opened

from onnxprof.provenance.verify.likeness import Original, likeness

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


@pytest.mark.parametrize("build", [convolutions, residual, linears])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_int8_activations_that_are_computed_as_uint8(
    build: Callable[[], ModelProto], form: str, tmp_path: Path
) -> None:
    """onnxruntime moves int8 activations by 128 where uint8 has the faster kernels."""
    logging.disable(logging.WARNING)
    made = twin(build(), form, tmp_path, signed=True)
    with opened(models.save(made, tmp_path)) as checked:
        steps = checked.steps()
        folded = set(checked.trace.folded)
    assert [step.verdict for step in steps if step.layers and step.verdict != "verified"] == []
    assert [step.name for step in steps if step.verdict.startswith("refuted")] == []
    claimed = [name for step in steps for name in step.layers]
    assert len(set(claimed)) == len(claimed)
    assert {layer.name for layer in checked.job.table.nodes} <= {*claimed, *folded}


def test_other_integers_are_not_moved() -> None:
    """An int8 tensor equals the uint8 one that is 128 above it, and no other."""
    signed = np.arange(-100, 100, dtype=np.int8)
    moved = (signed.astype(np.int16) + 128).astype(np.uint8)
    assert likeness(Original(signed), moved).error == 0
    assert likeness(Original(moved), signed).error == 0
    assert likeness(Original(signed), moved + np.uint8(20)).error > 0.2
    assert likeness(Original(signed), signed.astype(np.uint8)).error > 0.2
    wide = np.arange(200, dtype=np.int32)
    assert likeness(Original(wide), wide.astype(np.uint32)).error == 0


def sequences() -> ModelProto:
    """Constants and tensors on either side of what is no tensor."""
    nodes = [
        node("SplitToSequence", ["x", "four"], ["q"], "split", axis=1),
        node("SequenceAt", ["q", "one"], ["a"], "at"),
        node("Relu", ["a"], ["r"], "relu"),
        node("SequenceInsert", ["q", "r"], ["q2"], "insert"),
        node("ConcatFromSequence", ["q2"], ["y"], "join", axis=1),
    ]
    stored = [ints("four", 4, 4), ints("one", 1)]
    return model(nodes, [value("x", [2, 8])], [value("y", None)], stored)


def test_what_is_no_tensor_is_not_checked_and_stops_nothing(tmp_path: Path) -> None:
    with opened(models.save(sequences(), tmp_path)) as checked:
        steps = checked.steps()
    verdicts = {step.layers: step.verdict for step in steps}
    assert verdicts["split",] == "not checked: the value of q cannot be read"
    assert verdicts["relu",] == "verified"


def test_packed_weights_that_the_runtime_cannot_read_back_are_saved_plain(tmp_path: Path) -> None:
    """onnxruntime packs an int8 convolution into a part without bytes, and stops at that."""
    rng = np.random.default_rng(0)
    integers = numpy_helper.from_array(rng.integers(-90, 90, (64, 32, 1, 1), np.int8), "w")
    stored = [scalar("s", 0.05), scalar("z", 0, np.int8), integers]
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], "quantise"),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["c"], "conv"),
        node("DequantizeLinear", ["c", "s", "z"], ["y"], "dequantise"),
    ]
    made = model(nodes, [value("x", [1, 32, 8, 8])], [value("y", None)], stored)
    with opened(models.save(made, tmp_path)) as checked:
        steps = checked.steps()
    assert {step.verdict for step in steps if step.layers} == {"verified"}


def scaled_by_a_size() -> ModelProto:
    """What old exporters make of `x / d ** 0.5`: the root of a size, in float16."""
    nodes = [
        node("Shape", ["x"], ["s"], "shape"),
        node("Gather", ["s", "two"], ["d"], "width"),
        node("Cast", ["d"], ["f"], "cast", to=TensorProto.FLOAT16),
        node("Pow", ["f", "half"], ["p"], "root"),
        node("Div", ["x", "p"], ["y"], "div"),
    ]
    stored = [ints("two", 2), scalar("half", 0.5, np.float16)]
    ends = [value(name, ["N", 6, 16], TensorProto.FLOAT16) for name in "xy"]
    return model(nodes, ends[:1], ends[1:], stored)


def test_what_was_folded_and_cast_is_no_part_of_the_step_that_reads_it(tmp_path: Path) -> None:
    with opened(models.save(scaled_by_a_size(), tmp_path), 2) as checked:
        steps = checked.steps()
        folded = checked.trace.folded
    verdicts = {step.layers: step.verdict for step in steps if step.layers}
    assert verdicts["div",] == "verified"
    assert set(verdicts.values()) == {"verified"}
    assert {*folded, *(name for layers in verdicts for name in layers)} == {
        "shape",
        "width",
        "cast",
        "root",
        "div",
    }
    assert {"shape", "width"} <= set(folded)
