"""Arithmetic on sizes that are symbols."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.model.shapes.rules import sizes


@pytest.mark.parametrize(
    ("text", "known", "value"),
    [
        ("2*batch_size", {"batch_size": 2}, 4),
        ("past + tokens", {"past": 3, "tokens": 4}, 7),
        ("tokens-1", {"tokens": 4}, 3),
        ("floor((h + 1)/2)", {"h": 7}, 4),
        ("ceil(h/2)", {"h": 7}, 4),
        ("h//2 + 1", {"h": 7}, 4),
        ("max(a, b - 1)*2", {"a": 1, "b": 9}, 16),
        ("min(a, 3, b)", {"a": 7, "b": 5}, 3),
        ("-(a - 3)", {"a": 1}, 2),
    ],
)
def test_expressions_have_values(text, known, value):
    assert sizes.evaluate(text, known) == value


@pytest.mark.parametrize(
    ("text", "known"),
    [("a", {}), ("a b", {"a": 1}), ("a/0", {"a": 1}), ("a//(b-b)", {"a": 1, "b": 2})],
)
def test_what_has_no_value(text, known):
    assert sizes.evaluate(text, known) is None


@pytest.mark.parametrize(
    "text",
    ["", "a+", "(a", "a b", "?", "1x", "a:b", "(" * 40 + "a" + ")" * 40, "-" * 190, "a" * 300],
)
def test_what_is_no_expression_is_a_name(text):
    assert sizes.parse(text) is None
    assert sizes.names(text) == (text,)
    assert sizes.canonical(text) == text


def test_equal_sums_have_one_spelling():
    assert sizes.canonical("tokens + past") == sizes.canonical("past+tokens") == "past + tokens"
    assert sizes.multiply("tokens", 4) == "4*tokens"
    assert sizes.divide("4*tokens", 4) == "tokens"
    assert sizes.divide("batch*tokens", "tokens") == "batch"
    assert sizes.divide("tokens", 4) is None
    assert sizes.subtract("tokens + 1", "tokens") == 1
    assert sizes.multiply("h//2", 2) == "2*(h//2)"


def test_a_name_that_is_no_expression_takes_part_in_no_arithmetic():
    assert sizes.add("a b", 0) == "a b"
    assert sizes.multiply("a b", 1) == "a b"
    assert sizes.add("a b", 1) is None
    assert sizes.multiply("a b", 0) == sizes.multiply(None, 0) == 0


def test_growth_is_bounded():
    size = "a"
    for _ in range(200):
        size = sizes.multiply(size, "a + b")
        if size is None:
            break
    assert size is None
    number = 2
    for _ in range(10):
        number = number and sizes.multiply(number, number)
    assert number is None


names = st.sampled_from(["a", "b", "c"])
atoms = st.one_of(names, st.integers(0, 9))


@given(st.lists(st.tuples(st.sampled_from(["add", "multiply", "subtract"]), atoms), max_size=5))
def test_symbols_agree_with_numbers(steps):
    known = {"a": 3, "b": 5, "c": 7}
    symbolic, number = "a", 3
    for verb, operand in steps:
        plain = known.get(operand, operand)
        number = {"add": number + plain, "multiply": number * plain, "subtract": number - plain}[
            verb
        ]
        symbolic = getattr(sizes, verb)(symbolic, operand)
        if symbolic is None:
            return
    value = symbolic if isinstance(symbolic, int) else sizes.evaluate(symbolic, known)
    assert value == number


@given(st.text(max_size=30))
def test_any_text_is_taken(text):
    sizes.canonical(text)
    sizes.evaluate(text, {"a": 1})
    assert sizes.names(text)
