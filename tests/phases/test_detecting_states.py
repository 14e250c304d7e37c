"""Which inputs and outputs are states: by operators, by names, by what a Concat adds to."""

from __future__ import annotations

import pytest
from onnx import ModelProto, TensorProto
from support.decoders.cells import cell, counter
from support.decoders.grouped import grouped_decoder
from support.decoders.plain import plain_decoder
from support.networks import models
from support.networks.models import INT64, ints, node, value, weight

from onnxprof.model.file import open_model
from onnxprof.records.sequences.phase import PhaseKind
from onnxprof.records.sequences.states import Role, States
from onnxprof.sequences.names import stem
from onnxprof.sequences.planned import phases_of
from onnxprof.sequences.read import states_of


def states(made: ModelProto, folder) -> States:
    return states_of(open_model(str(models.save(made, folder))))


def pairs(found: States) -> dict[str, str]:
    return {state.input: state.output for state in found.states}


def test_caches_of_standard_operators_grow_where_the_concat_adds(tmp_path):
    found = states(plain_decoder(), tmp_path)
    assert pairs(found) == {
        f"past_key_values.{layer}.{kind}": f"present.{layer}.{kind}"
        for layer in (0, 1)
        for kind in ("key", "value")
    }
    assert {state.axis for state in found.states} == {2}
    assert not any(state.shared for state in found.states)
    assert "Concat h0.key.concat adds to it" in found.states[0].evidence
    assert dict(found.roles) == {
        "input_ids": Role.TOKENS,
        "position_ids": Role.POSITIONS,
        "attention_mask": Role.MASK,
    }


def test_grouped_attention_may_write_where_it_reads(tmp_path):
    found = states(grouped_decoder(), tmp_path)
    assert len(found.states) == 4
    assert all(state.shared and state.axis == 2 for state in found.states)
    assert found.of(Role.TOKENS) == ("input_ids",)


def test_states_of_cells_have_a_fixed_size(tmp_path):
    found = states(cell(), tmp_path)
    assert pairs(found) == {"h": "hn", "c": "cn"}
    assert found.recurrent == found.states
    assert "LSTM lstm takes and returns it" in found.states[0].evidence


def test_names_alone_pair_states_of_equal_shapes(tmp_path):
    assert pairs(states(counter(), tmp_path)) == {"state": "stateN"}


def test_a_state_beside_a_tensor_of_no_other_word(tmp_path):
    made = counter()
    for item in made.graph.node:
        item.input[:] = ["input" if name == "x" else name for name in item.input]
        item.output[:] = ["output" if name == "y" else name for name in item.output]
    made.graph.input[0].name, made.graph.output[0].name = "input", "output"
    assert pairs(states(made, tmp_path)) == {"state": "stateN"}


def test_a_cache_whose_heads_come_first(tmp_path):
    found = states(plain_decoder(batch_at=1), tmp_path)
    assert found.states[0].shape == (4, 1, "past_sequence_length", 16)
    assert found.states[0].axis == 2


def test_a_file_for_the_prompt_returns_caches_that_it_does_not_take(tmp_path):
    found = states(plain_decoder(past=False), tmp_path)
    assert [state.input for state in found.states] == [""] * 4
    assert not found.taken
    kinds = phases_of(open_model(str(tmp_path / "model.onnx")))
    assert kinds == {PhaseKind.PREFILL}


def test_a_cache_that_is_not_returned_is_said_to_be_one(tmp_path):
    found = states(plain_decoder(returned=False), tmp_path)
    assert len(found.unreturned) == 4
    assert "the model does not return it" in found.states[0].evidence


def test_renamed_caches_are_found_by_what_is_added_to_them(tmp_path):
    made = plain_decoder()
    names = {"past_key_values.0.key": "alpha", "present.0.key": "omega"}
    for item in made.graph.node:
        item.input[:] = [names.get(name, name) for name in item.input]
        item.output[:] = [names.get(name, name) for name in item.output]
    for held in (*made.graph.input, *made.graph.output):
        held.name = names.get(held.name, held.name)
    assert pairs(states(made, tmp_path))["alpha"] == "omega"


def test_axes_without_names_grow_where_the_concat_joins(tmp_path):
    made = plain_decoder()
    for held in (*made.graph.input, *made.graph.output):
        for dim in held.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    found = states(made, tmp_path)
    assert {state.axis for state in found.states} == {2}
    assert PhaseKind.DECODE in phases_of(open_model(str(tmp_path / "model.onnx")))


