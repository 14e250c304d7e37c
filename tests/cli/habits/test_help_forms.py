"""`--help` of every command at 80 columns: as manuals write it, nothing cut, no Python in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.habits.commands import Done, called
from typer.main import get_command

from onnxprof.cli.lazy import loaded
from onnxprof.cli.main import app

Call = Callable[..., Done]


def paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, member in loaded(command).items():
        yield from paths(member, (*path, name))


@pytest.fixture
def helps(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    monkeypatch.setenv("COLUMNS", "80")
    return {
        " ".join(path): called(capsysbinary, *path, "--help").out
        for path in paths(get_command(app))
    }


def test_help_fits_a_terminal_and_is_whole(helps: dict[str, str]) -> None:
    assert len(helps) > 40
    for words, text in helps.items():
        lines = text.splitlines()
        assert max(map(len, lines)) <= 80, words
        listed = lines[lines.index("Commands:") :] if "Commands:" in lines else []
        assert not [line for line in listed if line.endswith("...")], words


def test_help_names_no_type_of_python(helps: dict[str, str]) -> None:
    for words, text in helps.items():
        assert not re.search(r"<(str|int|float|path|list|bool)|\[\[|\{[A-Z]", text), words


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("inspect", "MODEL"),
        ("profile", "MODEL..."),
        ("runs show", "[RUN]"),
        ("align", "[RUN]..."),
        ("runs tag", "[RUN]... TAG"),
        ("sweep run", "PLAN.toml"),
    ],
)
def test_usage_is_written_as_manuals_do(words: str, usage: str, helps: dict[str, str]) -> None:
    assert helps[words].startswith(f"Usage: onnxprof {words} [OPTIONS] {usage}\n")


def test_long_lists_of_choices_stand_in_the_description(helps: dict[str, str]) -> None:
    text = " ".join(helps["runs export"].replace("-\n", "-").split())
    assert "--format FORMAT Default: as the file's name ends, else csv." in text
    assert "csv, spreadsheet, json, parquet, chrome" in text
    assert "--format table|json|csv" in helps["runs list"]
