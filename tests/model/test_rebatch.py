from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.networks import models
from support.networks.models import BOOL, ints, node, value, weight

from onnxprof.errors import UsageError
from onnxprof.model.file import missing_dims, open_model, prepare, rebatched
from onnxprof.model.layers import inspect
from onnxprof.model.rebatch.targets import reshape_target
from onnxprof.publish.tables.layers import classic_rows

ort = pytest.importorskip("onnxruntime")
LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
_NUMPY = {"tensor(float)": np.float32, "tensor(bool)": np.bool_, "tensor(int64)": np.int64}


def run(model, batch, dims=None):
    """Shapes of the outputs, by onnxruntime."""
    ready = prepare(model, batch, dims or {})
    options = ort.SessionOptions()
    options.log_severity_level = 4
    for name, size in ready.free_dims:
        options.add_free_dimension_override_by_name(name, size)
    source = ready.source if isinstance(ready.source, bytes) else str(ready.source)
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    feeds = {i.name: np.ones(i.shape, _NUMPY[i.type]) for i in session.get_inputs()}
    stored = {i.name for i in session.get_overridable_initializers()}
    return [o.shape for o in session.run(None, {k: v for k, v in feeds.items() if k not in stored})]


def check(made, folder, batch, dims=None):
    """Re-batch, and compare what was inferred with what onnxruntime gives."""
    model = open_model(str(models.save(made, folder)))
    table = inspect(model, batch, dims or {})
    assert table.obstacle == ""
    assert table.batch == batch
    by_name = {t.name: t.shape for layer in table.nodes for t in layer.outputs}
    names = [o.name for o in made.graph.output]
    assert [by_name[n] for n in names] == run(model, batch, dims)
    return by_name[names[0]]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("target", "data", "out"),
    [
        ((1, -1), (1, 3, 4), ("B", 12)),
        ((0, -1), (1, 3, 4), ("B", 12)),
        ((-1, 12), (1, 3, 4), ("B", 12)),
        ((12, -1), (1, 3, 4), ("12B", 1)),
        ((3, 4), (1, 3, 4), ("3B", 4)),
        ((1, 2, 6), (1, 3, 4), ("B", 2, 6)),
        ((-1,), (1, 3, 4), ("12B",)),
        ((12,), (1, 3, 4), ("12B",)),
        ((1, 3, 2, 2), ("N", 3, 4), ("B", 3, 2, 2)),
    ],
)
def test_reshape_carries_the_batch(tmp_path, target, data, out, batch):
    expected = tuple(int(d[:-1] or 1) * batch if isinstance(d, str) else d for d in out)
    assert check(models.reshaped(target, data), tmp_path, batch) == expected


def test_batch_of_four_becomes_another(tmp_path):
    assert check(models.reshaped((4, 12), (4, 3, 4)), tmp_path, 6) == (6, 12)
    assert check(models.reshaped((8, 6), (4, 3, 4)), tmp_path, 1) == (2, 6)


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    cut=st.integers(0, 4),
    own=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 9),
)
@settings(max_examples=80, deadline=None)
def test_rewritten_target_holds_every_element(shape, cut, own, batch):
    data = (own, *shape)
    merged = math.prod(data[: cut + 1])
    out = (merged, *data[cut + 1 :])
    factors = reshape_target(out, data, out, 0, own)
    assert factors is not None
    target = [c * batch if scales else c for c, scales in factors]
    assert math.prod(target) == batch * math.prod(shape)
    assert target[1:] == list(out[1:])


def test_time_first_merges(tmp_path):
    """[B,S,E] transposed to [S,B,E], then heads merged into the batch as attention does it."""

    def made(target, out):
        return models.model(
            [
                node("Transpose", ["x"], ["t"], "t", perm=[1, 0, 2]),
                node("Reshape", ["t", "s"], ["y"], "r"),
            ],
            [value("x", [1, 10, 8])],
            [value("y", out)],
            [ints("s", *target)],
        )

    assert check(made((10, 4, 2), (10, 4, 2)), tmp_path, 3) == (10, 12, 2)
    assert check(made((10, 8), (10, 8)), tmp_path, 3) == (30, 8)
    assert check(made((10, 1, 2, 4), None), tmp_path, 3) == (10, 3, 2, 4)


def test_weights_only_reshape_is_left_alone(tmp_path):
    made = models.model(
        [
            node("Reshape", ["w", "s"], ["m"], "weights"),
            node("MatMul", ["x", "m"], ["h"], "mm"),
            node("Reshape", ["h", "s"], ["y"], "data"),
        ],
        [value("x", [1, 6])],
        [value("y", None)],
        [weight("w", 6, 1), ints("s", 1, -1)],
    )
    made.graph.node[1].input[1] = "m"
    del made.graph.node[1:2]
    made.graph.node[1].input[0] = "a"
    made.graph.node.insert(1, node("Add", ["x", "m"], ["a"], "add"))
    assert check(made, tmp_path, 4) == (4, 6)
    table = inspect(open_model(str(tmp_path / "model.onnx")), 4)
    values = {x.name: x.inputs[1].value for x in table.nodes if x.op_type == "Reshape"}
    assert values == {"weights": (1, -1), "data": (4, -1)}


