"""The zoo: bytes, figures, graphs and behaviour of every network."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ValueInfoProto, numpy_helper, shape_inference

from onnxprof import zoo
from onnxprof.contracts import ModelError, UsageError
from onnxprof.zoo import rules, skeleton
from onnxprof.zoo.catalogue import entries, skeleton_path, sources
from onnxprof.zoo.export import build
from onnxprof.zoo.figures import count
from onnxprof.zoo.report import FORMATS, facts, markdown
from onnxprof.zoo.wire import header

ROOT = Path(__file__).parent.parent
NAMES = zoo.names()


@pytest.mark.parametrize("name", NAMES)
def test_network_materialises_and_computes(name: str, tmp_path: Path) -> None:
    """Published bytes, a free batch in every output, and activations in range."""
    ort = pytest.importorskip("onnxruntime")
    path = zoo.materialise(name, cache=tmp_path)
    assert path.stat().st_size == zoo.entry(name).bytes
    append_outputs(path)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.disable_prepacking", "1")  # halves the memory
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    path.unlink()
    check_activations(session.run(None, noise(session, 1)))
    outputs = [value.name for value in onnx.load(skeleton_path(name)).graph.output]
    for batch in (1, 2, 8):
        for value in session.run(outputs, noise(session, batch)):
            assert value.shape[0] == batch
            assert 1e-6 < np.abs(value).min() <= np.abs(value).max() < 1e6


def noise(session: Any, batch: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(batch)
    return {
        i.name: generator.standard_normal((batch, *i.shape[1:]), np.float32)
        for i in session.get_inputs()
    }


def check_activations(values: list[np.ndarray]) -> None:
    for value in values:
        assert np.isfinite(value).all()
        assert np.abs(value[value != 0]).min() > np.finfo(np.float32).tiny


def append_outputs(path: Path) -> None:
    """Make every activation an output; protobuf merges a message that is written twice."""
    graph = onnx.load(skeleton_path(path.name.rsplit("-", 1)[0])).graph
    known = {value.name for value in graph.output}
    names = [name for node in graph.node for name in node.output if name not in known]
    more = onnx.GraphProto(output=[ValueInfoProto(name=name) for name in names])
    payload = more.SerializeToString()
    with path.open("ab") as file:
        file.write(header(7, len(payload)) + payload)


@pytest.mark.parametrize("name", NAMES)
def test_skeleton(name: str) -> None:
    path = skeleton_path(name)
    model = onnx.load(path)
    names = [node.name for node in model.graph.node]
    assert path.stat().st_size < 300_000
    assert all(names)
    assert len(set(names)) == len(names)
    assert model.producer_name == "onnxprof zoo"
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    for tensor in model.graph.initializer:
        assert bool(tensor.metadata_props) == (tensor.data_type == onnx.TensorProto.FLOAT)
    declared = [(i.name, i.shape) for i in zoo.entry(name).inputs]
    assert declared == [
        (v.name, tuple(d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim))
        for v in model.graph.input
    ]


@pytest.mark.parametrize("name", NAMES)
def test_figures(name: str) -> None:
    item = zoo.entry(name)
    counted = count(onnx.load(skeleton_path(name)))
    assert (counted.parameters, counted.macs) == (item.parameters, item.macs)
    assert (counted.nodes, counted.opset) == (item.nodes, item.opset)
    published = item.published
    pairs = ((item.parameters, published.parameters), (item.macs, published.macs))
    near = all(abs(ours - theirs) <= 0.01 * theirs for ours, theirs in pairs if theirs)
    assert near != bool(published.departure)
    assert bool(published.source) == bool(published.parameters or published.macs)


@pytest.mark.parametrize("name", NAMES)
def test_skeleton_is_what_its_source_gives(name: str) -> None:
    try:
        model = build(name)
    except ModelError as error:
        pytest.skip(str(error))
    assert model == onnx.load(skeleton_path(name))


def test_lenet_layers() -> None:
    """Names, order and shapes of the reference table, at batch 1."""
    model = onnx.load(skeleton_path("lenet"))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*graph.value_info, *graph.output)
    }
    assert [(node.name, shapes[node.output[0]]) for node in graph.node] == [
        ("Times212_reshape1", [256, 10]),
        ("Convolution28", [1, 8, 28, 28]),
        ("Plus30", [1, 8, 28, 28]),
        ("ReLU32", [1, 8, 28, 28]),
        ("Pooling66", [1, 8, 14, 14]),
        ("Convolution110", [1, 16, 14, 14]),
        ("Plus112", [1, 16, 14, 14]),
        ("ReLU114", [1, 16, 14, 14]),
        ("Pooling160", [1, 16, 4, 4]),
        ("Times212_reshape0", [1, 256]),
        ("Times212", [1, 10]),
        ("Plus214", [1, 10]),
    ]
    operands = {t.name: numpy_helper.to_array(t).tolist() for t in graph.initializer[-2:]}
    assert operands["Pooling160_Output_0_reshape0_shape"] == [-1, 256]
    assert graph.output[0].name == "Plus214_Output_0"


def test_weight_without_a_rule_is_named() -> None:
    weight = onnx.TensorProto(name="odd", dims=[1000], data_type=onnx.TensorProto.FLOAT)
    node = onnx.helper.make_node("Det", ["odd"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight]))
    with pytest.raises(ModelError, match="no recipe for weight 'odd', consumed by Det input 0"):
        rules.assign(model, "net", lambda _: 1.0)


def test_small_constants_stay() -> None:
    factor = numpy_helper.from_array(np.ones(8, np.float32), "factor")
    node = onnx.helper.make_node("Pow", ["x", "factor"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [factor]))
    rules.assign(model, "net", lambda _: 1.0)
    assert model.graph.initializer[0] == factor


def test_catalogue_and_sources_agree() -> None:
    assert tuple(sources()) == NAMES
    assert sorted(p.stem for p in skeleton_path("lenet").parent.glob("*.onnx")) == sorted(NAMES)


def test_documentation_is_current() -> None:
    assert (ROOT / "docs" / "zoo.md").read_text("utf-8") == markdown(entries())


def test_reports() -> None:
    text = FORMATS["table"](entries())
    assert max(map(len, text.splitlines())) <= 80
    assert "squeezenet    SqueezeNet 1.1" in text
    assert [item["name"] for item in json.loads(FORMATS["json"](entries()))] == list(NAMES)
    assert [row["name"] for row in csv.DictReader(FORMATS["csv"](entries()).splitlines())] == list(
        NAMES
    )
    assert zoo.entry("vgg19").sha256 in facts(zoo.entry("vgg19"))


@pytest.mark.parametrize(("name", "hint"), [("resnet", "resnet50"), ("VGG-19", "vgg19")])
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"zoo:{name}: .*Did you mean .*{hint}.* It has lenet, "):
        zoo.entry(name)


def test_catalogue_imports_neither_onnx_nor_numpy() -> None:
    code = (
        "import sys; from onnxprof import zoo; from onnxprof.zoo.report import table; "
        "table(zoo.entries()); print([m for m in ('onnx', 'numpy', 'onnxruntime') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_skeletons_hold_no_weights() -> None:
    for name in NAMES:
        pieces = skeleton.read(skeleton_path(name))
        assert skeleton.size(pieces) == zoo.entry(name).bytes
