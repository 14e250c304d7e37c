from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support import fake_exporter as fake
from support.exporters import site  # noqa: F401
from support.networks import models

from onnxprof.checks import exported
from onnxprof.errors import BackendError, ExportError, UsageError
from onnxprof.exporters.common import feeds
from onnxprof.exporters.keras.exporter import KerasExporter
from onnxprof.exporters.torch.errors import insists_on_sizes, translated
from onnxprof.exporters.torch.exporter import TorchExporter
from onnxprof.jobs.exporting import child as export_child
from onnxprof.jobs.exporting import export
from onnxprof.jobs.exporting.export import Order
from onnxprof.plugins.exporter import ExportRequest, InputSpec, Sample

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("site")


def order(kind: str, tmp_path: Path, **changes) -> Order:
    return Order(f"{kind}.fake", tmp_path / "out.onnx", **changes)


def only(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("x:float32[batch,3,224,224]", ("batch", 3, 224, 224)),
        ("x: float32 [N, 3]", ("N", 3)),
        ("x:float32[]", ()),
        ("x:float32[8]", (8,)),
    ],
)
def test_input_is_read(text, shape):
    assert export.parse_input(text) == InputSpec("x", "float32", shape)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "x:float32", "x[1,2]", "x:float32[1", "x:float32[0,2]", "x:float32[-1]"),
        *("x:float32[1.5]", "x:float32[3 batch]", ":float32[1]", "x:float32[99999999999999]"),
    ],
)
def test_bad_input_is_refused_with_an_example(text):
    with pytest.raises(UsageError) as caught:
        export.parse_input(text)
    assert "x:float32[batch,3,224,224]" in str(caught.value)


def test_good_export_is_written_and_described(tmp_path):
    made = export.export(order("good", tmp_path))
    assert only(tmp_path) == ["out.onnx"]
    assert made.passed
    assert made.written
    assert (made.nodes, made.parameters, made.opset) == (2, 0, 20)
    assert made.inputs == ("x: float32[batch, 2, 3]",)
    assert made.outputs == ("y: float32[batch, 6]",)
    assert [a.batch for a in made.agreements] == [1, 4]
    assert made.agreements[0].worst.max_abs == 0


def test_fixed_batch_is_compared_at_its_own_size(tmp_path):
    made = export.export(order("good", tmp_path, dynamic_batch=False))
    assert made.inputs == ("x: float32[1, 2, 3]",)
    assert [a.batch for a in made.agreements] == [1]


def test_wrong_numbers_are_reported_and_not_kept(tmp_path):
    made = export.export(order("wrong", tmp_path))
    assert not made.passed
    assert not made.written
    assert made.agreements[0].worst.max_abs == pytest.approx(0.5)
    assert only(tmp_path) == []


def test_keep_leaves_a_file_that_fails(tmp_path):
    assert export.export(order("wrong", tmp_path, keep=True)).written
    assert only(tmp_path) == ["out.onnx"]
    with pytest.raises(ExportError):
        export.export(order("hard", tmp_path, keep=True))
    held = onnx.load(tmp_path / "out.onnx").graph
    assert held.output[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("refused", "refused.fake: no such network. Name another"),
        ("bug", "ZeroDivisionError: by nought. --debug"),
        ("crash", "ended with exit code 9: the last word"),
        ("nothing", "wrote no ONNX file"),
        ("unknown", "no translation of operator Frobnicate (layer activation)"),
        ("invalid", "not valid"),
        ("hard", "layer flat (Reshape)"),
        ("insists", "layer flat (Reshape)"),
        ("two", "1 outputs, the network has 2"),
    ],
)
def test_failed_export_names_what_and_where_and_leaves_the_old_file(kind, message, tmp_path):
    (tmp_path / "out.onnx").write_text("old")
    with pytest.raises(ExportError) as caught:
        export.export(order(kind, tmp_path))
    assert message in str(caught.value)
    assert f"{kind}.fake" in str(caught.value)
    assert "second line" not in str(caught.value)
    assert only(tmp_path) == ["out.onnx"]
    assert (tmp_path / "out.onnx").read_text() == "old"


def test_slow_framework_is_ended(tmp_path):
    with pytest.raises(ExportError, match="took longer than 3 s"):
        export.export(order("slow", tmp_path, seconds=3))
    assert only(tmp_path) == []


def test_missing_framework_has_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_MISSING", "fake not installed")
    with pytest.raises(BackendError, match=r"fake not installed.*pip install fake"):
        export.export(order("good", tmp_path))


def test_unknown_target_lists_the_forms(tmp_path):
    with pytest.raises(UsageError, match=r"package\.module:factory"):
        export.export(Order("mystery", tmp_path / "x.onnx"))
    with pytest.raises(UsageError, match="no exporter is called 'tensorflo'"):
        export.export(order("good", tmp_path, exporter="tensorflo"))


@pytest.mark.parametrize("opset", [0, 12, 99])
def test_unreasonable_opset_is_refused(opset, tmp_path):
    with pytest.raises(UsageError, match="opset"):
        export.export(order("good", tmp_path, opset=opset))


def test_output_must_be_a_file_in_a_folder_that_is_there(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        export.export(Order("good.fake", tmp_path))
    with pytest.raises(UsageError, match="cannot be written: there is no folder"):
        export.export(Order("good.fake", tmp_path / "nowhere" / "x.onnx"))


def test_input_given_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="given twice"):
        export.export(order("good", tmp_path, inputs=(fake.INPUT, fake.INPUT)))


