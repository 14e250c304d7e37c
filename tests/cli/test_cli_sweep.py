"""`onnxprof sweep` as a user runs it: a plan, a store, the same command again, a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models

from onnxprof.cli.options import parse_duration
from onnxprof.errors import UsageError
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

PLAN = """
[defaults]
budget = 0.05
threads = 1
batch = [1, 2]
telemetry = false

[[models]]
name = ["*.onnx", "none.onnx"]

[[backends]]
name = "ort"
"""


def start(*arguments: object, folder: Path, **options) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "onnxprof", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*arguments: object, folder: Path) -> tuple[int, str, str]:
    done = inside(*arguments, folder=folder)
    return done.code, done.out, done.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    models.save(models.linear(), tmp_path, "linear.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    (tmp_path / "plan.toml").write_text(PLAN)
    return tmp_path


def test_a_plan_is_measured_once_and_the_same_command_does_what_is_left(folder: Path) -> None:
    code, out, err = run("sweep", "plan.toml", "--dry-run", folder=folder)
    assert code == 2, "a model is missing"
    assert "8 jobs: 0 in the store, 8 left" in err
    assert "none.onnx: there is no such file" in err
    assert all(len(line) <= 80 for line in out.splitlines())
    assert load_all([folder / "runs"]) == ([], [])

    code, out, err = run("sweep", "plan.toml", folder=folder)
    assert code == 2
    assert "8 jobs: 0 in the store, 8 left" in out
    assert "lenet, ort on cpu, batch 2, 1 thread: " in out
    assert "4 measured, 4 failed" in err
    assert "Traceback" not in out + err
    runs, problems = load_all([folder / "runs"])
    assert problems == []
    good = {(run.request.model_name, run.request.batch) for run in runs if run.timings}
    assert good == {(name, batch) for name in ("lenet", "linear") for batch in (1, 2)}
    failed = {(run.request.model_name, run.request.batch) for run in runs if not run.timings}
    assert failed == {("damaged", 1), ("damaged", 2)}

    code, out, err = run("sweep", "plan.toml", folder=folder)
    assert "8 jobs: 6 in the store, 2 of them failed, 2 left" in out
    assert "0 measured, 2 failed" in err
    assert len(load_all([folder / "runs"])[0]) == 6

    (folder / "runs" / ".onnxprof-models").unlink()
    half = folder / "runs" / ".0123456789abcdef.tmp"
    half.write_bytes(b"half")
    os.utime(half, (1e9, 1e9))
    code, out, err = run("sweep", "plan.toml", folder=folder)
    assert not half.exists(), "a sweep that was killed left it"
    assert "0 measured, 2 failed" in err, "what is remembered may be lost"
    assert len(load_all([folder / "runs"])[0]) == 6

    code, out, _ = run("sweep", "plan.toml", "--retry-failed", folder=folder)
    assert len(load_all([folder / "runs"])[0]) == 8
    (folder / "damaged.onnx").unlink()
    (folder / "plan.toml").write_text(PLAN.replace(', "none.onnx"', ""))
    code, out, err = run("sweep", "plan.toml", "--json", "--again", folder=folder)
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert events[0]["event"] == "planned"
    last = {key: events[-1][key] for key in events[-1] if key not in ("schema", "onnxprof")}
    assert last | {"at": ""} == {
        **{"version": 1, "event": "ended", "at": "", "finished": 4, "failed": 0},
        **{"skipped": 0, "left": 0},
    }
    assert err == ""
    code, out, _ = run("sweep", "plan.toml", "--stale", folder=folder)
    assert "4 jobs: 4 in the store, 0 left" in out


def test_what_a_dry_run_says_of_memory_and_time_as_events(folder: Path) -> None:
    (folder / "plan.toml").write_text(
        '[[models]]\nname = "zoo:resnet50"\nbatch = [1, 4096]\nmemory = 4\n'
        '[[backends]]\nname = "ort"\nthreads = 1\n'
    )
    code, out, err = run("sweep", "plan.toml", "--dry-run", "--json", folder=folder)
    assert code == 0, err
    planned, skipped, foreseen = (json.loads(line) for line in out.splitlines())
    assert (planned["jobs"], planned["left"]) == (2, 2)
    assert foreseen["job"]["batch"] == 1
    assert foreseen["memory_bytes"] > 100e6
    assert foreseen["seconds"] > 5
    assert (skipped["job"]["batch"], skipped["cause"]) == (4096, "memory")
    code, out, err = run("sweep", "plan.toml", "--dry-run", folder=folder)
    assert "resnet50 on ort at batch 4096 will not fit: it takes some " in err
    assert "and 4.00 GiB may be used" in err
    cache = Path(os.environ["ONNXPROF_CACHE"]) / "zoo"
    assert not list(cache.glob("resnet50-*.onnx")), "nothing was made"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_sweep_and_the_rest_is_left(
    number: signal.Signals, code: int, folder: Path
) -> None:
    process = start("sweep", "plan.toml", "--json", folder=folder, start_new_session=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "finished":
            break
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    ended = json.loads(out.splitlines()[-1])
    assert ended["event"] == "ended"
    runs, problems = load_all([folder / "runs"])
    assert problems == []
    assert ended["finished"] == sum(run.timings is not None for run in runs) >= 1
    assert ended["left"] >= 1
    assert not list((folder / "runs").rglob("*.tmp"))


def test_a_mistake_in_a_plan_is_one_line_and_nothing_is_begun(folder: Path) -> None:
    (folder / "plan.toml").write_text('[[models]]\nname = "lenet.onnx"\nbacth = 1\n')
    code, out, err = run("sweep", "plan.toml", folder=folder)
    assert (code, out) == (2, "")
    assert err.startswith("onnxprof: plan.toml, line 3: [[models]] has no key 'bacth'. Did you")
    assert len(err.splitlines()) == 1
    assert not (folder / "runs").exists()


def test_a_device_that_is_not_here_keeps_no_other(folder: Path) -> None:
    (folder / "plan.toml").write_text(
        "[defaults]\nbudget = 0.05\ntelemetry = false\nthreads = 1\n"
        '[[models]]\nname = "linear.onnx"\n'
        '[[backends]]\nname = "ort"\ndevice = "tpu"\n[[backends]]\nname = "ort"\n'
    )
    code, _, err = run("sweep", "plan.toml", folder=folder)
    assert code == 2
    assert "backend ort has no device 'tpu' here" in err
    assert "1 measured, 1 failed" in err


def test_for_a_time_that_is_too_short_nothing_is_begun(folder: Path) -> None:
    (folder / "plan.toml").write_text(
        '[[models]]\nname = "zoo:lenet"\n[[backends]]\nname = "ort"\nbudget = 100\n'
    )
    code, _, err = run("sweep", "plan.toml", "--for", "30s", folder=folder)
    assert code == 0, err
    assert "1 left" in err
    assert not list((folder / "runs").rglob("*.parquet"))


def test_init_writes_a_plan_that_is_one(folder: Path) -> None:
    code, out, err = run("sweep", "init", folder=folder)
    assert code == 0, err
    data = tomllib.loads(out)
    assert data["models"] == [{"name": "*.onnx"}]
    assert "ort" in {backend["name"] for backend in data["backends"]}
    assert all(len(line) <= 80 for line in out.splitlines())
    code, _, err = run("sweep", "init", "-o", "new.toml", folder=folder)
    assert code == 0, err
    code, out, err = run("sweep", "new.toml", "--dry-run", folder=folder)
    assert "lenet" in out
    code, _, err = run("sweep", "init", "-o", "new.toml", folder=folder)
    assert code == 2
    assert "is there already" in err
    assert (folder / "new.toml").read_text().startswith("# What `onnxprof sweep`")


def test_one_bad_path_keeps_profile_from_nothing_else(folder: Path) -> None:
    words = ("--batch", "1", "--budget", "0.05", "--threads", "1", "--no-telemetry")
    names = ("lenet.onnx", "none.onnx", "damaged.onnx", "linear.onnx")
    code, out, err = run("profile", *names, *words, folder=folder)
    assert code == 2
    assert "none.onnx: there is no such file" in err
    assert "damaged.onnx: " in err
    assert "lenet, batch 1" in out
    assert "linear, batch 1" in out
    assert "2 runs stored in runs; 2 failed. Next: " in err
    runs, _ = load_all([folder / "runs"])
    assert {run.request.model_name for run in runs} == {"lenet", "linear"}


def test_sizes_of_one_model_are_left_out_of_another_beside_a_bad_path(folder: Path) -> None:
    made = models.model(
        [models.node("Relu", ["x"], ["y"])],
        [models.value("x", ["batch", "width"])],
        [models.value("y", ["batch", "width"])],
    )
    models.save(made, folder, "free.onnx")
    words = ("--batch", "1", "--budget", "0.05", "--threads", "1", "--no-telemetry")
    names = ("none.onnx", "lenet.onnx", "free.onnx")
    code, _, err = run("profile", *names, *words, "--dim", "width=3", folder=folder)
    assert code == 2
    assert "lenet has no axis 'width': --dim width is for the other models" in err
    assert len(load_all([folder / "runs"])[0]) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("90m", 5400), ("45s", 45), ("45", 45), ("1h30m", 5400), ("2d", 172800)],
)
def test_a_time_in_words(text: str, seconds: int) -> None:
    assert parse_duration(text, "--for") == seconds


@pytest.mark.parametrize("text", ["", "h", "1 h", "-1h", "1x", "0s", "1m1h", "9" * 30])
def test_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--for"):
        parse_duration(text, "--for")


def test_two_sweeps_at_once_measure_each_job_once(folder: Path) -> None:
    (folder / "plan.toml").write_text(PLAN.replace(', "none.onnx"', ""))
    both = [start("sweep", "plan.toml", "--json", folder=folder) for _ in range(2)]
    with ThreadPoolExecutor() as readers:  # one that nobody reads keeps the device from the other
        outputs = list(readers.map(lambda process: process.communicate(timeout=240), both))
    ended = [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    assert [each["left"] for each in ended] == [0, 0], outputs
    assert sum(each["finished"] for each in ended) == 4
    runs, problems = load_all([folder / "runs"])
    assert problems == []
    requests = [run.request for run in runs]
    assert len(requests) == len(set(requests)) == 6


def test_rows_of_a_dry_run_that_differ_in_a_seed_alone_say_it(folder: Path) -> None:
    varied = 'threads = 1\nseed = [0, 1]\ngranularity = ["executed", "written"]\n'
    (folder / "plan.toml").write_text(f'[[models]]\nname = "lenet.onnx"\n{varied}')
    _, out, _ = run("sweep", "plan.toml", "--dry-run", folder=folder)
    rows = [line.split("  ")[1].strip() for line in out.splitlines()[1:]]
    assert sorted(rows) == [
        *("ort cpu t1", "ort cpu t1 seed=1", "ort cpu t1 written", "ort cpu t1 written seed=1"),
    ]


def test_a_dry_run_of_many_models_sums_up_what_it_does_not_list(folder: Path) -> None:
    for number in range(60):
        (folder / f"m{number:02}.onnx").write_bytes((folder / "lenet.onnx").read_bytes())
    (folder / "bad").mkdir()
    for number in range(15):
        (folder / "bad" / f"b{number:02}.onnx").write_bytes(b"no model")
    plan = '[[models]]\nname = ["m*.onnx", "bad/*.onnx"]\n[defaults]\nbatch = [1, 2]\n'
    (folder / "many.toml").write_text(plan)
    _, out, err = run("sweep", "many.toml", "--dry-run", folder=folder)
    lines = out.rstrip().splitlines()
    assert len(lines) == 1 + 40 + 1
    assert "more rows)" in lines[-1]
    assert "1 system" in lines[-1]
    assert err.count("this is no ONNX") + err.count("bad/b") <= 24
    assert "5 more of this kind; -v says all" in err
    _, out, err = run("sweep", "many.toml", "--dry-run", "-v", folder=folder)
    assert len(out.rstrip().splitlines()) >= 60
    assert "more of this kind" not in err


def test_an_unknown_provider_is_refused_once_with_its_line(folder: Path) -> None:
    plan = '[[models]]\nname = "*.onnx"\n[[backends]]\nname = "ort"\nprovider = ["cpu", "cuad"]\n'
    (folder / "new.toml").write_text(plan)
    for words in ((), ("--dry-run",)):
        code, out, err = run("sweep", "new.toml", *words, folder=folder)
        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert "new.toml, line 3: the ort backend has no provider 'cuad'. Did you mean cuda?" in err
    code, _, err = run("profile", "lenet.onnx", "--provider", "cuad", folder=folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "the ort backend has no provider 'cuad' here. Did you mean cuda?" in err
    assert load_all([folder / "runs"]) == ([], [])
