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
    from pathlib import Path
    from typing import Annotated

    def measure(
        model: str,
        seconds: Annotated[float, typer.Option(min=1)] = 2.0,
        rounds: int = 3,
        name: Annotated[list[str] | None, typer.Option()] = None,
        to: Annotated[Path | None, typer.Option()] = None,
    ):
        typer.echo(repr((model, seconds, rounds, name, to)))
"""


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (["m"], "('m', 2.0, 3, None, None)"),
        (["7", "--seconds", "2.0", "--rounds", "3"], "('7', 2.0, 3, None, None)"),
        (["m", "--seconds", "5", "--rounds", "1"], "('m', 5.0, 1, None, None)"),
        (["m", "--name", "a", "--name", "b"], "('m', 2.0, 3, ['a', 'b'], None)"),
    ],
)
def test_values_are_what_typer_makes_of_them(arguments, values, tmp_path: Path) -> None:
    (tmp_path / "lazy_commands.py").write_text(dedent(MEASURE))
    table = {"measure": Lazy("lazy_commands", "measure", "")}
    lazy = typer.Typer(cls=lazy_group(table), add_completion=False)
    lazy.callback()(lambda: None)
    whole = typer.Typer(add_completion=False)
    lines = (tmp_path / "lazy_commands.py").read_text()
    space: dict = {}
    exec(lines, space)
    whole.command()(space["measure"])
    said = CliRunner().invoke(lazy, ["measure", *arguments])
    assert said.output == f"{values}\n"
    assert CliRunner().invoke(whole, arguments).output == said.output


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--rounds", "x"], []])
def test_invalid_values_are_still_refused(wrong, tmp_path: Path) -> None:
    (tmp_path / "lazy_commands.py").write_text(dedent(MEASURE))
    table = {"measure": Lazy("lazy_commands", "measure", "")}
    lazy = typer.Typer(cls=lazy_group(table), add_completion=False)
    lazy.callback()(lambda: None)
    model = ["m"] if wrong else []
    assert CliRunner().invoke(lazy, ["measure", *model, *wrong]).exit_code == 2


def test_a_command_with_defaults_and_texts_imports_no_pydantic() -> None:
    code = (
        "import sys; sys.argv = ['onnxprof', 'inspect', 'no-such-file.onnx', '--batch', '1,2']\n"
        "from onnxprof.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code)\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('pydantic', 'onnx')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n[]\n"
