"""`-v`, `-q` and `-qq`: what is said of a measurement, before and behind the command."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.habits.commands import called, inside
from support.networks import models
from support.runs.prefixed import prefixed

from onnxprof.cli import loudness
from onnxprof.cli.comments import comment
from onnxprof.cli.output import complain, detail, note, say
from onnxprof.publish.text.measuring import measuring_texts
from onnxprof.records.run import Origin, Run
from onnxprof.records.step import Timer
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    yield
    loudness.before_command(0, 0)


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ([], 0),
        (["-v"], 1),
        (["m", "-vv"], 1),
        (["--verbose", "m"], 1),
        (["-q"], -1),
        (["--quiet", "-q"], -2),
        (["-qqq"], -2),
        (["-vq"], 0),
        (["--", "-v"], 0),
        (["-o", "x-v", "--version"], 0),
    ],
)
def test_words_of_a_command_add_up(words: list[str], level: int) -> None:
    loudness.before_command(0, 0)
    loudness.of_command(words)
    assert loudness.level() == level


def test_what_stands_before_the_command_counts_too() -> None:
    loudness.before_command(0, 1)
    loudness.of_command(["m", "-q"])
    assert loudness.level() == loudness.SILENT
    loudness.before_command(1, 0)
    loudness.of_command(["m"])
    assert loudness.level() == loudness.DETAILED


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (1, ["onnxprof: detail", "onnxprof: said", "noted", "onnxprof: failed"]),
        (0, ["onnxprof: said", "noted", "onnxprof: failed"]),
        (-1, ["onnxprof: said", "noted", "onnxprof: failed"]),
        (-2, ["onnxprof: failed"]),
    ],
)
def test_who_hears_what(level: int, said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    loudness.before_command(max(level, 0), max(-level, 0))
    detail("detail")
    say("said")
    note("noted")
    complain("failed")
    assert capsys.readouterr().err.splitlines() == said


def warned() -> Run:
    return dataclasses.replace(sample_run(), warnings=(RunWarning(WarningKind.FEW_SAMPLES, 3.0),))


@pytest.mark.parametrize(("quiet", "lines"), [(0, 0), (1, 1), (2, 0)])
def test_without_a_table_warnings_are_still_said(
    quiet: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    loudness.before_command(0, quiet)
    comment(warned(), has_table=quiet == 0)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == lines
    assert all(line.startswith("onnxprof: sample at batch 1: ") for line in told)


def test_how_a_run_was_measured_by_its_trace() -> None:
    timer, spent = measuring_texts(sample_run())
    assert timer.startswith("sample batch 1: timer trace, chosen automatically: with the profiler")
    assert "times as long" in timer
    assert "loading 30.00 ms" in spent
    assert "un-profiled inferences" in spent
    assert "(80)" in spent
    asked = dataclasses.replace(sample_run().request, timer="trace")
    assert (
        "timer trace, as asked"
        in measuring_texts(dataclasses.replace(sample_run(), request=asked))[0]
    )


def test_where_the_graph_was_cut() -> None:
    run = prefixed(sample_run(), [10_000, 1_200_000, 2_000_000], (0, 1, 3))
    assert run.timings is not None
    assert run.timings.timer is Timer.PREFIX
    texts = measuring_texts(run)
    held = run.timings.prefix_steps
    cut = [text for text in texts if ":   steps " in text]
    assert len(cut) == len(held) - 1
    assert f"was cut into {len(held) - 1} segment" in " ".join(texts)
    assert run.steps[0].name in cut[0]
    assert run.steps[-1].name in cut[-1]
    assert "prefixes" in texts[-1]


def test_steps_alone_are_counted() -> None:
    run = sample_run()
    assert run.timings is not None
    timings = dataclasses.replace(
        run.timings, repeats=(0, 12, 400), repeat_ns=np.full((2, 3), 10**6)
    )
    texts = measuring_texts(dataclasses.replace(run, timings=timings))
    assert "2 short steps timed alone, in 12 to 400 copies" in texts[1]
    assert "steps alone 6.000 ms (6)" in texts[-1]


def test_of_what_others_measured_or_nobody_there_is_nothing_to_say() -> None:
    run = sample_run()
    assert measuring_texts(dataclasses.replace(run, timings=None, failure="x")) == []
    assert measuring_texts(dataclasses.replace(run, origin=Origin("trtexec", "IProfiler"))) == []


def test_every_command_takes_them(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    for words in ("runs list --store nowhere", "zoo list", "schema", "completion bash"):
        usual = called(capsysbinary, *words.split())
        assert usual.code == 0
        for more in ("-v", "-q", "-qq", "--verbose", "--quiet"):
            done = called(capsysbinary, *words.split(), more)
            assert (done.code, done.out) == (0, usual.out), (words, more)
            assert called(capsysbinary, more, *words.split()).out == usual.out
    assert b"No runs in" not in called(capsysbinary, "runs", "list", "-qq").err.encode()


def test_a_measurement_says_as_much_as_is_asked(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxprof[cpu]")
    models.save(models.lenet(), tmp_path, "lenet.onnx")
    words = ("profile", "lenet.onnx", "--batch", "1", "--budget", "0.05", "--threads", "1")
    loud = inside(*words, "-v", folder=tmp_path)
    assert loud.code == 0, loud.err
    assert "lenet batch 1: warming up" in loud.err
    assert "chosen automatically" in loud.err
    assert "time spent: loading" in loud.err
    assert "(total)" in loud.out
    quiet = inside("-q", *words, folder=tmp_path)
    assert (quiet.code, quiet.out) == (0, "")
    assert "1 run stored in runs" in quiet.err
    silent = inside(*words, "-qq", folder=tmp_path)
    assert (silent.code, silent.out, silent.err) == (0, "", "")
    lost = inside(*words[:1], "none.onnx", *words[2:], "-qq", folder=tmp_path)
    assert lost.code == 2
    assert "none.onnx" in lost.err
