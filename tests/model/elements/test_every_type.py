"""Every element type of ONNX: its width, values made for it, arrays from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.networks import models

from onnxprof.cost.count import costs
from onnxprof.errors import UsageError
from onnxprof.model.feeds import from_file, generate
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.elements.arrays import dtype_of, items_of, packed, sequence, unpacked
from onnxprof.records.elements.table import ELEMENTS, Kind, by_name, by_number, inner_type
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Tensor

NUMBERS = [element for element in ELEMENTS if element.bits]
BEYOND = [element.name for element in ELEMENTS if not element.in_numpy]


def table(*tensors: Tensor) -> LayerTable:
    given = (Layer(t.name, LayerKind.INPUT, "Input", outputs=(t,)) for t in tensors)
    return LayerTable(tuple(given), batch=3)


@pytest.mark.parametrize("name", sorted({*TensorProto.DataType.keys()} - {"UNDEFINED"}))
def test_the_table_has_every_type_of_the_installed_onnx(name: str) -> None:
    number = TensorProto.DataType.Value(name)
    element = by_number(number)
    assert element is not None, f"{name}: give it a row in records/elements/table.py"
    assert (element.onnx, element.number) == (name, number)
    if element.bits:
        assert dtype_of(element.name) == helper.tensor_dtype_to_np_dtype(number)


@pytest.mark.parametrize("element", NUMBERS, ids=lambda e: e.name)
def test_elements_come_back_from_their_bytes(element) -> None:
    dtype = dtype_of(element.name)
    array = np.arange(11).astype(np.float32) % 2
    array = array.astype(dtype)
    if element.kind is Kind.SIGNED:
        array[0] = -1
    raw = packed(array)
    if not element.in_numpy:
        assert raw.tobytes() == numpy_helper.from_array(array).raw_data
    assert raw.size == -(-11 * element.bits // 8)
    back = unpacked(raw, element.name, (11,))
    assert back.dtype == dtype
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("element", NUMBERS, ids=lambda e: e.name)
def test_values_are_made_for_every_type(element) -> None:
    array = generate(table(Tensor("x", element.name, (3, 40))))["x"]
    assert array.dtype == dtype_of(element.name)
    assert len(set(array.reshape(-1).tolist())) > 1


@pytest.mark.parametrize("name", ["int4", "uint4", "float4_e2m1fn", "float8_e5m2", "bfloat16"])
def test_bytes_of_tensors_are_those_of_their_packed_elements(name: str, tmp_path: Path) -> None:
    element = by_name(name)
    assert element is not None
    made = models.model(
        [models.node("Reshape", ["x", "s"], ["y"], "r"),
         models.node("Transpose", ["y"], ["z"], "t")],
        [models.value("x", ["N", 5], element.number)],
        [models.value("z", None, element.number)],
        [models.ints("s", 5, -1)], opset=23, ir_version=11,
    )  # fmt: skip
    layers = inspect(open_model(str(models.save(made, tmp_path))), 3, {})
    (_, transposed) = costs(layers)
    assert transposed.bytes == 2 * -(-15 * element.bits // 8)


@pytest.mark.parametrize("name", BEYOND)
def test_arrays_that_numpy_saves_as_bits_are_read_in_their_type(name: str, tmp_path: Path) -> None:
    array = (np.arange(6).reshape(3, 2) % 2).astype(np.float32).astype(dtype_of(name))
    path = tmp_path / "in.npz"
    np.savez(path, x=array)
    found = from_file(path, table(Tensor("x", name, (3, 2))))[0]["x"]
    assert found.dtype == dtype_of(name)
    assert found.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("name", "given"),
    [("int4", np.int8([-8, 7])), ("uint4", np.uint8([0, 15])), ("int2", np.int64([-2, 1])),
     ("bfloat16", np.float32([1.5, -2.0])), ("float8_e4m3fn", np.float16([0.5, 448.0])),
     ("float4_e2m1fn", np.float32([6.0, -0.5]))],
)  # fmt: skip
def test_wider_arrays_are_taken_where_every_value_fits(name, given, tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, x=given)
    found = from_file(path, table(Tensor("x", name, (2,))))[0]["x"]
    assert found.astype(np.float64).tolist() == given.astype(np.float64).tolist()


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("int4", np.int8([8]), "is int8 and has values that int4 does not hold"),
        ("bfloat16", np.float32([0.1]), "has values that bfloat16 does not hold"),
        ("float8_e5m2", np.array(["a"]), "float8_e5m2 does not hold"),
        ("float16", np.float32([1.0]), "is float32, the model wants float16"),
        ("bfloat16", np.zeros(1, [("a", "u1"), ("b", "u1")]), "bfloat16 does not hold"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(name, given, words, tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, x=given)
    with pytest.raises(UsageError, match=words):
        from_file(path, table(Tensor("x", name, (1,))))


def test_a_sequence_is_made_of_items_of_its_declared_shape(tmp_path: Path) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [2, 3]))
    made = models.model(
        [models.node("ConcatFromSequence", ["xs"], ["y"], "c", axis=0)],
        [helper.make_value_info("xs", kind)], [models.value("y", None)],
    )  # fmt: skip
    layers = inspect(open_model(str(models.save(made, tmp_path))), 1, {})
    items = items_of(generate(layers)["xs"])
    assert items is not None
    assert [item.shape for item in items] == [(2, 3), (2, 3)]
    assert not np.array_equal(*items)


def test_items_of_a_sequence_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "in.npz"
    np.savez(path, **{"xs[0]": np.ones((2, 2), np.float32), "xs[1]": np.ones(3, np.float32)})
    wanted = table(Tensor("xs", "sequence(float32)"))
    items = items_of(from_file(path, wanted)[0]["xs"])
    assert items is not None
    assert [item.shape for item in items] == [(2, 2), (3,)]
    np.savez(path, **{"xs[1]": np.ones(3, np.float32)})
    with pytest.raises(UsageError, match=r"lacks xs"):
        from_file(path, wanted)


def test_an_optional_is_given_its_value() -> None:
    array = generate(table(Tensor("x", "optional(float16)", (2, 3))))["x"]
    assert array.dtype == np.float16
    items = items_of(generate(table(Tensor("x", "optional(sequence(int4))", (2,))))["x"])
    assert items is not None
    assert items[0].dtype == dtype_of("int4")


def test_texts_are_no_sequence() -> None:
    assert items_of(np.full(2, "text", object)) is None
    assert items_of(np.zeros(2)) is None
    assert items_of(sequence([])) is None


@pytest.mark.parametrize(
    ("words", "parts"),
    [("float32", ("", "float32")), ("sequence(int4)", ("sequence", "int4")), ("", ("", "")),
     ("optional(sequence(int8))", ("optional", "sequence(int8)")), ("odd(", ("", "odd("))],
)  # fmt: skip
def test_words_of_types_are_taken_apart(words: str, parts: tuple[str, str]) -> None:
    assert inner_type(words) == parts
