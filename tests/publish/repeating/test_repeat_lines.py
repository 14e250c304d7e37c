"""How to repeat a run: what to install, the model, a command that the command line takes."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from support.sites import failed_run
from typer.testing import CliRunner

from onnxprof.cli.parameters import takes
from onnxprof.jobs.job import asked_of
from onnxprof.jobs.options import TABLE, Options, command_line
from onnxprof.measure.budget import Budget
from onnxprof.publish.repeating.budget import MOST_S, estimate, stated_budget
from onnxprof.publish.repeating.command import words
from onnxprof.publish.repeating.install import install
from onnxprof.publish.repeating.lines import differs, repeat
from onnxprof.publish.repeating.terminal import text_lines
from onnxprof.records.run import Origin, Request, Run
from onnxprof.records.step import Granularity, Timer
from onnxprof.testing import sample_run


def asked(run: Run, **changes: Any) -> Run:
    """The run, with other things asked for."""
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **changes))


def of(run: Run, **facts: Any) -> Run:
    """The run with other facts of its model."""
    return dataclasses.replace(run, model=dataclasses.replace(run.model, **facts))


def parsed(line: str) -> tuple[Options, list[str]]:
    """What `onnxprof profile` understands of a line for a shell."""
    heard: list[tuple[dict[str, Any], list[str]]] = []

    def command(given: dict[str, Any], models: Annotated[list[str], typer.Argument()]) -> int:
        heard.append((given, models))
        return 0

    app = typer.Typer()
    app.command()(takes("models", *(option.name for option in TABLE.values()))(command))
    found = shlex.split(line)
    assert found[:2] == ["onnxprof", "profile"]
    done = CliRunner().invoke(app, found[2:])
    assert done.exception is None, (done.exception, done.output)
    given, models = heard[0]
    return Options(tuple(models), **given), models


def understood(run: Run) -> tuple[Request, Options, list[str]]:
    """The request that the printed command makes, and the model that it names."""
    options, models = parsed(repeat(run).command)
    request = asked_of(
        options,
        model_name=run.request.model_name,
        model_sha256=run.request.model_sha256,
        provider=options.provider or run.device.kind,
        device_id=run.request.device_id,
        batch=options.batches[0],
        inputs_sha256=run.request.inputs_sha256,
    )
    return request, options, models


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch": 8, "threads": 16},
        {"dims": (("sequence", 128), ("-n", 3), ("a b", 4), ("x'y;$(z)", 5))},
        {"granularity": Granularity.WRITTEN, "timer": Timer.TRACE.value},
        {"timer": Timer.PREFIX.value, "seed": 7},
        {"provider": "openvino"},
        {"provider": "-x"},
        {"backend": "-odd"},
        {"inputs_sha256": "cd" * 32},
        {"iterations": 500, "warmup": 0},
        {"duration": 2.5, "streams": 4, "warmup": 20},
        {"optimization_level": "extended", "session_options": (("a", "1"), ("-b", "x y=z"))},
        {"provider_options": (("use_tf32", "0"),)},
    ],
)
def test_the_command_line_takes_the_command_and_asks_for_the_same(changes: dict[str, Any]) -> None:
    run = asked(sample_run(), **changes)
    request, options, models = understood(run)
    assert request == run.request
    assert models == ["zoo:sample"]
    assert options.device == "cpu", "a device of another machine has another name"


@given(
    st.text(min_size=1, max_size=12).filter(
        lambda name: not set(name) & set("/\\\0") and name not in (".", "..")
    )
)
def test_any_name_of_a_file_is_the_model(name: str) -> None:
    _, _, models = understood(of(sample_run(), reference=name))
    assert [model.removeprefix("./") for model in models] == [name.removeprefix("./")]
    assert not models[0].startswith("-")


def test_the_words_are_those_of_the_command_that_a_run_keeps() -> None:
    run = asked(
        sample_run(),
        dims=(("n", 3),),
        timer="prefix",
        seed=2,
        provider="compile",
        processes=4,
        optimization_level="basic",
        session_options=(("channels_last", "1"), ("mode", "default")),
        provider_options=(("a", "0"),),
    )
    options = Options(
        ("zoo:sample",),
        backend="fake",
        device="cpu",
        batches=(1,),
        threads=2,
        budget=Budget(5),
        provider="compile",
        dims=(("n", 3),),
        timer=Timer.PREFIX,
        seed=2,
        processes=4,
        optimization_level="basic",
        session_options=(("channels_last", "1"), ("mode", "default")),
        provider_options=(("a", "0"),),
    )
    assert shlex.join(words(run, 5, 4)) == command_line(options)


def test_no_printed_command_has_a_name_that_reads_as_an_option() -> None:
    line = command_line(Options(("-net.onnx",), dims=(("-n", 3),), provider="-x"))
    options, models = parsed(line)
    assert models == ["./-net.onnx"]
    assert (options.dims, options.provider) == ((("-n", 3),), "-x")


def with_latencies(latencies: Sequence[float], command: str = "") -> Run:
    """A run with these un-profiled latencies, in milliseconds."""
    run = sample_run()
    assert run.timings is not None
    samples = np.array([ms * 1e6 for ms in latencies], np.int64)
    timings = dataclasses.replace(
        run.timings, latency_ns=samples, latency_block=np.zeros(samples.size, np.int32)
    )
    return dataclasses.replace(run, timings=timings, command=command or run.command)


def wide(half: float, count: int = 40) -> list[float]:
    """Latencies around 1 ms that lie so far from it, whatever their number."""
    return [1 + half * (1 if i % 2 else -1) for i in range(count)]


def test_a_run_that_came_to_one_per_cent_needs_what_it_had() -> None:
    run = with_latencies(wide(0.005), "onnxprof profile x --budget 12.5")
    assert estimate(run).seconds == 12.5
    assert estimate(run).note == ""


def test_four_times_as_wide_takes_sixteen_times_as_long() -> None:
    found = estimate(with_latencies(wide(0.04), "onnxprof profile x --budget 5"))
    assert found.seconds == 80
    assert "known to ±4.0 %, with 40 samples in 5 s;" in found.note


def test_long_inferences_count_with_the_time_that_they_took() -> None:
    run = with_latencies([20_000, 20_100, 19_900], "onnxprof profile x --budget 5")
    found = estimate(run)
    assert found.seconds >= 20 * 20
    assert "±" not in found.note.partition(";")[0], "three samples have no interval"
    assert "has 3 samples in 60.1 s, longer than its budget of 5 s" in found.note


def test_no_more_than_an_hour_is_proposed() -> None:
    found = estimate(with_latencies(wide(0.9)))
    assert found.seconds == MOST_S
    assert "an hour is too short" in found.note
    assert "a quieter machine takes less" in estimate(with_latencies(wide(0.1))).note


def test_of_several_processes_more_are_asked_for() -> None:
    run = asked(with_latencies(wide(0.02), "onnxprof profile x --budget 5"), processes=5)
    assert estimate(run).processes == 20
    assert asked(run, processes=1).request.processes == estimate(asked(run, processes=1)).processes


@pytest.mark.parametrize("command", ["", "x --budget", "x --budget 'no", "x --budget -1", "\0"])
def test_a_command_that_states_no_budget_had_the_usual_one(command: str) -> None:
    assert stated_budget(dataclasses.replace(sample_run(), command=command)) == 5


def test_a_failed_run_is_repeated_as_it_was() -> None:
    found = repeat(failed_run())
    assert found.command.endswith("--budget 5")
    assert found.note == ""


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ((), "pip install onnxprof"),
        (
            (("onnxprof", "0.1.0"), ("runtime", "onnxruntime 1.32.0"), ("onnx", "1.22.0")),
            "pip install onnxprof==0.1.0 onnxruntime==1.32.0 onnx==1.22.0",
        ),
        (
            (("onnxprof", "0.1.0"), ("runtime", "torch 2.13.0+cpu")),
            "pip install onnxprof==0.1.0 torch==2.13.0+cpu --extra-index-url"
            " https://download.pytorch.org/whl/cpu",
        ),
        (
            (("onnxprof", "1 --index-url http://x"), ("runtime", "$(x) 1; rm -rf ~")),
            "pip install onnxprof",
        ),
        ((("onnxprof", "0.1.0+local"), ("runtime", "odd")), "pip install onnxprof==0.1.0 odd"),
    ],
)
def test_what_to_install(facts: tuple[tuple[str, str], ...], line: str) -> None:
    assert install(dataclasses.replace(sample_run(), environment=facts)) == line


def test_what_a_source_or_a_backend_needs_is_installed_too() -> None:
    run = of(asked(sample_run(), backend="tensorrt"), reference="hf:a/b/c.onnx@1")
    assert install(run).startswith("pip install 'onnxprof[tensorrt,hub]==0.1.0'")


@pytest.mark.parametrize(
    ("reference", "line"),
    [
        ("zoo:lenet", "onnxprof zoo materialise lenet"),
        ("zoo:-x", "onnxprof zoo materialise -- -x"),
        ("hub:ResNet50@12", "onnxprof inspect hub:ResNet50@12"),
        ("hf:a/b/m.onnx@abc", "onnxprof inspect hf:a/b/m.onnx@abc"),
        ("my net.onnx", "sha256sum 'my net.onnx'"),
        ("-n.onnx", "sha256sum ./-n.onnx"),
    ],
)
def test_the_model_comes_with_its_digest(reference: str, line: str) -> None:
    assert repeat(of(sample_run(), reference=reference)).model == f"{line}  # SHA-256 {'ab' * 32}"


def test_what_is_no_digest_is_not_printed_as_one() -> None:
    assert repeat(of(sample_run(), sha256="x\nrm -rf ~")).model.endswith(
        "# its SHA-256 is not known"
    )


def test_what_may_differ_is_the_device() -> None:
    assert differs(sample_run()) == (
        "Your CPU may differ: Fake CPU, 2 cores with 4 hardware threads, vector sets avx2,"
        " measured on 2 threads"
    )
    kept = dataclasses.replace(sample_run(), environment=(("cores", "0-3; onnxprof on 4-7"),))
    assert differs(kept).endswith("measured on cores 0-3")
    alone = dataclasses.replace(kept, environment=(("cores", "1; onnxprof on 0"),))
    assert differs(alone).endswith("measured on core 1")
    device = dataclasses.replace(
        sample_run().device, kind="cuda", name="NVIDIA L4", features=("sm_89",), driver="570"
    )
    assert differs(dataclasses.replace(sample_run(), device=device)) == (
        "Your CUDA device may differ: NVIDIA L4, sm_89, driver 570"
    )


def test_what_another_program_measured_is_repeated_there() -> None:
    run = dataclasses.replace(sample_run(), origin=Origin("trtexec", "IProfiler"))
    found = repeat(run)
    assert found.lines == ()
    assert "trtexec" in found.note
    assert next(text_lines(found)).startswith("Measured by trtexec")


def test_a_terminal_shows_a_command_that_can_be_copied_whole() -> None:
    run = asked(sample_run(), dims=tuple((f"axis number {i}", i + 1) for i in range(9)))
    lines = list(text_lines(repeat(run)))
    assert max(map(len, lines)) <= 80
    start = next(i for i, line in enumerate(lines) if "onnxprof profile" in line)
    end = next(i for i, line in enumerate(lines) if i >= start and not line.endswith("\\"))
    joined = "\n".join(lines[start : end + 1]).replace("\\\n", "")
    assert shlex.split(joined) == shlex.split(repeat(run).command)


def test_names_do_not_reach_a_terminal_as_they_are() -> None:
    run = of(sample_run(), reference="a\x1b[31m\n# rm.onnx")
    text = "\n".join(text_lines(repeat(run)))
    assert "\x1b" not in text
    assert not any(line.startswith("# rm") for line in text.splitlines())
