"""onnxruntime's sessions hand states on: one buffer for both, or two that take turns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper
from support.decoders.cells import cell, counter
from support.decoders.grouped import grouped_decoder
from support.networks import models

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.sequences.phase import Phase
from onnxprof.sequences.feeding import carried, fed
from onnxprof.sequences.planned import in_phase

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def workload(made: ModelProto, folder: Path, text: str) -> Workload:
    model = open_model(str(models.save(made, folder)))
    states, sizes = in_phase(model, text, {})
    table, phase = inspect(model, 1, sizes), Phase.of(text)
    arrays = fed(generate(table), states, phase)
    handed = carried(states, phase)
    return Workload(prepare(model, 1, sizes), table, arrays, 1, carried=handed)


def expected(work: Workload, **states: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime as ort

    session = ort.InferenceSession(str(work.model.source), providers=["CPUExecutionProvider"])
    inputs = {name: np.array(array) for name, array in work.inputs.items()} | states
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


@pytest.mark.parametrize("phase", ["decode:6", "prefill:5"])
def test_a_shared_cache_is_written_where_it_is_read(tmp_path, phase):
    work = workload(grouped_decoder(), tmp_path, phase)
    right = expected(work)
    with OrtBackend().open(work) as session:
        for _ in range(4):
            session.infer()
        views = session.views()
        for before, after in work.carried.shared:
            assert np.shares_memory(views[after], work.inputs[before])
        for name, array in session.values().items():
            np.testing.assert_allclose(array, right[name], rtol=1e-4, atol=1e-5)


def test_each_step_reads_what_the_last_one_wrote(tmp_path):
    work = workload(counter(), tmp_path, "steps:5")
    x, state = work.inputs["x"], np.array(work.inputs["state"])
    scale = numpy_helper.to_array(counter().graph.initializer[0])
    with OrtBackend().open(work) as session:
        session.infer()
        session.infer()  # both read the first state: outputs are bound by the second one
        for step in (1, 2, 3, 4, 5, 1, 2):  # a sequence, and the next one from the same state
            session.infer()
            made = np.array(session.views()["y"])
            np.testing.assert_allclose(made, scale * (state + step * x), rtol=1e-4)
        assert np.array_equal(work.inputs["state"], state)


def test_a_sequence_is_the_recurrence_that_the_model_defines(tmp_path):
    work = workload(cell(), tmp_path, "steps:3")
    states = {"h": np.array(work.inputs["h"]), "c": np.array(work.inputs["c"])}
    wanted = []
    for _ in range(3):
        made = expected(work, **states)
        wanted.append(made["y"])
        states = {"h": made["hn"], "c": made["cn"]}
    with OrtBackend().open(work) as session:
        session.infer()
        session.infer()
        for step in (0, 1, 2, 0, 1):
            session.infer()
            np.testing.assert_allclose(session.views()["y"], wanted[step], rtol=1e-4, atol=1e-6)


def test_values_are_those_of_a_first_step(tmp_path):
    work = workload(cell(), tmp_path, "steps:4")
    right = expected(work)
    with OrtBackend().open(work) as session:
        for _ in range(5):
            session.infer()
        for name, array in session.values().items():
            np.testing.assert_allclose(array, right[name], rtol=1e-4, atol=1e-6)


def test_a_traced_session_hands_states_on_as_well(tmp_path):
    work = workload(cell(), tmp_path, "steps:3")
    with OrtBackend().open_traced(work) as traced:
        for _ in range(8):
            traced.infer()
        trace = traced.trace()
    assert trace.step_ns.shape == (4, 8)


def test_prefixes_of_a_shared_cache_share_it_too(tmp_path):
    work = workload(grouped_decoder(), tmp_path, "decode:6")
    with OrtBackend().open_traced(work) as traced:
        traced.infer()
        trace = traced.trace()
        [whole] = traced.prefixes((trace.length,))
        whole.infer()
        whole.infer()
        views = whole.views()
    for before, after in work.carried.shared:
        assert np.shares_memory(views[after], work.inputs[before])
