"""Bytes that layers move: by role, by dtype, packed types, views, elements that are picked."""

from __future__ import annotations

import pytest
from support.networks.written_layers import cost_of, layer, tensor

from onnxprof.cost.count import costs, total
from onnxprof.records.cost import LayerCost, Role, Traffic
from onnxprof.records.layer import Layer, LayerKind, LayerTable

MS = "com.microsoft"


def given(name: str, shape: object, kind: LayerKind = LayerKind.INITIALIZER) -> Layer:
    return Layer(name, kind, "Initializer", outputs=(tensor(name, shape),))


def moved(cost: LayerCost) -> dict[tuple[str, str], tuple[int, int]]:
    return {(t.role.value, t.dtype): (t.read_bytes, t.written_bytes) for t in cost.traffic}


def test_weights_and_activations_stand_apart():
    made = layer("Conv", [(1, 3, 8, 8), (4, 3, 3, 3), (4,)], [(1, 4, 6, 6)])
    table = LayerTable((given("in1", (4, 3, 3, 3)), given("in2", (4,)), made), 1)
    (cost,) = costs(table)
    assert moved(cost) == {
        ("activations", "float32"): (192 * 4, 144 * 4),
        ("weights", "float32"): (108 * 4 + 4 * 4, 0),
    }
    assert cost.intensity == (2 * 144 * 27 + 144) / (768 + 576 + 448)


def test_states_stand_apart():
    made = layer(
        "LSTM",
        [(4, 2, 3), (1, 20, 3), (1, 20, 5), None, None, (1, 2, 5), (1, 2, 5)],
        [None, (1, 2, 5), (1, 2, 5)],
        hidden_size=5,
    )
    assert moved(cost_of(made))["state", "float32"] == (2 * 10 * 4, 2 * 10 * 4)


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("int4 3,5", 8), ("uint4 3,5", 8), ("float4_e2m1fn 4", 2), ("int2 5", 2), ("uint2 8", 2),
        ("int8 15", 15), ("bool 15", 15), ("float8_e4m3fn 15", 15), ("float16 15", 30),
        ("bfloat16 15", 30), ("float64 15", 120), ("complex64 2", 16),
    ],
)  # fmt: skip
def test_bytes_by_dtype_packed_ones_rounded_up(dtype, size):
    cost = cost_of(layer("Cast", [dtype], ["float32 1"]))
    assert cost.read_bytes == size


def test_packed_weights_of_four_bits_are_read_as_stored():
    made = layer(
        "MatMulNBits", ["float16 1,4096", "uint8 11008,128,16", "float16 1409024"],
        ["float16 1,11008"], MS, K=4096, N=11008, bits=4, block_size=32,
    )  # fmt: skip
    cost = cost_of(made)
    assert moved(cost)["activations", "uint8"] == (4096 * 11008 // 2, 0)


@pytest.mark.parametrize("op_type", ["Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"])
def test_views_move_nothing(op_type):
    cost = cost_of(layer(op_type, [(2, 3)], [(6,)]))
    assert cost.bytes == 0
    assert cost.operations is not None
    assert cost.operations.flops == 0


def test_a_lookup_reads_the_rows_that_it_picks():
    cost = cost_of(layer("Gather", [(30522, 768), "int64 1,128"], [(1, 128, 768)]))
    assert cost.read_bytes == 128 * 768 * 4 + 128 * 8
    assert cost.written_bytes == 128 * 768 * 4


def test_a_tensor_that_stands_twice_is_read_once():
    twice = layer("Mul", [(4,), (4,)], [(4,)])
    same = Layer(**{**_fields(twice), "inputs": (twice.inputs[0], twice.inputs[0])})
    assert cost_of(twice).read_bytes == 32
    assert cost_of(same).read_bytes == 16


def _fields(made: Layer) -> dict[str, object]:
    return {name: getattr(made, name) for name in made.__slots__}


def test_views_of_weights_are_weights():
    view = layer("Identity", [(4, 4)], [(4, 4)], name="view")
    product = Layer(
        **{
            **_fields(layer("MatMul", [(1, 4), (4, 4)], [(1, 4)], name="product")),
            "inputs": (tensor("x", (1, 4)), tensor("out0", (4, 4))),
        }
    )
    found = costs(LayerTable((given("in0", (4, 4)), view, product), 1))
    assert moved(found[1])["weights", "float32"] == (64, 0)


def test_strings_and_unknown_shapes_make_bytes_a_lower_limit():
    cost = cost_of(layer("Concat", ["string 3", "string 2"], ["string 5"]))
    assert cost.at_least
    assert "string" in cost.unknown
    half = cost_of(layer("Add", [(4,), (4,)], [(None,)]))
    assert half.read_bytes == 32
    assert half.at_least


def test_a_sum_with_an_unknown_part_is_at_least():
    known = layer("Relu", [(4,)], [(4,)], name="a")
    unknown = layer("NoSuchThing", [(4,)], [(4,)], name="b")
    both = total(costs(LayerTable((known, unknown), 1)))
    assert both.at_least
    assert both.intensity is None
    assert both.unknown == (("b", "NoSuchThing is not modelled: it is not known here"),)
    assert both.operations.comparisons == 4
    assert both.bytes == 64
    assert not total(costs(LayerTable((known,), 1))).at_least
    assert both.traffic == (Traffic(Role.ACTIVATIONS, "float32", 32, 32),)
