"""Sizes of axes, contents of inputs and limits of the context, by phase."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto
from support.decoders.cells import cell
from support.decoders.grouped import TOTAL, grouped_decoder
from support.decoders.plain import NEW, PAST, plain_decoder
from support.networks import models

from onnxprof.errors import UsageError
from onnxprof.model.feeds import generate
from onnxprof.model.file import ModelFile, open_model
from onnxprof.model.layers import inspect
from onnxprof.records.sequences.phase import Phase
from onnxprof.records.sequences.states import Role, States
from onnxprof.sequences.feeding import carried, fed
from onnxprof.sequences.limits import limit_of
from onnxprof.sequences.planned import in_phase
from onnxprof.sequences.read import states_of


def opened(made: ModelProto, folder) -> ModelFile:
    return open_model(str(models.save(made, folder)))


def refusal(model: ModelFile, phase: str, **given: int) -> str:
    with pytest.raises(UsageError) as raised:
        in_phase(model, phase, given)
    return str(raised.value)


def test_a_token_behind_a_cache_and_a_prompt_without_one(tmp_path):
    model = opened(plain_decoder(), tmp_path)
    assert in_phase(model, "decode:100", {})[1] == {NEW: 1, PAST: 100}
    assert in_phase(model, "decode:0", {})[1] == {NEW: 1, PAST: 0}
    assert in_phase(model, "prefill:64", {})[1] == {NEW: 64, PAST: 0}


def test_a_shared_buffer_has_room_for_the_new_tokens(tmp_path):
    model = opened(grouped_decoder(), tmp_path)
    assert in_phase(model, "decode:100", {})[1] == {NEW: 1, PAST: 101, TOTAL: 101}
    states, _ = in_phase(model, "prefill:64", {})
    pairs = carried(states, Phase.of("prefill:64")).shared
    assert ("past_key_values.0.key", "present.0.key") in pairs
    assert len(pairs) == 4


@pytest.mark.parametrize("phase", ["decode:7", "decode:0", "prefill:8"])
def test_inputs_say_where_the_tokens_are(tmp_path, phase):
    model = opened(plain_decoder(), tmp_path)
    states, sizes = in_phase(model, phase, {})
    at = Phase.of(phase)
    arrays = fed(generate(inspect(model, 2, sizes)), states, at)
    assert arrays["position_ids"].tolist() == [list(range(at.kept, at.total))] * 2
    assert arrays["attention_mask"].tolist() == [[1] * at.total] * 2
    assert arrays["past_key_values.0.key"].shape == (2, 4, at.kept, 16)


def test_counts_branches_and_beams():
    roles = (
        *(("last", Role.LAST), ("total", Role.TOTAL), ("kept", Role.KEPT)),
        *(("branch", Role.BRANCH), ("beams", Role.BEAMS), ("beam", Role.BEAM)),
        ("mask", Role.MASK),
    )
    arrays = {name: np.full((3,), 9, np.int32) for name, _ in roles}
    arrays |= {"branch": np.array([False]), "mask": np.ones((1, 6), np.int64)}
    made = fed(arrays, States((), roles), Phase.of("decode:4"))
    assert made["last"].tolist() == [4] * 3
    assert made["total"].tolist() == [5] * 3
    assert made["kept"].tolist() == [4] * 3
    assert made["branch"].tolist() == [True]
    assert made["beams"].tolist() == [1] * 3
    assert made["beam"].tolist() == [0, 1, 2]
    assert made["mask"].tolist() == [[1, 1, 1, 1, 1, 0]]
    assert made["last"].dtype == np.int32
    assert not fed(arrays, States((), roles), Phase.of("prefill:5"))["branch"][0]


def test_a_cache_is_not_copied_whatever_its_size(tmp_path):
    model = opened(grouped_decoder(), tmp_path)
    states, sizes = in_phase(model, "decode:5", {})
    arrays = generate(inspect(model, 1, sizes))
    made = fed(arrays, states, Phase.of("decode:5"))
    caches = [made[state.input] for state in states.caches]
    assert all(made[state.input] is arrays[state.input] for state in states.caches)
    assert not any(
        np.shares_memory(one, two) for i, one in enumerate(caches) for two in caches[i + 1 :]
    )


def test_a_tie_that_contradicts_the_phase_is_refused(tmp_path):
    model = opened(plain_decoder(), tmp_path)
    with pytest.raises(UsageError, match="contradicts --phase decode:5, which makes it 5"):
        in_phase(model, "decode:5", {PAST: NEW})
    with pytest.raises(UsageError, match="contradicts"):
        in_phase(model, "decode:5", {PAST: "batch + 4"})
    assert in_phase(model, "decode:5", {PAST: f"{NEW} + 4"})[1][PAST] == 5


def test_the_initializer_that_limits_the_context_is_named(tmp_path):
    model = opened(plain_decoder(), tmp_path)
    assert in_phase(model, "decode:255", {})
    text = refusal(model, "decode:256")
    assert "257 positions" in text
    assert "'wpe.weight' has 256" in text
    assert "decode:255 at most" in text
    assert "prefill:256 at most" in refusal(model, "prefill:1000")


def test_tables_of_angles_limit_it_as_well(tmp_path):
    model = opened(grouped_decoder(), tmp_path)
    limit = limit_of(inspect(model, 1), states_of(model))
    assert limit is not None
    assert (limit.tokens, limit.initializer) == (256, "cos_cache")
    assert "cos_cache" in refusal(model, "decode:256")


def test_phases_that_a_model_does_not_have_say_why(tmp_path):
    lstm = opened(cell(), tmp_path)
    assert "no decode: none of its states grows" in refusal(lstm, "decode:5")
    assert in_phase(lstm, "steps:5", {})[1] == {}
    decoder = opened(plain_decoder(), tmp_path)
    assert "grows with each step" in refusal(decoder, "steps:5")
    prompt = opened(plain_decoder(past=False), tmp_path)
    assert "takes none" in refusal(prompt, "decode:5")
    assert "decoder_with_past_model.onnx" in refusal(prompt, "decode:5")


def test_a_model_without_states_has_no_phase(tmp_path):
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu")],
        [models.value("x", [1, 4])],
        [models.value("y", [1, 4])],
    )
    assert "no input and output of the model are a state" in refusal(
        opened(made, tmp_path), "decode:5"
    )


def test_one_token_that_the_file_fixes(tmp_path):
    made = plain_decoder()
    for held in (*made.graph.input, *made.graph.output):
        for dim in held.type.tensor_type.shape.dim:
            if dim.dim_param == NEW:
                dim.dim_value = 1
            elif dim.dim_param == f"{PAST} + {NEW}":
                dim.dim_param = f"{PAST} + 1"
    model = opened(made, tmp_path)
    assert in_phase(model, "decode:9", {})[1] == {PAST: 9}
    assert "fixes its new tokens at 1" in refusal(model, "prefill:9")


def test_sizes_given_besides_are_kept_or_contradict(tmp_path):
    model = opened(plain_decoder(), tmp_path)
    assert in_phase(model, "decode:9", {PAST: 9})
    assert f"{PAST}=5 contradicts" in refusal(model, "decode:9", **{PAST: 5})


def test_one_axis_for_two_lengths_is_refused(tmp_path):
    made = plain_decoder()
    for held in (*made.graph.input, *made.graph.output):
        for dim in held.type.tensor_type.shape.dim:
            if dim.dim_param == PAST:
                dim.dim_param = NEW
    model = opened(made, tmp_path)
    text = refusal(model, "decode:9")
    assert f"axis {NEW!r} is 1 for the new tokens and 9 for the cache" in text