def test_constant_node_shared_by_two_reshapes(tmp_path):
    made = models.model(
        [
            node("Constant", [], ["s"], "const", value_ints=[1, -1]),
            node("Reshape", ["x", "s"], ["a"], "first"),
            node("Reshape", ["a", "s"], ["y"], "second"),
        ],
        [value("x", [1, 2, 3])],
        [value("y", None)],
    )
    assert check(made, tmp_path, 5) == (5, 6)


@pytest.mark.parametrize("op_type", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("own", [1, 3])
def test_recurrent_states_follow(tmp_path, op_type, own):
    assert check(models.recurrent(op_type, own), tmp_path, 4) == (4, 5)


def test_repeated_states_keep_their_values(tmp_path):
    model = open_model(str(models.save(models.recurrent("GRU", 1), tmp_path)))
    source = prepare(model, 3, {}).source
    assert isinstance(source, bytes)
    stored = {
        t.name: onnx.numpy_helper.to_array(t)
        for t in onnx.load_from_string(source).graph.initializer
    }
    old = onnx.numpy_helper.to_array(
        next(t for t in onnx.load(tmp_path / "model.onnx").graph.initializer if t.name == "h0")
    )
    np.testing.assert_array_equal(stored["h0"], np.repeat(old, 3, axis=1))


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize(
    "build", [models.quantised, models.tf_style, models.branching, lambda: models.branching(1),
              models.looped, models.with_function, models.attention, lambda: models.linear(None)]
)  # fmt: skip
def test_exporters_styles(tmp_path, build, batch):
    assert check(build(), tmp_path, batch)[0] == batch


def test_fixed_slice_expand_and_resize(tmp_path):
    made = models.model(
        [
            node("Slice", ["x", "starts", "ends"], ["a"], "slice"),
            node("Resize", ["a", "", "", "sizes"], ["b"], "resize", mode="nearest"),
            node("Expand", ["b", "shape"], ["y"], "expand"),
        ],
        [value("x", [2, 3, 4, 4])],
        [value("y", None)],
        [ints("starts", 0, 1), ints("ends", 2, 3), ints("sizes", 2, 2, 8, 8),
         ints("shape", 2, 2, 8, 8)],
    )  # fmt: skip
    assert check(made, tmp_path, 5) == (5, 2, 8, 8)


@pytest.mark.parametrize(
    ("build", "layer"),
    [
        (models.class_token, "layer cat (Concat)"),
        (models.picks_first, "layer pick (Gather): output 'first' keeps batch 1"),
    ],
)
def test_obstacle_names_the_layer_and_own_batch_is_used(tmp_path, build, layer):
    model = open_model(str(models.save(build(), tmp_path)))
    table = inspect(model, 8)
    assert layer in table.obstacle
    assert table.batch == 1
    assert table.layers == inspect(model, 1).layers
    assert prepare(model, 8, {}).source == model.path
    assert inspect(model, 1).obstacle == ""


def test_squeeze_without_axes_is_an_obstacle(tmp_path):
    made = models.model(
        [node("Squeeze", ["x"], ["s"], "squeeze"), node("MatMul", ["s", "w"], ["y"], "mm")],
        [value("x", [1, 4, 1])],
        [value("y", None)],
        [weight("w", 4, 2)],
    )
    # at batch 1 the vector is [4]; at any other batch the matrix still multiplies
    model = open_model(str(models.save(made, tmp_path)))
    assert inspect(model, 3).layers[-1].outputs[0].shape == (3, 2)
    assert run(model, 3) == [(3, 2)]


def test_data_dependent_output_is_no_obstacle(tmp_path):
    made = models.model(
        [node("NonZero", ["x"], ["i"], "nz"), node("Transpose", ["i"], ["y"], "t")],
        [value("x", [1, 4])],
        [value("y", [None, 2], models.INT64)],
    )
    table = inspect(open_model(str(models.save(made, tmp_path))), 3)
    assert (table.obstacle, table.batch) == ("", 3)
    assert table.layers[-1].outputs[0].shape == (None, 2)


def test_no_input_is_an_obstacle(tmp_path):
    made = models.model(
        [node("Relu", ["w"], ["y"], "relu")], [], [value("y", [4])], [weight("w", 4)]
    )
    table = inspect(open_model(str(models.save(made, tmp_path))), 3)
    assert "no input has a batch axis" in table.obstacle


def two_inputs(first, second):
    return models.model(
        [node("Relu", ["a"], ["y"], "ra"), node("Relu", ["b"], ["z"], "rb")],
        [value("a", first), value("b", second)],
        [value("y", None), value("z", None)],
    )


@pytest.mark.parametrize(
    ("first", "second", "shapes"),
    [
        (["seq", "batch_size"], [2, "batch_size"], [("seq", 7), (2, 7)]),
        (["N", 3], ["N", "t"], [(7, 3), (7, "t")]),
        (["s0", 3], [4, "s0"], [(7, 3), (4, 7)]),
        (["unk__12", 3], ["unk__13", 5], [(7, 3), (7, 5)]),
        ([None, 3], [None, None], [(7, 3), (7, "b.axis1")]),
        (["N", "b"], ["N", 5], [(7, "b"), (7, 5)]),
        (["batch", "tokens_of_batch"], [2, 5], [(7, "tokens_of_batch"), (2, 5)]),
        (["N", "b"], ["b", 5], [(7, 7), (7, 5)]),
        (["N", "a\nb"], ["N", "  "], [(7, "a.axis1"), (7, "b.axis1")]),
        ([1, 3], [1, 5], [(7, 3), (7, 5)]),
        ([1, 3], [9], [(7, 3), (9,)]),
    ],
)
def test_which_axis_is_the_batch(tmp_path, first, second, shapes):
    table = inspect(open_model(str(models.save(two_inputs(first, second), tmp_path))), 7)
    if second == [9]:
        assert "layer rb" not in table.obstacle
    assert [layer.outputs[0].shape for layer in table.nodes] == shapes


def test_missing_dims_are_all_listed(tmp_path):
    made = two_inputs(["N", "tokens"], ["N", None])
    model = open_model(str(models.save(made, tmp_path)))
    assert [d.name for d in missing_dims(model, {"tokens": 3})] == ["b.axis1"]
    with pytest.raises(UsageError, match=r"tokens \(of a\); b.axis1 \(of b\).*--dim"):
        prepare(model, 2, {})
    assert run(model, 2, {"tokens": 3, "b.axis1": 4}) == [(2, 3), (2, 4)]


def test_unknown_dim_lists_the_known(tmp_path):
    model = open_model(str(models.save(two_inputs(["N", "tokens"], ["N", 4]), tmp_path)))
    with pytest.raises(UsageError, match=r"no symbolic axis 'token'.*It has: tokens"):
        inspect(model, 1, {"token": 3})
    with pytest.raises(UsageError, match=r"'N' is the batch axis.*--batch"):
        inspect(model, 1, {"N": 3})
    with pytest.raises(UsageError, match=r"the batch is no axis of --dim\. .*--batch"):
        inspect(model, 1, {"batch": 3})
    with pytest.raises(UsageError, match=r"axis 'other:tokens'\. It has: tokens; before a colon"):
        inspect(model, 1, {"other:tokens": 3})


def test_dynamic_model_is_loaded_from_its_file(tmp_path):
    model = open_model(str(models.save(models.lenet(), tmp_path)))
    ready = prepare(model, 4, {})
    assert (ready.source, ready.free_dims) == (model.path, (("N", 4),))


def test_rewriting_leaves_the_file_and_the_structure_alone(tmp_path):
    model = open_model(str(models.save(models.lenet(1), tmp_path)))
    before = model.structure.SerializeToString()
    assert rebatched(model, 8, {}).rewritten
    assert isinstance(prepare(model, 8, {}).source, bytes)
    assert model.structure.SerializeToString() == before


def test_if_condition_input_keeps_its_shape(tmp_path):
    made = models.branching(1)
    assert made.graph.input[1].type.tensor_type.elem_type == BOOL
    structure = rebatched(open_model(str(models.save(made, tmp_path))), 4, {}).structure
    assert not structure.graph.input[1].type.tensor_type.shape.dim


@pytest.mark.parametrize("name", ["bvlc_alexnet", "shufflenet", "squeezenet"])
def test_light_models_run_at_batch_two(name):
    model = open_model(str(LIGHT / f"light_{name}.onnx"))
    table = inspect(model, 2)
    assert table.obstacle == ""
    ready = prepare(model, 2, {})
    assert isinstance(ready.source, bytes)
    session = ort.InferenceSession(ready.source, providers=["CPUExecutionProvider"])
    feeds = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}
    outputs = [o.shape for o in session.run(None, feeds)]
    assert outputs == [table.nodes[-1].outputs[0].shape]
    assert outputs[0][0] == 2


@pytest.mark.parametrize("path", sorted(LIGHT.glob("*.onnx")), ids=lambda p: p.stem)
def test_light_models_carry_every_batch(path):
    model = open_model(str(path))
    for batch in (2, 32):
        table = inspect(model, batch)
        assert (table.obstacle, table.batch) == ("", batch)
        assert classic_rows(table)[-1][-1].startswith(f"[[{batch},1000")
