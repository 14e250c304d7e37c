"""Options: each stated once, and read by commands, the printed command and the stored request."""

from __future__ import annotations

import inspect
import shlex
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from support.inturn import job
from typer.testing import CliRunner

from onnxprof.cli.commands.profile import profile
from onnxprof.cli.commands.provenance import provenance
from onnxprof.cli.commands.stored.compare import compare
from onnxprof.cli.parameters import Own, takes
from onnxprof.errors import UsageError
from onnxprof.jobs.job import failed, request
from onnxprof.jobs.options import TABLE, Options, command_line
from onnxprof.measure.budget import Budget
from onnxprof.records.run import Request
from onnxprof.records.step import Granularity, Timer

#: Another value than the default's for each option.
OTHERS: dict[str, Any] = {
    "backend": "fake",
    "device": "cpu",
    "batches": (3, 1),
    "threads": 2,
    "budget": Budget(0.25),
    "provider": "compile",
    "runtime": "fakert==1.0",
    "dims": (("length", 7), ("a=b", 3)),
    "granularity": Granularity.WRITTEN,
    "timer": Timer.PREFIX,
    "seed": 5,
    "inputs": str(Path("x.npz").resolve()),
    "processes": 3,
    "parity": False,
    "verify": False,
    "telemetry": False,
    "allocations": True,
    "iterations": 40,
    "warmup": 0,
    "duration": 2.5,
    "streams": 2,
    "optimization_level": "basic",
    "session_options": (("session.disable_prepacking", "1"), ("a", "b=c")),
    "provider_options": (("use_tf32", "0"),),
    "phase": "decode:64",
}


def parsed(words: list[str]) -> dict[str, Any]:
    """What a command with all options of the table is called with."""
    heard: list[dict[str, Any]] = []

    def command(asked: dict[str, Any]) -> int:
        heard.append(asked)
        return 0

    app = typer.Typer()
    app.command()(takes(*(option.name for option in TABLE.values()))(command))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return heard[0]


def test_a_file_whose_name_begins_with_a_dash_is_no_option_of_the_command() -> None:
    assert " ./-dash.onnx " in f"{command_line(Options(models=('-dash.onnx',)))} "


def test_every_option_comes_back_from_the_printed_command() -> None:
    assert OTHERS.keys() == TABLE.keys()
    options = Options(("m.onnx",), **OTHERS)
    words = shlex.split(command_line(options))
    assert words[:3] == ["onnxprof", "profile", "m.onnx"]
    assert parsed(words[3:]) == OTHERS


def test_an_option_left_out_has_its_default() -> None:
    usual = Options(("m",))
    assert parsed([]) == {name: getattr(usual, name) for name in TABLE}
    assert command_line(usual) == (
        "onnxprof profile m --backend ort --device '' --batch 1 --threads 0 --budget 5"
    )


def test_a_command_may_say_an_option_in_its_own_way() -> None:
    def command(asked: dict[str, Any], mine: Annotated[int, typer.Option(help="Mine.")] = 4) -> int:
        assert mine == 4
        return int(asked["batches"] == (6,) and asked["seed"] == 0)

    taken = takes("batch", "mine", "seed", batch=Own("Size.", default=6, least=2))(command)
    assert taken() == 1
    assert taken(batch=7) == 0
    app = typer.Typer()
    app.command()(taken)
    help_text = CliRunner().invoke(app, ["--help"]).output
    assert "Size." in help_text
    assert help_text.index("--batch") < help_text.index("--mine") < help_text.index("--seed")
    assert CliRunner().invoke(app, ["--batch", "1"]).exit_code == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"granularity": "fine"}, "no granularity 'fine'. Choose executed or written"),
        ({"timer": "x"}, "no timer 'x'. Choose auto, trace, prefix or cupti"),
        ({"batch": "1,x"}, "'x' is not a whole number"),
        ({"dim": ["n"]}, "--dim 'n' is not NAME=SIZE"),
        ({"session_option": ["n"]}, "--session-option 'n' is not NAME=VALUE"),
        ({"session_option": ["=1"]}, "--session-option '=1' is not NAME=VALUE"),
        ({"provider_option": ["n="]}, "--provider-option 'n=' is not NAME=VALUE"),
    ],
)
def test_a_value_that_makes_no_sense(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        profile(["m.onnx"], **given)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("command", "own"),
    [
        (profile, ("batch",)),
        (provenance, ("batch", "budget")),
        (compare, ("batch", "device", "budget", "processes", "backend")),
    ],
)
def test_commands_share_the_defaults_that_they_do_not_change(command: Any, own: Any) -> None:
    usual = {option.name: option.default for option in TABLE.values()}
    for name, parameter in inspect.signature(command).parameters.items():
        if name in usual and name not in own:
            default = usual[name]
            default = default.seconds if isinstance(default, Budget) else default
            assert (parameter.default or default) == default, name


def test_the_request_keeps_what_it_has_a_field_for() -> None:
    asked = replace(job(), options=Options(("m",), **OTHERS))
    stored = request(asked, "digest")
    shared = {field.name for field in fields(Request)} & TABLE.keys()
    assert shared == {
        *("backend", "provider", "runtime", "dims", "threads", "granularity", "timer", "seed"),
        "processes",
        *("iterations", "warmup", "duration", "streams"),
        *("optimization_level", "session_options", "provider_options", "phase"),
    }
    assert {name: getattr(stored, name) for name in shared} == {
        name: OTHERS[name] for name in shared
    }
    assert type(stored.timer) is str
    assert (stored.batch, stored.inputs_sha256) == (asked.table.batch, "digest")
    assert request(job()).provider == job().device.kind
    assert failed(asked, "why").failure == "why"


def test_the_table_loads_no_numpy() -> None:
    code = "import sys, onnxprof.cli.parameters; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
