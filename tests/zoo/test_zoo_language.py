"""Language, speech, translation and recommendation in the zoo."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper

from onnxprof import zoo
from onnxprof.errors import ModelError
from onnxprof.zoo.catalogue import skeleton_path
from onnxprof.zoo.declaration import Source
from onnxprof.zoo.making import rules
from onnxprof.zoo.making.recipe import Recipe
from onnxprof.zoo.making.skeleton import RECIPE_KEY
from onnxprof.zoo.sources.counts import count

NAMES = tuple(e.name for e in zoo.entries() if e.family in ("language", "mlperf_language"))

LAYERS = {
    "bert-base": {"Softmax": 12, "LayerNormalization": 25, "Gelu": 12, "Gather": 3},
    "bert-large": {"Softmax": 24, "LayerNormalization": 49, "Gelu": 24, "Gather": 3},
    "gpt2": {"Softmax": 12, "LayerNormalization": 25, "Tanh": 12, "Gemm": 48},
    "t5-small-encoder": {"Softmax": 6, "ReduceMean": 13, "Relu": 6, "MatMul": 48},
    "whisper-tiny-encoder": {"Conv": 2, "Softmax": 4, "LayerNormalization": 9, "Gelu": 6},
    "gnmt": {"LSTM": 8, "Tanh": 1, "Softmax": 1, "Gather": 2},
    "transformer-base": {"Softmax": 18, "LayerNormalization": 30, "Relu": 12, "Gather": 2},
    "transformer-big": {"Softmax": 18, "LayerNormalization": 30, "Relu": 12, "Gather": 2},
    "ncf": {"Gather": 4, "Gemm": 4, "Relu": 3, "Sigmoid": 1},
}


def _transformer(width: int, inner: int) -> int:
    norm, attention = 2 * width, 4 * width * width
    feed_forward = 2 * width * inner + inner + width
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    # The wave lengths of the sinusoids are an operand of floats.
    return 37_000 * width + 6 * (encoder + decoder) + width // 2


#: From the shapes that the papers give; transformers' own counts where the weights are known.
PARAMETERS = {
    "bert-base": 109_482_240 - (768 + 1) * 768 + (768 + 1) * 2,
    "bert-large": 335_141_888 - (1024 + 1) * 1024 + (1024 + 1) * 2,
    "gpt2": 124_439_808,
    "t5-small-encoder": 35_330_816,
    "whisper-tiny-encoder": 8_208_384,
    "gnmt": 206_759_621,
    "transformer-base": _transformer(512, 2048),
    "transformer-big": _transformer(1024, 4096),
    "ncf": 31_832_577,
}

LENGTHS = {
    "bert-base": {"sequence": 128},
    "bert-large": {"sequence": 128},
    "gpt2": {"sequence": 128},
    "t5-small-encoder": {"sequence": 128},
    "gnmt": {"sequence": 32, "target": 32},
    "transformer-base": {"sequence": 32, "target": 32},
    "transformer-big": {"sequence": 32, "target": 32},
}


def skeleton(name: str) -> ModelProto:
    return onnx.load(skeleton_path(name))


def metadata(model: ModelProto) -> dict[str, Any]:
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


def test_every_network_is_looked_at() -> None:
    assert set(NAMES) == set(LAYERS) == set(PARAMETERS)


@pytest.mark.parametrize("name", NAMES)
def test_layers(name: str) -> None:
    counted = Counter(node.op_type for node in skeleton(name).graph.node)
    assert {operator: counted[operator] for operator in LAYERS[name]} == LAYERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_parameters(name: str) -> None:
    assert zoo.entry(name).parameters == PARAMETERS[name]


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_to_feed(name: str) -> None:
    model, item = skeleton(name), zoo.entry(name)
    declared = metadata(model)
    assert declared.get("onnxprof.dims", {}) == dict(item.dims) == LENGTHS.get(name, {})
    symbols = {
        dim.dim_param
        for value in (*model.graph.input, *model.graph.output)
        for dim in value.type.tensor_type.shape.dim
        if dim.dim_param
    }
    assert symbols == {"batch", *dict(item.dims)}
    fills = declared.get("onnxprof.inputs", {})
    integers = {i.name for i in item.inputs if i.dtype == "int64"}
    assert fills.keys() == integers
    if "attention_mask" in fills:
        assert fills["attention_mask"] == {"kind": "constant", "low": 1, "high": 1.0}


@pytest.mark.parametrize("name", NAMES)
def test_token_ids_stay_within_the_table_that_they_look_up(name: str) -> None:
    graph = skeleton(name).graph
    rows = {t.name: t.dims[0] for t in graph.initializer if len(t.dims) == 2}
    fills = {i.name: i.fill for i in zoo.entry(name).inputs if i.fill}
    views = {n.output[0]: n.input[0] for n in graph.node if n.op_type == "Reshape"}
    looked_up = [
        (views.get(node.input[1], node.input[1]), rows[node.input[0]])
        for node in graph.node
        if node.op_type == "Gather" and node.input[0] in rows
    ]
    looked_up = [(ids, size) for ids, size in looked_up if ids in fills]
    assert {ids for ids, _ in looked_up} == set(fills) - {"attention_mask"}
    for ids, size in looked_up:
        assert fills[ids].high == size
        assert 0 <= fills[ids].low < size


@pytest.mark.parametrize("name", NAMES)
def test_no_mask_or_table_of_constants_is_stored(name: str) -> None:
    for tensor in skeleton(name).graph.initializer:
        if not tensor.metadata_props:
            assert tensor.ByteSize() < 16_384, tensor.name


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("gpt2", (50_257, 768)),
        ("transformer-base", (37_000, 512)),
        ("transformer-big", (37_000, 1024)),
    ],
)
def test_tied_table_is_one_tensor(name: str, table: tuple[int, int]) -> None:
    graph = skeleton(name).graph
    tables = [t for t in graph.initializer if sorted(t.dims) == sorted(table)]
    assert len(tables) == 1
    readers = [node for node in graph.node if tables[0].name in node.input]
    assert {node.op_type for node in readers} == {"Gather", "Transpose"}
    flipped = next(node.output[0] for node in readers if node.op_type == "Transpose")
    last = next(node for node in graph.node if flipped in node.input)
    assert (last.op_type, list(last.output)) == ("MatMul", ["logits"])


def test_bert_large_costs_what_open_model_zoo_counts_at_384_tokens() -> None:
    model = skeleton("bert-large")
    for entry in model.metadata_props:
        if entry.key == "onnxprof.dims":
            entry.value = json.dumps({"sequence": 384})
    assert count(model).macs == pytest.approx(246.93e9 / 2, rel=0.01)


@pytest.mark.parametrize("name", ["t5-small-encoder", "ncf"])
@pytest.mark.parametrize(("batch", "length"), [(1, 128), (2, 7), (3, 64), (8, 1)])
def test_runs_at_any_batch_and_length(
    name: str, batch: int, length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = _session(name, tmp_path_factory.getbasetemp() / "language")
    generator = np.random.default_rng(batch)
    feeds = {}
    for item in zoo.entry(name).inputs:
        shape = [{"batch": batch, "sequence": length}[axis] for axis in item.shape]
        assert item.fill is not None
        high = item.fill.high if item.fill.kind == "integers" else 2
        feeds[item.name] = generator.integers(int(item.fill.low), int(high), shape)
    (value,) = session.run(None, feeds)
    assert value.shape == ((batch, 1) if name == "ncf" else (batch, length, 512))
    assert 1e-6 < np.abs(value).min() <= np.abs(value).max() < 1e6


def _session(name: str, cache: Path) -> Any:
    ort = pytest.importorskip("onnxruntime")
    path = zoo.materialise(name, cache=cache)
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_padding_of_a_text_changes_nothing(tmp_path: Path) -> None:
    session = _session("t5-small-encoder", tmp_path)
    ids = np.random.default_rng(0).integers(0, 32_128, (1, 12))
    mask = np.ones_like(ids)
    (alone,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
    padded = {
        "input_ids": np.concatenate((ids, ids[:, :5]), axis=1),
        "attention_mask": np.concatenate((mask, 0 * mask[:, :5]), axis=1),
    }
    (longer,) = session.run(None, padded)
    np.testing.assert_allclose(longer[:, :12], alone, rtol=1e-4)
    padded["attention_mask"][:] = 1
    (other,) = session.run(None, padded)
    assert np.abs(other[:, :12] - alone).max() > 1e-4


def _recurrent(operator: str, gates: int) -> ModelProto:
    weights = {"w": [2, gates * 5, 3], "r": [2, gates * 5, 5]}
    node = helper.make_node(
        operator, ["x", "w", "r"], ["y"], "layer", hidden_size=5, direction="bidirectional"
    )
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "g",
        [value("x", TensorProto.FLOAT, ["steps", "batch", 3])],
        [value("y", TensorProto.FLOAT, ["steps", 2, "batch", 5])],
        [TensorProto(name=n, dims=d, data_type=TensorProto.FLOAT) for n, d in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])


@pytest.mark.parametrize(("operator", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_recurrent_layers_are_counted_at_the_default_length(operator: str, gates: int) -> None:
    model = _recurrent(operator, gates)
    model.metadata_props.add(key="onnxprof.dims", value='{"steps": 7}')
    assert count(model).macs == 7 * 2 * gates * 5 * (3 + 5)


def test_length_without_a_default_is_named() -> None:
    with pytest.raises(ModelError, match="layer: its shape cannot be inferred"):
        count(_recurrent("LSTM", 4))


def test_recurrent_weights_keep_the_variance() -> None:
    model = _recurrent("LSTM", 4)
    rules.assign(model, "net", lambda _: 1.0)
    recipes = [Recipe.from_json(t.metadata_props[0].value) for t in model.graph.initializer]
    assert [t.metadata_props[0].key for t in model.graph.initializer] == [RECIPE_KEY] * 2
    assert [r.std for r in recipes] == [math.sqrt(1 / 3), math.sqrt(1 / 5)]


def test_shift_comes_on_top_of_the_gain() -> None:
    source = Source(lambda _: ModelProto(), (("w", 0.5),), (("w|b", 2.0),))
    assert [source.gain("w"), source.shift("w"), source.gain("b"), source.shift("r")] == [
        0.5,
        2.0,
        1.0,
        0.0,
    ]
    model = _recurrent("LSTM", 4)
    rules.assign(model, "net", source.gain, source.shift)
    shifted, plain = (Recipe.from_json(t.metadata_props[0].value) for t in model.graph.initializer)
    assert (shifted.mean, shifted.std) == (2.0, 0.5 * math.sqrt(1 / 3))
    assert plain.mean == 0.0


def test_transformer_sees_no_later_target_and_no_padding() -> None:
    torch = pytest.importorskip("torch")
    from onnxprof.zoo.networks.transformer import PADDING, Transformer

    torch.manual_seed(0)
    network = Transformer(layers=2, width=16, inner=32, heads=2).eval()
    source, target = torch.randint(1, 100, (2, 9)), torch.randint(1, 100, (2, 6))
    with torch.no_grad():
        before = network(source, target)
        target[:, 4] += 1
        after = network(source, target)
        padded = network(torch.cat((source, torch.full((2, 3), PADDING)), dim=1), target)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
    torch.testing.assert_close(padded, after)


@pytest.mark.parametrize("directions", [1, 2])
def test_exported_lstm_computes_what_torch_computes(directions: int, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    ort = pytest.importorskip("onnxruntime")
    from onnxprof.exporters.torch.exporter import to_proto
    from onnxprof.zoo.networks.lstm import Lstm

    torch.manual_seed(0)
    layer = Lstm(3, 5, directions)
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(4, 2, 3)
    model = to_proto(layer, {"x": x}, axes={"x": {0: "steps", 1: "batch"}}, outputs=("y",))
    assert [node.op_type for node in model.graph.node].count("LSTM") == 1
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    other = torch.randn(6, 3, 3)
    (got,) = session.run(None, {"x": other.numpy()})
    with torch.no_grad():
        expected = layer(other)
    assert got.shape == (6, 3, 5 * directions)
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-5)


def test_buckets_are_those_of_transformers() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from transformers.models.t5.modeling_t5 import T5Attention

    from onnxprof.zoo.networks.t5 import bucket

    distances = torch.arange(-600, 601)
    theirs = T5Attention._relative_position_bucket(distances, True, 32, 128)
    assert torch.equal(bucket(distances, True, 32, 128), theirs)
