"""Int8 twins: weights that are those of the float networks, forms, ranges, outputs."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, numpy_helper

from onnxprof import zoo
from onnxprof.errors import ModelError
from onnxprof.zoo import whole
from onnxprof.zoo.catalogue import RANGES, skeleton_path, twin
from onnxprof.zoo.declaration import Twin
from onnxprof.zoo.families.int8 import TWINS
from onnxprof.zoo.making.generator import BOUND, normals
from onnxprof.zoo.making.quantised.parts import Parts
from onnxprof.zoo.making.quantised.prepare import fold, modernise
from onnxprof.zoo.making.quantised.weights import quantise
from onnxprof.zoo.making.recipe import Recipe
from onnxprof.zoo.materialisation import hollow
from onnxprof.zoo.whole import structure

STATIC = tuple(name for name, how in TWINS.items() if how.form == "static")
DYNAMIC = tuple(name for name, how in TWINS.items() if how.form == "dynamic")


def parts(name: str) -> Parts:
    model = onnx.load(skeleton_path(name))
    modernise(model)
    return Parts(model)


def operators(name: str) -> Counter[str]:
    return Counter(node.op_type for node in structure(name).graph.node)


def products(name: str) -> list[NodeProto]:
    """Convolutions and products of a network whose second operand is a weight."""
    its = parts(name)
    kinds = ("Conv", "Gemm", "MatMul")
    return [n for n in its.nodes if n.op_type in kinds and its.recipe(n.input[1]) is not None]


def test_whole_numbers_are_the_rounded_floats() -> None:
    made = Recipe(0.0, 0.5, "seed", step=0.125, zero=128)
    floats = Recipe(0.0, 0.5, "seed").values("<f4", 4, 1000)
    assert made.values("u1", 4, 1000).tolist() == (np.rint(floats / 0.125) + 128).tolist()
    assert Recipe.from_json(made.to_json()) == made


def test_no_value_is_beyond_the_bound() -> None:
    values = normals("bound", 0, 1 << 18, 0.0, 1.0)
    assert 3.3 < abs(values).max() <= BOUND < 3.5


def test_a_folded_weight_is_the_float_one_times_its_batch_norm() -> None:
    its = parts("resnet50")
    stem = next(node for node in its.nodes if node.op_type == "Conv")
    norm = next(node for node in its.nodes if node.op_type == "BatchNormalization")
    weight, factor = (
        its.values(stem.input[1]),
        its.values(norm.input[1]) / np.sqrt(np.float32(1 + 1e-5)),
    )
    found = fold(its)[stem.input[1]]
    assert found == pytest.approx(factor, rel=1e-6)
    whole = quantise(its, stem.input[1], found)
    recipe = its.recipe(whole.name)
    assert recipe is not None
    numbers = recipe.values("i1", 0, weight.size).reshape(weight.shape)
    scale = whole.scale.reshape(-1, 1, 1, 1)
    assert abs(numbers * scale - weight * found.reshape(scale.shape)).max() <= 0.5001 * scale.max()
    assert stem.output[0] == norm.output[0]
    assert len(stem.input) == 3


def test_a_weight_without_noise_has_no_scale() -> None:
    its = parts("squeezenet")
    bias = next(node for node in its.nodes if node.op_type == "Conv").input[2]
    its.stored[bias].metadata_props[0].value = Recipe(1.0).to_json()
    with pytest.raises(ModelError, match=f"weight '{bias}' is no noise around 0"):
        quantise(its, bias, None)


@pytest.mark.parametrize("name", STATIC)
def test_static_twins_have_q_and_dq_around_every_product(name: str) -> None:
    graph = structure(name).graph
    makers = {output: node for node in graph.node for output in node.output}
    weighted = products(TWINS[name].of)
    found = [
        node
        for node in graph.node
        if node.op_type in ("Conv", "Gemm", "MatMul")
        and makers[node.input[1]].op_type == "DequantizeLinear"
    ]
    assert [node.name for node in found] == [node.name for node in weighted]
    for node in found:
        assert {makers[given].op_type for given in node.input} == {"DequantizeLinear"}
    assert operators(name)["BatchNormalization"] == 0
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kinds = {stored[makers[node.input[1]].input[0]].data_type for node in found}
    assert kinds == {TensorProto.INT8}


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_twins_have_a_whole_product_for_each(name: str) -> None:
    kinds = {"Conv": "ConvInteger"}
    expected = Counter(kinds.get(n.op_type, "MatMulInteger") for n in products(TWINS[name].of))
    found = operators(name)
    assert {kind: found[kind] for kind in expected} == expected
    assert found["BatchNormalization"] == found["Conv"] == 0


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_keeps_its_networks_products_and_weights(name: str) -> None:
    of, item = zoo.entry(TWINS[name].of), zoo.entry(name)
    assert item.macs == of.macs
    assert item.parameters == pytest.approx(of.parameters, rel=0.02)
    assert item.inputs == of.inputs
    assert item.bytes < (0.45 if TWINS[name].products_only else 0.3) * of.bytes


@pytest.mark.parametrize("name", TWINS)
def test_a_twins_structure_is_valid(name: str) -> None:
    model = structure(name)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    made = {value.name for value in model.graph.input} | {t.name for t in model.graph.initializer}
    for node in model.graph.node:
        assert {given for given in node.input if given} <= made, node.name
        made.update(node.output)
    assert {value.name for value in model.graph.output} <= made
    assert model.SerializeToString(deterministic=True) == structure(name).SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("name", ["squeezenet-int8", "squeezenet-int8-dyn"])
def test_a_twin_computes_what_its_network_does(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    from onnxprof.plugins.registry import reference
    from onnxprof.zoo.sources.ranges import inputs

    feeds = inputs(zoo.entry(name), seed=99)
    values = [
        reference().file_session(zoo.materialise(each, cache=tmp_path), lean=True).run(feeds)[0]
        for each in ("squeezenet", name)
    ]
    assert np.corrcoef(*(value.ravel() for value in values))[0, 1] > 0.99
    assert abs(values[0] - values[1]).max() > 0


def test_ranges_are_those_of_the_seeded_inputs() -> None:
    pytest.importorskip("onnxruntime")
    from onnxprof.zoo.sources.ranges import SEEDS, inputs, measure

    found = measure(Twin("lenet", "static"))
    item = zoo.entry("lenet")
    given = [inputs(item, seed)["Input3"] for seed in SEEDS]
    low, high = found["Input3"]
    assert low == pytest.approx(min(values.min() for values in given), rel=1e-3)
    assert high == pytest.approx(max(values.max() for values in given), rel=1e-3)
    assert found["Pooling66_Output_0"][0] >= 0
    assert list(found) == whole.quantised_tensors(Twin("lenet", "static"))


@pytest.mark.parametrize("name", STATIC)
def test_the_kept_ranges_are_of_the_tensors_that_are_quantised(name: str) -> None:
    how = TWINS[name]
    kept = json.loads((RANGES / f"{how.of}.json").read_text("utf-8"))
    assert sorted(kept) == sorted(whole.quantised_tensors(how))
    assert all(low <= high for low, high in kept.values())


def test_ranges_that_are_damaged_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "RANGES", tmp_path)
    with pytest.raises(ModelError, match=r"squeezenet\.json: the ranges of its activations"):
        structure("squeezenet-int8")
    (tmp_path / "squeezenet.json").write_text("{")
    with pytest.raises(ModelError, match=r"cannot be read"):
        structure("squeezenet-int8")


def test_a_twin_without_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    path = hollow("squeezenet-int8", tmp_path)
    assert path.stat().st_size == zoo.entry("squeezenet-int8").bytes
    model = onnx.load(path)
    first = next(t for t in model.graph.initializer if t.name == "conv1_w_0_quantized")
    assert numpy_helper.to_array(first).shape == (64, 3, 3, 3)


def test_old_operators_become_those_of_opset_13() -> None:
    model = onnx.load(skeleton_path("squeezenet"))
    modernise(model)
    assert model.opset_import[0].version == 13
    nodes = {node.op_type: node for node in model.graph.node}
    assert not nodes["Dropout"].attribute
    assert nodes["Softmax"].attribute[0].i == 1
    onnx.checker.check_node(nodes["Dropout"])


def test_other_networks_have_no_twin_to_be_made_from() -> None:
    assert twin("squeezenet") is None
    assert twin("squeezenet-int8") == Twin("squeezenet", "static")
