"""Decoders, their blocks and encoders of today in the zoo: sizes, states, types, values."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto

from onnxprof import zoo
from onnxprof.zoo.catalogue import skeleton_path
from onnxprof.zoo.declaration import size_of
from onnxprof.zoo.making.recipe import read
from onnxprof.zoo.making.tables import NIBBLE_MEAN, NIBBLE_STD, Nibbles, Waves
from onnxprof.zoo.sources.counts import count
from onnxprof.zoo.sources.sizes import LLAMA, QWEN, Sizes

NAMES = tuple(e.name for e in zoo.entries() if e.family in ("decoders", "towers"))
STEPS = tuple(name for name in NAMES if any("past" in i.name for i in zoo.entry(name).inputs))
GENAI = {"qwen-0.5b-int4": QWEN, "llama-1b-float16": LLAMA, "llama-1b-int4": LLAMA}

LAYERS = {
    "gpt2-cache": {"Softmax": 12, "LayerNormalization": 25, "Tanh": 12, "Gemm": 48},
    "qwen-0.5b": {"Softmax": 24, "ReduceMean": 49, "Sigmoid": 24, "MatMul": 24 * 9 + 1},
    "whisper-tiny-decoder": {"Softmax": 8, "LayerNormalization": 13, "Gelu": 4},
    "mamba-130m": {"Softplus": 24, "ReduceMean": 25, "Exp": 48, "Split": 48},
    "granite-moe-block": {"SimplifiedLayerNormalization": 1, "MatMul": 1, "MoE": 1},
    "mixtral-moe-block-int4": {"SimplifiedLayerNormalization": 1, "MatMul": 1, "QMoE": 1},
    "qwen-0.5b-int4": {"GroupQueryAttention": 24, "MatMulNBits": 121, "GatherBlockQuantized": 1},
    "llama-1b-float16": {"GroupQueryAttention": 22, "MatMul": 111, "Gather": 2},
    "llama-1b-int4": {"GroupQueryAttention": 22, "MatMulNBits": 111, "Gather": 2},
    "minilm-l6": {"Softmax": 6, "LayerNormalization": 13, "Gelu": 6, "Gather": 3},
    "clip-vit-b32-image": {"Conv": 1, "Softmax": 12, "LayerNormalization": 26, "Sigmoid": 12},
    "clip-vit-b32-text": {"Softmax": 12, "LayerNormalization": 25, "GatherElements": 1},
    "mobile-sam-encoder": {"Conv": 29, "Softmax": 10, "LayerNormalization": 22},
}


def _decoder(sizes: Sizes) -> int:
    """Parameters by the papers' shapes, as transformers counts them."""
    width, inner, kept = sizes.width, sizes.inner, sizes.groups * sizes.head
    attention = 2 * width * width + 2 * width * kept + sizes.biased * (width + 2 * kept)
    layer = attention + 3 * width * inner + 2 * width
    tables = (1 if sizes.tied else 2) * sizes.vocabulary * width
    return tables + sizes.layers * layer + width


#: The tables of cosines and sines are weights of the file, and none of the paper's.
ROTATIONS = {name: sizes.context * sizes.head for name, sizes in GENAI.items()}


def skeleton_of(name: str) -> ModelProto:
    return onnx.load(skeleton_path(name))


def declared(model: ModelProto) -> dict[str, Any]:
    known = ("onnxprof.dims", "onnxprof.inputs")
    return {e.key: json.loads(e.value) for e in model.metadata_props if e.key in known}


def axes(value: onnx.ValueInfoProto) -> tuple[str | int, ...]:
    return tuple(d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim)


def test_every_network_is_looked_at() -> None:
    assert set(NAMES) == set(LAYERS)


@pytest.mark.parametrize("name", NAMES)
def test_layers(name: str) -> None:
    counted = Counter(node.op_type for node in skeleton_of(name).graph.node)
    assert {operator: counted[operator] for operator in LAYERS[name]} == LAYERS[name]


@pytest.mark.parametrize(
    ("sizes", "published"), [(LLAMA, "llama-1b-int4"), (QWEN, "qwen-0.5b-int4")]
)
def test_sizes_give_the_published_parameters(sizes: Sizes, published: str) -> None:
    assert _decoder(sizes) == zoo.entry(published).published.parameters


@pytest.mark.parametrize("name", GENAI)
def test_parameters_of_packed_weights(name: str) -> None:
    assert zoo.entry(name).parameters == _decoder(GENAI[name]) + ROTATIONS[name]


