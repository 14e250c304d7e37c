"""Names as users type them: a network's, an axis', a list of batches."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.commands.zoo import app
from onnxprof.cli.options import parse_batches, parse_names
from onnxprof.errors import ModelError, UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan
from onnxprof.model.file import open_model


@pytest.mark.parametrize("text", ["1,,2", "1,2,", ",1", ","])
def test_an_empty_item_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="has an empty item"):
        parse_batches(text)
    with pytest.raises(UsageError, match=r"--backend .* has an empty item"):
        parse_names(text, "--backend")


@pytest.mark.parametrize("words", ["info zoo:lenet", "materialise zoo:lenet", "clean zoo:lenet"])
def test_verbs_of_the_zoo_take_its_prefix(words: str) -> None:
    result = CliRunner().invoke(app, words.split())
    assert result.exception is None, result.exception


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("lenet", r"Did you mean zoo:lenet\?"),
        ("LeNet.onnx", r"Did you mean zoo:lenet\?"),
        ("squeeznet", "zoo:squeezenet"),
        ("https://host/net.onnx", "Download it first"),
        ("folder/net.onnx", "Check the path"),
    ],
)
def test_a_file_that_is_not_there(reference: str, meant: str) -> None:
    with pytest.raises(ModelError, match=f"there is no such file.*{meant}"):
        open_model(reference)


def test_a_file_beside_it_is_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "nets"
    folder.mkdir()
    for name in ("lenet5.onnx", "lenet5.txt", "other.onnx"):
        (folder / name).write_text("")
    monkeypatch.chdir(folder)
    with pytest.raises(ModelError, match=r"Did you mean lenet5\.onnx\?$"):
        open_model("lenet5.onx")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"Did you mean nets[/\\]lenet5\.onnx\?$"):
        open_model("nets/lenet.onnx")


def test_a_typo_names_the_three_closest_networks() -> None:
    with pytest.raises(UsageError) as error:
        open_model("zoo:squeeznet")
    assert "squeezenet" in str(error.value)
    assert len(error.value.remedy.split(":")[1].split(". ")[0].split(",")) == 3


def free(path: Path, *axes: str) -> str:
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [*axes, 4])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [*axes, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [given], [made])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return os.fspath(path)


def test_a_size_goes_to_the_models_that_have_the_axis(tmp_path: Path) -> None:
    both = free(tmp_path / "a.onnx", "N", "length"), free(tmp_path / "b.onnx", "N")
    jobs = plan(Options(both, dims=(("length", 7),)))
    assert [job.options.dims for job in jobs] == [(("length", 7),), ()]
    assert ["--dim" in job.command for job in jobs] == [True, False]
    with pytest.raises(UsageError, match="no symbolic axis 'foo'"):
        plan(Options(both, dims=(("length", 7), ("foo", 3))))


def test_a_free_batch_is_said_to_be_the_only_free_axis(tmp_path: Path) -> None:
    model = free(tmp_path / "b.onnx", "N")
    with pytest.raises(UsageError, match=r"Only its batch \('N'\) is free.*--batch"):
        plan(Options((model,), dims=(("foo", 3),)))
    fixed = os.fspath(models.save(models.lenet(), tmp_path, "lenet.onnx"))
    with pytest.raises(UsageError, match="no symbolic axis 'foo'"):
        plan(Options((fixed,), dims=(("foo", 3),)))
