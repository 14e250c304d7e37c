"""Generated and given inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnxprof.errors import UsageError
from onnxprof.model.feeds import from_file, generate
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor


def given(tensor: Tensor) -> Layer:
    return Layer(tensor.name, LayerKind.INPUT, "Input", outputs=(tensor,))


def table(*tensors: Tensor, nodes: tuple[Layer, ...] = ()) -> LayerTable:
    return LayerTable((*(given(t) for t in tensors), *nodes), batch=2)


def test_the_same_seed_gives_the_same_arrays() -> None:
    image = table(Tensor("x", "float32", (2, 3, 4, 4)))
    first, again, other = generate(image, 1)["x"], generate(image, 1)["x"], generate(image, 2)["x"]
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert first.shape == (2, 3, 4, 4)


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float64", "bfloat16", "int64", "int8", "uint8", "bool", "str", "float8_e4m3fn"],
)
def test_every_declared_type_gets_an_array_of_it(dtype: str) -> None:
    array = generate(table(Tensor("x", dtype, (2, 5))))["x"]
    assert array.shape == (2, 5)
    assert array.dtype.name == ("object" if dtype == "str" else dtype)


def test_indices_stay_within_the_table_that_they_index() -> None:
    ids, casted = Tensor("ids", "int64", (2, 4000)), Tensor("c", "int32", (2, 4000))
    nodes = (
        Layer("cast", LayerKind.NODE, "Cast", "Cast", inputs=(ids,), outputs=(casted,)),
        Layer(
            "emb",
            LayerKind.NODE,
            "Gather",
            "Gather",
            inputs=(Tensor("words", "float32", (100, 8)), casted),
            outputs=(Tensor("e", "float32", (2, 4000, 8)),),
        ),
    )
    drawn = generate(table(ids, nodes=nodes))["ids"]
    assert drawn.min() >= 0
    assert 90 < drawn.max() < 100


def test_masks_are_ones_and_bytes_span_their_range() -> None:
    arrays = generate(
        table(Tensor("attention_mask", "int64", (2, 9)), Tensor("pixels", "uint8", (2, 999)))
    )
    assert (arrays["attention_mask"] == 1).all()
    assert arrays["pixels"].max() > 250


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (Tensor("position_ids", "int64", (2, 3)), [[0, 1, 2], [0, 1, 2]]),
        (Tensor("cache_position", "int64", (3,)), [0, 1, 2]),
        (Tensor("token_type_ids", "int32", (2, 2)), [[0, 0], [0, 0]]),
        (Tensor("segment_ids:0", "int64", (1, 2)), [[0, 0]]),
        (Tensor("key_padding_mask", "bool", (1, 2)), [[False, False]]),
        (Tensor("pixel_mask", "bool", (1, 2)), [[True, True]]),
        (Tensor("input_lengths", "int64", (2,)), [9, 9]),
        (Tensor("sr", "int64", ()), 16000),
        (Tensor("use_cache_branch", "bool", (1,)), [False]),
    ],
)
def test_names_that_exporters_give(tensor: Tensor, expected: object) -> None:
    frames = Tensor("frames", "float32", (2, 9, 80))
    assert generate(table(frames, tensor))[tensor.name].tolist() == expected


def test_positions_stay_within_their_table() -> None:
    ids = Tensor("position_ids", "int64", (1, 5))
    words = Tensor("w", "float32", (3, 8))
    out = (Tensor("e", "float32", (1, 5, 8)),)
    gather = Layer("g", LayerKind.NODE, "Gather", "Gather", inputs=(words, ids), outputs=out)
    assert generate(table(ids, nodes=(gather,)))["position_ids"].tolist() == [[0, 1, 2, 0, 1]]


def test_one_hot_bounds_its_indices() -> None:
    ids, depth = Tensor("classes", "int64", (1, 2000)), Tensor("d", "int64", (), value=(30,))
    out = (Tensor("e", "float32", (1, 2000, 30)),)
    node = Layer("o", LayerKind.NODE, "OneHot", "OneHot", inputs=(ids, depth), outputs=out)
    assert 20 < generate(table(ids, nodes=(node,)))["classes"].max() < 30


@pytest.mark.parametrize(
    ("tensor", "word"),
    [
        (Tensor("x", "float32", (2, "height")), "--dim"),
        (Tensor("x", "float32", None), "--inputs"),
        (Tensor("x", "sequence(float32)", None), "'x[0]', 'x[1]', … of a file, with --inputs"),
        (Tensor("x", "map(int64,float32)", (2,)), "'x', which is of type map(int64,float32)"),
        (Tensor("x", "float32", (10**6, 10**6)), "16 GiB"),
    ],
)
def test_what_cannot_be_made_up_is_an_error_that_says_what_to_do(tensor: Tensor, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        generate(table(tensor))
    assert word in str(caught.value)


def test_given_arrays_are_repeated_or_cut_to_the_batch(tmp_path: Path) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, x=np.arange(3, dtype=np.float32).reshape(3, 1), y=np.ones((1, 2), np.int64))
    arrays, digest = from_file(
        file, table(Tensor("x", "float32", (2, 1)), Tensor("y", "int64", (2, "n")))
    )
    assert arrays["x"].tolist() == [[0], [1]]
    assert arrays["y"].shape == (2, 2)
    assert len(digest) == 64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"z": np.ones(2, np.float32)}, "lacks x; has z"),
        ({"x": np.ones((2, 3), np.float64)}, "is float64, the model wants float32"),
        ({"x": np.ones((2, 4), np.float32)}, "is [2, 4], the model wants [2, 3]"),
        ({"x": np.ones((2, 3, 1), np.float32)}, "the model wants [2, 3]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, arrays, message: str) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, **arrays)
    with pytest.raises(UsageError) as caught:
        from_file(file, table(Tensor("x", "float32", (2, 3))))
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"text", b"PK\x03\x04junk"])
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "in.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=r"not a readable \.npz file"):
        from_file(file, table(Tensor("x", "float32", (2, 3))))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    file = tmp_path / "in.npz"
    np.savez(file, x=np.array([{}], dtype=object))
    with pytest.raises(UsageError):
        from_file(file, table(Tensor("x", "float32", (2, 3))))