def test_parameters_do_not_depend_on_the_type_of_the_weights() -> None:
    assert zoo.entry("llama-1b-float16").parameters == zoo.entry("llama-1b-int4").parameters
    assert zoo.entry("qwen-0.5b").parameters == pytest.approx(_decoder(QWEN), rel=1e-6)


def test_a_decoder_of_four_bits_takes_less_than_a_gigabyte() -> None:
    assert zoo.entry("llama-1b-int4").bytes < 1e9
    assert zoo.entry("llama-1b-float16").bytes > 2 * zoo.entry("llama-1b-int4").bytes


@pytest.mark.parametrize("name", STEPS)
def test_each_state_that_changes_comes_back(name: str) -> None:
    graph = skeleton_of(name).graph
    given = {value.name: axes(value) for value in graph.input if "past" in value.name}
    returned = {value.name: axes(value) for value in graph.output if "present" in value.name}
    sums = {"past_sequence_length + sequence_length", "total_sequence_length"}
    constant = {state for state in given if ".encoder." in state}
    assert len(given) - len(constant) == len(returned) > 0
    for state in given.keys() - constant:
        present = state.replace("past_key_values", "present").replace("past_", "present_")
        pairs = zip(given[state], returned[present], strict=True)
        assert all(
            before == after or (before == "past_sequence_length" and after in sums)
            for before, after in pairs
        ), state


@pytest.mark.parametrize("name", NAMES)
def test_file_says_what_to_feed_and_lengths_fit_together(name: str) -> None:
    model, item = skeleton_of(name), zoo.entry(name)
    assert declared(model).get("onnxprof.dims", {}) == dict(item.dims)
    sizes = {"batch": 1, **dict(item.dims)}
    for value in (*model.graph.input, *model.graph.output):
        assert all(size_of(size, sizes) > 0 for size in axes(value)), value.name
    if "total_sequence_length" in sizes:
        total = sizes["past_sequence_length"] + sizes["sequence_length"]
        assert sizes["total_sequence_length"] == total


@pytest.mark.parametrize(("axis", "size"), [(7, 7), ("new", 3), ("past + new", 8)])
def test_size_of_an_axis(axis: str | int, size: int) -> None:
    assert size_of(axis, {"past": 5, "new": 3}) == size


def test_axis_without_a_size() -> None:
    with pytest.raises(KeyError, match="other"):
        size_of("past + other", {"past": 5})


def test_figures_follow_the_default_lengths() -> None:
    """One more token of the past costs each layer two products of a head's width."""
    item, model = zoo.entry("llama-1b-int4"), skeleton_of("llama-1b-int4")
    for entry in model.metadata_props:
        if entry.key == "onnxprof.dims":
            longer = {"sequence_length": 1, "past_sequence_length": 128}
            entry.value = json.dumps({**longer, "total_sequence_length": 129})
    grown = count(model).macs - item.macs
    assert grown == LLAMA.layers * 2 * LLAMA.heads * LLAMA.head


def test_tied_table_of_four_bits_is_stored_once() -> None:
    graph = skeleton_of("qwen-0.5b-int4").graph
    readers = {node.op_type for node in graph.node if "lm_head.MatMul.weight_Q4" in node.input}
    assert readers == {"Reshape", "MatMulNBits"}
    scales = {node.op_type for node in graph.node if "lm_head.MatMul.weight_scales" in node.input}
    assert scales == {"GatherBlockQuantized", "MatMulNBits"}


def test_nibbles_lie_around_eight() -> None:
    packed = Nibbles("seed").values("u1", 0, 1 << 20)
    values = np.concatenate((packed & 15, packed >> 4)).astype(float)
    assert (values.min(), values.max()) == (1, 15)
    assert abs(values.mean() - NIBBLE_MEAN) < 0.01
    assert abs(values.std() - NIBBLE_STD) < 0.01
    low, high = (packed & 15).astype(float), (packed >> 4).astype(float)
    assert abs(np.corrcoef(low, high)[0, 1]) < 0.01


def test_first_nibbles_are_these() -> None:
    """Pinned: another generator makes other files."""
    assert Nibbles("seed").values("u1", 0, 8).tobytes().hex() == "28aa94768fe65a61"


@pytest.mark.parametrize(("start", "count"), [(0, 1), (16, 5), (1 << 12, 1000)])
def test_stream_of_nibbles_may_be_cut(start: int, count: int) -> None:
    whole = Nibbles("cut").values("u1", 0, start + count)
    assert np.array_equal(Nibbles("cut").values("u1", start, count), whole[start:])


def test_stream_of_nibbles_is_cut_at_blocks() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        Nibbles("cut").values("u1", 4, 8)


