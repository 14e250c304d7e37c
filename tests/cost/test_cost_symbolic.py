"""Costs as expressions, evaluated at sizes, against the costs of the model at those sizes."""

from __future__ import annotations

import math

import pytest
from onnx import helper
from support.networks import models
from support.networks.models import node, value, weight
from support.networks.written_layers import layer, skeleton

from onnxprof.cost.base.expression import names_in_python
from onnxprof.cost.count import costs, total
from onnxprof.cost.fit import Axis, Plan
from onnxprof.cost.symbolic import SymbolicCost, symbolic
from onnxprof.errors import ModelError
from onnxprof.model.costs import symbolic_costs
from onnxprof.model.file import ModelFile, open_model, with_defaults
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing
from onnxprof.publish.reasons.symbolic_costs import summary
from onnxprof.records.layer import LayerTable

BATCHES = (1, 2, 3, 5, 8, 16)


def costs_of(opened: ModelFile, **sizes: int) -> SymbolicCost:
    return symbolic_costs(opened, sizing(opened, sizes))


def equal_at(opened: ModelFile, points: list[dict[str, int]]) -> None:
    """Every layer's cost is the same as that of the concrete model, field by field."""
    found = costs_of(opened)
    for point in points:
        dims = {name: size for name, size in point.items() if name != "batch"}
        concrete = costs(inspect(opened, point.get("batch", 1), dims))
        assert found.at(point) == concrete, point


# `benchmarks/symbolic_costs.py` does the same for the whole zoo.
@pytest.mark.parametrize(
    "name",
    [
        "lenet", "squeezenet", "shufflenet", "mobilenet-v2", "yolo", "vit-b16", "ncf",
        "mask-rcnn", "t5-small-encoder", "gnmt",
    ],
)  # fmt: skip
def test_evaluated_it_equals_the_concrete_model(name):
    opened = skeleton(name)
    dims = list(with_defaults(opened, {}))
    lengths = (33, 96, 211) if dims else (0,)
    equal_at(
        opened,
        [
            {"batch": batch, **{dim: length + 5 * i for i, dim in enumerate(dims)}}
            for batch in BATCHES
            for length in lengths
        ],
    )


def test_the_sum_is_written_in_the_axes():
    found = costs_of(skeleton("bert-base"))
    macs = found.work().macs
    # a token: 12 layers · (4·768² + 8·768²) and 768·2; a pair of tokens: 12 · 2 · 768
    assert (
        str(macs) == f"{12 * 2 * 768}*batch*sequence**2 + {12 * 12 * 768**2 + 1536}*batch*sequence"
    )


