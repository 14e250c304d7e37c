"""Inputs that the graph constrains: what indexes, counts and has few bits; sizes from arrays."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import models
from support.networks.models import INT64, node, value, weight

from onnxprof.errors import UsageError
from onnxprof.model.feeds import from_file, generate, sizes_from
from onnxprof.model.file import free_axes, open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.model.made_up import Feed, _concrete, made_up
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import Tensor
from onnxprof.zoo.declaration import Fill


def table_of(made, folder, batch):
    return inspect(open_model(str(models.save(made, folder))), batch, {})


def attended(past):
    """A GroupQueryAttention whose counts of tokens are inputs."""
    names = ["q", "k", "v", *(("pk", "pv") if past else ("", "")), "counts", "all"]
    values = [value("q", ["N", 5, 32]), value("k", ["N", 5, 16]), value("v", ["N", 5, 16])]
    if past:
        values += [value("pk", ["N", 2, past, 8]), value("pv", ["N", 2, past, 8])]
    values += [value("counts", ["N"], TensorProto.INT32), value("all", [1], TensorProto.INT32)]
    attention = node(
        "GroupQueryAttention", names, ["y", "ok", "ov"], "gqa", domain="com.microsoft",
        num_heads=4, kv_num_heads=2,
    )  # fmt: skip
    outputs = [value("y", None), value("ok", None), value("ov", None)]
    return models.model([attention], values, outputs, domains=["com.microsoft"])


@pytest.mark.parametrize("past", [0, 3])
def test_counts_of_tokens_fit_the_cache_and_run(tmp_path, past):
    import onnxruntime as ort

    made = attended(past)
    table = table_of(made, tmp_path, 1)
    arrays = generate(table)
    assert arrays["counts"].tolist() == [5 + past - 1]
    assert arrays["all"].tolist() == [5 + past]
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(None, arrays)[1].shape[2] == 5 + past


def test_what_indexes_is_within_what_is_indexed(tmp_path):
    made = models.model(
        [node("GatherND", ["t", "nd"], ["a"], "nd"),
         node("GatherElements", ["t", "e"], ["b"], "elements", axis=1),
         node("ScatterElements", ["t", "s", "u"], ["c"], "scatter", axis=0),
         node("TopK", ["t", "many"], ["d", "e1"], "top")],
        [value("nd", [9, 2], INT64), value("e", [6, 9], INT64), value("s", [2, 4], INT64),
         value("u", [2, 4]), value("many", [1], INT64)],
        [value("a", None), value("b", None), value("c", None), value("d", None)],
        [weight("t", 6, 4)],
    )  # fmt: skip
    arrays = generate(table_of(made, tmp_path, 1))
    assert arrays["nd"].max() < 4
    assert arrays["e"].max() == 3
    assert arrays["s"].max() < 6
    assert arrays["many"].tolist() == [1]


def test_lengths_of_sequences_are_those_of_the_data(tmp_path):
    made = models.model(
        [node("LSTM", ["x", "w", "r", "", "lens"], ["y"], "lstm", hidden_size=3)],
        [value("x", [7, "N", 4]), value("lens", ["N"], TensorProto.INT32)],
        [value("y", None)],
        [weight("w", 1, 12, 4), weight("r", 1, 12, 3)],
    )
    assert generate(table_of(made, tmp_path, 2))["lens"].tolist() == [7, 7]


@pytest.mark.parametrize(
    ("kind", "name", "opset"),
    [("FLOAT8E4M3FN", "float8_e4m3fn", 21), ("FLOAT8E5M2", "float8_e5m2", 21),
     ("INT4", "int4", 21), ("UINT4", "uint4", 21), ("BFLOAT16", "bfloat16", 21)],
)  # fmt: skip
def test_low_precision_inputs_are_made_up_and_run(tmp_path, kind, name, opset):
    from onnxprof.backends.ort.backend import OrtBackend

    made = models.model(
        [node("DequantizeLinear", ["x", "s"], ["y"], "dq") if kind != "BFLOAT16"
         else node("Cast", ["x"], ["y"], "cast", to=TensorProto.FLOAT)],
        [value("x", ["N", 15], getattr(TensorProto, kind))], [value("y", None)],
        [numpy_helper.from_array(np.float32(0.5), "s")], opset=opset, ir_version=10,
    )  # fmt: skip
    model = open_model(str(models.save(made, tmp_path)))
    table = inspect(model, 3, {})
    arrays = generate(table)
    assert arrays["x"].dtype.name == name
    assert len(np.unique(arrays["x"].astype(np.float32))) > 5
    workload = Workload(prepare(model, 3, {}), table, arrays, 1, "cpu")
    with OrtBackend().open(workload) as session:
        for _ in range(3):
            session.infer()
        found = session.values()["y"]
    scale = 1.0 if kind == "BFLOAT16" else 0.5
    np.testing.assert_array_equal(found, arrays["x"].astype(np.float32) * scale)


def test_sizes_come_from_the_arrays(tmp_path):
    made = models.model(
        [node("Relu", ["x"], ["y"], "r"), node("Relu", ["z"], ["w"], "s")],
        [value("x", ["batch", 3, "height", None]), value("z", ["batch", "2*height"])],
        [value("y", None), value("w", None)],
    )
    model = open_model(str(models.save(made, tmp_path)))
    path = tmp_path / "in.npz"
    np.savez(path, x=np.ones((1, 3, 8, 6), np.float32), z=np.ones((1, 16), np.float32))
    dims = sizes_from(path, free_axes(model))
    assert dims == {"height": 8, "x.axis3": 6}
    table = inspect(model, 2, dims)
    assert from_file(path, table)[0]["z"].shape == (2, 16)


def test_arrays_that_give_an_axis_two_sizes(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, a=np.ones((2, 3)), b=np.ones(4))
    with pytest.raises(UsageError, match="axis 't' is 3 in 'a' and 4 in 'b'"):
        sizes_from(path, {"a": (None, "t"), "b": ("t",)})


@pytest.mark.parametrize("data", [b"", b"PK", b"no archive", b"PK\x03\x04" + bytes(40)])
def test_sizes_of_a_file_that_is_no_archive(tmp_path, data):
    path = tmp_path / "in.npz"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="not a readable"):
        sizes_from(path, {"x": ("t",)})


def cached(*more):
    """The inputs of a decoder with five tokens in its cache and three new ones."""
    return models.model(
        [node("Relu", ["past_key_values.0.key"], ["y"], "r"),
         *(node("Identity", [v.name], [f"{v.name}_out"], v.name) for v in more)],
        [value("input_ids", ["N", "sequence"], INT64),
         value("past_key_values.0.key", ["N", 2, "past", 8]), *more],
        [value("y", None), *(value(f"{v.name}_out", None, v.type.tensor_type.elem_type)
                             for v in more)],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        (value("position_ids", ["N", "sequence"], INT64), [[5, 6, 7]]),
        (value("cache_position", ["sequence"], INT64), [5, 6, 7]),
        (value("past_sequence_length", [1], INT64), [5]),
        (value("total_sequence_length", [1], INT64), [8]),
        (value("attention_mask", ["N", "sequence"], INT64), [[1, 1, 1]]),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_lengths_and_positions_go_with_the_cache(extra, wanted, tmp_path):
    model = open_model(str(models.save(cached(extra), tmp_path)))
    arrays = generate(inspect(model, 1, {"sequence": 3, "past": 5}))
    assert arrays[extra.name].tolist() == wanted


def test_an_empty_cache_begins_at_zero(tmp_path):
    extra = value("position_ids", ["N", "sequence"], INT64)
    model = open_model(str(models.save(cached(extra), tmp_path)))
    arrays = generate(inspect(model, 1, {"sequence": 3, "past": 0}))
    assert arrays["position_ids"].tolist() == [[0, 1, 2]]
    assert arrays["past_key_values.0.key"].shape == (1, 2, 0, 8)


def test_positions_that_an_operator_reads_stay_within_its_tables(tmp_path):
    made = models.model(
        [node("RotaryEmbedding", ["x", "p", "c", "s"], ["y"], "turn", domain="com.microsoft"),
         node("Identity", ["past"], ["z"], "keep")],
        [value("x", ["N", 4, 3, 8]), value("p", ["N", 3], INT64),
         value("past", ["N", 2, 6, 8])],
        [value("y", None), value("z", None)], [weight("c", 7, 4), weight("s", 7, 4)],
        domains=["com.microsoft"],
    )  # fmt: skip
    assert generate(table_of(made, tmp_path, 1))["p"].tolist() == [[6, 0, 1]]


def test_operands_are_known_by_their_places_where_others_are_left_out(tmp_path):
    made = models.model(
        [node("Attention", ["q", "k", "v", "", "", "", "keys"], ["y"], "sdpa"),
         node("TensorScatter", ["cache", "update", "at"], ["z"], "write")],
        [value("q", ["N", 4, 2, 8]), value("k", ["N", 4, 6, 8]), value("v", ["N", 4, 6, 8]),
         value("keys", ["N"], INT64), value("cache", ["N", 2, 9, 8]),
         value("update", ["N", 2, 2, 8]), value("at", ["N"], INT64)],
        [value("y", None), value("z", None)], opset=24, ir_version=11,
    )  # fmt: skip
    arrays = generate(table_of(made, tmp_path, 2))
    assert arrays["keys"].tolist() == [6, 6]
    assert arrays["at"].tolist() == [7, 7]


def test_masks_of_attentions_hide_nothing(tmp_path):
    mask = value("m", ["N"], TensorProto.INT32)
    made = models.model(
        [node("MultiHeadAttention", ["q", "k", "k", "", "m"], ["y"], "mha", num_heads=4,
              domain="com.microsoft")],
        [value("q", ["N", 2, 32]), value("k", ["N", 7, 32]), mask], [value("y", None)],
        domains=["com.microsoft"],
    )  # fmt: skip
    assert generate(table_of(made, tmp_path, 2))["m"].tolist() == [7, 7]


def test_an_input_of_unknown_rank_is_told_from_one_with_free_axes(tmp_path):
    made = models.model(
        [node("Relu", ["x"], ["y"])], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)],
        [value("y", None)],
    )  # fmt: skip
    table = inspect(open_model(str(models.save(made, tmp_path))), 1)
    with pytest.raises(UsageError, match=r"how many axes input 'x' has\..*--inputs"):
        generate(table)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "int64"])
def test_values_are_drawn_in_parts_that_are_those_of_one_draw(dtype, monkeypatch):
    tensor = Tensor("x", dtype, (3, 700))
    fill = Fill("normal") if "float" in dtype else Fill("integers", 0, 100)
    whole = made_up(tensor, 1, Feed(fill, ""))
    monkeypatch.setattr("onnxprof.model.made_up._DRAWN", 64)
    assert made_up(tensor, 1, Feed(fill, "")).tobytes() == whole.tobytes()


def test_a_cache_of_many_tokens_repeats_the_values_that_were_drawn(monkeypatch):
    monkeypatch.setattr("onnxprof.model.made_up._MOST_DRAWN", 128)
    made = made_up(Tensor("past", "float16", (1, 3, 100)), 0, Feed(Fill("normal"), "")).ravel()
    assert np.array_equal(made[:128], made[128:256])
    assert np.array_equal(made[:44], made[256:])
    assert len(np.unique(made[:128])) > 100


def test_a_cache_of_eight_bits_takes_a_byte_an_element():
    """It was refused as if it had eight."""
    with pytest.raises(UsageError, match="16 GiB"):
        made_up(Tensor("past", "float32", (1 << 33,)), 0, Feed(Fill("normal"), ""))
    assert _concrete(Tensor("past", "int8", (1 << 33,))) == (1 << 33,)
