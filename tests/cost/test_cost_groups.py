"""Layers that run as one step: their operations add up, what stays inside moves no bytes."""

from __future__ import annotations

import pytest
from support.networks import models
from support.networks.models import node, value, weight

from onnxprof.cost.count import costs
from onnxprof.cost.groups import Groups
from onnxprof.model.file import open_model
from onnxprof.model.layers import inspect
from onnxprof.records.layer import LayerTable


@pytest.fixture
def table(tmp_path) -> LayerTable:
    """x of 3·8·8; a convolution to 4·8·8, Relu, an Add of the convolution, and a flat view."""
    made = models.model(
        [
            node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
            node("Relu", ["a"], ["b"], "relu"),
            node("Add", ["a", "b"], ["c"], "add"),
            node("Flatten", ["c"], ["d"], "flat"),
            node("Sigmoid", ["d"], ["y"], "sigmoid"),
        ],
        [value("x", ["N", 3, 8, 8])],
        [value("y", None)],
        [weight("w", 4, 3, 3, 3)],
    )
    return inspect(open_model(str(models.save(made, tmp_path))), 1)


X, W, A = 4 * 3 * 64, 4 * 4 * 27, 4 * 4 * 64


def test_a_group_of_one_is_the_layer(table):
    groups = Groups(table)
    for cost in costs(table):
        assert groups.cost([cost.layer]) == cost


def test_a_fused_activation_reads_and_writes_nothing_of_its_own(table):
    both = Groups(table).cost(["conv", "relu"])
    # `a` is read by the Add outside, too, so that it is written as well
    assert (both.read_bytes, both.written_bytes) == (X + W, 2 * A)
    assert both.operations is not None
    assert (both.operations.macs, both.operations.comparisons) == (256 * 27, 256)
    assert both.layer == "conv"
    assert both.parameters == 108


def test_what_stays_inside_moves_nothing(table):
    three = Groups(table).cost(["conv", "relu", "add"])
    assert (three.read_bytes, three.written_bytes) == (X + W, A)


def test_what_several_read_is_read_once(table):
    pair = Groups(table).cost(["relu", "add"])
    # `a` enters once for both, `c` leaves
    assert (pair.read_bytes, pair.written_bytes) == (A, A)


def test_the_result_of_the_model_is_written(table):
    assert Groups(table).cost(["flat", "sigmoid"]).written_bytes == A


@pytest.mark.parametrize(
    ("names", "moved"),
    [
        (["add", "flat"], (2 * A, A)),  # the sum leaves as its view
        (["flat", "sigmoid"], (A, A)),
        (["add", "flat", "sigmoid"], (2 * A, A)),
        (["flat"], (0, 0)),
        (["conv", "relu", "add", "flat", "sigmoid"], (X + W, A)),
    ],
)
def test_a_view_is_the_tensor_that_it_shows(table, names, moved):
    cost = Groups(table).cost(names)
    assert (cost.read_bytes, cost.written_bytes) == moved


def test_unknown_parts_make_a_group_unknown(table):
    from dataclasses import replace

    odd = tuple(
        replace(row, op_type="Strange") if row.name == "relu" else row for row in table.layers
    )
    group = Groups(replace(table, layers=odd)).cost(["conv", "relu"])
    assert group.operations is None
    assert "Strange" in group.unknown


def test_names_that_are_not_there(table):
    with pytest.raises(KeyError):
        Groups(table).cost(["nobody"])
    with pytest.raises(ValueError, match="no layer"):
        Groups(table).cost([])
