"""Sizes as expressions: arithmetic, printing, fitting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxprof.cost.base.expression import Expression, Size, axis, ceil_div, evaluate
from onnxprof.cost.fit import WINDOW, Axis, Fitter, Plan

B, S = axis("batch"), axis("seq")
SIZES = st.fixed_dictionaries({"batch": st.integers(1, 40), "seq": st.integers(1, 400)})


def small() -> st.SearchStrategy[Size]:
    """Expressions of sums, products and whole quotients."""
    leaves = st.one_of(st.integers(0, 9), st.sampled_from([B, S]))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda p: p[0] + p[1]),
            st.tuples(inner, inner).map(lambda p: p[0] - p[1]),
            st.tuples(inner, inner).map(lambda p: p[0] * p[1]),
            st.tuples(inner, st.integers(1, 7)).map(lambda p: p[0] // p[1]),
        ),
        max_leaves=5,
    )


@given(small(), SIZES)
def test_what_is_printed_is_python_of_the_same_value(size, sizes):
    assert eval(str(size).replace("/", "//").replace("////", "//"), {}, dict(sizes)) == evaluate(
        size, sizes
    )


@given(small(), small(), SIZES, st.integers(1, 9))
def test_arithmetic_is_that_of_the_values(a, b, sizes, divisor):
    left, right = evaluate(a, sizes), evaluate(b, sizes)
    assert evaluate(a + b, sizes) == left + right
    assert evaluate(a - b, sizes) == left - right
    assert evaluate(a * b, sizes) == left * right
    assert evaluate(a // divisor, sizes) == left // divisor
    assert evaluate(ceil_div(a, divisor), sizes) == -(-left // divisor)


@given(small(), small())
def test_equal_polynomials_are_equal_and_print_alike(a, b):
    assert (a + b) * (a - b) == a * a - b * b
    assert str(a * b) == str(b * a)
    assert hash(a + b) == hash(b + a)


def test_what_depends_on_no_axis_is_a_number():
    assert B - B == 0
    assert isinstance((B + 4 - B) * 2, int)
    assert (B * 6 + 3) // 3 == 2 * B + 1
    assert str((B + 1) // 2) == "((batch + 1)//2)"
    assert str(2 * B * S * S - S + 3) == "2*batch*seq**2 - seq + 3"
    assert repr(B) == "<batch>"
    assert isinstance(B, Expression)
    assert B.axes() == {"batch"}
    assert ((S + 3) // 4 * B).axes() == {"batch", "seq"}  # type: ignore[union-attr]


def test_an_axis_without_a_size_and_a_value_that_is_not_whole_are_errors():
    with pytest.raises(KeyError):
        evaluate(B * S, {"batch": 2})
    half = Fitter(Plan.of([Axis("seq", 16, 2)]))
    size = half.fit(tuple(dict(p)["seq"] // 2 for p in half_points()))
    assert size is not None
    assert str(size) == "seq/2"
    with pytest.raises(ValueError, match="no whole number"):
        evaluate(size, {"seq": 3})


def half_points() -> tuple[tuple[tuple[str, int], ...], ...]:
    return Plan.of([Axis("seq", 16, 2)]).points


@pytest.mark.parametrize(
    "form",
    [
        lambda b, s: 7,
        lambda b, s: b,
        lambda b, s: 12 * s + 4,
        lambda b, s: b * s,
        lambda b, s: b * s * s - 3 * b + 5 * s * s + 11,
        lambda b, s: s * s - 3 * s + 7 * b,
        lambda b, s: (s + 1) // 2,
        lambda b, s: 3 * b * ((s - 7) // 32 + 1),
    ],
)
def test_sizes_seen_at_a_few_points_become_the_expression(form):
    plan = Plan.of([Axis("batch", 1), Axis("seq", 224, window=True)])
    seen = tuple(form(**_letters(dict(point))) for point in plan.points)
    found = Fitter(plan).fit(seen)
    assert found is not None
    for batch in (1, 3, 17):
        for seq in (*range(200, 300), 1024):
            assert evaluate(found, {"batch": batch, "seq": seq}) == form(batch, seq)


def test_different_forms_along_one_axis_are_not_guessed():
    plan = Plan.of([Axis("batch", 1), Axis("seq", 224, window=True)])
    seen = tuple(
        b * (s // 16) + 9 * s for b, s in (_letters(dict(p)).values() for p in plan.points)
    )
    assert Fitter(plan).fit(seen) is None


def _letters(point: dict[str, int]) -> dict[str, int]:
    return {"b": point["batch"], "s": point["seq"]}


@pytest.mark.parametrize("form", [lambda s: s.bit_length(), lambda s: 2**s % 97, lambda s: s**3])
def test_what_fits_no_form_is_not_guessed(form):
    plan = Plan.of([Axis("seq", 16, window=True)])
    assert Fitter(plan).fit(tuple(form(dict(p)["seq"]) for p in plan.points)) is None


def test_the_window_shows_a_quotient_by_thirty_two_twice():
    assert WINDOW > 2 * 32


@given(SIZES, st.integers(-9, 9), st.integers(1, 32), st.integers(1, 64), st.integers(0, 9))
def test_every_stride_up_to_thirty_two_is_found(sizes, shift, stride, factor, rest):
    plan = Plan.of([Axis("seq", 100, window=True)])
    seen = tuple(factor * ((dict(p)["seq"] + shift) // stride) + rest for p in plan.points)
    found = Fitter(plan).fit(seen)
    assert found is not None
    seq = sizes["seq"] + 90
    assert evaluate(found, {"seq": seq}) == factor * ((seq + shift) // stride) + rest
