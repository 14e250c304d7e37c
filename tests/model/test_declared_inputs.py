"""What a model file declares of its inputs, used wherever a model is opened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.errors import ModelError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.parent import run_isolated
from onnxprof.jobs.sweep import plan
from onnxprof.model.feeds import feeds, generate
from onnxprof.model.file import ModelFile, declared_fills, open_model, with_defaults
from onnxprof.model.layers import inspect
from onnxprof.processes.confined import Limits


def declare(made: ModelProto, key: str, value: Any) -> ModelProto:
    text = value if isinstance(value, str) else json.dumps(value)
    made.metadata_props.add(key=f"onnxprof.{key}", value=text)
    return made


def embedding() -> ModelProto:
    """Ids of [batch, sequence] into a table of 50, one of which is never meant."""
    return models.model(
        [models.node("Gather", ["words", "ids"], ["e"], "emb"), models.node("Relu", ["e"], ["y"])],
        [models.value("ids", ["batch", "sequence"], models.INT64)],
        [models.value("y", None)],
        [models.weight("words", 50, 4)],
    )


def opened(folder: Path, made: ModelProto) -> ModelFile:
    return open_model(str(models.save(made, folder)))


def test_default_sizes_fill_in_what_is_not_given(tmp_path: Path) -> None:
    model = opened(tmp_path, declare(embedding(), "dims", {"sequence": 7, "other": 3}))
    assert with_defaults(model, {}) == {"sequence": 7}
    assert with_defaults(model, {"sequence": 9}) == {"sequence": 9}
    with pytest.raises(UsageError):
        with_defaults(model, {"nowhere": 1})


def test_a_plan_states_the_sizes_that_it_took(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = models.save(declare(embedding(), "dims", {"sequence": 7}), tmp_path)
    planned = plan(Options(models=(str(path),)))[0]
    assert planned.options.dims == planned.table.dims == (("sequence", 7),)
    assert "--dim sequence=7" in planned.command
    with pytest.raises(UsageError, match="no size given for symbolic axes: sequence"):
        plan(Options(models=(str(models.save(embedding(), tmp_path)),)))


def test_a_run_is_fed_what_the_file_declares(tmp_path: Path) -> None:
    """Ids past the table end the run; those that are declared do not."""
    pytest.importorskip("onnxruntime")
    made = declare(embedding(), "dims", {"sequence": 5})
    declare(made, "inputs", {"ids": {"kind": "integers", "low": 48, "high": 50}})
    job = plan(Options(models=(str(models.save(made, tmp_path)),)))[0]
    from dataclasses import replace

    from onnxprof.measure.budget import Budget

    job = replace(job, budget=Budget(0.05))
    run = run_isolated(job, Limits(120), lambda *_: None)
    assert run.timings is not None
    assert run.request.dims == (("sequence", 5),)
    assert run.parity is not None
    assert run.parity.passed


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ({"kind": "integers", "low": 3, "high": 5}, {3, 4}),
        ({"kind": "constant", "low": 4}, {4}),
        ({"kind": "range", "low": 2}, {2, 3, 4, 5, 6}),
    ],
)
def test_whole_numbers(tmp_path: Path, fill: dict[str, Any], expected: set[int]) -> None:
    model = opened(tmp_path, declare(embedding(), "inputs", {"ids": fill, "gone": fill}))
    array = generate(inspect(model, 3, {"sequence": 5}), 0, declared_fills(model))["ids"]
    assert set(array.ravel().tolist()) == expected
    assert (array.dtype, array.shape) == (np.int64, (3, 5))


@pytest.mark.parametrize(("past", "expected"), [(0, [0, 1, 2]), (7, [7, 8, 9]), (30, [30, 31, 0])])
def test_declared_positions_begin_behind_the_past(
    tmp_path: Path, past: int, expected: list[int]
) -> None:
    """And begin again where the table of positions ends."""
    made = models.model(
        [
            models.node("Gather", ["places", "position_ids"], ["p"], "wpe"),
            models.node("Concat", ["past_key", "p"], ["y"], "cat", axis=1),
        ],
        [
            models.value("position_ids", ["batch", "sequence"], models.INT64),
            models.value("past_key", ["batch", "past_sequence_length", 4]),
        ],
        [models.value("y", None)],
        [models.weight("places", 32, 4)],
    )
    model = opened(tmp_path, declare(made, "inputs", {"position_ids": {"kind": "range"}}))
    table = inspect(model, 2, {"sequence": 3, "past_sequence_length": past})
    array = generate(table, 0, declared_fills(model))["position_ids"]
    assert array.tolist() == [expected] * 2


def test_fractions(tmp_path: Path) -> None:
    fill = {"kind": "uniform", "low": -2, "high": -1}
    model = opened(tmp_path, declare(models.linear(), "inputs", {"x": fill}))
    table = inspect(model, 100)
    array = generate(table, 0, declared_fills(model))["x"]
    assert -2 <= array.min() < array.max() <= -1
    assert str(feeds(table, declared_fills(model))["x"]) == (
        "values from -2 to -1 (declared in the file)"
    )


BAD_FILLS = [
    "{",
    "[]",
    "[" * 100_000,
    '"' + "x" * 70_000 + '"',
    {"ids": 1},
    {"ids": {"kind": "exec"}},
    {"ids": {"kind": ["normal"]}},
    {"ids": {"kind": "integers", "low": 5, "high": 5}},
    {"ids": {"kind": "uniform", "low": 0, "high": 1e300}},
    '{"ids": {"kind": "constant", "low": NaN}}',
    '{"ids": {"kind": "constant", "low": true}}',
    {"ids": {"kind": "constant", "low": "1"}},
]


@pytest.mark.parametrize("text", BAD_FILLS, ids=range(len(BAD_FILLS)))
def test_a_declaration_that_makes_no_sense(tmp_path: Path, text: Any) -> None:
    model = opened(tmp_path, declare(embedding(), "inputs", text))
    with pytest.raises(ModelError, match=r"metadata onnxprof\.inputs.*--inputs") as caught:
        declared_fills(model)
    assert len(str(caught.value)) < 500


def test_a_value_that_the_type_does_not_hold(tmp_path: Path) -> None:
    fill = {"kind": "integers", "low": 0, "high": 1000}
    made = declare(embedding(), "inputs", {"ids": fill})
    made.graph.input[0].type.tensor_type.elem_type = 2  # uint8
    model = opened(tmp_path, made)
    with pytest.raises(ModelError, match="cannot hold integers from 0 to 999"):
        generate(inspect(model, 1, {"sequence": 2}), 0, declared_fills(model))


@pytest.mark.parametrize("size", [-1, 1 << 40, 1.5, "7", None, True, [1]])
def test_a_size_that_is_none(tmp_path: Path, size: Any) -> None:
    model = opened(tmp_path, declare(embedding(), "dims", {"sequence": size}))
    with pytest.raises(ModelError, match=r"onnxprof\.dims.*--dim"):
        with_defaults(model, {})
    assert with_defaults(model, {"sequence": 3}) == {"sequence": 3}


def test_inspect_shows_what_an_input_is_fed_with(tmp_path: Path) -> None:
    made = declare(embedding(), "dims", {"sequence": 7})
    path = str(models.save(declare(made, "inputs", {"ids": {"kind": "range"}}), tmp_path))
    shown = CliRunner().invoke(app, ["inspect", path])
    assert "ids is fed 0, 1, … along the last axis (declared in the file)" in shown.stdout
    facts = json.loads(CliRunner().invoke(app, ["inspect", path, "--format", "json"]).stdout)
    assert facts["fed"] == {"ids": "0, 1, … along the last axis (declared in the file)"}
    assert facts["dims"] == {"sequence": 7}
    bad = str(models.save(declare(models.linear(), "inputs", "{"), tmp_path, "bad.onnx"))
    assert "x is fed nothing: " in CliRunner().invoke(app, ["inspect", bad]).stdout
