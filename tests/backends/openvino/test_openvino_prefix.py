"""Prefixes of models on OpenVINO: they run what the whole runs, or are refused."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import onnx
import pytest
from support.networks import fusions, models, runtime_models
from support.runs.openvino_runs import LIGHT, residual, workload

from onnxprof.analysis.step_times import estimates
from onnxprof.backends.openvino.backend import OpenvinoBackend
from onnxprof.backends.openvino.graphs.steps import executed
from onnxprof.backends.openvino.prefix import _work
from onnxprof.backends.openvino.traced import CountingSession
from onnxprof.errors import BackendError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import measure
from onnxprof.plugins.backend import CutChecker, PrefixSource, Trace, Workload
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind


class Opened:
    """A traced session that stays open, and what it says."""

    def __init__(self, job: Workload) -> None:
        self._context = OpenvinoBackend().open_traced(job)
        self.job = job
        self.session: CountingSession = self._context.__enter__()
        self.session.infer()
        self.trace: Trace = self.session.trace()

    @property
    def possible(self) -> list[int]:
        """Every cut that changes nothing."""
        inner = [n for n in range(1, self.trace.length) if n not in self.trace.barred]
        return [n for n in inner if list(self.session.cuttable([n])) == [n]]


def opened(made: onnx.ModelProto, folder: Path, batch: int = 1) -> Opened:
    return Opened(workload(models.save(made, folder), batch))


def whole_values(job: Workload, names: list[str]) -> dict[str, np.ndarray]:
    """The values of inner tensors, by onnxruntime without optimisations."""
    ort = pytest.importorskip("onnxruntime")
    source = job.model.source
    made = onnx.load(source) if isinstance(source, Path) else onnx.load_model_from_string(source)
    del made.graph.output[:]
    made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(None, dict(job.inputs)), strict=True))


BUILDS = [
    *(models.lenet, residual, fusions.transformer, runtime_models.gelu, runtime_models.joined),
    *(runtime_models.shuffled, runtime_models.old_softmax, runtime_models.halved),
]


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_prefixes_run_the_nodes_of_the_whole_and_yield_its_values(build, tmp_path: Path) -> None:
    made = opened(build(), tmp_path)
    assert isinstance(made.session, PrefixSource)
    assert isinstance(made.session, CutChecker)
    cuts = made.possible
    assert cuts
    whole = Counter(_work(made.session._prefixes.nodes))
    for count, session in zip(cuts, made.session.prefixes(cuts), strict=True):
        part = executed(session.loaded.compiled.get_runtime_model(), {})
        assert not Counter(_work(part)) - whole
        session.infer()
        names = made.session._prefixes.crossing(count)
        expected = {n: sunk(v) for n, v in whole_values(made.job, names).items()}
        for joined, found in session.values().items():
            seen = np.concatenate([expected[name] for name in joined.split("+")])
            np.testing.assert_allclose(found.reshape(-1), seen, rtol=1e-3, atol=1e-4)


def sunk(value: np.ndarray) -> np.ndarray:
    """What a sink reads of a tensor: batch and channels, or all but the last axis if fewer."""
    whole = max(0, min(2, value.ndim - 1))
    first = (slice(None),) * whole + (slice(0, 1),) * (value.ndim - whole)
    return value[first].reshape(-1)


def test_a_prefix_has_one_output_however_many_tensors_cross_the_cut(tmp_path: Path) -> None:
    made = opened(residual(), tmp_path)
    several = [n for n in made.possible if len(made.session._prefixes.crossing(n)) > 1]
    assert several
    for session in made.session.prefixes(several):
        assert len(session.values()) == 1


def test_the_longest_prefix_has_the_outputs_and_inputs_of_the_model(tmp_path: Path) -> None:
    made = opened(residual(), tmp_path)
    (whole,) = made.session.prefixes([made.trace.length])
    compiled, own = whole.loaded.compiled, made.session._session.loaded.compiled
    assert len(compiled.outputs) == len(own.outputs)
    assert len(compiled.inputs) == len(own.inputs)


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_real_networks_can_be_cut_nearly_anywhere(name: str) -> None:
    made = Opened(workload(LIGHT / f"light_{name}.onnx"))
    wanted = range(1, made.trace.length, 6)
    assert len(made.session.cuttable([*wanted])) >= 0.8 * len(wanted)


def test_a_longer_prefix_runs_more(tmp_path: Path) -> None:
    made = opened(residual(), tmp_path)
    sessions = made.session.prefixes([0, *made.possible, made.trace.length])
    models_run = [session.loaded.compiled.get_runtime_model() for session in sessions]
    counts = [sum(Counter(_work(executed(m, {}))).values()) for m in models_run]
    assert counts == sorted(counts)
    assert counts[0] <= 1
    assert counts[-1] >= made.trace.length


def test_the_longest_prefix_is_the_whole_with_its_outputs(tmp_path: Path) -> None:
    made = opened(residual(), tmp_path, batch=2)
    (whole,) = made.session.prefixes([made.trace.length])
    whole.infer()
    made.session.infer()
    (expected,) = made.session.values().values()
    np.testing.assert_array_equal(whole.request.get_output_tensor(0).data, expected)


def test_a_cut_that_tears_a_fusion_apart_is_refused_and_moved(tmp_path: Path) -> None:
    """Between the convolution and the Relu behind a Transpose, which it took in."""
    made = opened(runtime_models.channels_last(), tmp_path)
    refused = [n for n in range(1, made.trace.length) if n not in {*made.possible}]
    assert refused
    barred = [n for n in refused if n not in made.trace.barred]
    for count in barred:
        with pytest.raises(BackendError, match="other nodes"):
            made.session.prefixes([count])
    moved = made.session.cuttable([0, *barred, made.trace.length])
    assert moved[0] == 0
    assert moved[-1] == made.trace.length
    assert set(moved[1:-1]) <= set(made.possible)


def test_the_prefix_timer_measures(tmp_path: Path) -> None:
    job = workload(models.save(residual(), tmp_path), 4)
    found = measure(
        OpenvinoBackend(), job, Budget(0.4), perf_counter_ns, lambda *_: None, timer=Timer.PREFIX
    )
    assert WarningKind.NO_PREFIXES not in {warning.kind for warning in found.warnings}
    timings = found.timings
    assert timings.prefix_ns.shape[0] == len(timings.prefix_steps)
    assert timings.prefix_steps[0] == 0
    assert timings.prefix_steps[-1] == found.trace.length
    times = estimates(found.trace.steps, timings)
    assert (times >= 0).all()
    assert 0 < times.sum() <= np.median(timings.latency_ns) * 1.001


def test_prefixes_are_asked_for_after_the_steps_are_known(tmp_path: Path) -> None:
    job = workload(models.save(models.linear(), tmp_path))
    with (
        OpenvinoBackend().open_traced(job) as session,
        pytest.raises(BackendError, match="before `trace`"),
    ):
        session.prefixes([0])
