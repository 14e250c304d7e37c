"""What a user may set of onnxruntime, and that every session of a measurement is set so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.networks import models
from support.runs.ort_runs import covered, trace_of, workload

from onnxprof.analysis.reconcile import reconcile
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime import settings
from onnxprof.checks.reference import check
from onnxprof.errors import BackendError, UsageError
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.plugins.backend import Bounds, Workload
from onnxprof.records.step import USUAL, Confidence, Granularity, Setup, Timer
from onnxprof.testing import sample_run

ort = pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
#: Options that change what a session does, but not what it computes.
MANY = (
    ("enable_mem_pattern", "0"),
    ("session.disable_prepacking", "1"),
    ("session.intra_op.allow_spinning", "0"),
)


def configured(level: str = "", *session: tuple[str, str]) -> Setup:
    return OrtBackend().configured(Setup(level, session), "cpu")


class Watched:
    """Every session that is made, with the options that it was given."""

    def __init__(self) -> None:
        self.options: list[Any] = []

    def __call__(self, source: Any, given: Any, **more: Any) -> Any:
        self.options.append(given)
        return self.made(source, given, **more)

    made = staticmethod(ort.InferenceSession)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watch = Watched()
    monkeypatch.setattr(ort, "InferenceSession", watch)
    return watch


@pytest.fixture(autouse=True)
def _fresh_choice_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort_session, "_SHARED", [])


def entry(options: Any, name: str) -> str:
    try:
        return str(options.get_session_config_entry(name))
    except RuntimeError:
        return ""


def measured(job: Workload, timer: Timer = Timer.TRACE) -> Measurement:
    import time

    return measure(
        OrtBackend(),
        job,
        Budget(0.05),
        time.perf_counter_ns,
        lambda *_: None,
        timer=timer,
        keep_values=True,
        keep_proof=True,
    )


def test_levels_options_and_entries_have_one_form() -> None:
    made = configured("basic", ("session.disable_prepacking", "true"), ("enable_mem_reuse", "No"))
    pairs = (("enable_mem_reuse", "0"), ("session.disable_prepacking", "1"))
    assert made == Setup("basic", pairs)
    assert OrtBackend().configured(made, "cpu") == made, "settled ones stay as they are"


#: Options of processors that the tests may not run on.
ELSEWHERE = ("mlas.enable_gemm_fastmath_arm64_bfloat16",)


@pytest.mark.parametrize("name", sorted({*settings.SESSION_OPTIONS} - {*ELSEWHERE}))
def test_every_listed_option_is_one_of_onnxruntime(name: str) -> None:
    kind = settings.SESSION_OPTIONS[name]
    value = next(text for text in ("1", "16", "a;b") if kind.read(text) is not None)
    made = configured("", (name, value))
    options = ort.SessionOptions()
    settings.apply(made, options)
    held = entry(options, name) if "." in name else str(int(getattr(options, name)))
    assert held == value


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("register_custom_ops_library", "loads no code"),
        ("session.register_custom_ops", "loads no code"),
        ("ep.library_path", "loads no code"),
        ("optimized_model_filepath", "--save-optimized FILE"),
        ("session.optimized_model_external_initializers_file_name", "--save-optimized FILE"),
        ("session.model_external_initializers_file_folder_path", "nothing outside"),
        ("session.node_partition_config_file", "nothing outside"),
        ("ep.context_enable", "nothing outside"),
        ("session.load_model_format", "nothing outside"),
        ("profile_file_prefix", "watches the session"),
        ("enable_profiling", "watches the session"),
        ("log_severity_level", "watches the session"),
        ("session.collect_node_memory_stats_to_file", "watches the session"),
        ("intra_op_num_threads", "Use --threads"),
        ("use_per_session_threads", "Use --threads"),
        ("session.intra_op_thread_affinities", "chooses the cores"),
        ("inter_op_num_threads", "rows would not add up"),
        ("execution_mode", "rows would not add up"),
        ("execution_order", "order of the file"),
        ("graph_optimization_level", "Use --optimization-level"),
        ("session.disable_cpu_ep_fallback", "on which provider it ran"),
        ("session.disable_prepackin", "Did you mean session.disable_prepacking?"),
        ("enable_cpu_memory_arena", "Did you mean enable_cpu_mem_arena?"),
    ],
)
def test_what_the_measurement_rests_on_is_refused_with_the_reason(name: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        configured("", (name, "1"))
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "name", "value", "why"),
    [
        ("cpu", "use_arena", "1", "Use --session-option"),
        ("cuda", "device_id", "1", "Use --device"),
        ("cuda", "enable_cuda_graph", "1", "cannot be told apart"),
        ("cuda", "user_compute_stream", "140", "address in memory"),
        ("cuda", "gpu_external_alloc", "140", "address in memory"),
        ("cuda", "use_tf23", "1", "Did you mean use_tf32?"),
        ("tensorrt", "trt_engine_cache_path", "/tmp", "nothing outside"),
        ("tensorrt", "trt_extra_plugin_lib_paths", "x.so", "loads no code"),
        ("tensorrt", "trt_timing_cache_enable", "1", "nothing outside"),
        ("tensorrt", "trt_dump_subgraphs", "1", "nothing outside"),
        ("openvino", "cache_dir", "/tmp", "nothing outside"),
        ("openvino", "load_config", "x.json", "nothing outside"),
        ("openvino", "num_of_threads", "3", "Use --threads"),
    ],
)
def test_options_of_providers_that_are_refused(
    provider: str, name: str, value: str, why: str
) -> None:
    with pytest.raises(UsageError) as caught:
        OrtBackend().configured(Setup(provider=((name, value),)), provider)
    assert why in str(caught.value)


def test_options_of_providers_reach_the_session_before_those_of_ours() -> None:
    from onnxprof.backends.ort.runtime import providers

    given = (("cudnn_conv_algo_search", "heuristic"), ("use_tf32", "no"))
    setup = OrtBackend().configured(Setup(provider=given), "cuda")
    assert setup.provider == (("cudnn_conv_algo_search", "HEURISTIC"), ("use_tf32", "0"))
    job = Workload(None, None, {}, 1, provider="cuda", device="cuda:1:x", setup=setup)
    [(name, options), cpu] = providers.requested(job)
    assert (name, cpu) == ("CUDAExecutionProvider", "CPUExecutionProvider")
    assert options == {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0", "device_id": "1"}


def test_an_unknown_level_names_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="takes disable, basic, extended, layout or all"):
        configured("full")


def test_an_option_that_this_version_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**settings.SESSION_OPTIONS, "session.of_another_day": settings.SWITCH}
    monkeypatch.setattr(settings, "SESSION_OPTIONS", known)
    with pytest.raises(BackendError, match=r"onnxruntime .* has no option session.of_another_day"):
        configured("", ("session.of_another_day", "1"))


def test_every_session_of_a_measurement_is_set_alike(watched: Watched, tmp_path: Path) -> None:
    setup = configured("extended", *MANY)
    job = workload(models.save(models.lenet(), tmp_path), setup=setup)
    with OrtBackend().open(job) as plain, OrtBackend().open_traced(job) as traced:
        plain.infer()
        for _ in range(3):
            traced.infer()
        trace = traced.trace()
        cuts = traced.prefixes([0, 1, trace.length])
        repeated = traced.repeated({0: 3})
        for session in (*cuts, *repeated.values()):
            session.infer()
        proof = traced.proof()
    measuring = len(watched.options)
    assert measuring >= 6
    for options in watched.options:
        assert options.enable_mem_pattern is False
        assert entry(options, "session.disable_prepacking") == "1"
        assert entry(options, "session.intra_op.allow_spinning") == "0"
    levels = {options.graph_optimization_level for options in watched.options}
    assert levels == {
        ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
        ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    }, "the graph that was saved runs as it was saved"
    proof.check(trace.steps, [job.inputs], Bounds())
    proof.close()
    checks = watched.options[measuring:]
    assert {entry(options, "session.intra_op.allow_spinning") for options in checks} == {"", "0"}


def test_the_reference_is_not_set(watched: Watched, tmp_path: Path) -> None:
    job = workload(models.save(models.lenet(), tmp_path), setup=configured("basic", *MANY))
    with OrtBackend().open(job) as session:
        session.infer()
        values = session.values()
    parity = check(job, values)
    assert parity.passed
    *_, reference = watched.options
    assert reference.enable_mem_pattern is True
    assert entry(reference, "session.disable_prepacking") == ""
    assert reference.graph_optimization_level == ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def test_options_of_threads_give_each_session_threads_of_its_own(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ort_session, "_POOL", [1])  # as in a process whose pool is there
    path = models.save(models.linear(), tmp_path)
    setup = configured("", ("session.intra_op.allow_spinning", "0"))
    for given in (setup, USUAL):  # the reference comes second, in the same process
        with OrtBackend().open(workload(path, own_process=True, setup=given)):
            pass
    assert [options.use_per_session_threads for options in watched.options] == [True, True]


#: What the levels leave of Conv, BatchNormalization and Relu, by what fuses them.
FUSIONS = {"basic": False, "extended": True, "layout": True, "": True}


@pytest.mark.parametrize("level", FUSIONS)
def test_levels_do_what_they_are_called_after(level: str) -> None:
    job = workload(LIGHT / "light_squeezenet.onnx", setup=configured(level))
    trace = trace_of(job, 2)
    owner = covered(trace)
    relus = [layer.name for layer in job.table.nodes if layer.op_type == "Relu"]
    steps = {step.name: step for step in trace.steps}
    alone = [name for name in relus if steps[owner[name]].layers == (name,)]
    assert bool(alone) is not FUSIONS[level]
    if level in ("basic", "extended"):  # layouts are changed above them, on some processors
        assert all(step.layers for step in trace.steps)


@pytest.mark.parametrize("level", ["basic", "extended", "layout"])
@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_at_each_level_all_is_verified_and_rows_add_up(level: str, name: str) -> None:
    job = workload(LIGHT / f"light_{name}.onnx", setup=configured(level, *MANY))
    found = measured(job)
    assert found.proof is not None
    steps = found.proof.check(found.trace.steps, [job.inputs], Bounds())
    found.proof.close()
    tied = [step for step in steps if step.layers]
    assert {step.verdict for step in tied} == {"verified"}
    assert {step.confidence for step in tied} == {Confidence.EXACT}
    run = replace(sample_run(), table=job.table, steps=steps, timings=found.timings)
    table = reconcile(run)
    rows = sum(row.median_ns or 0 for row in table.rows if row.status.value != "total")
    assert rows == table.total_ns
    assert check(job, found.values).passed


def test_prefixes_are_timed_under_options(tmp_path: Path) -> None:
    job = workload(LIGHT / "light_squeezenet.onnx", setup=configured("basic", *MANY))
    found = measured(job, Timer.PREFIX)
    found.proof.close()
    assert found.timings.timer is Timer.PREFIX


def test_optimisers_are_left_out_by_name() -> None:
    names = "ConvActivationFusion;NchwcTransformer"
    setup = configured("", ("optimization.disable_specified_optimizers", names))
    usual = trace_of(workload(LIGHT / "light_squeezenet.onnx"), 2)
    fewer = trace_of(workload(LIGHT / "light_squeezenet.onnx", setup=setup), 2)
    assert len(fewer.steps) > len(usual.steps)


def test_written_graphs_take_options_too(tmp_path: Path) -> None:
    job = workload(models.save(models.lenet(), tmp_path), granularity=Granularity.WRITTEN)
    plain = trace_of(job)
    other = trace_of(replace(job, setup=configured("", *MANY)))
    assert [step.name for step in other.steps] == [step.name for step in plain.steps]
    assert np.all(other.step_ns >= 0)
