"""The options that say which runs are meant: the same in every command that reads runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from onnxprof.cli.choosing import OF_A_MODEL, OF_STORES, WHICH, Which
from onnxprof.cli.main import app
from onnxprof.errors import NoRunError, UsageError
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

COMMANDS = {
    **dict.fromkeys(("phases", "scaling", "align", "report"), WHICH),
    **dict.fromkeys(("runs list", "runs show", "runs export", "runs tag", "runs untag"), WHICH),
    **dict.fromkeys(("runs prune", "runs remove"), WHICH),
    "site build": WHICH,
    **dict.fromkeys(("runs history", "advise", "repro"), OF_A_MODEL),
    "runs pack": OF_STORES,
}


def options(words: str) -> dict[str, tuple[object, ...]]:
    """By the long flag: help, metavar, whether it may be repeated, all flags."""
    found: Any = typer.main.get_command(app)
    for word in words.split():
        _, found, _ = found.resolve_command(found.context_class(found), [word])
    return {
        max(each.opts, key=len): (each.help, each.metavar, each.multiple, tuple(each.opts))
        for each in found.params
        if each.param_type_name == "option"
    }


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_all_of_them_with_one_help(words: str) -> None:
    usual, mine = options("runs list"), options(words)
    for name in COMMANDS[words]:
        assert mine[f"--{name}"] == usual[f"--{name}"], name


def test_what_a_table_is_printed_as_is_one_option_too() -> None:
    for flag in ("--format", "--output"):
        assert len({options(words)[flag] for words in ("phases", "scaling", "align")}) == 1
        assert options("align")[flag] == options("compare")[flag]


@pytest.fixture
def stores(tmp_path: Path) -> list[str]:
    """Two stores: a decoder in three phases, and a network at two sizes of an axis."""
    made = sample_run("decoder")
    for phase in ("prefill:128", "decode:128", "decode:512"):
        request = replace(made.request, phase=phase)
        Store(tmp_path / "a").save(replace(made, request=request))
    for size in (16, 64):
        request = replace(made.request, model_name="net", dims=(("past", size),))
        Store(tmp_path / "b").save(replace(made, request=request))
    return [f"--store={tmp_path / name}" for name in "ab"]


def listed(stores: list[str], *words: str) -> int:
    result = CliRunner().invoke(app, ["runs", "list", "--format", "csv", *stores, *words])
    assert result.exception is None, result.exception
    return len(result.stdout.splitlines()) - 1


def test_runs_are_chosen_by_phase_and_size(stores: list[str]) -> None:
    assert listed(stores) == 5
    assert listed(stores, "--phase", "decode") == 2
    assert listed(stores, "--phase", "decode:512") == 1
    assert listed(stores, "--phase", "prefill:128", "--phase", "decode:128..512") == 3
    assert listed(stores, "--dim", "past=16") == 1
    assert listed(stores, "--backend", "nothing,fake") == 5


def test_commands_on_several_runs_take_several_stores(stores: list[str]) -> None:
    result = CliRunner().invoke(app, ["phases", "--format", "csv", *stores, "--phase", "decode"])
    assert result.exception is None, result.exception
    assert "decode:512" in result.stdout
    assert "prefill" not in result.stdout


def test_advice_is_on_the_runs_that_are_chosen(stores: list[str]) -> None:
    def titles(*words: str) -> set[tuple[str, str]]:
        given = ["advise", "--format", "json", *stores, *words]
        result = CliRunner().invoke(app, given, standalone_mode=False)
        assert result.exception is None, result.exception
        return {(each["model"], str(each)) for each in json.loads(result.stdout)}

    every = titles()
    assert {name for name, _ in every} == {"decoder", "net"}
    assert {name for name, _ in titles("--dim", "past=16")} == {"net"}
    chosen = titles("--phase", "decode:512")
    assert {name for name, _ in chosen} == {"decoder"}
    assert len(chosen) < len(every)


def test_a_site_has_the_runs_that_are_chosen(stores: list[str], tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="needs onnxprof[site]")

    def built(*words: str) -> Result:
        given = ["site", "build", "--out", str(tmp_path / "public"), *stores, *words]
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, result.output
        return result

    assert built("--phase", "decode").stdout.startswith("1 model, 2 runs")
    assert built("--model", "net").stdout.startswith("1 model, 2 runs")
    assert "No stored run matches these filters" in built("--model", "nothing").stderr


def test_a_step_is_looked_up_in_every_store(stores: list[str], tmp_path: Path) -> None:
    words = ["repro", "", "--layer", "/block/gemm_2", "-o", str(tmp_path / "step")]

    def refused(*more: str) -> UsageError:
        error = CliRunner().invoke(app, [*words, *more], standalone_mode=False).exception
        assert isinstance(error, UsageError), error
        return error

    assert refused(*stores, "--dim", "past=64").where == "zoo:decoder"  # of which no file is made
    assert isinstance(refused(stores[0], "--dim", "past=64"), NoRunError)
    assert isinstance(refused(*stores, "--phase", "decode:7"), NoRunError)


def test_a_phase_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="is not KIND:SIZE"):
        _ = Which(phase=["decoding"]).filters
    with pytest.raises(UsageError, match="is no size or range"):
        _ = Which(phase=["decode:x"]).filters


def test_runs_of_other_phases_are_never_compared(stores: list[str]) -> None:
    files = [str(path) for path in sorted(Path(stores[0].partition("=")[2]).rglob("*.parquet"))]
    for more in ((), ("--force",)):
        words = ["compare", files[0], files[1], *more]
        error = CliRunner().invoke(app, words, standalone_mode=False).exception
        assert isinstance(error, UsageError), error
        assert "phase differs: " in str(error)
        assert "onnxprof phases puts phases side by side" in error.remedy


def test_align_says_which_phases_there_are(stores: list[str]) -> None:
    words = ["align", stores[0]]
    error = CliRunner().invoke(app, words, standalone_mode=False).exception
    assert isinstance(error, UsageError), error
    assert "phase differs: " in str(error)
    assert "Choose one with --phase" in error.remedy


def test_align_says_which_sizes_there_are(tmp_path: Path) -> None:
    made = sample_run("net")
    for past, new in ((0, 1), (64, 1), (0, 16)):
        for backend in ("ort", "torch"):
            dims = (("new", new), ("other", 3), ("past", past))
            request = replace(made.request, dims=dims, backend=backend)
            Store(tmp_path).save(replace(made, request=request))
    words = ["align", "--over", "past", f"--store={tmp_path}"]
    error = CliRunner().invoke(app, words, standalone_mode=False).exception
    assert isinstance(error, UsageError), error
    told = str(error).partition("axes differ: ")[2].partition(". ")[0]
    assert set(told.split("; ")) == {"new=1, other=3", "new=16, other=3"}
    chosen = error.remedy.removeprefix("Choose ").split(" or ")
    assert set(chosen) == {"--dim new=1", "--dim new=16"}
    result = CliRunner().invoke(app, [*words, "--dim", "new=1"], standalone_mode=False)
    assert result.exception is None, result.exception