def test_a_window_that_a_slice_cuts_does_not_grow(tmp_path):
    shape = ["batch", 4, 8]
    made = models.model(
        [
            node("Concat", ["cache_in", "x"], ["both"], "join", axis=2),
            node("Slice", ["both", "one", "far", "last"], ["cache_out"], "window"),
            node("Relu", ["both"], ["y"], "relu"),
        ],
        [value("x", ["batch", 4, 1]), value("cache_in", shape)],
        [value("y", ["batch", 4, 9]), value("cache_out", shape)],
        [ints("one", 1), ints("far", 1 << 40), ints("last", 2)],
    )
    [state] = states(made, tmp_path).states
    assert (state.output, state.axis) == ("cache_out", None)


def test_a_ring_buffer_is_a_state_by_its_name(tmp_path):
    made = models.model(
        [node("ScatterND", ["buffer_in", "at", "frame"], ["buffer_out"], "write"),
         node("Relu", ["buffer_out"], ["y"], "relu")],
        [value("frame", [1, 8]), value("buffer_in", [32, 8]), value("at", [1, 1], INT64)],
        [value("y", [32, 8]), value("buffer_out", [32, 8])],
    )  # fmt: skip
    found = states(made, tmp_path)
    assert pairs(found) == {"buffer_in": "buffer_out"}
    assert found.recurrent == found.states


def attending(counted: bool) -> ModelProto:
    """A block of MultiHeadAttention; `counted` gives it the tokens in its cache."""
    cache = ["N", 4, "room", 8]
    counts = ["count"] if counted else []
    return models.model(
        [node("MultiHeadAttention", ["q", "k", "v", "", "", "", "past_key", "past_value", *counts],
              ["y", "present_key", "present_value"], "mha", domain="com.microsoft", num_heads=4)],
        [*(value(name, ["N", "tokens", 32]) for name in "qkv"), value("past_key", cache),
         value("past_value", cache), *(value(name, [1], TensorProto.INT32) for name in counts)],
        [value("y", ["N", "tokens", 32]), value("present_key", cache),
         value("present_value", cache)],
        domains=["com.microsoft"],
    )  # fmt: skip


def test_attention_that_is_told_how_full_its_cache_is_writes_into_it(tmp_path):
    found = states(attending(True), tmp_path)
    assert all(state.shared for state in found.states)
    assert dict(found.roles) == {"count": Role.KEPT, "q": Role.TOKENS}
    assert not any(state.shared for state in states(attending(False), tmp_path).states)


def test_tokens_of_an_encoder_in_the_same_file_are_not_those_of_the_phase(tmp_path):
    made = plain_decoder()
    words = ("input_ids", "attention_mask", "position_ids")
    for item in made.graph.node:
        item.input[:] = [f"decoder_{n}" if n in words else n for n in item.input]
    for held in made.graph.input:
        held.name = f"decoder_{held.name}" if held.name in words else held.name
    read = [value(name, ["batch_size", "source"], INT64) for name in words[:2]]
    made.graph.node.append(node("Mul", list(words[:2]), ["read"], "read"))
    made.graph.output.append(value("read", ["batch_size", "source"], INT64))
    given = [*read, *made.graph.input]
    del made.graph.input[:]
    made.graph.input.extend(given)
    found = states(made, tmp_path)
    assert dict(found.roles) == {
        "decoder_input_ids": Role.TOKENS,
        "decoder_attention_mask": Role.MASK,
        "decoder_position_ids": Role.POSITIONS,
    }


def test_an_image_in_and_an_image_out_are_no_state(tmp_path):
    made = models.model(
        [node("Relu", ["input"], ["output"], "relu")],
        [value("input", [1, 3, 8, 8])],
        [value("output", [1, 3, 8, 8])],
    )
    assert not states(made, tmp_path).states
    numbered = models.model(
        [node("Add", ["input_1", "w"], ["output_1"], "add")],
        [value("input_1", [1, 3, 8, 8])],
        [value("output_1", [1, 3, 8, 8])],
        [weight("w", 8)],
    )
    assert not states(numbered, tmp_path).states


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("past_key_values.0.key", "present.0.key"),
        ("past_key_values.3.decoder.value", "present.3.decoder.value"),
        ("past_key_self_0", "present_key_self_0"),
        ("past_0", "present_0"),
        ("past_conv.1", "present_conv.1"),
        ("h", "hn"),
        ("h0", "h_n"),
        ("c_in", "c_out"),
        ("state", "stateN"),
        ("cache_last_channel", "cache_last_channel_next"),
        ("cached_key_0", "new_cached_key_0"),
        ("r1i", "r1o"),
        ("prev_hidden", "next_hidden"),
    ],
)
def test_names_of_exporters(before, after):
    assert stem(before)[0] == stem(after)[0]
    assert stem(before)[1] or stem(after)[1]


def test_keys_and_values_are_apart():
    assert stem("past_key_values.0.key")[0] != stem("present.0.value")[0]
    assert stem("past_key_values.0.encoder.key")[0] != stem("present.0.decoder.key")[0]
