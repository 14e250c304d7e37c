"""Sizes that an error message suggests are such that the graph takes them."""

from __future__ import annotations

import re
import shlex

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.errors import UsageError
from onnxprof.model.dims.grammar import parse
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing
from onnxprof.model.suggestion import refuse_missing


def suggested(made, folder):
    model = open_model(str(models.save(made, folder)))
    with pytest.raises(UsageError, match="no size given") as caught:
        refuse_missing(model, sizing(model, {}))
    return model, caught.value.remedy


def dims_of(remedy):
    words = shlex.split(remedy.removeprefix("Add "))
    assert words[::2] == ["--dim"] * (len(words) // 2)
    return parse(words[1::2])


def runs(made, folder):
    """Paste the suggestion, and run."""
    model, remedy = suggested(made, folder)
    asked = dims_of(remedy)
    for batch in (1, 3):
        dims = sizing(model, asked).at(batch)
        prepared = prepare(model, batch, dims)
        source = prepared.source if isinstance(prepared.source, bytes) else str(prepared.source)
        session = ort.InferenceSession(source, providers=["CPUExecutionProvider"])
        session.run(None, generate(inspect(model, batch, dims)))
    return asked


def test_the_usual_sizes_come_first(tmp_path):
    made = models.model([node("Relu", ["x"], ["y"])], [value("x", ["N", "tokens"])],
                        [value("y", None)])  # fmt: skip
    assert runs(made, tmp_path) == {"tokens": 128}
    made = models.model([node("Relu", ["x"], ["y"])], [value("x", ["N", 3, "height", "my width"])],
                        [value("y", None)])  # fmt: skip
    assert runs(made, tmp_path) == {"height": 224, "my width": 224}


def test_a_height_that_the_weights_fix(tmp_path):
    """A recogniser of text takes lines of 48 rows: what its Reshape leaves must fit its product."""
    made = models.model(
        [node("Reshape", ["x", "shape"], ["r"], "flat"), node("MatMul", ["r", "w"], ["y"], "mm")],
        [value("x", ["N", 3, "height", 8])], [value("y", None)],
        [models.ints("shape", 0, -1), weight("w", 3 * 48 * 8, 2)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"height": 48}


def test_a_window_that_has_to_fit(tmp_path):
    """As a detector of speech has it: 200 samples a window, no padding."""
    made = models.model(
        [node("Conv", ["x", "w"], ["y"], "window", strides=[64])],
        [value("x", ["N", 1, "samples"])], [value("y", None)], [weight("w", 4, 1, 200)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"samples": 256}


def test_a_state_that_has_the_batch(tmp_path):
    made = models.model(
        [node("GRU", ["x", "w", "r", "", "", "h"], ["y"], "gru", hidden_size=3)],
        [value("x", [1, "N", 4]), value("h", [1, None, 3])], [value("y", None)],
        [weight("w", 1, 9, 4), weight("r", 1, 9, 3)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"h.axis1": "batch"}


def test_a_branch_that_does_not_run_does_not_decide(tmp_path):
    sides = [
        helper.make_graph([node("Conv", ["x", w], ["r"], w)], "g", [], [value("r", None)])
        for w in ("long", "never")
    ]
    made = models.model(
        [node("If", ["c"], ["y"], "if", then_branch=sides[0], else_branch=sides[1])],
        [value("x", ["N", 1, "samples"])], [value("y", None)],
        [weight("long", 2, 1, 150), weight("never", 2, 1, 5000),
         numpy_helper.from_array(np.array(True), "c")],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"samples": 256}


def test_where_nothing_fits_the_node_that_refuses_is_named(tmp_path):
    made = models.model(
        [node("MatMul", ["x", "v"], ["z"], "one"), node("MatMul", ["x", "w"], ["y"], "odd")],
        [value("x", ["N", "tokens"])], [value("y", None)],
        [weight("v", 321, 1), weight("w", 12345, 1)],
    )  # fmt: skip
    _, remedy = suggested(made, tmp_path)
    assert re.search(r"--dim NAME=SIZE.*--dim tokens=321, node 'odd' refuses", remedy)


def test_a_length_that_the_weights_fix(tmp_path):
    made = models.model(
        [node("MatMul", ["x", "w"], ["y"], "odd")], [value("x", ["N", "tokens"])],
        [value("y", None)], [weight("w", 12345, 1)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"tokens": 12345}


@pytest.mark.parametrize(
    ("past", "new", "total", "tie"),
    [
        ("past-length", "new-length", "total-length", "{new-length}+{past-length}"),
        ("my past", "new", "the total", "new+{my past}"),
        ("größe", "länge", "summe", "größe+länge"),
        (None, "p,q", "a=b", "{p,q}+{p:0.axis1}"),
        ("past\nlength", "new", "total", "new+{p:0.axis1}"),
    ],
)
def test_axes_whose_names_are_no_words_are_tied(tmp_path, past, new, total, tie):
    made = models.model(
        [node("Concat", ["p:0", "x"], ["c"], "joined", axis=1), node("Add", ["c", "m"], ["y"])],
        [value("p:0", ["N", past]), value("x", ["N", new]), value("m", ["N", total])],
        [value("y", None)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {past if past and past.isprintable() else "p:0.axis1": 128,
                                    new: 128, total: tie}  # fmt: skip


def test_axes_of_a_mask_are_none_of_the_batch(tmp_path):
    """`b` is a name of a batch only where `N` is not in front of it."""
    made = models.model(
        [node("Where", ["m", "x", "z"], ["y"], "masked")],
        [value("m", ["N", 1, "q", "k"], TensorProto.BOOL), value("x", ["N", 4, "q", "k"]),
         value("z", ["N", 4, "a", "b"])], [value("y", None)],
    )  # fmt: skip
    assert runs(made, tmp_path) == {"q": 128, "k": 128, "a": "q", "b": "k"}


def test_nothing_is_missing_where_everything_has_a_size(tmp_path):
    model = open_model(str(models.save(models.linear(), tmp_path)))
    refuse_missing(model, sizing(model, {}))
