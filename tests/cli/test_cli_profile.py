"""`onnxprof profile` as a user runs it: a process, a store, what is printed, what is left."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from support.habits.commands import inside
from support.networks import models

from onnxprof.records.step import Granularity
from onnxprof.records.warning import WarningKind
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")


def start(*arguments: object, folder: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onnxprof", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def apart(*arguments: object, folder: Path, **options) -> tuple[int, str, str]:
    """In a process of its own, as a user runs it."""
    process = start(*arguments, folder=folder, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def run(*arguments: object, folder: Path) -> tuple[int, str, str]:
    done = inside(*arguments, folder=folder)
    return done.code, done.out, done.err


QUICK = ("--budget", "0.1", "--threads", "1")


def profile(*arguments: object, folder: Path) -> tuple[int, str, str]:
    return run("profile", *arguments, *QUICK, folder=folder)


def refused(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("onnxprof: ")
    for word in words:
        assert word in err


def test_from_a_file_to_a_csv_that_adds_up(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    code, out, err = apart("profile", "lenet.onnx", "--batch", "1,8", *QUICK, folder=tmp_path)
    assert code == 0, err
    assert "lenet, batch 1" in out
    assert "lenet on ort" in out
    assert "2 sizes of batch" in out
    assert "Best rate: batch " in out
    assert "lenet, batch 8" in out
    assert "2 runs stored in runs" in err
    assert all(len(line) <= 80 for line in out.splitlines())
    code, out, err = apart("runs", "export", "--format", "csv", folder=tmp_path)
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    for batch in ("1", "8"):
        times = [r for r in rows if r["batch"] == batch and r["median_ms"]]
        assert times[-1]["layer_name"] == "(total)"
        assert sum(Decimal(r["median_ms"]) for r in times[:-1]) == Decimal(times[-1]["median_ms"])
    extra = ("unattributed", "interruptions")  # the latter under the trace timer alone
    named = [r["layer_name"] for r in rows if r["batch"] == "8" and r["status"] not in extra]
    assert len(named) == 21 + 2


def test_as_written_one_step_a_layer(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path)
    code, _, err = profile("model.onnx", "--batch", 2, "--granularity", "written", folder=tmp_path)
    assert code == 0, err
    ((stored,), problems) = load_all([tmp_path / "runs"])
    assert not problems
    assert stored.request.granularity is Granularity.WRITTEN
    assert {len(step.layers) for step in stored.steps} == {1}
    assert "--granularity written" in stored.command


def test_a_model_that_keeps_its_batch_is_measured_once_and_says_why(tmp_path: Path) -> None:
    models.save(models.class_token(), tmp_path)
    code, out, err = profile("model.onnx", "--batch", "1,2,8", folder=tmp_path)
    assert code == 0, err
    assert out.count(", batch ") == 1
    assert "stays at batch 1" in err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert WarningKind.FIXED_BATCH in {w.kind for w in stored.warnings}


def test_given_inputs_are_used_and_their_digest_is_kept(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path)
    np.savez(tmp_path / "in.npz", Input3=np.zeros((1, 1, 28, 28), np.float32))
    code, _, err = profile("model.onnx", "--batch", 4, "--inputs", "in.npz", folder=tmp_path)
    assert code == 0, err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert len(stored.request.inputs_sha256) == 64


def test_missing_sizes_are_listed_and_taken(tmp_path: Path) -> None:
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu")],
        [models.value("x", ["batch", "height", "width"])],
        [models.value("y", ["batch", "height", "width"])],
    )
    models.save(made, tmp_path)
    refused(profile("model.onnx", folder=tmp_path), "height", "width", "--dim height=224")
    sizes = ("--dim", "height=3", "--dim", "width=5")
    code, _, err = profile("model.onnx", "--batch", 2, *sizes, folder=tmp_path)
    assert code == 0, err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert stored.table.nodes[0].outputs[0].shape == (2, 3, 5)


def test_the_arrays_that_are_given_say_the_sizes(tmp_path: Path) -> None:
    made = models.model(
        [models.node("Relu", ["x"], ["y"], "relu")],
        [models.value("x", ["batch", 3, "height", "width"])],
        [models.value("y", None)],
    )
    models.save(made, tmp_path)
    np.savez(tmp_path / "in.npz", x=np.ones((1, 3, 8, 6), np.float32))
    code, _, err = profile(
        "model.onnx", "--batch", 2, "--inputs", "in.npz", "--no-parity", folder=tmp_path
    )
    assert code == 0, err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert stored.table.nodes[0].outputs[0].shape == (2, 3, 8, 6)
    assert dict(stored.request.dims) == {"height": 8, "width": 6}


def refused_by_the_runtime(folder: Path) -> list[object]:
    models.save(models.custom_domain(), folder, "m.onnx")
    return ["m.onnx", "--batch", "1"]


def no_such_file(_: Path) -> list[object]:
    return ["nowhere.onnx"]


def no_size(folder: Path) -> list[object]:
    image = models.value("x", ["N", "width"])
    relu = models.node("Relu", ["x"], ["y"])
    models.save(models.model([relu], [image], [models.value("y", None)]), folder, "m.onnx")
    return ["m.onnx"]


def store_that_is_a_file(folder: Path) -> list[object]:
    (folder / "taken").write_text("")
    models.save(models.linear(), folder, "m.onnx")
    return ["m.onnx", "--batch", "1", "--store", "taken"]


@pytest.mark.parametrize(
    "prepared", [refused_by_the_runtime, no_such_file, no_size, store_that_is_a_file]
)
def test_no_next_command_is_named_where_nothing_was_measured(
    prepared: Callable[[Path], list[object]], tmp_path: Path
) -> None:
    code, out, err = profile(*prepared(tmp_path), folder=tmp_path)
    assert code == 2
    assert "Next" not in out + err
    assert "runs list" not in out + err
    assert "stored in" not in err


def test_the_next_commands_are_named_once_a_run_is_stored(tmp_path: Path) -> None:
    models.save(models.linear(), tmp_path)
    code, _, err = profile("model.onnx", "--batch", "1", folder=tmp_path)
    assert code == 0, err
    assert err.rstrip().endswith("Next: onnxprof runs list, onnxprof site build")
    for command in (["runs", "list"], ["site", "build"]):
        assert run(*command, folder=tmp_path)[0] == 0, command


def test_what_the_runtime_refuses_is_one_line_and_a_failed_record(tmp_path: Path) -> None:
    models.save(models.custom_domain(), tmp_path)
    code, _, err = profile("model.onnx", "--batch", "1", folder=tmp_path)
    assert code == 2
    assert "onnxruntime cannot load the model" in err
    assert "Traceback" not in err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert stored.timings is None
    assert "cannot load" in stored.failure


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.onnx"], ["nowhere.onnx"]),
        (["."], ["."]),
        (["model.onnx", "--batch", "0"], ["--batch"]),
        (["model.onnx", "--batch", "-1"], ["--batch"]),
        (["model.onnx", "--batch", "1000000000"], ["--batch"]),
        (["model.onnx", "--backend", "nope"], ["no backend is called 'nope'", "ort"]),
        (["model.onnx", "--backend", "onnxruntime"], ["Did you mean ort?"]),
        (["model.onnx", "--device", "cuda"], ["without CUDAExecutionProvider", "onnxprof[gpu]"]),
        (["model.onnx", "--granularity", "coarse"], ["executed or written"]),
        (["model.onnx", "--dim", "nope=3"], ["nope"]),
        (["model.onnx", "--inputs", "nowhere.npz"], ["nowhere.npz"]),
        (["zoo:nope"], ["nope"]),
        (["model.onnx", "--nonsense"], ["--nonsense"]),
        ([], ["MODEL"]),
    ],
)
def test_bad_use_is_one_line_and_exit_code_2(arguments, words, tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path)
    refused(profile(*arguments, folder=tmp_path), *words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_an_interrupt_keeps_what_was_measured(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path)
    arguments = ("profile", "model.onnx", "--batch", "1,8", "--threads", "1", "--budget", "0.1")
    assert run(*arguments, folder=tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.parquet")}
    process = start(
        *("profile", "model.onnx", "--batch", "1,8", "--budget", "0.5", "--timeout", "600"),
        folder=tmp_path,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("model, batch 1"), "the first run's table"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted; 1 of 2" in err
    assert "Traceback" not in err
    runs, problems = load_all([tmp_path / "runs"])
    assert len(runs) == len(before) + 1
    assert not problems
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_is_one_line_and_leaves_earlier_runs_whole(tmp_path: Path) -> None:
    import resource

    models.save(models.lenet(), tmp_path)
    assert profile("model.onnx", "--batch", 1, folder=tmp_path)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}

    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))

    command = ("profile", "model.onnx", "--batch", 1, *QUICK)
    code, _, err = apart(*command, folder=tmp_path, preexec_fn=no_room)
    assert code == 2
    assert "Traceback" not in err
    after = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert after == before


def test_several_processes_make_one_run(tmp_path: Path) -> None:
    models.save(models.lenet(), tmp_path)
    code, _, err = profile("model.onnx", "--batch", 1, "--processes", 3, folder=tmp_path)
    assert code == 0, err
    ((stored,), _) = load_all([tmp_path / "runs"])
    assert stored.timings
    assert set(stored.timings.block_process) == {0, 1, 2}
    assert stored.request.processes == 3
    assert "--processes 3" in stored.command
    assert stored.parity is not None


def wide(folder: Path) -> None:
    """A model whose output has 16 KiB for each item."""
    made = models.model(
        [models.node("MatMul", ["x", "w"], ["y"], "wide")],
        [models.value("x", ["N", 1])],
        [models.value("y", ["N", 4096])],
        [models.weight("w", 1, 4096)],
    )
    models.save(made, folder, "wide.onnx")


def test_what_will_not_fit_is_named_and_left_out_before_anything_is_allocated(
    tmp_path: Path,
) -> None:
    wide(tmp_path)
    code, out, err = profile("wide.onnx", "--batch", "1,262144", "--memory", "2", folder=tmp_path)
    assert code == 2
    assert "wide at batch 262144 will not fit: it takes some " in err
    assert "2.00 GiB may be used" in err
    assert "use smaller sizes than --batch 262144, or measure it" in " ".join(err.split())
    assert "wide, batch 1," in out
    ((kept,), _) = load_all([tmp_path / "runs"])
    assert kept.request.batch == 1


def test_nothing_is_measured_where_nothing_fits(tmp_path: Path) -> None:
    wide(tmp_path)
    code, out, err = profile("wide.onnx", "--batch", "262144", "--memory", "2", folder=tmp_path)
    refused((code, out, err), "will not fit", "--force")
    assert not list((tmp_path / "runs").rglob("*.parquet"))


def test_force_measures_what_will_not_fit(tmp_path: Path) -> None:
    wide(tmp_path)
    code, _, err = profile(
        *("wide.onnx", "--batch", "262144", "--memory", "2", "--force"), folder=tmp_path
    )
    assert "will not fit" not in err
    assert code == 2  # the runtime's own refusal, in a process with 2 GiB


def test_allocations_are_counted_where_asked_for(tmp_path: Path) -> None:
    wide(tmp_path)
    code, out, err = profile("wide.onnx", "--batch", "3", "--allocations", folder=tmp_path)
    assert code == 0, err
    ((made,), _) = load_all([tmp_path / "runs"])
    assert "--allocations" in made.command
    if made.counted_memory:  # from onnxruntime 1.32 on
        assert [row.output_bytes for row in made.counted_memory] == [3 * 16384]
        assert "Counted by the runtime: 1 of 1 steps" in out
    else:
        assert "counts no allocations of nodes" in err