def test_batch_takes_the_name_that_the_user_gives(tmp_path):
    given = InputSpec("x", "float32", ("N", 2, 3))
    assert export.export(order("good", tmp_path, inputs=(given,))).inputs == (
        "x: float32[N, 2, 3]",
    )


def test_numbers_on_axis_0_become_the_batch(tmp_path):
    given = InputSpec("x", "float32", (8, 2, 3))
    made = export.export(order("good", tmp_path, inputs=(given,)))
    assert made.inputs == ("x: float32[batch, 2, 3]",)


def test_request_and_answer_survive_the_way(tmp_path):
    spec = InputSpec("weird name/0", "float32", ("batch", 3))
    request = ExportRequest("t", "p", 20, (spec,), "batch", (1, 4), (("time", 7),))
    export_child.ask(tmp_path, "fake", request, 1 << 40)
    assert export_child._read(tmp_path) == ("fake", 1 << 40, request)
    sent = [Sample(2, {"weird name/0": np.ones((2, 3))}, (np.zeros(2), np.array(["a"])))]
    export_child._keep(tmp_path, sent)
    (back,) = export_child.answer(tmp_path)
    assert back.batch == 2
    assert np.array_equal(back.inputs["weird name/0"], np.ones((2, 3)))
    assert back.outputs[1].tolist() == ["a"]


def test_operators_of_functions_and_runtimes_are_known():
    model = fake.graph("good")
    exported.check_operators(model, "x")
    model.graph.node[0].domain = "com.microsoft"
    exported.check_operators(model, "x")
    model.graph.node[0].domain = "my.own"
    with pytest.raises(ExportError, match=r"Relu of domain my\.own"):
        exported.check_operators(model, "x")
    model.functions.add(name="Relu", domain="my.own")
    exported.check_operators(model, "x")


def test_operator_newer_than_the_opset_is_named():
    model = fake.graph("good")
    model.opset_import[0].version = 13
    model.graph.node[0].op_type = "Gelu"
    with pytest.raises(ExportError, match="Gelu"):
        exported.check_operators(model, "x")


def test_blame_names_the_layer_of_a_real_model():
    assert "Reshape" in exported.blamed(fake.graph("hard"), {})
    assert exported.blamed(models.class_token(), {}).startswith("layer cat (Concat)")
    assert exported.blamed(onnx.ModelProto(), {}) == "no input has a batch axis"


def test_feeds_are_seeded_bounded_and_of_the_declared_types():
    inputs = (
        InputSpec("x", "float16", ("batch", "time")),
        InputSpec("ids", "int32", ("batch", 5)),
        InputSpec("attention_mask", "int64", ("batch", 5)),
        InputSpec("flag", "bool", ()),
    )
    request = ExportRequest("t", "p", 20, inputs, "batch", (1, 4), (("time", 7),))
    fed = feeds.arrays(request, 3)
    assert {n: (str(a.dtype), a.shape) for n, a in fed.items()} == {
        "x": ("float16", (3, 7)),
        "ids": ("int32", (3, 5)),
        "attention_mask": ("int64", (3, 5)),
        "flag": ("bool", ()),
    }
    assert set(np.unique(fed["ids"])) <= {0, 1}
    assert fed["attention_mask"].all()
    again = feeds.arrays(request, 3)
    assert all(np.array_equal(again[name], array) for name, array in fed.items())


def test_second_batch_has_longer_free_axes():
    inputs = (InputSpec("x", "float32", ("batch", "time")),)
    request = ExportRequest("t", "p", 20, inputs, "batch", (1, 4), (("time", 7),))
    shapes = [[fed["x"].shape for fed in fits] for _, fits in feeds.trials(request)]
    assert shapes == [[(1, 7)], [(4, 14), (4, 7)]]


@pytest.mark.parametrize("dtype", ["string", "complex64", "nonsense", "object"])
def test_dtype_that_cannot_be_made_up_is_refused(dtype):
    request = ExportRequest("t", "p", 20, (InputSpec("x", dtype, (1,)),))
    with pytest.raises(ExportError, match="dtype"):
        feeds.arrays(request, 1)


@pytest.mark.parametrize("target", ["nets:Cnn", "a.b.c:make", "a:b.c"])
def test_torch_takes_a_name_in_a_module(target):
    assert TorchExporter().accepts(target)
    assert not KerasExporter().accepts(target)


@pytest.mark.parametrize(
    "target", ["nets", "nets:", ":Cnn", "a b:c", "C:\\x.keras", "zoo:mnist-mlp"]
)
def test_torch_takes_nothing_else(target):
    assert not TorchExporter().accepts(target)


def test_keras_takes_its_files_and_folders(tmp_path):
    assert KerasExporter().accepts("a/b.keras")
    assert KerasExporter().accepts("b.h5")
    assert not KerasExporter().accepts(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"")
    assert KerasExporter().accepts(str(tmp_path))


def test_operator_that_torch_lacks_is_found_in_the_chain():
    inner = RuntimeError(
        "No ONNX function found for <OpOverload(op='aten.linalg_eig', overload='default')>. x"
    )
    outer = RuntimeError("Failed to decompose")
    outer.__cause__ = inner
    assert "operator aten.linalg_eig." in str(translated(outer, "t"))
    assert not insists_on_sizes(outer)


def test_size_that_torch_insists_on_is_recognised():
    error = ValueError("Found the following conflicts between user-specified ranges and inferred")
    assert insists_on_sizes(error)
    assert "ValueError: a line" in str(translated(ValueError("\n a line\n more"), "t"))
