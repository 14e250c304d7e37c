"""`op.inspect`, `op.cost` and `op.symbolic_cost`: what the command prints, as records."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
from support.networks import models

import onnxprof as op
from onnxprof.cli.commands.inspect import inspect as command
from onnxprof.errors import ModelError, UsageError
from onnxprof.records.layer import LayerKind


def printed(capsys: pytest.CaptureFixture[str], *arguments: object, **options: object) -> str:
    command(*arguments, **options)  # type: ignore[arg-type]
    return capsys.readouterr().out


@pytest.fixture
def lenet(tmp_path: Path) -> Path:
    return models.save(models.lenet(), tmp_path)


def test_layers_are_those_of_the_command(lenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = op.inspect(lenet, batch=(1, 8))
    asked = {"batch": "1,8"}
    assert found.table() == printed(capsys, str(lenet), **asked)
    assert found.to_csv() == printed(capsys, str(lenet), format="csv", **asked)
    assert found.to_markdown() == printed(capsys, str(lenet), format="md", **asked)
    assert found.to_json() == printed(capsys, str(lenet), as_json=True, **asked)
    assert json.loads(found.to_json()) == found.document()
    assert found.parameters == 5994
    assert [table.batch for table in found.tables] == [1, 8]
    assert all(layer.kind is LayerKind.NODE for layer in found.layers)
    assert found.name == "model"
    assert found.notes == ()


def test_costs_are_those_of_the_command(lenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = op.cost(lenet, batch=(1, 8))
    asked = {"batch": "1,8", "cost": True}
    assert found.to_csv() == printed(capsys, str(lenet), format="csv", **asked)
    assert found.to_markdown() == printed(capsys, str(lenet), format="md", **asked)
    assert found.to_json() == printed(capsys, str(lenet), as_json=True, **asked)
    assert found.table() == printed(capsys, str(lenet), **asked)
    assert sum(cost.operations.macs for cost in found.layers if cost.operations) > 0


def test_costs_in_free_axes(lenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = op.symbolic_cost(lenet, batch=(1, 8))
    asked = {"batch": "1,8", "cost": True, "symbolic": True}
    assert found.to_csv() == printed(capsys, str(lenet), format="csv", **asked)
    assert found.to_markdown() == printed(capsys, str(lenet), format="md", **asked)
    assert found.to_json() == printed(capsys, str(lenet), as_json=True, **asked)
    assert [point["batch"] for point in found.points] == [1, 8]


def test_a_model_in_memory_is_as_good_as_a_file() -> None:
    made = models.lenet()
    made.graph.name = "my net/../x"
    found = op.inspect(made)
    assert found.name == "my-net-..-x"
    assert len(found.layers) == len(made.graph.node)
    made.graph.name = ""
    assert op.inspect(made).name == "model"
    assert op.cost(made).name == "model"


def test_sizes_of_axes_are_taken(tmp_path: Path) -> None:
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu")],
        [models.value("x", ["batch", "height"])],
        [models.value("y", ["batch", "height"])],
    )
    path = models.save(made, tmp_path)
    assert op.inspect(path, batch=2, dims={"height": 5}).layers[0].outputs[0].shape == (2, 5)
    with pytest.warns(UserWarning, match="height") as told:
        op.cost(path)
    assert told[0].filename == __file__


def test_a_batch_that_the_model_cannot_have_is_a_warning(tmp_path: Path) -> None:
    path = models.save(models.class_token(), tmp_path)
    with pytest.warns(UserWarning, match="stays at batch 1"):
        found = op.inspect(path, batch=8)
    assert found.tables[0].batch == 1
    assert "stays at batch 1" in found.notes[0]


def test_nothing_is_said_where_there_is_nothing_to_say(lenet: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        op.inspect(lenet)


@pytest.mark.parametrize("function", [op.inspect, op.cost, op.symbolic_cost])
def test_what_is_no_model_is_refused(function: object, tmp_path: Path) -> None:
    assert callable(function)
    with pytest.raises(ModelError, match="there is no such file"):
        function(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="zoo:lenet"):
        function("lenet")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError):
        function(tmp_path / "bad.onnx")
    for what in (3, None, b"x"):
        with pytest.raises(UsageError, match="is no model"):
            function(what)
    with pytest.raises(UsageError, match="NoneType is no model"):
        function(None)
    with pytest.raises(UsageError, match="batch cannot be 0"):
        function("zoo:lenet", batch=0)
    with pytest.raises(UsageError, match="2 models are given"):
        function(["zoo:lenet", "zoo:squeezenet"])


@pytest.mark.parametrize("ending", [".csv", ".json", ".md", ".txt"])
def test_files_by_their_ending(ending: str, lenet: Path, tmp_path: Path) -> None:
    found = op.inspect(lenet)
    path = found.save(tmp_path / f"out{ending}")
    texts = {
        ".csv": found.to_csv,
        ".json": found.to_json,
        ".md": found.to_markdown,
        ".txt": found.table,
    }
    assert path.read_bytes().decode() == texts[ending]()
    with pytest.raises(UsageError, match="no format has files"):
        found.save(tmp_path / "out.parquet")


def test_a_workbook_is_one(lenet: Path, tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    path = op.inspect(lenet).save(tmp_path / "out.xlsx")
    assert path.read_bytes().startswith(b"PK")
