"""What graphs demand of their axes, solved: suggested sizes fit together, and run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from onnx import helper
from support.axes import axes_models
from support.networks import models
from support.networks.models import ints, node, value, weight

from onnxprof.checks.running import trouble
from onnxprof.errors import UsageError
from onnxprof.model.costs import symbolic_costs
from onnxprof.model.demands.nodes import Demand
from onnxprof.model.demands.solving import solve
from onnxprof.model.dims.grammar import parse
from onnxprof.model.file import ModelFile, open_model
from onnxprof.model.fitting import fit
from onnxprof.model.sizing import sizing
from onnxprof.model.suggestion import refuse_missing, suggested

PAST, NEW, TOTAL = "past_sequence_length", "sequence_length", "total_sequence_length"


def opened(made: Any, folder: Path) -> ModelFile:
    return open_model(str(models.save(made, folder)))


def demand(left: int | str, right: int | str) -> Demand:
    return Demand("n", left, right)


@pytest.mark.parametrize(
    ("demands", "found"),
    [
        ([("past + new", "total")], {"total": "new + past"}),
        ([("2*new", 96)], {"new": 48}),
        ([("total", "new"), ("new", "past")], {"total": "new", "past": "new"}),
        ([("past", 3), ("past + new", "total")], {"past": 3, "total": "new + 3"}),
        ([("total", "past + new"), ("total", 10)], {"total": 10, "past": "-new + 10"}),
        ([("2*new", 97)], {}),
        ([("new*past", 96)], {}),
        ([("new", "new")], {}),
        ([("new + 5", 3)], {}),
        ([("new", "batch")], {"new": "batch"}),
        ([("batch", 1)], {}),
    ],
)
def test_a_demand_is_solved_for_one_axis(demands: Any, found: dict[str, Any]) -> None:
    made = solve([demand(*each) for each in demands], ["new", "past", "total"])
    assert made.found == found


def test_a_total_is_tied_to_what_it_is_the_total_of(tmp_path: Path) -> None:
    model = opened(axes_models.decoder(), tmp_path)
    found = fit(model, sizing(model, {}), [NEW, PAST, TOTAL], bodies=False)
    assert found.sizes == {TOTAL: f"{PAST}+{NEW}"}
    assert found.nodes == {TOTAL: "masked"}
    given = sizing(model, {PAST: 0})
    assert fit(model, given, [NEW, TOTAL], bodies=False).sizes == {TOTAL: NEW}
    given = sizing(model, {PAST: 3, NEW: 4})
    assert fit(model, given, [TOTAL], bodies=False).sizes == {TOTAL: 7}
    assert fit(model, sizing(model, {NEW: "2*batch"}), [PAST, TOTAL], bodies=False).sizes == {
        TOTAL: f"2*batch+{PAST}"
    }


@pytest.mark.parametrize(
    ("made", "sizes"),
    [
        (axes_models.decoder(), {NEW: 128, PAST: 128, TOTAL: f"{PAST}+{NEW}"}),
        (axes_models.decoder("mask.size"), {NEW: 128, PAST: 128, "mask.size": f"{PAST}+{NEW}"}),
        (axes_models.recogniser(), {"height": 48, "width": 48}),
        (axes_models.stream(), {"samples": 256, "h.axis1": "batch", "c0.axis1": "batch"}),
    ],
)
def test_what_is_suggested_runs_at_any_batch(
    made: Any, sizes: dict[str, Any], tmp_path: Path
) -> None:
    model = opened(made, tmp_path)
    assert suggested(model, sizing(model, {})) == sizes
    with pytest.raises(UsageError, match="no size given") as caught:
        refuse_missing(model, sizing(model, {}), partial(trouble, model))
    words = caught.value.remedy.removeprefix("Add ").split(" ")
    assert parse(words[1::2]) == sizes
    for batch in (1, 2, 5):
        assert trouble(model, batch, sizing(model, sizes).at(batch)) == ""


def test_what_was_given_is_kept(tmp_path: Path) -> None:
    model = opened(axes_models.decoder(), tmp_path)
    assert suggested(model, sizing(model, {PAST: 0})) == {NEW: 128, TOTAL: NEW}
    assert suggested(model, sizing(model, {TOTAL: f"{PAST}+{NEW}"})) == {NEW: 128, PAST: 128}


def test_a_name_that_no_expression_has_is_suggested_as_a_number(tmp_path: Path) -> None:
    model = opened(axes_models.decoder("all tokens"), tmp_path)
    assert suggested(model, sizing(model, {}))["all tokens"] == f"{PAST}+{NEW}"
    made = axes_models.decoder()
    for given in made.graph.input:
        for dim in given.type.tensor_type.shape.dim:
            dim.dim_param = dim.dim_param.replace("past_sequence_length", "past{length}")
    model = opened(made, tmp_path)
    found = suggested(model, sizing(model, {}))
    assert all(isinstance(size, int) for size in found.values())
    assert trouble(model, 2, sizing(model, found).at(2)) == ""


def test_a_branch_that_does_not_run_demands_nothing(tmp_path: Path) -> None:
    """As recurrent networks are exported: one item is squeezed, in a branch of its own."""
    sides = [
        helper.make_graph([node(op, names, ["r"], op)], "g", [], [value("r", None)])
        for op, names in (("Squeeze", ["x", "zero"]), ("Identity", ["x"]))
    ]
    made = models.model(
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Gather", ["s", "zero"], ["count"], "count"),
            node("Equal", ["count", "one"], ["is_one"], "is_one"),
            node("If", ["is_one"], ["y"], "if", then_branch=sides[0], else_branch=sides[1]),
        ],
        [value("x", ["N", "tokens"])],
        [value("y", None)],
        [ints("zero", 0), ints("one", 1)],
    )
    model = opened(made, tmp_path)
    assert suggested(model, sizing(model, {})) == {"tokens": 128}
    assert trouble(model, 3, {"tokens": 128}) == ""


def test_what_only_a_run_shows_is_tried(tmp_path: Path) -> None:
    """Inference does not know that an index of 300 needs more than 128 and 256 tokens."""
    made = models.model(
        [node("Gather", ["x", "index"], ["y"], "pick", axis=1)],
        [value("x", ["N", "tokens"])],
        [value("y", None)],
        [ints("index", 300)],
    )
    model = opened(made, tmp_path)
    assert suggested(model, sizing(model, {})) == {"tokens": 128}
    assert trouble(model, 1, {"tokens": 128}).startswith("node 'pick' refuses: ")
    with pytest.raises(UsageError) as caught:
        refuse_missing(model, sizing(model, {}), partial(trouble, model))
    assert caught.value.remedy == "Add --dim tokens=512"


def test_where_no_run_succeeds_the_node_is_named(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    asked: list[dict[str, int]] = []

    def run(batch: int, sizes: Any) -> str:
        asked.append(dict(sizes))
        return "node 'relu' refuses: never"

    with pytest.raises(UsageError) as caught:
        refuse_missing(model, sizing(model, {"height": 3}), run)
    assert "With --dim width=224, node 'relu' refuses: never" in caught.value.remedy
    assert len(asked) == 6
    assert all(sizes["height"] == 3 for sizes in asked)


def test_sizes_that_fit_one_item_alone_say_so(tmp_path: Path) -> None:
    model = opened(axes_models.two_axes(), tmp_path)
    with pytest.raises(UsageError) as caught:
        refuse_missing(model, sizing(model, {}), lambda batch, _: "" if batch == 1 else "no")
    assert caught.value.remedy == "Add --dim height=224 --dim width=224 --batch 1"


def test_costs_are_in_the_axes_that_are_left(tmp_path: Path) -> None:
    model = opened(axes_models.decoder(), tmp_path)
    found = symbolic_costs(model, sizing(model, {}))
    assert {axis.name for axis in found.axes} == {"batch", NEW, PAST}
    assert not found.unknown()


def test_a_total_that_a_grouped_attention_counts_is_tied(tmp_path: Path) -> None:
    """As model builders export it: the total comes from the mask's shape."""
    made = models.model(
        [
            node("Shape", ["mask"], ["s"], "shape"),
            node("Gather", ["s", "at"], ["n"], "total", axis=0),
            node("Cast", ["n"], ["n32"], "whole", to=6),
            node("ReduceSum", ["mask", "last"], ["sums"], "sums", keepdims=0),
            node("Sub", ["sums", "one"], ["lengths"], "less"),
            node("Cast", ["lengths"], ["l32"], "lengths", to=6),
            node(
                "GroupQueryAttention",
                ["q", "k", "v", "pk", "pv", "l32", "n32"],
                ["y", "ok", "ov"],
                "gqa",
                domain="com.microsoft",
                num_heads=2,
                kv_num_heads=2,
            ),
        ],
        [
            value("mask", ["batch", TOTAL], 7),
            *(value(name, ["batch", NEW, 16]) for name in "qkv"),
            *(value(name, ["batch", 2, PAST, 8]) for name in ("pk", "pv")),
        ],
        [value("y", None), value("ok", None), value("ov", None)],
        [models.numpy_helper.from_array(models.np.array(1), "at"), ints("last", 1), ints("one", 1)],
        domains=["com.microsoft"],
    )
    model = opened(made, tmp_path)
    found = suggested(model, sizing(model, {}))
    assert found[TOTAL] == f"{PAST}+{NEW}"
    assert trouble(model, 1, sizing(model, found).at(1)) == ""
    with pytest.raises(UsageError) as caught:  # the runtime has no chunks of several items
        refuse_missing(model, sizing(model, {}), partial(trouble, model))
    assert f"--dim {TOTAL}={PAST}+{NEW} " in caught.value.remedy
    assert caught.value.remedy.endswith(" --batch 1")


def test_ill_formed_nodes_demand_nothing(tmp_path: Path) -> None:
    made = models.model(
        [node("Concat", ["x", "x"], ["y"], "bad", axis=9), node("MatMul", ["x", "w"], ["z"], "m")],
        [value("x", ["N", "tokens"])],
        [value("y", None)],
        [weight("w", 5, 1)],
    )
    model = opened(made, tmp_path)
    assert fit(model, sizing(model, {}), ["tokens"], bodies=True).sizes == {"tokens": 5}
