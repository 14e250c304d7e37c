"""`profile` with a number of inferences, a warm-up, a duration, streams: on onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models

from onnxprof.records.run import Run
from onnxprof.store.folder import load_all

pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")

#: Nothing but the samples, of the trace timer.
BARE = ("--no-parity", "--no-verify", "--no-telemetry", "--timer", "trace")


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    done = inside(*arguments, folder=folder)
    return done.code, done.out, done.err


def profiled(folder: Path, *arguments: str) -> tuple[Run, str]:
    models.save(models.lenet(), folder, "lenet.onnx")
    code, out, err = run(folder, "profile", "lenet.onnx", "--batch", "1", *arguments)
    assert code == 0, err
    ((stored,), problems) = load_all([folder / "runs"])
    assert not problems
    assert all(len(line) <= 80 for line in out.splitlines())
    return stored, " ".join(out.split())


def test_so_many_inferences_after_so_many_that_warm_up(tmp_path: Path) -> None:
    given = ("--iterations", "50", "--warmup", "3", "--threads", "1")
    stored, out = profiled(tmp_path, *given, *BARE)
    assert stored.timings is not None
    assert stored.timings.latency_ns.size == 50
    assert stored.timings.warmup_ns.size == 3
    assert (stored.request.iterations, stored.request.warmup) == (50, 3)
    assert stored.command.endswith(f"--no-telemetry {' '.join(given[:4])}")
    assert "of 50 samples; not known from so few: p95 (needs 72)" in out
    code, shown, _ = run(tmp_path, "runs", "show")
    assert code == 0
    assert "50 iterations, warm-up of 3 inferences" in shown
    code, text, _ = run(tmp_path, "runs", "export", "--format", "json")
    assert code == 0
    (exported,) = json.loads(text)["runs"]
    known = [each["ms"] is not None for each in exported["percentiles"]]
    assert known == [True, True, False, False, False]


def test_so_many_whatever_timer_is_taken_and_in_several_processes(tmp_path: Path) -> None:
    stored, _ = profiled(
        *(tmp_path, "--iterations", "301", "--processes", "2", "--threads", "1"),
        *("--no-parity", "--no-verify", "--no-telemetry"),
    )
    assert stored.timings is not None
    assert stored.timings.latency_ns.size == 301
    assert set(stored.timings.block_process) == {0, 1}


def test_sampling_goes_on_for_a_duration(tmp_path: Path) -> None:
    stored, _ = profiled(tmp_path, "--duration", "0.6", "--threads", "1", *BARE)
    assert stored.timings is not None
    assert stored.request.duration == 0.6
    sampled = stored.timings.latency_ns.sum() + stored.timings.traced_ns.sum()
    assert sampled > 0.3e9, "what refills caches is no sample"


def test_several_at_a_time_divide_the_threads(tmp_path: Path) -> None:
    stored, out = profiled(
        tmp_path, "--iterations", "40", "--sessions", "2", "--threads", "2", *BARE
    )
    load = stored.concurrency
    assert load is not None
    assert (load.streams, load.threads) == (2, 1)
    assert [len(stream) for stream in load.latency_ns] == [40, 40]
    assert "2 at a time, 1 thread each: " in out
    assert " of 80 samples" in out
    assert stored.timings is not None
    assert stored.timings.latency_ns.size == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--iterations", "5", "--duration", "2"), "Give one of them"),
        (("--streams", "3", "--threads", "2"), "--streams 3 cannot divide --threads 2"),
        (("--warmup", "-1"), "--warmup"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    code, out, err = run(tmp_path, "profile", "lenet.onnx", "--batch", "1", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists() or load_all([tmp_path / "runs"]) == ([], [])
