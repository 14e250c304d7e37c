"""Tensors told to be the same in any layout, and told apart in every other case."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from onnxprof.provenance.verify.likeness import Original, likeness
from onnxprof.provenance.verify.moments import may_be_equal, moments

SAME, OTHER = 1e-3, 0.3


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def error(original: np.ndarray, executed: np.ndarray) -> float:
    return likeness(Original(original), executed).error


def blocked(array: np.ndarray, block: int) -> np.ndarray:
    """NCHW in blocks of channels, filled up with zeros, with the shape that onnxruntime says."""
    n, c, h, w = array.shape
    padded = np.zeros((n, -(-c // block) * block, h, w), array.dtype)
    padded[:, :c] = array
    parts = padded.reshape(n, -1, block, h, w).transpose(0, 1, 3, 4, 2)
    return np.ascontiguousarray(parts).reshape(padded.shape)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_any_order_of_axes_is_the_same_tensor(order: tuple[int, ...]) -> None:
    array = normal(2, 3, 5, 4)
    assert error(array, np.ascontiguousarray(array.transpose(order))) < SAME


@pytest.mark.parametrize("block", [4, 8, 16])
@pytest.mark.parametrize("channels", [16, 7, 19])
def test_blocks_of_channels_are_the_same_tensor(block: int, channels: int) -> None:
    array = normal(2, channels, 6, 5)
    assert error(array, blocked(array, block)) < SAME


@pytest.mark.parametrize("channels", [16, 7])
def test_channels_may_come_last_before_they_are_blocked(channels: int) -> None:
    array = normal(2, 6, 5, channels)
    assert error(array, blocked(array.transpose(0, 3, 1, 2), 8)) < SAME


def test_flattening_and_heads_are_the_same_tensor() -> None:
    array = normal(2, 8, 32)
    heads = array.reshape(2, 8, 4, 8).transpose(0, 2, 1, 3)
    assert error(array, array.reshape(16, 32)) < SAME
    assert error(array, np.ascontiguousarray(heads)) < SAME


def test_narrow_types_are_as_close_as_they_round() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = normal(4, 64)
    assert error(array, array.astype(np.float16)) < SAME
    assert error(array, array.astype(ml_dtypes.bfloat16)) < 0.01


def test_quantised_integers_are_close_to_what_they_stand_for() -> None:
    array = normal(3, 100)
    scale = float(np.abs(array).max()) / 127
    integers = np.clip(np.round(array / scale) + 128, 0, 255).astype(np.uint8)
    assert error(array, integers) < 0.02
    assert error(array, np.ascontiguousarray(integers.T)) < 0.02
    assert error(normal(3, 100, seed=5), integers) > OTHER


@pytest.mark.parametrize("shape", [(300,), (1, 16, 12, 12), (2, 8, 32)])
def test_another_tensor_of_the_same_shape_is_far(shape: tuple[int, ...]) -> None:
    assert error(normal(*shape), normal(*shape, seed=1)) > OTHER


def test_what_a_layer_changes_shows() -> None:
    array = normal(4, 256)
    assert error(array, np.maximum(array, 0)) > OTHER
    assert error(array, array + 0.1) > 10 * SAME
    assert error(array, 1.05 * array) > 10 * SAME
    assert error(array, np.clip(array, -3, 3)) > SAME


def test_masks_do_not_hide_the_other_elements() -> None:
    scores = normal(4, 64)
    scores[:, 40:] = -1e9
    other = scores.copy()
    other[:, :40] += 0.5
    assert error(scores, scores) == 0
    assert error(scores, other) > 0.1


def test_infinities_and_nans_count_where_they_are() -> None:
    array = normal(100)
    array[3], array[7] = np.nan, np.inf
    moved = array.copy()
    moved[3], moved[7] = np.inf, np.nan
    assert error(array, array.copy()) == 0
    assert error(array, moved) > SAME


def test_texts_bools_and_empty_tensors() -> None:
    words = np.array(["a", "b"], object)
    assert error(words, words.copy()) == 0
    assert error(words, np.array(["a", "c"], object)) == 1
    assert error(normal(3) > 0, normal(3) > 0) == 0
    assert error(np.zeros((0, 4), np.float32), np.zeros((4, 0), np.float32)) == 0


def test_other_sizes_are_nothing_alike() -> None:
    assert error(normal(10), normal(11)) == float("inf")


def test_sums_rule_out_others_and_never_the_same() -> None:
    array = normal(2, 7, 6, 5)
    mine = moments(array)
    assert may_be_equal(mine, moments(blocked(array, 8) + 0.5), SAME)
    assert may_be_equal(mine, moments(array.transpose(0, 2, 3, 1)), SAME)
    assert may_be_equal(mine, moments(array.astype(np.float16)), 0.02)
    assert not may_be_equal(mine, moments(2 * array), SAME)
    assert may_be_equal(mine, moments(np.array([np.inf])), SAME)
    assert may_be_equal(mine, moments(np.zeros(3, np.uint8)), SAME)