def test_a_network_of_images_has_quotients_of_their_sides(tmp_path):
    """Strided convolutions and pooling with remainders of their own, then a product of sides."""
    made = models.model(
        [
            node("Conv", ["x", "w"], ["a"], "stem", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("MaxPool", ["a"], ["b"], "pool", kernel_shape=[3, 3], strides=[2, 2]),
            node("Conv", ["b", "v"], ["c"], "deep", strides=[4, 4]),
            node("Flatten", ["c"], ["d"], "flat", axis=2),
            node("Relu", ["d"], ["y"], "relu"),
        ],
        [value("x", ["N", 3, "height", "width"])],
        [value("y", None)],
        [weight("w", 8, 3, 3, 3), weight("v", 4, 8, 3, 3)],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    points = [
        {"batch": batch, "height": height, "width": width}
        for batch in (1, 4)
        for height in (224, 255, 256, 257, 301)
        for width in (97, 640)
    ]
    equal_at(opened, points)
    found = costs_of(opened)
    assert "//16" in str(found.work().comparisons)
    assert not found.unknown()


def test_levels_of_a_detector_are_summed(tmp_path):
    """Boxes of two levels: a sum of products of quotients, which comes from the layers before."""
    level = [
        node("Conv", ["x", f"w{s}"], [f"c{s}"], f"conv{s}", strides=[s, s], kernel_shape=[1, 1])
        for s in (8, 16)
    ]
    made = models.model(
        [
            *level,
            *(node("Reshape", [f"c{s}", "to"], [f"f{s}"], f"flat{s}") for s in (8, 16)),
            node("Concat", ["f8", "f16"], ["b"], "boxes", axis=2),
            node("Sigmoid", ["b"], ["y"], "scores"),
        ],
        [value("x", ["N", 3, "h", "w"])],
        [value("y", None)],
        [weight("w8", 4, 3, 1, 1), weight("w16", 4, 3, 1, 1), models.ints("to", 0, 4, -1)],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    equal_at(
        opened, [{"batch": b, "h": h, "w": w} for b in (1, 3) for h in (64, 100) for w in (80,)]
    )
    assert not costs_of(opened).unknown()


def test_a_cache_of_keys_has_an_axis_of_its_own(tmp_path):
    made = models.model(
        [
            node("Concat", ["past", "new"], ["keys"], "cat", axis=2),
            node("Transpose", ["keys"], ["turned"], "turn", perm=[0, 1, 3, 2]),
            node("MatMul", ["query", "turned"], ["scores"], "scores"),
            node("Softmax", ["scores"], ["y"], "softmax", axis=-1),
        ],
        [
            value("query", ["batch", 4, "tokens", 8]),
            value("past", ["batch", 4, "past", 8]),
            value("new", ["batch", 4, "tokens", 8]),
        ],
        [value("y", None)],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    # looked at around an empty cache and one token it is the same
    empty = costs_of(opened, past=0, tokens=1)
    assert empty.work() == costs_of(opened).work()
    points = [{"batch": b, "tokens": t, "past": p} for b in (1, 7) for t in (1, 9) for p in (0, 31)]
    equal_at(opened, points)
    macs = costs_of(opened).work().macs
    assert str(macs) == "32*batch*past*tokens + 32*batch*tokens**2"


def test_trip_counts_are_expressions_too(tmp_path):
    body = helper.make_graph(
        [node("Add", ["s", "e"], ["t"], "add"), node("Identity", ["t"], ["o"], "same")],
        "body",
        [value("s", ["N", 3]), value("e", ["N", 3])],
        [value("t", ["N", 3]), value("o", ["N", 3])],
    )
    scan = {"num_scan_inputs": 1, "scan_input_axes": [1], "scan_output_axes": [1]}
    made = models.model(
        [node("Scan", ["s0", "x"], ["last", "all"], "scan", body=body, **scan)],
        [value("s0", ["N", 3]), value("x", ["N", "steps", 3])],
        [value("last", ["N", 3]), value("all", ["N", "steps", 3])],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    equal_at(opened, [{"batch": b, "steps": s} for b in (1, 4) for s in (1, 5, 40)])
    assert str(costs_of(opened).work().adds) == "3*batch*steps"


def test_a_size_that_fits_no_form_is_unknown_and_the_sum_says_so():
    """A table whose inner size is the number of bits of the axis."""

    def table_at(sizes):
        n = sizes["n"]
        odd = layer("Relu", [(n.bit_length(), 4)], [(n.bit_length(), 4)], name="odd")
        even = layer("Relu", [(n, 4)], [(n, 4)], name="even")
        return LayerTable((odd, even), 1)

    found = symbolic(table_at, {"n": 16})
    assert [name for name, _ in found.unknown()] == ["odd"]
    assert "no expression" in found.unknown()[0][1]
    assert str(found.work().comparisons) == "4*n"
    assert total(found.at({"n": 50})).at_least


def test_other_layers_at_other_sizes_are_an_error():
    def table_at(sizes):
        count = 1 + (sizes["n"] > 20)
        return LayerTable(
            tuple(layer("Relu", [(4,)], [(4,)], name=str(i)) for i in range(count)), 1
        )

    with pytest.raises(ModelError, match="other layers"):
        symbolic(table_at, {"n": 16})


def test_too_many_axes_are_refused():
    with pytest.raises(ModelError, match="7 free axes"):
        symbolic(lambda sizes: pytest.fail("no table is needed"), dict.fromkeys("abcdefg", 4))


def test_sizes_that_must_be_multiples_are_looked_at_in_steps(tmp_path):
    """Halved and doubled again, an odd side does not fit its other branch."""
    made = models.model(
        [
            node("MaxPool", ["x"], ["a"], "down", kernel_shape=[2, 2], strides=[2, 2]),
            node("ConvTranspose", ["a", "w"], ["b"], "up", strides=[2, 2]),
            node("Concat", ["x", "b"], ["c"], "join", axis=1),
            node("Relu", ["c"], ["y"], "relu"),
        ],
        [value("x", ["N", 3, "side", 32])],
        [value("y", None)],
        [weight("w", 3, 3, 2, 2)],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    found = costs_of(opened)
    side = next(axis for axis in found.axes if axis.name == "side")
    assert side.step % 2 == 0
    equal_at(opened, [{"batch": b, "side": s} for b in (1, 3) for s in (64, 256, 320)])


@pytest.mark.parametrize(
    "axes",
    [
        (Axis("batch", 1), Axis("height", 640, 32), Axis("width", 640, 64)),
        tuple(Axis(name, 1) for name in "abcdef"),
        (Axis("batch", 1), Axis("depth", 224), Axis("height", 224), Axis("width", 224)),
    ],
)
def test_no_point_is_so_far_out_that_an_image_would_not_fit(axes):
    base = math.prod(axis.base for axis in axes)
    points = [dict(point) for point in Plan.of(axes).points][-4:]
    assert len(points) == 4
    assert all(math.prod(point.values()) <= 20_000 * base for point in points)
    assert all(point[axis.name] != axis.base for point in points for axis in axes)


def test_a_detector_with_sides_of_whole_steps_has_expressions(tmp_path):
    """Its farthest point would have had an input of more than 64 GiB."""
    made = models.model(
        [
            node("MaxPool", ["x"], ["a"], "down", kernel_shape=[32, 32], strides=[32, 32]),
            node("ConvTranspose", ["a", "w"], ["b"], "up", strides=[32, 32]),
            node("Concat", ["x", "b"], ["c"], "join", axis=1),
            node("Relu", ["c"], ["y"], "relu"),
        ],
        [value("x", ["N", 3, "height", "width"])],
        [value("y", None)],
        [weight("w", 3, 3, 32, 32)],
    )
    opened = open_model(str(models.save(made, tmp_path)))
    found = costs_of(opened)
    assert {axis.step for axis in found.axes} == {1, 32}
    equal_at(opened, [{"batch": b, "height": 64, "width": 320} for b in (1, 5)])


def test_axes_that_python_cannot_read_have_other_names_in_expressions():
    axes = ("seq len", "seq_len", "a//b", "lambda", "x.axis1", "9", "\x1b[31m", "")
    made = names_in_python(axes)
    assert list(made) == list(axes)
    assert made["seq_len"] == "seq_len"
    assert len(set(made.values())) == len(axes)
    for name in made.values():
        assert eval(name, {}, {name: 7}) == 7


def test_what_is_printed_is_python_whatever_the_file_calls_its_axes(tmp_path):
    made = models.model(
        [node("MatMul", ["x", "w"], ["y"], "product")],
        [value("x", ["N", "a//b - 1", "import os", 16])],
        [value("y", None)],
        [weight("w", 16, 16)],
    )
    found = costs_of(open_model(str(models.save(made, tmp_path))))
    names = [axis.name for axis in found.axes]
    sizes = dict(zip(names, (2, 3, 5), strict=True))
    assert eval(str(found.work().macs), {}, sizes) == 2 * 3 * 5 * 256
    given = {"batch": 2, "a//b - 1": 3, "import os": 5}
    assert found.at(given) == found.at(sizes)
    words = summary(found, [sizes])
    assert f"{names[1]} is the axis 'a//b - 1'" in words
