"""Sequences that run at a time have a cache each."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from support.decoders.grouped import grouped_decoder
from support.networks import models

from onnxprof.jobs.streams import _with_own_states
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.sequences.phase import Phase
from onnxprof.sequences.feeding import carried, fed
from onnxprof.sequences.planned import in_phase


def test_each_stream_has_a_cache_of_its_own(tmp_path):
    model = open_model(str(models.save(grouped_decoder(), tmp_path)))
    states, sizes = in_phase(model, "decode:5", {})
    table, phase = inspect(model, 1, sizes), Phase.of("decode:5")
    arrays = fed(generate(table), states, phase)
    work = Workload(prepare(model, 1, sizes), table, arrays, 1, carried=carried(states, phase))
    job = SimpleNamespace(states=states)
    one, two = (_with_own_states(work, job) for _ in range(2))
    for name, array in work.inputs.items():
        apart = not np.shares_memory(one.inputs[name], two.inputs[name])
        assert apart == name.startswith("past")
        assert np.array_equal(one.inputs[name], array)
    assert _with_own_states(work, SimpleNamespace(states=None)).inputs == work.inputs
