"""A task travels as JSON and comes out as it went in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs.sweeping import task

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.measure.budget import Budget
from onnxprof.processes.limits import Limits
from onnxprof.records.step import Granularity, Timer
from onnxprof.sweeps.tasks import Task

texts = st.text(st.characters(codec="utf-8"), max_size=8)
whole = st.integers(1, 1 << 20)
options = st.builds(
    Options,
    models=st.tuples(texts),
    backend=texts,
    device=texts,
    batches=st.lists(whole, max_size=4).map(tuple),
    threads=st.integers(0, 64),
    budget=st.builds(Budget, st.floats(0.01, 1e6)),
    provider=texts,
    dims=st.lists(st.tuples(texts, whole), max_size=3).map(tuple),
    granularity=st.sampled_from(Granularity),
    timer=st.sampled_from(Timer),
    seed=st.integers(0, 1 << 40),
    inputs=texts,
    processes=st.integers(1, 9),
    parity=st.booleans(),
    allocations=st.booleans(),
    limits=st.builds(Limits, st.floats(1, 1e6), st.integers(0, 1 << 40)),
)
tasks = st.builds(
    Task, options, st.lists(texts, max_size=2).map(tuple), texts, texts, st.booleans()
)


@given(tasks)
def test_json_and_back(made: Task) -> None:
    assert Task.from_json(json.loads(json.dumps(made.to_json()))) == made


def changed(**changes: Any) -> dict[str, Any]:
    return task().to_json() | changes


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ({}, "version"),
        (changed(version=99), "99"),
        (changed(options=3), "Options"),
        (changed(options={}), "models"),
        (changed(options=task().to_json()["options"] | {"models": ["a", "b"]}), "one model"),
        (changed(options=task().to_json()["options"] | {"threads": "2"}), "'2'"),
        (changed(options=task().to_json()["options"] | {"timer": "sundial"}), "sundial"),
        (changed(optional_dims="x"), "list"),
        (changed(force="no"), "no"),
    ],
)
def test_anything_else_is_refused(data: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        Task.from_json(data)


@given(tasks, st.lists(whole, max_size=3).map(tuple), st.integers(0, 1 << 40))
def test_the_key_is_that_of_the_measurement(
    made: Task, batches: tuple[int, ...], memory: int
) -> None:
    assert made.asking(batches=batches, limits=Limits(5.0, memory)).key == made.key
    assert made.asking(seed=made.options.seed + 1).key != made.key
    assert replace(made, device_id=f"{made.device_id}x").key != made.key


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("a/b.onnx", "b"),
        ("b", "b"),
        ("zoo:resnet18", "resnet18"),
        ("hub:ResNet50@12", "ResNet50"),
        ("hf:org/repo/onnx/decoder.onnx@abc", "decoder"),
        ("hf:org/repo/onnx/model.onnx", "repo"),
        ("hf:org/repo/onnx/model_int8.onnx", "repo_int8"),
    ],
)
def test_the_name_of_a_model_by_its_reference(reference: str, name: str) -> None:
    made = task(reference)
    assert made.model_name == name
    assert made.job(8).model == name


def test_jobs_are_told_apart_by_batch() -> None:
    made = task(batches=(1, 8))
    assert [job.batch for job in made.jobs()] == [1, 8]
    assert len({job.key for job in made.jobs("node")}) == 2
    assert made.job(1, "node").node == "node"
