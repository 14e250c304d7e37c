"""Comparing arrays: what counts as the same, by dtype."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from onnxprof.checks import parity
from onnxprof.checks.parity import Slack, compare, slack
from onnxprof.records.layer import Tensor
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.testing import sample_table

floats = st.floats(-1e6, 1e6, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0])
arrays = npst.arrays(np.float32, st.integers(0, 30), elements=floats)
numbers = npst.arrays(np.float32, st.integers(1, 30), elements=st.floats(-1e6, 1e6, width=32))
TYPES = [
    *(np.float64, np.float32, np.float16, np.complex64),
    *(ml_dtypes.bfloat16, ml_dtypes.float8_e5m2),
]


@given(arrays)
def test_an_array_is_like_itself(array) -> None:
    assert compare("y", array, array) == OutputParity("y", 0.0, 0.0, 0, 1e-3, True)


@given(st.data(), arrays)
def test_what_both_ways_have_in_common(data, array) -> None:
    other = data.draw(npst.arrays(np.float32, array.shape, elements=floats))
    there, back = compare("y", array, other), compare("y", other, array)
    assert (there.max_abs, there.nan_mismatch) == (back.max_abs, back.nan_mismatch)


@given(numbers, st.floats(0, 1), st.floats(0, 1))
def test_a_wider_tolerance_passes_what_a_narrower_one_does(array, one, two) -> None:
    other = array + np.float32(0.37) * np.abs(array).max()
    narrow, wide = (compare("y", array, other, Slack(each)) for each in sorted((one, two)))
    assert narrow.max_rel == wide.max_rel
    assert wide.passed or not narrow.passed
    assert narrow.passed == (narrow.max_rel <= narrow.tolerance)


@given(numbers, st.data())
def test_a_nan_on_one_side_fails_and_is_counted(array, data) -> None:
    marks = data.draw(npst.arrays(np.bool_, array.shape))
    other = np.where(marks, np.float32(np.nan), array)
    found = compare("y", array, other)
    assert found.nan_mismatch == np.count_nonzero(marks)
    assert found.passed == (not marks.any())
    assert compare("y", other, other).passed


@given(numbers, st.floats(1e-200, 1e200))
def test_the_relative_error_knows_no_unit(array, factor) -> None:
    wide = array.astype(np.float64)
    plain = compare("y", wide, wide * 1.25)
    scaled = compare("y", wide * factor, wide * 1.25 * factor)
    assert scaled.max_rel == pytest.approx(plain.max_rel, rel=1e-6)


@pytest.mark.parametrize("dtype", TYPES)
def test_every_floating_type_has_its_own_tolerance(dtype) -> None:
    array = np.linspace(1, 2, 64).astype(dtype)
    off = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    allowed = compare("y", array, array).tolerance
    assert compare("y", off.astype(dtype), (off * (1 + allowed / 4)).astype(dtype)).passed
    assert not compare("y", array, (off * (1 + 4 * allowed)).astype(dtype)).passed


def test_an_element_near_zero_is_held_to_the_scale_of_the_output() -> None:
    array = np.array([100.0, -100.0, 1e-6, 0.0], np.float32)
    assert compare("y", array, array + np.float32(1e-2)).passed
    assert not compare("y", array, array + np.float32(1.0)).passed


def test_zeros_are_no_scale() -> None:
    nothing = np.zeros(3, np.float32)
    assert compare("y", nothing, nothing).passed
    found = compare("y", nothing, nothing + np.float32(1e-30))
    assert (found.max_rel, found.passed) == (np.inf, False)


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (np.zeros((1, 4), np.float32), np.zeros((4, 1), np.float32)),
        (np.zeros(2, np.float32), np.array(["a", "b"], object)),
        (np.zeros(2, bool), np.zeros(2, np.float32)),
        (np.array([np.inf], np.float32), np.array([-np.inf], np.float32)),
        (np.array([np.inf], np.float32), np.array([3e38], np.float32)),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([2**53]), np.array([2**53 + 1])),
        (np.array([1], np.uint8), np.array([2], np.uint8)),
        (np.array([True]), np.array([False])),
        (np.array(["a"], object), np.array(["b"], object)),
    ],
)
def test_what_is_not_the_same(reference, candidate) -> None:
    found = compare("y", reference, candidate)
    assert found.passed is False
    assert found.max_abs > 0 or found.nan_mismatch or found.note


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool, object, np.float32])
@pytest.mark.parametrize("size", [0, 3])
def test_equal_arrays_of_any_type_pass(dtype, size: int) -> None:
    array = np.ones(size, dtype)
    assert compare("y", array, array.copy()).passed is True


def test_a_quantised_model_may_be_a_step_off() -> None:
    table = sample_table(chain=("Conv", "QuantizeLinear"))
    array = np.array([1, 2, 255], np.uint8)
    near, far = np.array([2, 1, 254], np.uint8), np.array([3, 2, 255], np.uint8)
    assert compare("y", array, near, slack(table)).passed
    assert not compare("y", array, far, slack(table)).passed
    assert not compare("y", array.astype(np.int64), near.astype(np.int64), slack(table)).passed
    assert slack(table).relative > parity.TOLERANCE["float32"]


def test_an_output_on_a_grid_may_be_two_steps_off() -> None:
    table = sample_table(chain=("Conv", "QuantizeLinear"))
    steps = np.zeros(1000, np.float32)
    steps[7] = 1
    for off, passed in ((1, True), (2, True), (3, False)):
        other = steps + np.float32(off) * (np.arange(1000) == 3)
        assert (
            compare("y", steps / 255, (other / 255).astype(np.float32), slack(table)).passed
            == passed
        )
        assert not compare("y", steps / 255, (other / 255).astype(np.float32)).passed


def test_a_model_that_computes_in_halves_is_not_held_to_float32() -> None:
    table = sample_table()
    assert slack(table) == Slack()
    last = table.layers[-2]
    half = dataclasses.replace(last, outputs=(Tensor("h", "float16", (1,)),))
    layers = (*table.layers[:-2], half, table.layers[-1])
    assert slack(dataclasses.replace(table, layers=layers)).relative == 3e-3


def test_arrays_longer_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    array = rng.normal(size=(7, 11)).astype(np.float32)
    other = array + rng.normal(size=array.shape).astype(np.float32)
    whole = compare("y", array, other), compare("y", array.astype(np.int64), other.astype(np.int64))
    monkeypatch.setattr(parity, "_CHUNK", 5)
    parts = compare("y", array, other), compare("y", array.astype(np.int64), other.astype(np.int64))
    for one, two in zip(whole, parts, strict=True):
        assert one.max_abs == two.max_abs
        assert one.max_rel == pytest.approx(two.max_rel)


def test_the_verdict_over_all_outputs() -> None:
    good, bad = OutputParity("a", passed=True), OutputParity("b", passed=False)
    skipped = OutputParity("c", note="a sequence")
    assert Parity(outputs=(good, skipped)).passed is True
    assert Parity(outputs=(good, bad)).passed is False
    assert Parity(outputs=(skipped,)).passed is None
    assert Parity(reason="none").passed is None


def test_parts_of_one_are_known_to_a_few_units_of_ones_last_place() -> None:
    exact = np.array([4.1e-8, 9.4e-14, 2e-7], np.float32)
    rounded = np.array([8.9e-8, 0.0, 1.2e-7], np.float32)
    assert not compare("y", exact, rounded).passed
    assert compare("y", exact, rounded, of_one=True).passed
    assert not compare("y", exact, rounded + np.float32(3e-7), of_one=True).passed
    large = np.array([0.5, 0.25], np.float32)
    assert not compare("y", large, large * np.float32(1.01), of_one=True).passed
    half = np.array([1e-7], np.float16)
    assert compare("y", half, half * 2, of_one=True).passed


@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        (["Sigmoid"], True),
        (["Sigmoid", "Reshape", "Transpose"], True),
        (["Sigmoid", "Mul"], False),
        (["Relu", "Reshape"], False),
        (["Reshape"], False),
    ],
)
def test_which_outputs_are_parts_of_one(operators: list[str], expected: bool) -> None:
    conv = sample_table().nodes[0]
    layers = [
        dataclasses.replace(
            conv,
            name=f"layer_{i}",
            op_type=operator,
            inputs=(Tensor(f"t{i}", "float32", (1, 4)),),
            outputs=(Tensor(f"t{i + 1}", "float32", (1, 4)),),
        )
        for i, operator in enumerate(operators)
    ]
    table = dataclasses.replace(sample_table(), layers=tuple(layers))
    assert parity.parts_of_one(table, f"t{len(operators)}") is expected
    assert not parity.parts_of_one(table, "nowhere")
