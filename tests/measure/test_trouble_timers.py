"""Models that a timer has trouble with, on onnxruntime: a warning, never a wrong number."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import fusions, models
from support.networks.models import node, value, weight

from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.step_times import estimates
from onnxprof.backends.ort import backend, traced
from onnxprof.backends.ort.graphs import saved
from onnxprof.measure.budget import Budget
from onnxprof.measure.protocol import Measurement, measure
from onnxprof.model.feeds import generate
from onnxprof.model.file import open_model, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins.backend import Workload
from onnxprof.records.step import Timer
from onnxprof.records.warning import WarningKind
from onnxprof.testing import sample_run


def measured(
    made: onnx.ModelProto, folder: Path, timer: Timer = Timer.PREFIX, threads: int = 1
) -> Measurement:
    model = open_model(str(models.save(made, folder)))
    table = inspect(model, 2)
    workload = Workload(prepare(model, 2, {}), table, generate(table, 0), threads)
    clock = time.perf_counter_ns
    found = measure(
        backend.OrtBackend(), workload, Budget(0.3), clock, lambda *_: None, timer=timer
    )
    _adds_up(found, table)
    return found


def _adds_up(found: Measurement, table: object) -> None:
    run = dataclasses.replace(
        sample_run(), table=table, steps=found.trace.steps, timings=found.timings
    )
    sums = reconcile(run)
    assert sum(row.median_ns or 0 for row in sums.rows[:-1]) == sums.total_ns
    assert all((row.median_ns or 0) >= 0 for row in sums.rows[:-2])


def told(found: Measurement) -> dict[WarningKind, str]:
    return {warning.kind: warning.subject for warning in found.warnings}


def small(*kinds: str) -> onnx.ModelProto:
    """A chain of element-wise layers on four numbers."""
    names = ["x", *(f"t{i}" for i in range(len(kinds) - 1)), "y"]
    nodes = [node(kind, [names[i]], [names[i + 1]], f"n{i}") for i, kind in enumerate(kinds)]
    return models.model(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])])


@pytest.mark.parametrize("timer", [Timer.AUTO, Timer.TRACE, Timer.PREFIX])
def test_a_graph_of_one_step(tmp_path: Path, timer: Timer) -> None:
    found = measured(small("Relu"), tmp_path, timer)
    assert len(found.trace.steps) == 1
    assert found.timings.prefix_steps in ((), (0, 1))


def test_steps_far_below_a_microsecond_stay_above_zero(tmp_path: Path) -> None:
    """The profile, which counts whole microseconds, tells nothing of them."""
    found = measured(small("Neg", "Abs", "Sign", "Floor", "Ceil", "Relu"), tmp_path)
    times = estimates(found.trace.steps, found.timings)
    assert found.timings.prefix_ns.size
    assert (times >= 0).all()
    assert np.isfinite(times).all()


def test_a_prefix_that_depends_on_no_input(tmp_path: Path) -> None:
    made = models.model(
        [
            node("RandomNormal", [], ["r"], "draw", shape=[1, 4]),
            node("Exp", ["r"], ["e"], "exp"),
            node("Add", ["x", "e"], ["y"], "add"),
        ],
        [value("x", ["N", 4])],
        [value("y", ["N", 4])],
    )
    found = measured(made, tmp_path)
    assert found.timings.prefix_ns.size or WarningKind.NO_PREFIXES in told(found)


def test_a_graph_that_cannot_be_saved_is_traced(tmp_path: Path, monkeypatch) -> None:
    into = tmp_path / "no such folder" / "graph.onnx"

    def refused(path: Path, outside, packed, configure, made) -> None:
        configure(made)
        made.optimized_model_filepath = str(into)

    monkeypatch.setattr(saved, "_save_to", refused)
    found = measured(models.lenet(), tmp_path)
    assert found.timings.prefix_ns.size == found.timings.empty_ns.size == 0
    assert found.trace.step_ns.size
    assert "cannot be cut" in told(found)[WarningKind.NO_PREFIXES]


def test_a_saved_graph_that_cannot_be_loaded_is_traced(tmp_path: Path, monkeypatch) -> None:
    """What was saved with weights beside it is of no use without them."""
    ended = traced.ProfiledSession.trace

    def robbed(session):
        found = ended(session)
        for beside in session._saved.folder.glob("*.bin"):
            beside.unlink()
        return found

    monkeypatch.setattr(traced.ProfiledSession, "trace", robbed)
    made = models.model(
        [node("MatMul", ["x", "w"], ["t"], "mul"), node("Relu", ["t"], ["y"], "relu")],
        [value("x", ["N", 64])],
        [value("y", ["N", 64])],
        [weight("w", 64, 64)],
    )
    found = measured(made, tmp_path)
    assert found.timings.prefix_ns.size == 0
    assert "cannot load" in told(found)[WarningKind.NO_PREFIXES]


def test_values_that_no_prefix_can_stop_at(tmp_path: Path) -> None:
    """A sequence between two steps has no type that the profile names."""
    found = measured(models.sequences(), tmp_path)
    assert found.timings.prefix_ns.size or WarningKind.NO_PREFIXES in told(found)


@pytest.mark.parametrize("made", [models.lenet, models.looped, models.branching])
def test_several_threads(tmp_path: Path, made) -> None:
    """Threads share a step's work; steps run one after the other, so that times add up."""
    if made is models.branching:
        fusions.needs_cut_branches()
    found = measured(made(), tmp_path, threads=2)
    assert found.timings.prefix_ns.size
    assert WarningKind.NO_PREFIXES not in told(found)
