"""`onnxprof optimized`, `--save-optimized` and options of the runtime, by the command line."""

from __future__ import annotations

import csv
import io
import json
from importlib.util import find_spec
from pathlib import Path

import onnx
import pytest
from support.habits.commands import inside
from support.networks import models

from onnxprof.records.step import Granularity
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def run(*arguments: object, folder: Path) -> tuple[int, str, str]:
    done = inside(*arguments, folder=folder)
    return done.code, done.out, done.err


def profile(*arguments: object, folder: Path) -> tuple[int, str, str]:
    quick = ("--budget", "0.05", "--threads", "1", "--no-telemetry")
    return run("profile", "lenet.onnx", "--batch", "1", *quick, *arguments, folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    return tmp_path


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1, err
    for word in words:
        assert word in err


def test_the_executed_graph_beside_the_file(folder: Path) -> None:
    code, out, err = run("optimized", "lenet.onnx", "--budget", "0.05", folder=folder)
    assert code == 0, err
    assert out.startswith("lenet, batch 1, ort cpu, onnxruntime ")
    assert max(map(len, out.splitlines())) <= 80
    assert "fused with others" in out
    code, out, _ = run(
        *("optimized", "lenet.onnx", "--budget", "0.05", "--format", "csv"),
        *("--optimization-level", "basic"),
        folder=folder,
    )
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert "fused" not in {row["fate"] for row in rows if row["operator"] == "Relu"}
    assert "inserted" not in {row["fate"] for row in rows}
    assert not (folder / "runs").exists(), "nothing is stored"


def test_a_stored_run_is_shown_as_it_ran(folder: Path) -> None:
    code, _, err = profile("--no-parity", folder=folder)
    assert code == 0, err
    path = next((folder / "runs").rglob("*.parquet"))
    code, out, err = run("optimized", path, "-o", "graph.json", folder=folder)
    assert (code, out) == (0, ""), err
    document = json.loads((folder / "graph.json").read_text("utf-8"))
    assert document["counts"]["fused"]
    code, _, err = run("optimized", path, "-o", "graph.dot", folder=folder)
    assert code == 0, err
    assert (folder / "graph.dot").read_text("utf-8").startswith("digraph")
    refused(
        run("optimized", path, "--optimization-level", "basic", folder=folder),
        "a stored run is shown as it ran, and --optimization-level is for models",
    )
    refused(run("optimized", path, "--save-optimized", "x.onnx", folder=folder), "--save-optimized")


def test_the_graph_is_written_once_it_is_measured(folder: Path) -> None:
    code, _, err = profile("--save-optimized", "fast.onnx", "--no-parity", folder=folder)
    assert code == 0, err
    assert "the executed graph of lenet at batch 1 is in" in err
    assert onnx.load(folder / "fast.onnx").graph.node
    refused(
        profile("--save-optimized", "fast.onnx", folder=folder),
        "fast.onnx is there already, and is not overwritten",
    )
    refused(
        run("profile", "lenet.onnx", "--save-optimized", "x.onnx", folder=folder),
        "writes one graph, and 6 are measured",
        "--batch 1",
    )
    assert len(load_all([folder / "runs"])[0]) == 1, "what is refused is refused before measuring"


def test_options_of_the_runtime_are_in_the_run_and_its_command(folder: Path) -> None:
    given = ("--session-option", "session.disable_prepacking=true", "--optimization-level")
    code, _, err = profile(*given, "extended", "--no-parity", folder=folder)
    assert code == 0, err
    assert profile("--optimization-level", "all", "--no-parity", folder=folder)[0] == 0
    assert profile("--optimization-level", "disable", "--no-parity", folder=folder)[0] == 0
    runs = load_all([folder / "runs"])[0]
    by_setup = {run.request.setup.words: run for run in runs}
    assert len(runs) == 3
    assert by_setup.keys() == {
        ("optimisation level extended", "session.disable_prepacking=1"),
        (),
    }
    [run_] = [run for run in runs if run.request.setup.words]
    assert run_.command.endswith(
        "--optimization-level extended --session-option session.disable_prepacking=1"
    )
    assert {run.request.granularity for run in runs} == set(Granularity)
    code, out, _ = run("runs", "list", folder=folder)
    assert code == 0
    assert "optimisation level extended" in " ".join(out.split())
    code, out, _ = run("runs", "show", runs_id(runs.index(run_), folder), folder=folder)
    assert "session.disable_prepacking=1" in out
    code, out, _ = run("runs", "list", "--format", "csv", folder=folder)
    options = [row["options"] for row in csv.DictReader(io.StringIO(out))]
    assert sorted(filter(None, options)) == [
        "optimisation level extended;session.disable_prepacking=1"
    ]


def runs_id(place: int, folder: Path) -> str:
    """The id of a run of the store."""
    from onnxprof.store.encoding import request_digest

    wanted = request_digest(load_all([folder / "runs"])[0][place].request)
    return wanted[:7]


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("session.disable_prepackin=1", ("Did you mean session.disable_prepacking?",)),
        ("session.disable_prepacking=2", ("takes 1 or 0",)),
        ("optimized_model_filepath=x.onnx", ("--save-optimized",)),
        ("register_custom_ops_library=./x.so", ("loads no code",)),
        ("intra_op_num_threads=4", ("Use --threads",)),
        ("nothing", ("is not NAME=VALUE",)),
    ],
)
def test_what_cannot_be_set_is_refused_before_measuring(
    option: str, words: tuple[str, ...], folder: Path
) -> None:
    refused(profile("--session-option", option, folder=folder), *words)
    assert not (folder / "runs").exists()


def test_levels_and_options_of_other_runtimes(folder: Path) -> None:
    if find_spec("openvino"):
        refused(
            profile("--backend", "openvino", "--optimization-level", "basic", folder=folder),
            "has no levels",
        )
    if find_spec("torch"):
        refused(
            profile("--backend", "torch", "--provider-option", "a=1", folder=folder),
            "no options of providers",
        )
    refused(
        profile("--optimization-level", "basic", "--granularity", "written", folder=folder),
        "a graph as written is not optimised",
    )
    refused(profile("--optimization-level", "most", folder=folder), "disable, basic, extended")
