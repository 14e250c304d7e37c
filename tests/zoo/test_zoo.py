"""The zoo: bytes, figures, graphs and behaviour of every network."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, shape_inference
from support.networks import models
from support.places import ROOT
from typer.testing import CliRunner

from onnxprof import zoo
from onnxprof.checks import zoo as zoocheck
from onnxprof.cli.commands.zoo import app
from onnxprof.errors import ModelError, UsageError
from onnxprof.publish.tables.zoo import FORMATS, facts, markdown
from onnxprof.zoo.catalogue import entries, skeleton_path, sources
from onnxprof.zoo.making import rules, skeleton
from onnxprof.zoo.sources.counts import count
from onnxprof.zoo.sources.export import build

NAMES = zoo.names()


#: Above these a network is checked without its activations, or by `onnxprof zoo check` alone.
LIGHT, HEAVY = (120e6, 5e9), (600e6, 50e9)


#: Types of weights; bytes hold packed ones.
WEIGHTS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.UINT8)


def is_within(name: str, bounds: tuple[float, float]) -> bool:
    item = zoo.entry(name)
    return item.bytes <= bounds[0] and item.macs <= bounds[1]


@pytest.mark.parametrize("name", NAMES)
def test_network_materialises_and_computes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published bytes, a free batch in every output, and activations in range."""
    pytest.importorskip("onnxruntime")
    if not is_within(name, HEAVY):
        pytest.skip("too heavy for a test; onnxprof zoo check has it")
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    light = is_within(name, LIGHT)
    found = zoocheck.check(name, (1, 2) if light else (2,), activations=light)
    assert found.faults == ()
    assert found.activations > 0 or not light
    assert not list(tmp_path.iterdir())


def network(*nodes: onnx.NodeProto, **stored: np.ndarray) -> onnx.ModelProto:
    """From `x`, of [batch, 4], to `y`."""
    return models.model(
        nodes,
        [models.value("x", ["batch", 4])],
        [models.value("y", None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )


def scalar(value: float) -> np.ndarray:
    return np.array(value, np.float32)


@pytest.mark.parametrize(
    ("nodes", "stored", "fault"),
    [
        ([("Mul", "x f", "y")], {"f": scalar(1e7)}, "output y reaches"),
        ([("Mul", "x f", "y")], {"f": scalar(1e-8)}, "too small"),
        ([("Mul", "x f", "y")], {"f": scalar(0)}, "all 0"),
        ([("Sub", "x x", "z"), ("Div", "z z", "y")], {}, "not finite"),
        ([("Sub", "x x", "z"), ("Div", "z z", "n"), ("Max", "n f", "y")], {"f": scalar(1)}, "n "),
        ([("Mul", "x f", "d"), ("Add", "d g", "y")], {"f": scalar(1e-39), "g": scalar(1)}, "d "),
        ([("Mul", "x f", "i"), ("Atan", "i", "y")], {"f": scalar(np.inf)}, "i holds an infinity"),
        ([("ReduceSum", "x", "y")], {}, "keeps batch 1"),
    ],
)
def test_the_check_finds_what_is_wrong(
    nodes: list[tuple[str, str, str]], stored: dict[str, np.ndarray], fault: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    made = network(*(models.node(o, i.split(), [out]) for o, i, out in nodes), **stored)
    found = zoocheck._Findings()
    path = models.save(made, tmp_path)
    list(zoocheck._outputs(path, (2,), {}, found))
    zoocheck._activations(path, 2, {}, found)
    assert fault in "; ".join(found.faults)


def test_a_file_is_loaded_once_for_all_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    loaded = []
    reference = zoocheck.registry.reference()

    class Counted:
        def file_session(self, path: Path, *, lean: bool = False):
            loaded.append(path)
            return reference.file_session(path, lean=lean)

    monkeypatch.setattr(zoocheck.registry, "reference", Counted)
    path = models.save(network(models.node("Mul", ["x", "f"], ["y"]), f=scalar(2)), tmp_path)
    found = zoocheck._Findings()
    assert [batch for batch, _ in zoocheck._outputs(path, (1, 2, 5), {}, found)] == [1, 2, 5]
    assert (loaded, found.faults) == ([path], [])


def test_minus_infinity_may_mask_a_softmax_only(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    mask = np.array([0, 0, -np.inf, 0], np.float32)
    nodes = [models.node("Add", ["x", "m"], ["s"]), models.node("Softmax", ["s"], ["y"])]
    found = zoocheck._Findings()
    path = models.save(network(*nodes, m=mask), tmp_path)
    before = path.read_bytes()
    zoocheck._activations(path, 1, {}, found)
    assert (found.faults, found.activations) == ([], 1)
    assert path.read_bytes() == before


def test_a_check_in_a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path))
    done = CliRunner().invoke(app, ["check", "lenet", "--batch", "1,3", "--keep"])
    assert done.exit_code == 0, done.output
    assert "1 network in " in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["zoo"]
    stopped = CliRunner().invoke(app, ["check", "lenet", "--memory", "0.0001"])
    assert "FAILED" in stopped.stdout
    assert isinstance(CliRunner().invoke(app, ["check", "lenett"]).exception, UsageError)


def test_shares_keep_to_their_bound() -> None:
    sizes = {"a": 400 << 20, "b": 400 << 20, "c": 1 << 20, "d": 900 << 20}
    assert list(zoocheck._shares("abcd", sizes)) == [["a"], ["b", "c"], ["d"]]


@pytest.mark.parametrize("name", NAMES)
def test_skeleton(name: str) -> None:
    path = skeleton_path(name)
    model = onnx.load(path)
    names = [node.name for node in model.graph.node]
    assert path.stat().st_size < 350_000
    assert all(names)
    assert len(set(names)) == len(names)
    assert model.producer_name == "onnxprof zoo"
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    operands = {i for n in model.graph.node for i in n.input if i.startswith(f"{n.name}/")}
    for tensor in model.graph.initializer:
        is_weight = tensor.data_type in WEIGHTS and tensor.name not in operands
        assert bool(tensor.metadata_props) == is_weight
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
    assert re.search(r"^squeezenet +SqueezeNet 1\.1 +3×224×224 +1\.24 M", text, re.MULTILINE)
    assert "\nImageNet classics\n" in text
    assert [item["name"] for item in json.loads(FORMATS["json"](entries()))] == list(NAMES)
    assert [row["name"] for row in csv.DictReader(FORMATS["csv"](entries()).splitlines())] == list(
        NAMES
    )
    assert zoo.entry("vgg19").sha256 in facts(zoo.entry("vgg19"))


@pytest.mark.parametrize(("name", "hint"), [("resnet", "resnet50"), ("VGG-19", "vgg19")])
def test_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"zoo:{name}: .*closest .*{hint}, .*zoo list"):
        zoo.entry(name)


def test_catalogue_imports_neither_onnx_nor_numpy() -> None:
    code = (
        "import sys; from onnxprof import zoo; from onnxprof.publish.tables.zoo import table; "
        "table(zoo.entries()); print([m for m in ('onnx', 'numpy', 'onnxruntime') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr


def test_skeletons_hold_no_weights() -> None:
    for name in NAMES:
        path, item = skeleton_path(name), zoo.entry(name)
        model, data = skeleton.read(path), skeleton.read_data(path)
        assert skeleton.size(data) == item.data_bytes
        assert skeleton.size(model) + item.data_bytes == item.bytes
        assert bool(data) == bool(item.data_sha256)
