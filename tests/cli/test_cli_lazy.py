"""The lazy command group: lists without importing, runs functions and groups of commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import typer
from typer.testing import CliRunner, Result

from onnxprof.cli.lazy import Lazy, lazy_group

COMMANDS = """
    import typer
    from typing import Annotated

    def greet(name: str, loud: Annotated[bool, typer.Option("--loud", help="Shout.")] = False):
        \"\"\"Greet someone at length.\"\"\"
        typer.echo(f"hello {name}" + ("!" if loud else ""))
        raise typer.Exit(3 if loud else 0)

    rooms = typer.Typer(no_args_is_help=True, help="Rooms and more.")

    @rooms.command("list")
    def list_rooms(count: int = 2):
        \"\"\"List rooms.\"\"\"
        typer.echo(f"{count} rooms")
"""
TABLE = {
    "greet": Lazy("lazy_commands", "greet", "Greet someone."),
    "rooms": Lazy("lazy_commands", "rooms", "Look at rooms."),
    "broken": Lazy("lazy_module_that_is_not_there", "x", "Cannot be imported."),
}


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lazy_commands.py").write_text(dedent(COMMANDS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "lazy_commands", raising=False)


def run(*arguments: str) -> Result:
    app = typer.Typer(cls=lazy_group(TABLE), rich_markup_mode=None, add_completion=False)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, arguments)


def test_help_lists_every_command_and_imports_none() -> None:
    shown = run("--help").output
    for name, entry in TABLE.items():
        assert f"{name}" in shown
        assert entry.help in shown
    assert "lazy_commands" not in sys.modules


def test_a_function_is_a_command() -> None:
    assert run("greet", "you").output == "hello you\n"
    assert run("greet", "you", "--loud").exit_code == 3
    shown = run("greet", "--help").output
    assert "Greet someone at length." in shown
    assert "--loud" in shown
    assert "greet [OPTIONS]" in shown


def test_a_group_has_its_subcommands() -> None:
    assert run("rooms", "list", "--count", "5").output == "5 rooms\n"
    assert "rooms list [OPTIONS]" in run("rooms", "list", "--help").output
    assert "List rooms." in run("rooms", "--help").output


def test_an_unknown_command_is_answered_with_the_nearest() -> None:
    result = run("gret")
    assert result.exit_code == 2
    assert "No such command 'gret'" in result.output
    assert "greet" in result.output


def test_a_command_that_cannot_be_imported_is_an_error_only_when_used() -> None:
    assert isinstance(run("broken").exception, ModuleNotFoundError)


MEASURE = """
    import typer
    from enum import StrEnum
    from pathlib import Path
    from typing import Annotated

    class Form(StrEnum):
        TABLE = "table"
        CSV = "csv"

    def measure(
        model: list[str],
        seconds: Annotated[float, typer.Option(min=1, max=9)] = 2.0,
        rounds: Annotated[int, typer.Option(min=0)] = 3,
        name: Annotated[list[str] | None, typer.Option()] = None,
        to: Annotated[Path | None, typer.Option()] = None,
        there: Annotated[Path | None, typer.Option(exists=True)] = None,
        form: Form = Form.TABLE,
        close: Annotated[int, typer.Option(max=5, clamp=True)] = 1,
        loud: Annotated[bool, typer.Option("--loud/--quiet")] = False,
    ):
        typer.echo(repr((model, seconds, rounds, name, to, there, form, close, loud)))
"""


def measured(folder: Path, arguments: list[str]) -> tuple[Result, Result]:
    """Results of a command of a lazy group, and of the same function as typer's own command."""
    text = dedent(MEASURE)
    (folder / "lazy_commands.py").write_text(text)
    table = {"measure": Lazy("lazy_commands", "measure", "")}
    lazy = typer.Typer(cls=lazy_group(table), add_completion=False, rich_markup_mode=None)
    lazy.callback()(lambda: None)
    whole = typer.Typer(add_completion=False, rich_markup_mode=None)
    space: dict = {"__name__": "lazy_commands"}
    exec(text, space)
    whole.command()(space["measure"])
    return CliRunner().invoke(lazy, ["measure", *arguments]), CliRunner().invoke(whole, arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "m",
        "7 8 --seconds 2.0 --rounds 3",
        "m --seconds 5 --rounds 1",
        "m --seconds 1.5e0 --rounds 1_0",
        "m --name a --name b --to x --quiet",
        "m --to . --there . --loud",
        "m --form csv",
        "m --close 9",
        "m --rounds +4 --close -2 --seconds .5e1",
        "m --rounds 4.0",
    ],
)
def test_values_are_what_typer_makes_of_them(arguments: str, tmp_path: Path) -> None:
    ours, theirs = measured(tmp_path, arguments.split())
    assert ours.exit_code == 0
    assert ours.output == theirs.output != ""


@pytest.mark.parametrize(
    "arguments",
    [
        "m --seconds 0",
        "m --seconds 10",
        "m --seconds nan",
        "m --rounds x",
        "m --rounds -1",
        "m --rounds 1.5",
        "m --there no/such/file",
        "",
    ],
)
def test_invalid_values_are_refused_as_typer_does(arguments: str, tmp_path: Path) -> None:
    ours, theirs = measured(tmp_path, arguments.split())
    assert (ours.exit_code, theirs.exit_code) == (2, 2)
    last = theirs.output.splitlines()[-1].replace("'model'", "'MODEL'")  # as help writes it
    assert ours.output.splitlines()[-1] == last


def test_a_choice_that_is_none_has_a_close_one(tmp_path: Path) -> None:
    ours, theirs = measured(tmp_path, ["m", "--form", "CSV"])
    assert (ours.exit_code, theirs.exit_code) == (2, 2)
    assert "no such value: 'CSV'. Did you mean csv? Choose table or csv" in ours.output


@pytest.mark.parametrize("number", ["inf", "1e300", "1000001"])
def test_a_number_that_would_overflow_is_refused(number: str, tmp_path: Path) -> None:
    refused = run_with_free_seconds(tmp_path, number)
    assert refused.exit_code == 2
    assert "'--seconds'" in refused.output
    assert "more than 1000000" in refused.output
    assert run_with_free_seconds(tmp_path, "1000000").output == "1000000.0\n"


def run_with_free_seconds(folder: Path, number: str) -> Result:
    (folder / "lazy_commands.py").write_text(
        "import typer\ndef measure(seconds: float = 1.0): typer.echo(seconds)\n"
    )
    app = typer.Typer(cls=lazy_group({"measure": Lazy("lazy_commands", "measure", "")}))
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["measure", "--seconds", number])


def test_a_path_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    ours, theirs = measured(tmp_path, ["m", "--to", str(tmp_path)])
    assert "is not readable" in ours.output
    assert ours.output.splitlines()[-1] == theirs.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "code", "unused"),
    [
        ("inspect no-such-file.onnx --batch 1,2 -o x.csv --dim a=1", 2, ("pydantic", "onnx")),
        ("profile m --budget 0.5 --threads 1 --store x", 2, ("pydantic", "onnx", "pyarrow")),
        ("runs list --store no-such-store --format json", 0, ("pydantic", "onnx", "numpy")),
        ("compare no-such-a no-such-b", 2, ("pydantic", "onnx")),
    ],
)
def test_a_command_imports_no_more_than_it_uses(
    arguments: str, code: int, unused: tuple[str, ...]
) -> None:
    text = (
        f"import sys; sys.argv = ['onnxprof', *{arguments.split()}]\n"
        "from onnxprof.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        f"print(sorted(m for m in sys.modules if m.split('.')[0] in {unused}))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [str(code), "[]"]
