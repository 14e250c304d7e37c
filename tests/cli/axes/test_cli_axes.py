"""`--dim` as a user gives it: sizes in turn, ties, one model's own, and what is said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.axes import axes_models
from support.networks import models
from typer.testing import CliRunner

import onnxprof as op
from onnxprof.cli.main import app
from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.jobs.sweep import plan as plan_jobs
from onnxprof.sweeps.command.one_line import axes_left_out, how_many, tasks_of
from onnxprof.sweeps.plans.expand import expanded
from onnxprof.sweeps.plans.read import read_plan
from onnxprof.sweeps.tasks import Task

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

PAST, NEW, TOTAL = "past_sequence_length", "sequence_length", "total_sequence_length"
TIE = f"{PAST}+{NEW}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("decoder", "recogniser", "stream", "two_axes"):
        models.save(getattr(axes_models, name)(), tmp_path, f"{name}.onnx")
    return tmp_path


def asked(*names: str, batches: tuple[int, ...] = (1,), **dims: Any) -> Options:
    paths = tuple(f"{name}.onnx" for name in names)
    return Options(paths, batches=batches, threads=1, dims=tuple(dims.items()))


def sizes(tasks: list[Task]) -> list[dict[str, Any]]:
    return [dict(task.options.dims) for task in tasks]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("words", ["optimized", "provenance", "scenario --scenario offline"])
def test_a_command_that_measures_once_takes_one_size_and_says_so(words: str) -> None:
    name, *more = words.split()
    told = " ".join(CliRunner().invoke(app, [name, "--help"]).stdout.split())
    assert "--dim NAME=SIZE One size of a free axis" in told
    given = [name, "two_axes.onnx", *more, "--dim", "height=1,2"]
    error = CliRunner().invoke(app, given, standalone_mode=False).exception
    assert isinstance(error, UsageError), error
    assert "--dim height=1,2 is several sizes" in str(error)


@pytest.mark.usefixtures("folder")
def test_a_product_of_axes_is_counted_before_it_begins() -> None:
    options = asked("decoder", batches=(1, 2), **{PAST: "0,3", NEW: "1,4,16", TOTAL: TIE})
    tasks = tasks_of(options)
    assert len(tasks) == 6
    assert sizes(tasks)[1] == {PAST: 0, NEW: 4, TOTAL: 4}
    words = f"12 measurements: 2 sizes of {PAST} x 3 of {NEW} x 2 of the batch"
    assert how_many(tasks, options) == words
    assert how_many(tasks_of(asked("decoder", **{PAST: 0})), asked("decoder", **{PAST: 0})) == ""


@pytest.mark.usefixtures("folder")
def test_a_size_for_one_of_several_models() -> None:
    dims = {"two_axes:height": "8,16", "height": 48, "width": 32}
    options = asked("two_axes", "recogniser", "stream", **dims)
    tasks = tasks_of(options)
    assert sizes(tasks) == [
        {"height": 8, "width": 32},
        {"height": 16, "width": 32},
        {"height": 48, "width": 32},
        {},
    ]
    assert axes_left_out(tasks, options) == [("stream", "height"), ("stream", "width")]
    assert how_many(tasks, options) == "4 measurements"
    [task] = tasks_of(asked("two_axes", **{"two_axes:height": 3, "width": 4}))
    assert dict(task.options.dims) == {"height": 3, "width": 4}


@pytest.mark.usefixtures("folder")
def test_a_tie_to_the_batch_has_a_task_for_each_batch() -> None:
    options = asked("stream", batches=(1, 3), **{"samples": 256, "h.axis1": "batch"})
    tasks = tasks_of(options)
    assert [task.options.batches for task in tasks] == [(1,), (3,)]
    assert len({task.key for task in tasks}) == 1 or len(tasks) == 2
    job = plan_jobs(Options(("stream.onnx",), batches=(3,), threads=1, dims=(
        ("samples", 256), ("h.axis1", "batch"), ("c0.axis1", "batch"))))[0]  # fmt: skip
    assert dict(job.table.dims) == {"samples": 256, "h.axis1": 3, "c0.axis1": 3}
    assert "--dim h.axis1=3" in job.command


@pytest.mark.usefixtures("folder")
def test_what_measures_one_size_refuses_several() -> None:
    with pytest.raises(UsageError, match="--dim height=1,2 is several sizes") as caught:
        plan_jobs(asked("two_axes", height="1,2", width=3))
    assert "profile" in caught.value.remedy


def test_profile_sweeps_stores_and_sets_out(folder: Path) -> None:
    words = ["--budget", "0.05", "--threads", "1", "--no-telemetry", "--no-verify", "--batch", "1"]
    dims = ["--dim", f"{PAST}=0,8", "--dim", f"{NEW}=2", "--dim", f"{TOTAL}={TIE}"]
    made = CliRunner().invoke(app, ["profile", "decoder.onnx", *words, *dims])
    assert made.exit_code == 0, made.output
    text = " ".join(made.output.split())
    assert f"2 measurements: 2 sizes of {PAST}" in text
    assert f"2 sizes of {PAST}" in text
    assert f"{TOTAL}=2…10" in text
    runs = op.load(folder / "runs")
    assert sorted(dict(run.request.dims)[TOTAL] for run in runs) == [2, 10]
    assert all(f"--dim {TOTAL}=" in run.command for run in runs)
    names = sorted(path.name for path in (folder / "runs").rglob("*.parquet"))
    assert any(f"{PAST}=0,{NEW}=2,{TOTAL}=2" in name for name in names)
    chosen = CliRunner().invoke(app, ["runs", "list", "--dim", f"{PAST}=8", "--json"])
    assert [run["dims"][PAST] for run in json.loads(chosen.output)["runs"]] == [8]
    scaled = op.scaling(runs, over=PAST)
    assert scaled[0].sizes == (0, 8)


@pytest.mark.usefixtures("folder")
def test_a_failed_size_is_named() -> None:
    words = ["--budget", "0.05", "--threads", "1", "--no-telemetry", "--batch", "1", "-q"]
    dims = ["--dim", "height=48,40", "--dim", "width=16"]
    made = CliRunner().invoke(app, ["profile", "recogniser.onnx", *words, *dims])
    assert "recogniser at batch 1, height=40, width=16:" in " ".join(made.output.split())
    failed = CliRunner().invoke(app, ["runs", "list", "--dim", "height=40", "--json"])
    assert [bool(run["failure"]) for run in json.loads(failed.output)["runs"]] == [True]


@pytest.mark.usefixtures("folder")
def test_inspect_shows_each_combination() -> None:
    found = op.inspect("two_axes.onnx", batch=(1, 2), dims={"height": [0, 3], "width": "height+1"})
    shapes = [table.nodes[0].outputs[0].shape for table in found.tables]
    assert shapes == [(1, 0, 1), (2, 0, 1), (1, 3, 4), (2, 3, 4)]
    words = ["inspect", "two_axes.onnx", "--dim", "height=2,3", "--dim", "two_axes:width=4"]
    made = CliRunner().invoke(app, words)
    assert "height=2" in made.output
    assert "height=3" in made.output


@pytest.mark.usefixtures("folder")
def test_words_for_axes_that_cannot_be_given() -> None:
    with pytest.raises(UsageError, match="no symbolic axis 'depth'"):
        op.inspect("two_axes.onnx", dims={"depth": 3})
    with pytest.raises(UsageError, match="'batch' is the batch axis") as caught:
        op.inspect("two_axes.onnx", dims={"batch": 3})
    assert caught.value.remedy == "Give its size with batch"
    made = models.model(
        [models.node("NonZero", ["x"], ["y"])],
        [models.value("x", ["batch", "height"])],
        [models.value("y", [2, "found"], 7)],
    )
    models.save(made, Path(), "found.onnx")
    with pytest.raises(UsageError, match="axis 'found' is of output 'y' alone"):
        op.inspect("found.onnx", dims={"found": 3})


@pytest.mark.usefixtures("folder")
def test_inputs_that_share_an_axis_which_no_size_fits() -> None:
    made = models.model(
        [
            models.node("Concat", ["a", "b"], ["c"], "both", axis=1),
            models.node("MatMul", ["c", "w"], ["y"], "odd"),
        ],
        [models.value("a", ["N", "tokens"]), models.value("b", ["N", "tokens"])],
        [models.value("y", None)],
        [models.weight("w", 5, 1)],
    )
    models.save(made, Path(), "shared.onnx")
    with pytest.raises(UsageError) as caught:
        plan_jobs(asked("shared"))
    assert "node 'odd' refuses" in caught.value.remedy
    assert "'tokens' is one axis of a and b" in caught.value.remedy


def test_arrays_are_repeated_along_the_batch_wherever_it_is(folder: Path) -> None:
    made = models.recurrent(batch=1)
    path = models.save(made, folder, "recurrent.onnx")
    table = op.inspect(path, batch=1)
    shapes = {t.name: t.shape for row in table.tables[0].layers for t in row.outputs}
    inputs = {i.name: np.ones(shapes[i.name], np.float32) for i in made.graph.input}
    np.savez(folder / "x.npz", **inputs)
    jobs = plan_jobs(Options((str(path),), batches=(3,), threads=1, inputs=str(folder / "x.npz")))
    assert jobs[0].batch == 3


def test_a_plan_has_sizes_and_ties(folder: Path) -> None:
    (folder / "plan.toml").write_text(
        f'[[models]]\nname = "decoder.onnx"\nbatch = [1, 2]\n'
        f'dim.{PAST} = [0, 128]\ndim.{NEW} = 1\ndim.{TOTAL} = "{PAST} + {NEW}"\n'
    )
    found = expanded(read_plan(folder / "plan.toml"))
    assert [dict(task.options.dims)[TOTAL] for task in found.tasks] == [1, 129]
    assert [task.options.batches for task in found.tasks] == [(1, 2), (1, 2)]
    (folder / "plan.toml").write_text('[[models]]\nname = "decoder.onnx"\ndim.x = "1 +"\n')
    with pytest.raises(UsageError, match="line 3"):
        read_plan(folder / "plan.toml")
    (folder / "plan.toml").write_text(
        '[[models]]\nname = "stream.onnx"\nbatch = [1, 2]\ndim.samples = 256\n'
        'dim."h.axis1" = "batch"\n'
    )
    assert [t.options.batches for t in expanded(read_plan(folder / "plan.toml")).tasks] == [
        (1,),
        (2,),
    ]


def test_a_task_with_a_tie_travels() -> None:
    task = Task(asked("stream", **{"h.axis1": "batch", "samples": 256}))
    assert Task.from_json(json.loads(json.dumps(task.to_json()))) == task
