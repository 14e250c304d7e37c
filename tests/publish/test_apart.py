"""Labels that tell names apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.publish.drawing.apart import apart

BERT = [
    f"bert/encoder/layer_{layer}/{part}/dense/MatMul"
    for layer in (0, 3, 11)
    for part in ("intermediate", "output", "attention/output")
]


def test_names_of_one_form_keep_what_differs_and_their_ends() -> None:
    labels = apart(BERT, 34)
    assert labels[:2] == ["…layer_0/intermediate/dense/MatMul", "…layer_0/output/dense/MatMul"]
    assert labels[-1] == "…layer_11/attention/…dense/MatMul"
    assert len(set(labels)) == len(BERT)


@pytest.mark.parametrize("limit", [4, 12, 34])
def test_short_names_stay(limit: int) -> None:
    assert apart(["conv1", "relu1"], 5) == ["conv1", "relu1"]
    assert apart([], limit) == []
    assert apart([""], limit) == [""]


def test_a_name_without_scopes_is_cut_between_its_words() -> None:
    names = [f"resnetv17_stage3_unit{i}_batchnorm_forward_convolution" for i in (1, 2)]
    assert apart(names, 34) == ["…unit1_…forward_convolution", "…unit2_…forward_convolution"]


def test_the_same_name_twice_has_the_same_label() -> None:
    first, second = apart([BERT[0], BERT[0]], 20)
    assert first == second
    assert first.endswith("MatMul")


@given(st.lists(st.text("ab/._", max_size=40), max_size=8), st.integers(1, 30))
def test_labels_of_different_names_differ(names: list[str], limit: int) -> None:
    labels = apart(names, limit)
    assert len(set(labels)) == len(set(names))
    for name, label in zip(names, labels, strict=True):
        assert label == name or len(label) <= 2 * limit
