"""Operations against plain Python code that counts each one it performs."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import ClassVar

import pytest
from support.networks.written_layers import cost_of, kinds, layer


class Number:
    """A number that counts what is done with it."""

    done: ClassVar[Counter[str]] = Counter()

    def __init__(self, value: float) -> None:
        self.value = value

    def __add__(self, other: Number) -> Number:
        self.done["adds"] += 1
        return Number(self.value + other.value)

    def __sub__(self, other: Number) -> Number:
        self.done["adds"] += 1
        return Number(self.value - other.value)

    def __mul__(self, other: Number) -> Number:
        self.done["multiplies"] += 1
        return Number(self.value * other.value)

    def __truediv__(self, other: Number) -> Number:
        self.done["divisions"] += 1
        return Number(self.value / other.value)

    def larger(self, other: Number) -> Number:
        self.done["comparisons"] += 1
        return self if self.value > other.value else other

    def function(self, of=math.exp) -> Number:
        self.done["exponentials"] += 1
        return Number(of(abs(self.value) + 0.1))

    def accumulate(self, a: Number, b: Number) -> Number:
        self.done["macs"] += 1
        return Number(self.value + a.value * b.value)


@pytest.fixture(autouse=True)
def nothing_done_yet():
    Number.done.clear()


def numbers(count: int) -> list[Number]:
    return [Number(0.1 * i + 0.3) for i in range(count)]


def total(items: list[Number]) -> Number:
    first, *rest = items
    for item in rest:
        first = first + item
    return first


def largest(items: list[Number]) -> Number:
    first, *rest = items
    for item in rest:
        first = first.larger(item)
    return first


def dot(a: list[Number], b: list[Number]) -> Number:
    result = Number(0)
    for x, y in zip(a, b, strict=True):
        result = result.accumulate(x, y)
    return result


def sigmoid(x: Number) -> Number:
    return Number(1) / (Number(1) + x.function())


def softmax(row: list[Number]) -> list[Number]:
    most = largest(row)
    powers = [(x - most).function() for x in row]
    whole = total(powers)
    return [x / whole for x in powers]


def test_softmax():
    for _ in range(6):
        softmax(numbers(7))
    assert kinds(cost_of(layer("Softmax", [(2, 3, 7)], [(2, 3, 7)]))) == Number.done


def test_layer_normalisation():
    for _ in range(4):
        row, size = numbers(9), Number(9)
        mean = total(row) / size
        off = [x - mean for x in row]
        variance = total([x * x for x in off]) / size
        scale = Number(1) / (variance + Number(1e-5)).function(math.sqrt)
        for x in off:
            x * scale * Number(2) + Number(1)
    made = layer("LayerNormalization", [(4, 9), (9,), (9,)], [(4, 9)])
    assert kinds(cost_of(made)) == Number.done


def test_grouped_convolution_with_stride_and_padding():
    out = 3 * 3  # (5 + 2 - 3) / 2 + 1 = 3 a side
    for _ in product(range(2), range(4), range(out)):
        dot(numbers(2 * 9), numbers(2 * 9)) + Number(1)
    made = layer(
        "Conv", [(2, 4, 5, 5), (4, 2, 3, 3), (4,)], [(2, 4, 3, 3)],
        group=2, strides=[2, 2], pads=[1, 1, 1, 1],
    )  # fmt: skip
    assert kinds(cost_of(made)) == Number.done


def test_attention_with_shared_keys_and_a_mask():
    batch, heads, queries, keys, width = 2, 4, 3, 5, 6
    for _ in product(range(batch), range(heads), range(queries)):
        scores = [
            dot(numbers(width), numbers(width)) * Number(0.4) + Number(0) for _ in range(keys)
        ]
        weights = softmax(scores)
        for _ in range(width):
            dot(weights, numbers(keys))
    shapes = [(2, 4, 3, 6), (2, 2, 5, 6), (2, 2, 5, 6), (3, 5)]
    made = layer("Attention", shapes, [(2, 4, 3, 6)], opset=23)
    assert kinds(cost_of(made)) == Number.done


def test_lstm_with_peepholes():
    steps, batch, size, units = 2, 3, 4, 5
    for _ in product(range(steps), range(batch), range(units)):
        cell, hidden = Number(0.1), numbers(units)
        gates = [
            dot(numbers(size), numbers(size)) + dot(hidden, hidden) + Number(1) + Number(1)
            for _ in range(4)
        ]
        entry, forget = (sigmoid(gate + Number(1) * cell) for gate in gates[:2])
        cell = forget * cell + entry * gates[2].function(math.tanh)
        sigmoid(gates[3] + Number(1) * cell) * cell.function(math.tanh)
    made = layer(
        "LSTM",
        [(2, 3, 4), (1, 20, 4), (1, 20, 5), (1, 40), None, None, None, (1, 15)],
        [(2, 1, 3, 5)],
        hidden_size=5,
    )
    assert kinds(cost_of(made)) == Number.done


def test_gru():
    steps, batch, size, units = 3, 2, 3, 4
    for _ in product(range(steps), range(batch), range(units)):
        hidden = Number(0.1)
        update, reset = (
            sigmoid(dot(numbers(size), numbers(size)) + dot(numbers(units), numbers(units)))
            for _ in range(2)
        )
        # the reset gate is applied to each unit of the state once, whichever side of R it stands
        recurrent = reset * dot(numbers(units), numbers(units))
        candidate = (dot(numbers(size), numbers(size)) + recurrent).function(math.tanh)
        (Number(1) - update) * candidate + update * hidden
    made = layer("GRU", [(3, 2, 3), (1, 12, 3), (1, 12, 4)], [(3, 1, 2, 4)], hidden_size=4)
    assert kinds(cost_of(made)) == Number.done


def test_determinant_by_elimination():
    n = 5
    for pivot in range(n):
        for _row in range(pivot + 1, n):
            factor = Number(1) / Number(2)
            for _column in range(pivot + 1, n):
                Number(1).accumulate(factor, Number(1))
    for _ in range(n - 1):
        Number(1) * Number(2)
    assert kinds(cost_of(layer("Det", [(n, n)], [()]))) == Number.done


def test_linear_attention_with_a_delta_rule():
    tokens, width, deep = 3, 4, 5
    for _ in range(tokens):
        decay = Number(0.1).function()
        for _ in product(range(width), range(deep)):
            decay * Number(1)  # the state decays
        old = [dot(numbers(width), numbers(width)) for _ in range(deep)]
        change = [Number(0.5) * (Number(1) - value) for value in old]
        for _ in product(range(width), range(deep)):
            Number(1).accumulate(Number(1), change[0])
        for _ in range(deep):
            dot(numbers(width), numbers(width)) * Number(0.5)
    made = layer(
        "LinearAttention",
        [(1, 3, 4), (1, 3, 4), (1, 3, 5), None, (1, 3, 1), (1, 3, 1)],
        [(1, 3, 5), (1, 1, 4, 5)],
        q_num_heads=1,
        kv_num_heads=1,
        update_rule="gated_delta",
    )
    assert kinds(cost_of(made)) == Number.done
