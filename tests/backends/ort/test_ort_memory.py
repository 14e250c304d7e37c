"""Allocations of steps as onnxruntime counts them, and its statistics' form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.networks import models
from support.runs.ort_runs import trace_of, workload

from onnxprof.backends.ort import memory_stats
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.memory_stats import of_steps, read_statistics
from onnxprof.errors import BackendError
from onnxprof.plugins.verbs import MemoryCounting, MemoryPredicting, predicted_memory
from onnxprof.records.memory import CountedMemory
from onnxprof.records.step import Confidence, Step
from onnxprof.testing import FakeBackend, sample_table

HEADER = "#name,input_sizes,initializers_sizes,total_dynamic_sizes,total_temp_allocations\n"


def test_rows_are_read_by_the_names_of_nodes() -> None:
    text = HEADER + "conv_1_123,10,0,400,7\nrelu_nchwc_77,400,0,0,0\n"
    assert read_statistics(text) == {"conv_1": (400, 7), "relu_nchwc": (0, 0)}


def test_a_name_that_two_rows_have_is_left_out() -> None:
    assert read_statistics(HEADER + "a_1,0,0,4,0\na_2,0,0,8,0\nb_3,0,0,1,2\n") == {"b": (1, 2)}


@pytest.mark.parametrize(
    "text", ["name,other\nx_1,2\n", HEADER + "a_1,0,0,many,0\n", HEADER + "a_1,0\n"]
)
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(BackendError, match="another form"):
        read_statistics(text)


def test_steps_without_layers_and_of_several_nodes_are_left_out() -> None:
    conv = Step("c", "Conv", "", ("c",), Confidence.EXACT, runtime_name="n1")
    several = replace(conv, name="d", nodes=3)
    stray = replace(conv, name="e", layers=())
    unknown = replace(conv, name="f", runtime_name="n2")
    rows = {"n1": (4, 2)}
    assert of_steps(rows, (conv, several, stray, unknown)) == (CountedMemory("c", 4, 2),)


def test_only_a_backend_that_predicts_is_asked() -> None:
    table = sample_table()
    assert isinstance(OrtBackend(), MemoryPredicting)
    assert isinstance(OrtBackend(), MemoryCounting)
    found = predicted_memory(OrtBackend(), "cpu", table)
    assert found is not None
    assert found.inputs_bytes == 3 * 8 * 8 * 4
    assert predicted_memory(OrtBackend(), "cuda", table) is None
    assert predicted_memory(FakeBackend(), "cpu", table) is None


def test_a_prediction_that_fails_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OrtBackend()

    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(OrtBackend, "predicted_memory", broken)
    assert predicted_memory(backend, "cpu", sample_table()) is None


def test_each_step_of_a_convolution_allocates_its_output(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", "1.32", reason="counts since onnxruntime 1.32")
    w = models.weight("w", 16, 3, 3, 3)
    made = models.model(
        [
            models.node("Conv", ["x", "w"], ["c"], "conv", pads=[1] * 4),
            models.node("Softmax", ["c"], ["y"], "soft"),
        ],
        [models.value("x", ["N", 3, 16, 16])],
        [models.value("y", ["N", 16, 16, 16])],
        [w],
    )
    job = workload(models.save(made, tmp_path), batch=2)
    counted = OrtBackend().counted_memory(job, trace_of(job).steps)
    assert {row.step: row.output_bytes for row in counted}["conv"] == 2 * 16 * 16 * 16 * 4
    assert not list(tmp_path.glob("*.csv"))
    with pytest.raises(BackendError, match="CPU alone"):
        memory_stats.counted_memory(replace(job, provider="cuda"), ())


def test_a_runtime_that_counts_nothing_says_which_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_stats, "_ENTRY", "session.no_such_entry")
    job = workload(models.save(models.lenet(), tmp_path))
    with pytest.raises(BackendError, match=r"1\.32 or later"):
        OrtBackend().counted_memory(job, ())
