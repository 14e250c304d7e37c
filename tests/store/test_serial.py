"""Records to JSON and back."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from support import strategies

from onnxprof.records.layer import Tensor
from onnxprof.records.memory import CountedMemory
from onnxprof.records.run import Request, Run
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.store import encoding
from onnxprof.store.summary import Summary
from onnxprof.testing import sample_run, sample_table


def through_json(run: Run) -> Run:
    return encoding.run_from_json(json.loads(encoding.dumps(encoding.run_to_json(run))))


@given(strategies.runs())
def test_every_fact_comes_back(run: Run) -> None:
    assert through_json(run) == dataclasses.replace(run, timings=None)


def test_values_have_plain_types_again() -> None:
    run = sample_run()
    odd = dataclasses.replace(run.table.layers[0].outputs[0], shape=(np.int64(3), "N", None))
    layers = (dataclasses.replace(run.table.layers[0], outputs=(odd,)), *run.table.layers[1:])
    run = dataclasses.replace(run, table=dataclasses.replace(run.table, layers=layers))
    shape = through_json(run).table.layers[0].outputs[0].shape
    assert shape == (3, "N", None)
    assert type(shape[0]) is int
    assert through_json(run).warnings == ()


def test_infinity_is_kept() -> None:
    run = dataclasses.replace(
        sample_run(), warnings=(RunWarning(WarningKind.WIDE_INTERVAL, float("inf")),)
    )
    assert through_json(run).warnings == run.warnings


@pytest.mark.parametrize("value", [float("inf"), 3, 0.5, None])
def test_an_optional_number_may_be_infinite_whole_or_absent(value: float | None) -> None:
    summary = Summary(sample_run().request, "a CPU", "2026-01-02T03:04:05Z", energy_mj=value)
    facts = encoding.to_json(summary)
    del facts["file"]
    data = json.loads(encoding.dumps(facts))
    assert encoding.from_json(Summary, data).energy_mj == value


def test_unclean_names_are_kept() -> None:
    run = dataclasses.replace(sample_run("\ud800 卷积 \x00\x1f"), folded=("\udcff",))
    assert through_json(run) == dataclasses.replace(run, timings=None)


def test_unknown_fields_are_ignored_and_absent_ones_take_their_default() -> None:
    data = encoding.to_json(sample_run().request) | {"later": 1}
    del data["seed"]
    assert encoding.from_json(Request, data) == sample_run().request


@pytest.mark.parametrize(
    ("field", "value"),
    [("batch", "1"), ("batch", True), ("model_name", None), ("granularity", "?"), ("dims", [1])],
)
def test_wrong_types_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        encoding.from_json(Request, encoding.to_json(sample_run().request) | {field: value})
    assert not isinstance(caught.value, KeyError)


def test_absent_required_field_is_refused() -> None:
    with pytest.raises(ValueError, match="model_name"):
        encoding.from_json(Request, {})


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("table"),
        lambda d: d["table"]["layers"]["outputs"].__setitem__(0, [99]),
        lambda d: d["table"]["layers"]["outputs"].__setitem__(0, [-1]),
        lambda d: d["table"]["layers"]["name"].pop(),
        lambda d: d["tensors"]["shape"].__setitem__(0, 7),
        lambda d: d["steps"]["layers"].__setitem__(0, [99]),
        lambda d: d.update(steps=None),
        lambda d: d.update(environment={"a": "b"}),
    ],
)
def test_damage_is_one_kind_of_error(damage) -> None:
    data = encoding.run_to_json(sample_run())
    damage(data)
    with pytest.raises(ValueError, match=r"."):
        encoding.run_from_json(data)


def test_a_tensor_is_stored_once() -> None:
    table = sample_table(1, ["Conv", "Relu", "Gemm"] * 600)
    data = encoding.run_to_json(dataclasses.replace(sample_run(), table=table))
    assert len(data["tensors"]["name"]) == 1802
    assert len(encoding.dumps(data)) < 130 * len(table)


def test_equal_tensors_of_other_facts_are_told_apart() -> None:
    first = Tensor("a", "int64", (2,), (1, 2))
    assert encoding.from_json(Tensor, encoding.to_json(first)) == first


@given(strategies.requests)
def test_digest_ignores_the_order_of_dims(request: Request) -> None:
    turned = dataclasses.replace(request, dims=request.dims[::-1])
    assert encoding.request_digest(turned) == encoding.request_digest(request)
    assert len(encoding.request_digest(request)) == 12


def test_digest_tells_every_field() -> None:
    base = sample_run().request
    others = {
        f.name: (("n", 2),) if f.default == () else (getattr(base, f.name) or 0) * 2 or 7
        for f in dataclasses.fields(Request)
        if f.name not in ("granularity", "inputs_sha256")
    }
    digests = {
        encoding.request_digest(dataclasses.replace(base, **{name: value}))
        for name, value in (others | {"inputs_sha256": "c"}).items()
    }
    assert len(digests | {encoding.request_digest(base)}) == len(others) + 2


def test_a_runtime_that_nobody_set_leaves_a_record_as_it_was() -> None:
    run = sample_run()
    asked = encoding.run_to_json(run)["request"]
    assert not {"optimization_level", "session_options", "provider_options"} & asked.keys()
    assert "seed" in asked, "older fields are there at their default, too"
    options = (("b", "1"), ("a", "x=y"))
    other = dataclasses.replace(run.request, optimization_level="basic", session_options=options)
    made = through_json(dataclasses.replace(run, request=other))
    assert made.request == other
    assert made.request.setup.words == ("optimisation level basic", "b=1", "a=x=y")


def test_digest_is_the_same_on_every_machine_and_version() -> None:
    assert encoding.request_digest(sample_run().request) == "cb74b227b09e"


def test_counted_memory_comes_back_and_leaves_no_trace_where_there_is_none() -> None:
    run = sample_run()
    assert "counted_memory" not in encoding.run_to_json(run)
    counted = tuple(CountedMemory(step.name, 400 * i, i) for i, step in enumerate(run.steps))
    told = dataclasses.replace(run, counted_memory=counted)
    assert through_json(told).counted_memory == counted
    assert through_json(run).counted_memory == ()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"step": ["a"]}, "output_bytes is missing"),
        ({"step": ["a"], "output_bytes": ["many"]}, "'many' is not of type int"),
        (7, "TypeError"),
    ],
)
def test_damaged_counts_are_refused(columns: object, reason: str) -> None:
    facts = encoding.run_to_json(sample_run()) | {"counted_memory": columns}
    with pytest.raises(ValueError, match=reason):
        encoding.run_from_json(facts)
