"""Beam search: rows are prompts times beams, and each beam reads its cache through a table."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper
from support.decoders.beams import TOKENS, beam_decoder
from support.decoders.plain import Sizes
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.model.feeds import generate
from onnxprof.model.file import batch_axes, open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.sequences.phase import Phase
from onnxprof.records.sequences.states import Role
from onnxprof.sequences.feeding import carried, fed
from onnxprof.sequences.planned import in_phase
from onnxprof.store.folder import load_all

ONE = Sizes(layers=1)
PAST, PROMPTS, BEAMS = 6, 2, 3


def workload(made: ModelProto, folder, dims: dict[str, int]) -> Workload:
    model = open_model(str(models.save(made, folder)))
    phase = Phase.of(f"decode:{PAST}")
    states, sizes = in_phase(model, str(phase), dims)
    sizes = {**dims, **sizes}
    table = inspect(model, PROMPTS, sizes)
    arrays = fed(generate(table), states, phase)
    prepared = prepare(model, PROMPTS, sizes)
    return Workload(prepared, table, arrays, 1, carried=carried(states, phase))


@pytest.mark.parametrize(
    ("rows", "beams", "dims"),
    [
        ("batch_size", "num_beams", {"num_beams": BEAMS}),
        ("batch_beams", "num_beams", {"num_beams": BEAMS}),
        ("batch_beams", BEAMS, {}),
        ("", "num_beams", {"cache_indirection.axis1": BEAMS}),
    ],
)
def test_rows_are_prompts_times_beams_whatever_the_file_calls_them(tmp_path, rows, beams, dims):
    made = beam_decoder(ONE, rows=rows or "batch_size", beams=beams)
    for held in () if rows else (*made.graph.input, *made.graph.output):
        for dim in held.type.tensor_type.shape.dim:
            if dim.dim_param in ("batch_size", "num_beams"):
                dim.Clear()
    work = workload(made, tmp_path, dims)
    shapes = {name: array.shape for name, array in work.inputs.items()}
    assert shapes["cache_indirection"] == (PROMPTS, BEAMS, PAST + 1)
    assert shapes["input_ids"] == (PROMPTS * BEAMS, 1)
    assert shapes["past_key_self_0"] == (PROMPTS * BEAMS, 4, PAST + 1, 16)
    assert work.inputs["beam_width"].tolist() == [BEAMS]
    assert work.inputs["past_sequence_length"].tolist() == [PAST]
    assert work.inputs["cache_indirection"][:, :, 0].tolist() == [[0, 1, 2]] * PROMPTS


def test_without_a_size_there_is_one_beam(tmp_path):
    work = workload(beam_decoder(ONE), tmp_path, {})
    assert work.inputs["cache_indirection"].shape == (PROMPTS, 1, PAST + 1)
    assert work.inputs["input_ids"].shape == (PROMPTS, 1)
    assert work.inputs["beam_width"].tolist() == [1]


def test_the_batch_counts_prompts(tmp_path):
    model = open_model(str(models.save(beam_decoder(ONE), tmp_path)))
    axes = batch_axes(model, {})
    assert axes.axes == (("cache_indirection", 0),)
    assert ("input_ids", 0) in axes.scaled


def test_operators_say_what_inputs_of_other_names_are(tmp_path):
    made = beam_decoder(ONE)
    others = {"past_sequence_length": "n", "beam_width": "k", "cache_indirection": "table"}
    for item in made.graph.node:
        item.input[:] = [others.get(name, name) for name in item.input]
    for held in made.graph.input:
        held.name = others.get(held.name, held.name)
    states, _ = in_phase(open_model(str(models.save(made, tmp_path))), "decode:4", {})
    roles = dict(states.roles)
    assert (roles["n"], roles["k"], roles["table"]) == (Role.KEPT, Role.BEAMS, Role.BEAM)


def attended(work: Workload, made: ModelProto) -> np.ndarray:
    """The logits of each row, whose cache is read beam by beam as the table says."""
    held = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    x = held["embed.weight"][work.inputs["input_ids"][:, 0]]
    query, key, value = (x @ held[f"h0.{kind}.weight"] for kind in ("query", "key", "value"))
    mixed = np.zeros_like(query)
    for row in range(len(x)):
        prompt, beam = divmod(row, BEAMS)
        chosen = prompt * BEAMS + work.inputs["cache_indirection"][prompt, beam, :PAST]
        for head in range(ONE.heads):
            part = slice(head * ONE.head, (head + 1) * ONE.head)
            places = (chosen, head, np.arange(PAST))
            keys = np.vstack([work.inputs["past_key_self_0"][places], key[row, part]])
            values = np.vstack([work.inputs["past_value_self_0"][places], value[row, part]])
            weights = np.exp(keys @ query[row, part] * ONE.head**-0.5)
            mixed[row, part] = weights / weights.sum() @ values
    return (x + mixed @ held["h0.out.weight"]) @ held["head.weight"]


@pytest.mark.parametrize("other", [False, True], ids=["its own", "another's"])
def test_each_beam_reads_the_cache_that_its_row_of_the_table_names(tmp_path, other):
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    from onnxprof.backends.ort.backend import OrtBackend

    made = beam_decoder(ONE)
    work = workload(made, tmp_path, {"num_beams": BEAMS})
    if other:
        work.inputs["cache_indirection"][:] = np.arange(PAST + 1) % BEAMS
    right = attended(work, made)
    with OrtBackend().open(work) as session:
        for _ in range(3):
            session.infer()
        np.testing.assert_allclose(session.values()["logits"][:, 0], right, rtol=1e-3, atol=1e-4)


def test_beams_as_a_user_asks_for_them(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    path = models.save(beam_decoder(), tmp_path, "beams.onnx")
    words = ["profile", str(path), "--phase", "decode:8", "--batch", "1,2", "--dim", "num_beams=3"]
    quick = ["--budget", "0.1", "--threads", "1", "--no-telemetry", "--store", str(tmp_path / "s")]
    result = CliRunner().invoke(app, [*words, *quick], standalone_mode=False)
    assert result.return_value == 0, result.output
    runs, _ = load_all([tmp_path / "s"])
    assert [run.request.batch for run in runs] == [1, 2]
    for run in runs:
        assert run.request.dims == (("num_beams", 3),)
        assert dict(run.table.dims)[TOKENS] == 9
        assert run.parity is not None
        assert run.parity.passed
        by_name = {layer.name: layer.outputs[0].shape for layer in run.table}
        assert by_name["input_ids"] == (3 * run.request.batch, 1)


def test_caches_of_rows_are_states_that_grow_along_their_tokens(tmp_path):
    model = open_model(str(models.save(beam_decoder(ONE), tmp_path)))
    states, _ = in_phase(model, "decode:4", {})
    assert [(s.input, s.axis, s.shared) for s in states.states] == [
        ("past_key_self_0", 2, True),
        ("past_value_self_0", 2, True),
    ]
    assert "the shapes are equal" in states.states[0].evidence
