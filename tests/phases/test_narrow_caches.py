"""Caches of 8, 4 and float8 bits: found, handed on, checked, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import ModelProto, TensorProto
from support.decoders.narrow import SCALE, quantised_caches, scaled_caches
from support.networks import models
from typer.testing import CliRunner

from onnxprof.cli.main import app
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.sequences.phase import Phase
from onnxprof.sequences.feeding import carried, fed
from onnxprof.sequences.planned import in_phase
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

KINDS = {
    "int8": lambda: scaled_caches(TensorProto.INT8),
    "4 bits": lambda: scaled_caches(TensorProto.UINT8, 4),
    "quantised": quantised_caches,
}


def built(kind: str) -> ModelProto:
    """The model; skips the test where this version of onnxruntime cannot load it."""
    import onnxruntime as ort

    made = KINDS[kind]()
    try:
        ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        pytest.skip(f"onnxruntime {ort.__version__} keeps no such cache: {error}")
    return made


def profiled(made: ModelProto, folder, *words: str) -> tuple[int, str]:
    path = models.save(made, folder, "tiny.onnx")
    quick = ["--budget", "0.1", "--threads", "1", "--no-telemetry", "--store", str(folder / "runs")]
    result = CliRunner().invoke(app, ["profile", str(path), *words, *quick], standalone_mode=False)
    return result.return_value, result.output


@pytest.mark.parametrize("kind", KINDS)
def test_both_phases_are_measured_and_checked(tmp_path, kind):
    code, output = profiled(built(kind), tmp_path, "--phase", "prefill:6", "--phase", "decode:9")
    assert code == 0, output
    runs, _ = load_all([tmp_path / "runs"])
    assert {run.request.phase for run in runs} == {"prefill:6", "decode:9"}
    for run in runs:
        assert run.parity is not None
        assert run.parity.passed
        [cache] = [layer for layer in run.table if layer.name == "past_key_values.0.key"]
        assert cache.outputs[0].dtype == ("uint8" if kind == "4 bits" else "int8")


def test_a_token_is_written_into_a_cache_of_int8_and_the_rest_stays(tmp_path):
    from onnxprof.backends.ort.backend import OrtBackend

    model = open_model(str(models.save(built("int8"), tmp_path)))
    states, sizes = in_phase(model, "decode:9", {})
    table, phase = inspect(model, 1, sizes), Phase.of("decode:9")
    arrays = fed(generate(table), states, phase)
    name = "past_key_values.0.value"
    before, handed = np.array(arrays[name]), carried(states, phase)
    assert len(handed.shared) == 4
    work = Workload(prepare(model, 1, sizes), table, arrays, 1, carried=handed)
    with OrtBackend().open(work) as session:
        for _ in range(3):
            session.infer()
    after = arrays[name]
    assert after.dtype == np.int8
    assert np.array_equal(after[:, :, :9], before[:, :, :9])
    assert not np.array_equal(after[:, :, 9], before[:, :, 9])
    assert 0 < np.abs(after[:, :, 9].astype(float) * SCALE).max() < 127 * SCALE + 1e-6


def test_what_no_kernel_takes_is_named(tmp_path):
    code, output = profiled(
        scaled_caches(TensorProto.FLOAT8E4M3FN), tmp_path, "--phase", "decode:4"
    )
    if code == 0:
        pytest.skip("this onnxruntime keeps caches of float8")
    assert "float8_e4m3fn (past_key_values.0.key)" in output