@pytest.mark.parametrize("base", [10_000.0, 1e6])
def test_waves_are_cosines_and_sines(base: float) -> None:
    columns, rows = 32, 3000
    angles = np.arange(rows)[:, None] * base ** (-np.arange(columns) / columns)
    for kind, function in (("cosines", np.cos), ("sines", np.sin)):
        made = Waves(kind, base, columns).values("<f8", 0, rows * columns)
        np.testing.assert_allclose(made.reshape(rows, columns), function(angles), atol=2e-12)


@pytest.mark.parametrize(("start", "count"), [(0, 5), (100, 7), (32 * 255, 96), (31, 33)])
def test_waves_may_be_cut_anywhere(start: int, count: int) -> None:
    waves = Waves("sines", 1e4, 32)
    whole = waves.values("<f4", 0, 32 * 400)
    assert np.array_equal(waves.values("<f4", start, count), whole[start : start + count])


@pytest.mark.parametrize("recipe", [Nibbles("net/w"), Waves("cosines", 1e6, 32)])
def test_recipes_round_trip(recipe: Nibbles | Waves) -> None:
    assert read(recipe.to_json()) == recipe


def test_recipe_of_another_kind_is_named() -> None:
    with pytest.raises(ValueError, match="'cubes' is not known"):
        read('{"kind": "cubes"}')


def test_tables_turn_as_transformers_turns() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from onnxprof.zoo.networks.cached import rotations

    cosines, sines = rotations(torch.arange(300)[None], QWEN.base, QWEN.head)
    half = QWEN.head // 2
    for table, kind in ((cosines, "cosines"), (sines, "sines")):
        made = Waves(kind, QWEN.base, half).values("<f4", 0, 300 * half).reshape(300, half)
        np.testing.assert_allclose(table[0, :, :half], made, atol=1e-4)
        assert torch.equal(table[..., :half], table[..., half:])


def test_cached_steps_give_what_transformers_gives_for_the_whole_text() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from onnxprof.zoo.networks.cached import CachedQwen, grouped
    from onnxprof.zoo.networks.eager import eager

    config = transformers.Qwen2Config(
        vocab_size=50,
        hidden_size=QWEN.head * 4,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_parameters={"rope_type": "default", "rope_theta": QWEN.base},
    )
    transformers.AttentionInterface.register("grouped", grouped)
    torch.manual_seed(0)
    network = eager(transformers.Qwen2ForCausalLM, config, "grouped").eval()
    cached = CachedQwen(network)
    ids = torch.randint(0, 50, (2, 6))
    with torch.no_grad():
        past = [torch.zeros(2, 2, 0, QWEN.head)] * 4
        found = []
        for first, last in ((0, 4), (4, 5), (5, 6)):
            places = torch.arange(first, last)[None].expand(2, -1)
            kept = torch.ones(2, last, dtype=torch.int64)
            logits, *past = cached(ids[:, first:last], kept, places, past)
            found.append(logits)
        network.set_attn_implementation("eager")
        whole = network(ids).logits
    torch.testing.assert_close(torch.cat(found, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_mamba_steps_give_what_transformers_gives_for_the_whole_text() -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from onnxprof.zoo.networks.mamba import StepByStep

    torch.manual_seed(0)
    config = transformers.MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2)
    network = transformers.MambaForCausalLM(config).eval()
    steps, inner = StepByStep(network), config.intermediate_size
    windows = [torch.zeros(2, inner, config.conv_kernel)] * 2
    states = [torch.zeros(2, inner, config.state_size)] * 2
    ids = torch.randint(0, 50, (2, 5))
    found = []
    with torch.no_grad():
        for at in range(5):
            logits, *rest = steps(ids[:, at : at + 1], windows, states)
            windows, states = rest[:2], rest[2:]
            found.append(logits)
        whole = network(ids).logits
    torch.testing.assert_close(torch.cat(found, dim=1), whole, atol=1e-4, rtol=1e-4)


def test_mixtures_read_all_experts_and_multiply_with_some() -> None:
    for name, width, inner, experts, chosen in (
        ("granite-moe-block", 1024, 512, 32, 8),
        ("mixtral-moe-block-int4", 4096, 14_336, 8, 2),
    ):
        item, tokens = zoo.entry(name), 32
        router = width * experts
        assert item.parameters == 3 * experts * width * inner + router + width
        assert item.macs == tokens * (3 * chosen * width * inner + router)


def test_image_encoder_is_as_large_as_its_papers_say() -> None:
    """TinyViT-5M without its classifier, SAM's neck, and statistics of batch norms."""
    item = zoo.entry("mobile-sam-encoder")
    assert math.isclose(item.parameters, item.published.parameters, rel_tol=0.01)
