"""The documents name what there is, and their links lead somewhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from support.places import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)[^)]*\)|(?:src|href)=\"([^\"]+)\"")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def names(documents: list[Path]) -> str:
    return "\n".join(path.read_text("utf-8") for path in documents)


def links(text: str) -> Iterator[str]:
    """Targets of links outside of code."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    yield from (match[1] or match[2] for match in LINK.finditer(prose))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for link in links(document.read_text("utf-8")):
        path = link.partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            assert (document.parent / path).exists(), f"{document.name}: {link}"


def commands() -> Iterator[str]:
    """`profile`, `runs list`, … as a user types them."""
    from onnxprof.cli.lazy import load
    from onnxprof.cli.main import COMMANDS

    for name, entry in COMMANDS.items():
        children = getattr(load(name, entry), "commands", {})
        yield from (f"{name} {child}" for child in children)
        if not children:
            yield name


def test_the_documents_name_every_command() -> None:
    text = names(DOCUMENTS)
    missing = [name for name in commands() if not re.search(rf"\b{name}\b", text)]
    assert missing == []
    readme = (ROOT / "README.md").read_text("utf-8")
    unnamed = [name for name in commands() if name.partition(" ")[0] not in readme]
    assert unnamed == []


def test_every_command_of_the_list_has_its_help() -> None:
    from onnxprof.cli.lazy import load
    from onnxprof.cli.main import COMMANDS

    for name, entry in COMMANDS.items():
        assert isinstance(load(name, entry), typer.core.TyperCommand | typer.core.TyperGroup)
        assert entry.help.endswith(".")


@pytest.mark.parametrize("group", sorted(PROJECT["entry-points"]))
def test_the_readme_names_every_plugin(group: str) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in PROJECT["entry-points"][group]:
        assert f"`{name}`" in readme


def distribution(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement, maxsplit=1)[0]


def test_every_dependency_says_why_it_is_one() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    extras = PROJECT["optional-dependencies"].values()
    wanted = [*PROJECT["dependencies"], *(entry for extra in extras for entry in extra)]
    lines = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    names = {distribution(entry) for entry in wanted} - {PROJECT["name"]}
    assert sorted(lines) == sorted(names)


def test_the_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert PROJECT["version"] in headings or headings == ["Unreleased"]


def test_the_licence_is_the_standard_text() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.lstrip().startswith("Apache License\n")
    assert len(text) == 11_358


#: Files that onnxprof writes.
WRITTEN = {"run.py"}


def test_the_modules_that_the_documents_name_are_there() -> None:
    homes = (ROOT, ROOT / "onnxprof", ROOT / "tests" / "hostile")
    named = {
        (page.name, name)
        for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for name in re.findall(r"`([a-z_0-9/]+\.py)`", page.read_text("utf-8"))
        if name not in WRITTEN
    }
    lost = {each for each in named if not any((home / each[1]).is_file() for home in homes)}
    assert len(named) > 20
    assert lost == set()
