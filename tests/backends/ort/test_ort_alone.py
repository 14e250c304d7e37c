"""Layers computed alone give what they give in their network."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.elements.twins import half
from support.networks import models
from support.networks.detection import head
from support.networks.provenance_corpus import CORPUS, residual
from support.runs.verified import Checked, opened

from onnxprof.backends.ort.check.alone import Alone, model_of
from onnxprof.backends.ort.check.observe import reference_values
from onnxprof.backends.ort.check.unfold import unfolded
from onnxprof.provenance.verify.alone import Task

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def tasks_of(checked: Checked) -> tuple[list[Task], list[dict[str, np.ndarray]]]:
    """A task for each layer, fed what the layer reads in the network, and every value there."""
    graph = unfolded(checked.proof.original, {}).graph
    values = reference_values(checked.job, checked.proof.original, checked.feeds)
    tasks = []
    for node in graph.nodes:
        read = [name for name in node.inputs if name not in graph.constants]
        if all(name in values[0] for name in read):
            tasks.append(Task((node.name,), [{name: run[name] for name in read} for run in values]))
    return tasks, values


def assert_the_same(checked: Checked, tasks: list[Task], values: list[dict]) -> None:
    original = unfolded(checked.proof.original, {})
    outputs = {node.name: node.outputs for node in original.graph.nodes}
    for task, results in zip(tasks, Alone(checked.job, original)(tasks), strict=True):
        assert results is not None
        for i, result in enumerate(results):
            for name in outputs[task.layers[0]]:
                if name in values[i]:
                    wanted = values[i][name]  # in float16 the runtime leaves roundings out
                    loose = 1e-2 if wanted.dtype == np.float16 else 0.0
                    assert np.allclose(result[name], wanted, loose, loose, equal_nan=True)


@pytest.mark.parametrize(
    "name", ["known if", "transformer", "sparse", "clashing names", "unnamed", "residual QOperator"]
)
def test_every_layer_alone(name: str, tmp_path: Path) -> None:
    logging.disable(logging.WARNING)
    with opened(models.save(CORPUS[name](tmp_path), tmp_path)) as checked:
        assert_the_same(checked, *tasks_of(checked))


@pytest.mark.parametrize(
    "made", [models.looped(), half(residual()), head()], ids=["loop", "float16", "boxes"]
)
def test_bodies_low_precision_and_choices_alone(made: onnx.ModelProto, tmp_path: Path) -> None:
    with opened(models.save(made, tmp_path)) as checked:
        assert_the_same(checked, *tasks_of(checked))


def test_weights_outside_of_the_file(tmp_path: Path) -> None:
    with opened(models.external(residual(), tmp_path)) as checked:
        assert_the_same(checked, *tasks_of(checked))


def test_only_what_the_layers_read_is_in_their_model(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        original = unfolded(checked.proof.original, {})
        first, *_ = tasks_of(checked)[0]
        made = model_of(original, [first, first])
    read = [name for node in made.graph.node for name in node.input]
    assert {t.name for t in made.graph.initializer} < {
        t.name for t in original.model.graph.initializer
    }
    assert {t.name for t in made.graph.initializer} | {v.name for v in made.graph.input} == {*read}
    assert len(made.graph.node) == len(made.graph.input) == 2


def test_a_task_that_fails_leaves_the_others(tmp_path: Path) -> None:
    with opened(models.save(residual(), tmp_path)) as checked:
        tasks, values = tasks_of(checked)
        wrong = Task(tasks[0].layers, [{n: a[..., :0] for n, a in f.items()} for f in tasks[0].fed])
        flat = Task(
            tasks[0].layers, [{n: a.reshape(-1) for n, a in f.items()} for f in tasks[0].fed]
        )
        original = unfolded(checked.proof.original, {})
        found = Alone(checked.job, original)([flat, *tasks, wrong])
    assert found[0] is None
    assert all(each is not None for each in found[1:-1])
    late = Alone(checked.job, original, deadline=0)(tasks)
    assert late == [None] * len(tasks)
    assert len(values) == 2
