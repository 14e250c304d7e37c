"""The tour's commands run one after the other on a model, and print what the page shows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from support.docs.reader import bring
from support.docs.tour import LEFT_OUT, PAGE, Told, headings, printed, told
from support.places import ROOT

TEXT = PAGE.read_text("utf-8")
COMMANDS = told(TEXT)
#: What is printed is the same on every machine.
EXACT = ("inspect",)
#: Lines of the page that stand in what is measured on any machine, up to figures.
LABELS = ("(overhead)", "(total)", "Least possible on this machine", "All together")
#: Options that set how long is measured; the suite takes less.
QUICKER = {"--budget": "0.2", "--processes": "2"}


def quicker(each: Told) -> list[str]:
    """The command with less to measure, and otherwise as the page has it."""
    words = each.words
    for option, fewer in QUICKER.items():
        if option in words:
            words[words.index(option) + 1] = "1" if words[0] == "ceilings" else fewer
    return words


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What each command of the page printed, in a folder with the reader's models."""
    for package in ("onnxruntime", "jinja2", "typst"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("tour")
    bring(folder)
    found = {}
    for each in COMMANDS:
        code, lines = printed(quicker(each), folder)
        assert code == 0, f"{each.command}\n" + "\n".join(lines)
        found[each.command] = lines
    assert (folder / "public" / "index.html").is_file()
    assert list((folder / "runs").rglob("*.parquet"))
    return found


def test_the_tour_goes_from_a_model_to_what_to_change() -> None:
    named = [each.words[0] for each in COMMANDS]
    expected = ["inspect", "ceilings", "profile", "runs", "advise", "compare", "site"]
    assert named == expected


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: each.words[0])
def test_the_page_shows_what_is_printed(each: Told, followed: dict[str, list[str]]) -> None:
    now = followed[each.command]
    if each.words[0] in EXACT:
        assert list(each.lines) == now
    assert [head for head in headings(each.lines) if head not in headings(now)] == []
    for label in LABELS:
        if any(label in line for line in each.lines):
            assert any(label in line for line in now), label


@pytest.mark.parametrize("each", COMMANDS, ids=lambda each: each.words[0])
def test_what_the_page_shows_fits_80_columns(each: Told) -> None:
    assert [line for line in each.lines if len(line) > 80] == []
    assert each.lines, "a command without its output: python -m support.docs.tour"


def test_every_column_that_the_page_explains_is_shown() -> None:
    profile = next(each for each in COMMANDS if each.words[0] == "profile")
    assert headings(profile.lines) == ["layer type ms p95 share why"]


def test_every_extra_that_the_page_installs_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {
        word for group in re.findall(r"onnxprof\[([\w,]+)\]", TEXT) for word in group.split(",")
    }
    assert named
    assert named <= project["optional-dependencies"].keys()


def test_commands_in_sentences_are_commands_that_work(tmp_path: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    named = re.findall(r"`onnxprof ([a-z]+)(?: [^`]*)?`", outside)
    assert "doctor" in named
    for name in named:
        code, lines = printed([name, "--help"], tmp_path)
        assert code == 0, lines


def test_a_command_that_is_left_out_has_its_mark() -> None:
    assert [each.words[0] for each in COMMANDS if each.lines[0] == LEFT_OUT] == ["ceilings", "site"]
