"""With torch, Keras and TensorFlow: run by `make test-export`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.places import TESTS

from onnxprof.errors import ExportError, OnnxprofError
from onnxprof.jobs.exporting.export import Exported, Order, export, parse_input
from onnxprof.zoo.catalogue import skeleton_path
from onnxprof.zoo.sources import export as skeletons

torch = pytest.importorskip("torch", reason="the export extra is not installed")
pytest.importorskip("onnxscript", reason="the export extra is not installed")
pytest.importorskip("tf2onnx", reason="the export extra is not installed")
ort = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.export

IMAGE = "x:float32[batch,3,32,32]"


@pytest.fixture(autouse=True)
def _beside_the_modules(monkeypatch):
    """A user stands in the folder of his own code."""
    monkeypatch.chdir(TESTS / "support" / "networks")


def made(target: str, tmp_path: Path, *inputs: str, **changes) -> Exported:
    chosen = tuple(map(parse_input, inputs))
    return export(Order(target, tmp_path / "out.onnx", chosen, **changes))


def nodes(path: Path) -> dict[str, str]:
    return {node.name: node.op_type for node in onnx.load(path).graph.node}


def proto(module, inputs, **options):
    from onnxprof.exporters.torch.exporter import to_proto

    axes = {name: {0: "batch"} for name in inputs}
    return to_proto(module, inputs, axes=axes, **options)


def test_layers_are_named_after_modules_and_batch_norm_stays(tmp_path):
    result = made("torch_networks:Cnn", tmp_path, IMAGE)
    assert result.passed
    assert nodes(result.path) == {
        "conv1/Conv": "Conv",
        "Relu": "Relu",
        "layer1/0/conv1/Conv": "Conv",
        "layer1/0/bn1/BatchNormalization": "BatchNormalization",
        "layer1/0/Add": "Add",
        "layer1/0/Relu": "Relu",
        "layer1/1/conv1/Conv": "Conv",
        "layer1/1/bn1/BatchNormalization": "BatchNormalization",
        "layer1/1/Add": "Add",
        "layer1/1/Relu": "Relu",
        "MaxPool": "MaxPool",
        "Reshape": "Reshape",
        "fc/Gemm": "Gemm",
    }
    from support.networks import torch_networks

    module = torch_networks.Cnn()
    stored = {tensor.name for tensor in onnx.load(result.path).graph.initializer}
    kept = {name for name in module.state_dict() if "num_batches" not in name}
    assert stored == kept | {"Reshape/shape"}


def test_nothing_tells_of_the_machine_and_two_exports_are_equal():
    from support.networks import torch_networks

    torch.manual_seed(0)
    module, example = torch_networks.Cnn(), {"x": torch.randn(2, 3, 32, 32)}
    first, second = (proto(module, example).SerializeToString() for _ in range(2))
    assert first == second
    for trace in (b".py", str(Path.cwd()).encode(), b"stack_trace", b"pkg.torch"):
        assert trace not in first


def test_batch_norm_folds_where_asked():
    from support.networks import torch_networks

    model = proto(torch_networks.Cnn(), {"x": torch.randn(2, 3, 32, 32)}, fold_batch_norm=True)
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_transformer_is_drawn_as_people_draw_it(tmp_path):
    result = made("torch_networks:Transformer", tmp_path, "ids:int64[batch,16]")
    assert result.passed
    operators = list(nodes(result.path).values())
    assert {"Gelu", "LayerNormalization", "Softmax"} <= set(operators)
    assert not {"Identity", "Cast", "Shape", "Concat", "Expand", "Constant"} & set(operators)
    names = {tensor.name for tensor in onnx.load(result.path).graph.initializer}
    assert "mlp.0.bias" in names  # all zeros, and a weight all the same


def test_free_length_and_mask(tmp_path):
    inputs = ("ids:int64[batch,length]", "attention_mask:int64[batch,length]")
    result = made("torch_networks:Transformer", tmp_path, *inputs, dims=(("length", 5),))
    assert result.passed
    assert result.outputs == ("output: float32[batch, length, 32]",)


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"enable_gqa": True}])
def test_attention_computes_what_torch_computes(options):
    from support.networks import torch_networks

    module = torch_networks.Attention(**options)
    given = {name: torch.randn(3, 4, 6, 8) for name in "qkv"}
    model = proto(module, {name: tensor[:2] for name, tensor in given.items()})
    session = ort.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
    np.testing.assert_allclose(found, module(**given).numpy(), atol=1e-5)
    assert sum(node.op_type == "MatMul" for node in model.graph.node) == 2


def test_row_without_a_key_yields_zeros_where_asked():
    from support.networks import torch_networks

    module = torch_networks.Transformer()
    example = {
        "ids": torch.randint(0, 100, (2, 6)),
        "attention_mask": torch.ones(2, 6, dtype=torch.int64),
    }
    masked = {**example, "attention_mask": torch.tensor([[0] * 6, [1] * 6])}
    model = proto(module, example, zero_masked_rows=True)
    session = ort.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {name: tensor.numpy() for name, tensor in masked.items()})
    np.testing.assert_allclose(found, module(**masked).detach().numpy(), atol=1e-5)


def test_nested_outputs_and_an_input_passed_through(tmp_path):
    result = made("torch_networks:Pair", tmp_path, "x:float32[batch,4]", "y:float32[batch,4]")
    assert result.passed
    assert [text.partition(":")[0] for text in result.inputs] == ["x", "y"]
    assert [text.partition(":")[0] for text in result.outputs] == ["sum", "pair_0", "pair_1"]


def test_recurrence_keeps_a_free_length(tmp_path):
    result = made("torch_networks:Recurrent", tmp_path, "x:float32[batch,time,8]")
    assert result.passed
    assert "16]" in result.outputs[0]
    assert "[batch, 16, 16]" not in result.outputs[0]


def test_module_instance_and_fixed_batch(tmp_path):
    result = made("torch_networks:linear", tmp_path, "input:float32[3,4]", dynamic_batch=False)
    assert result.inputs == ("input: float32[3, 4]",)
    assert [a.batch for a in result.agreements] == [3]


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("Pair", (), "no --input for x, y: forward takes x, y (it may take mask)"),
        ("Pair", ("x:float32[batch,4]", "z:float32[batch,4]"), "forward takes no z"),
        ("Cnn", ("x:float32[batch,4,32,32]",), "forward failed on x [2, 4, 32, 32]"),
        ("HardBatch", (IMAGE,), "layer Reshape (Reshape)"),
        ("Lacking", ("x:float32[batch,4,4]",), "operator aten.linalg_eig"),
        ("NeedsArguments", (IMAGE,), "needs arguments"),
        ("Nothing", (IMAGE,), "has no 'Nothing'. It defines Block, Cnn"),
        ("torch", (IMAGE,), "no torch.nn.Module"),
    ],
)
def test_trouble_with_a_module(name, inputs, message, tmp_path):
    with pytest.raises(ExportError) as caught:
        made(f"torch_networks:{name}", tmp_path, *inputs)
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_module_that_is_not_there(tmp_path):
    with pytest.raises(ExportError, match="no Python module nosuch"):
        made("nosuch:Cnn", tmp_path, IMAGE)


@pytest.fixture(scope="module")
def keras_files(tmp_path_factory) -> Path:
    """Made in a process of its own: TensorFlow stays out of this one."""
    folder = tmp_path_factory.mktemp("keras")
    script = TESTS / "support" / "networks" / "keras_networks.py"
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["cnn.keras", "cnn.h5", "cnn_saved"])
def test_files_of_keras(name, keras_files, tmp_path):
    result = made(str(keras_files / name), tmp_path)
    assert result.passed
    assert "batch, 28, 28, 1]" in result.inputs[0]
    assert "[batch, 10]" in result.outputs[0]
    assert result.opset == 18
    if name != "cnn_saved":
        assert [n for n in nodes(result.path) if "Conv" in n] == ["first/Conv", "second/Conv"]
        stored = {tensor.name for tensor in onnx.load(result.path).graph.initializer}
        assert {"first/kernel", "first/bias", "head/kernel"} <= stored


def test_several_inputs_and_outputs(keras_files, tmp_path):
    result = made(str(keras_files / "two.keras"), tmp_path)
    assert result.passed
    assert result.inputs == ("a: float32[batch, 4]", "b: float32[batch, b_axis1, 3]")
    assert len(result.outputs) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lambda.keras", "Keras refuses to load it"),
        ("hard.keras", "the batch is hard-coded: layer"),
        ("lacking.keras", "operator Svd"),
        ("damaged.keras", "Keras cannot load it"),
        ("nosuch.keras", "no such file"),
    ],
)
def test_trouble_with_a_file(name, message, keras_files, tmp_path):
    with pytest.raises(ExportError) as caught:
        made(str(keras_files / name), tmp_path)
    assert message in str(caught.value)
    assert name in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_input_that_the_file_does_not_have(keras_files, tmp_path):
    with pytest.raises(OnnxprofError, match="it has no input 'q'"):
        made(str(keras_files / "cnn.keras"), tmp_path, "q:float32[1]")


def bare(model: onnx.ModelProto) -> bytes:
    """Without what names the versions of the frameworks."""
    model.producer_version = ""
    return model.SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ["mnist-mlp", "mnist-cnn", "fashion-cnn"])
def test_committed_skeleton_is_what_its_source_gives(name):
    if not skeleton_path(name).exists():
        pytest.fail(f"{name} has no skeleton")
    assert bare(skeletons.build(name)) == bare(onnx.load(skeleton_path(name)))
