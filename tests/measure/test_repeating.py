"""Steps too short for a prefix, run alone many times over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxprof.analysis import step_times
from onnxprof.analysis.processes import merge, parts
from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.measure import repeats as repeating
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import StepRepeater, Workload
from onnxprof.records.layer import PreparedModel
from onnxprof.records.run import Run
from onnxprof.records.step import Timer
from onnxprof.records.timings import Timings
from onnxprof.testing import FakeBackend, sample_run, sample_table

US = 1_000


def run(backend: FakeBackend, chain: int, **options: object) -> Measurement:
    table = sample_table(1, ("Relu",) * chain)
    workload = Workload(PreparedModel(b"", Path()), table, {}, 1)
    return measure(
        backend,
        workload,
        Budget(0.5),
        backend.clock,
        lambda *_: None,
        timer=Timer.PREFIX,
        **options,  # type: ignore[arg-type]
    )


def times(found: Measurement) -> list[float]:
    return step_times.estimates(found.trace.steps, found.timings).tolist()


def test_short_steps_read_what_they_take_though_the_trace_sees_them_all_alike() -> None:
    durations = [1_200, 1_700, 2_300, 4_900] * 5
    backend = FakeBackend(step_ns=durations, gap_ns=5 * US, traced_cost_ns=9 * US)
    whole = run(backend, len(durations))
    coarse = replace(  # the profiler counts whole microseconds, and saw all steps as ten
        whole, timings=replace(whole.timings, step_ns=np.full_like(whole.timings.step_ns, 10 * US))
    )
    assert times(coarse) == pytest.approx(durations, rel=0.02)


def test_where_steps_are_known_alone_segments_are_few() -> None:
    durations = [2 * US] * 20
    alone = run(FakeBackend(step_ns=durations, traced_cost_ns=US), 20).timings
    unknown = frozenset(range(20))
    traced = run(FakeBackend(step_ns=durations, traced_cost_ns=US, unrepeatable=unknown), 20)
    assert not traced.timings.repeats
    assert len(alone.prefix_steps) < len(traced.timings.prefix_steps) / 2


def test_a_long_step_beside_short_ones_is_not_repeated() -> None:
    durations = [2 * US, 400 * US, 3 * US]
    found = run(FakeBackend(step_ns=durations, gap_ns=US, traced_cost_ns=20 * US), 3)
    assert [n > 0 for n in found.timings.repeats] == [True, False, True]
    assert times(found) == pytest.approx(durations, rel=0.02)


def test_a_step_that_cannot_be_repeated_is_split_off_by_the_trace() -> None:
    durations = [2 * US, 7 * US, 3 * US, 5 * US]
    backend = FakeBackend(
        step_ns=durations, gap_ns=US, traced_cost_ns=US, unrepeatable=frozenset({1})
    )
    found = run(backend, 4)
    assert found.timings.repeats[1] == 0
    assert times(found) == pytest.approx(durations, rel=0.02)


def test_later_processes_repeat_what_the_first_one_did() -> None:
    first = run(FakeBackend(step_ns=[2 * US, 3 * US], traced_cost_ns=US), 2)
    assert all(first.timings.repeats)
    slower = FakeBackend(step_ns=[9 * US, 3 * US], traced_cost_ns=US)
    again = run(slower, 2, wanted_repeats=first.timings.repeats)
    assert again.timings.repeats == first.timings.repeats


def repeated(rows: np.ndarray, repeats: tuple[int, ...]) -> Run:
    made = sample_run()
    assert made.timings is not None
    return replace(made, timings=replace(made.timings, repeats=repeats, repeat_ns=rows))


def of(found: Run) -> Timings:
    assert found.timings is not None
    return found.timings


def test_processes_keep_apart_what_steps_took_alone() -> None:
    a = repeated(np.array([[10, 11], [20, 21]]), (5, 0, 7))
    b = repeated(np.array([[12], [22]]), (5, 0, 7))
    merged = merge([a, b])
    assert of(merged).repeat_ns.tolist() == [[10, 11, 12], [20, 21, 22]]
    assert [of(part).repeat_ns.tolist() for part in parts(merged)] == [
        [[10, 11], [20, 21]],
        [[12], [22]],
    ]


def test_of_several_processes_steps_count_that_all_repeated_alike() -> None:
    a = repeated(np.array([[10, 11], [20, 21]]), (5, 0, 7))
    b = repeated(np.array([[12], [13], [22]]), (5, 3, 8))
    merged = of(merge([a, b]))
    assert merged.repeats == (5, 0, 0)
    assert merged.repeat_ns.tolist() == [[10, 11, 12]]


@pytest.mark.parametrize("copies", [1, 3])
def test_onnxruntime_runs_the_nodes_of_a_step_so_many_times(tmp_path: Path, copies: int) -> None:
    path = tmp_path / "chain.onnx"
    shape = [1, 8]
    weight = onnx.numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="linear"),
        helper.make_node("Sigmoid", ["a"], ["b"], name="squash"),
        helper.make_node("Exp", ["b"], ["y"], name="grow"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, shape)], [value("y", 1, shape)], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    model = open_model(str(path))
    table = inspect(model, 1, {})
    arrays = generate(table, 0, {})
    workload = Workload(prepare(model, 1, {}), table, arrays, 1)
    with OrtBackend().open_traced(workload) as traced:
        traced.infer()
        trace = traced.trace()
        assert isinstance(traced, StepRepeater)
        opened = traced.repeated(dict.fromkeys(range(len(trace.steps)), copies))
    assert sorted(opened) == [0, 1, 2]
    values = dict(zip([s.layers[0] for s in trace.steps], opened.values(), strict=True))
    x = arrays["x"]
    for name, wanted in {
        "linear": x,
        "squash": 1 / (1 + np.exp(-x)),
        "grow": np.exp(1 / (1 + np.exp(-x))),
    }.items():
        values[name].infer()
        (answer,) = values[name].values().values()
        assert answer == pytest.approx(wanted, rel=1e-5)


def test_copies_make_a_call_long_against_an_empty_one() -> None:
    assert repeating.copies(2_000) * 2_000 == repeating.TARGET_NS
    assert repeating.copies(repeating.SHORT_NS) > 1
