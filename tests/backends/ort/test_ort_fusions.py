"""What onnxruntime makes of transformers, functions and quantised layers, tied back to layers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.networks import fusions, models
from support.runs.ort_runs import trace_of, workload

from onnxprof.backends.ort.backend import OrtBackend
from onnxprof.backends.ort.graphs.graphs import tie
from onnxprof.backends.ort.graphs.walk import INSERTED
from onnxprof.backends.ort.profile import read_profile
from onnxprof.measure import cuts
from onnxprof.plugins.backend import Trace
from onnxprof.records.step import Granularity

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

GRAPHS = (
    fusions.transformer,
    fusions.functions,
    fusions.neighbouring_gathers,
    fusions.dynamically_quantised,
    models.attention,
    models.quantised,
    models.looped,
    models.recurrent,
)


def step_for(trace: Trace, layer: str):
    return next(step for step in trace.steps if layer in step.layers)


@pytest.mark.parametrize("build", GRAPHS)
def test_all_but_inserted_reorders_is_tied_and_no_layer_twice(build, tmp_path: Path) -> None:
    job = workload(models.save(build(), tmp_path))
    trace = trace_of(job)
    claims = Counter(layer for step in trace.steps for layer in step.layers)
    accounted = claims.keys() | set(trace.folded)
    assert {step.op_type for step in trace.steps if not step.layers} <= INSERTED
    assert max(claims.values()) == 1
    assert {layer.name for layer in job.table.nodes} <= accounted


def test_a_product_and_its_bias_are_one_step_with_the_views_around_it(tmp_path: Path) -> None:
    """The runtime runs Reshape, Gemm, Reshape for a MatMul and an Add on three axes."""
    trace = trace_of(workload(models.save(fusions.transformer(), tmp_path), 2))
    step = step_for(trace, "/block0.down/mm")
    assert step.op_type == "Gemm"
    assert step.layers == ("/block0.down/mm", "/block0.down/add")
    assert step.nodes == 3


def test_formulas_in_elementary_operators_are_one_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(fusions.transformer(), tmp_path), 2))
    norm, gelu = step_for(trace, "/block0.norm1/sqrt"), step_for(trace, "/block0.gelu/erf")
    assert norm.op_type == "SkipLayerNormalization"
    assert {"/block0/skip1", "/block0.norm1/mean", "/block0.norm1"} <= set(norm.layers)
    assert gelu.op_type == "Gelu"
    assert gelu.layers[-1] == "/block0.gelu"


def test_the_body_of_a_function_is_one_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(fusions.functions(), tmp_path)))
    mish, norm = step_for(trace, "mish"), step_for(trace, "norm")
    assert (mish.layers, mish.op_type, mish.nodes) == (("mish",), "Softplus+Tanh+Mul", 3)
    assert norm.layers == ("norm",)
    assert norm.nodes > 10


def test_gathers_that_became_a_split_are_one_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(fusions.neighbouring_gathers(), tmp_path)))
    step = step_for(trace, "first")
    assert step.layers == ("first", "second")
    assert (step.op_type, step.nodes) == ("Split", 3)


def test_a_step_of_several_nodes_takes_all_of_their_time(tmp_path: Path) -> None:
    """Together the steps take the time of every node in the profile."""
    path = models.save(fusions.functions(), tmp_path)
    with OrtBackend().open_traced(workload(path)) as session:
        for _ in range(20):
            session.infer()
        trace = session.trace()
        (file,) = Path(session._saved.path).parent.glob("profile*.json")
        profile = read_profile(file, ())
    whole = sum(sum(times.values()) for times in profile.steps.values())
    assert trace.step_ns.sum() == whole > 0
    assert sum(step.nodes for step in trace.steps) == len(profile.steps) > len(trace.steps)


def test_no_cut_parts_a_step(tmp_path: Path) -> None:
    trace = trace_of(workload(models.save(fusions.functions(), tmp_path)))
    assert trace.barred
    assert not trace.barred & set(cuts.place(trace, trace.length))
    assert {0, trace.length} <= set(cuts.place(trace, trace.length))


def test_prefixes_of_a_transformer_give_the_same_results(tmp_path: Path) -> None:
    job = workload(models.save(fusions.transformer(), tmp_path), 2)
    with OrtBackend().open(job) as plain, OrtBackend().open_traced(job) as session:
        plain.infer()
        session.infer()
        trace = session.trace()
        *_, whole = session.prefixes(cuts.place(trace, 8))
        whole.infer()
        (expected,), (found,) = plain.values().values(), whole.values().values()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_as_written_nothing_is_joined(tmp_path: Path) -> None:
    path = models.save(fusions.neighbouring_gathers(), tmp_path)
    job = workload(path, granularity=Granularity.WRITTEN)
    trace = trace_of(job)
    assert {step.layers for step in trace.steps} == {(layer.name,) for layer in job.table.nodes}
    assert {step.nodes for step in trace.steps} == {1}


def test_nodes_without_names_do_not_claim_each_others_tensors() -> None:
    """A runtime gives the nodes of a function's body no names."""
    original = fusions.functions()
    nodes = [
        models.node("Softplus", ["h"], ["inner1"], ""),
        models.node("Tanh", ["inner1"], ["inner2"], ""),
        models.node("Mul", ["h", "inner2"], ["y"], ""),
    ]
    executed = onnx.ModelProto()
    executed.CopyFrom(original)
    del executed.graph.node[3:]
    executed.graph.node.extend(nodes)
    tied = tie(original, executed, executed).nodes
    assert [node.layers for node in tied[3:]] == [(), (), ("mish",)]
    assert [node.head for node in tied[3:]] == [5, 5, -1]
