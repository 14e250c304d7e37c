"""The options of a measurement as a TypedDict and as a table, made from the one table of options.

    python -m support.api.options    writes both into onnxprof/api/options.py and docs/python.md

`make house` calls it; `tests/api/test_api_options.py` holds both files to this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from enum import Enum, StrEnum
from typing import Any, get_type_hints

from onnxprof.jobs.options import TABLE, Option, Options
from onnxprof.measure.budget import Budget
from support.places import ROOT

#: Options that functions have as parameters of their own.
OWN = ("backend", "batches", "phase")
MODULE, PAGE = ROOT / "onnxprof" / "api" / "options.py", ROOT / "docs" / "python.md"
MARKS = {
    MODULE: ("# options: made by `make house`\n", "# end of options\n"),
    PAGE: ("<!-- options: made by `make house` -->\n", "<!-- end of options -->\n"),
}


def asked() -> Iterator[tuple[str, Option, str]]:
    """(field, its option, its type as a user gives it) for each option of the TypedDict."""
    hints = get_type_hints(Options)
    for each in fields(Options):
        if each.name in TABLE and each.name not in OWN:
            yield each.name, TABLE[each.name], given(each.name, hints[each.name])


def given(name: str, kind: Any) -> str:
    """The type that stands for a field's type. Raises KeyError for one that has none yet."""
    if name == "inputs":
        return "str | PathLike[str]"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"Literal[{', '.join(repr(each.value) for each in kind)}]".replace("'", '"')
    plain: dict[Any, str] = {
        Budget: "float",
        bool: "bool",
        int: "int",
        int | None: "int | None",
        float: "float",
        float | None: "float | None",
        str: "str",
        tuple[tuple[str, int | str], ...]: "Mapping[str, int | str | Iterable[int | str]]",
        tuple[tuple[str, str], ...]: "Mapping[str, str]",
    }
    return plain[kind]


def typed_dict() -> str:
    """The class, for a type checker."""
    lines = [
        "class Measuring(TypedDict, total=False):",
        '    """Options of a measurement; those that are left out have the command\'s defaults."""',
        "",
    ]
    for name, option, kind in asked():
        lines += [f"    {name}: {kind}", f'    """{help_of(option)}"""']
    return "\n".join([*lines, "\n\n"])


def help_of(option: Option) -> str:
    """What the command says of the option, without what it says of its default."""
    return f"{option.help.partition(' [default')[0].rstrip('.')}."


def table() -> str:
    """A row an option, as Markdown."""
    lines = ["", "| option | type | default | |", "| --- | --- | --- | --- |"]
    for name, option, kind in asked():
        shown = f"`{kind}`".replace("|", "\\|")
        lines.append(f"| `{name}` | {shown} | {default(option)} | {help_of(option)} |")
    return "\n".join([*lines, "", ""])


def default(option: Option) -> str:
    """The default as a user would give it; empty where nothing is meant."""
    value = option.default
    if isinstance(value, Budget):
        return f"`{value.seconds:g}`"
    if isinstance(value, Enum):
        return f'`"{value.value}"`'
    return "" if value in ("", (), None) else f"`{value!r}`"


def written(text: str, begin: str, end: str, new: str) -> str:
    """The text with `new` between its marks."""
    before, _, rest = text.partition(begin)
    return f"{before}{begin}{new}{end}{rest.partition(end)[2]}"


def module(text: str) -> str:
    """onnxprof/api/options.py with the class of today."""
    return written(text, *MARKS[MODULE], typed_dict())


def page(text: str) -> str:
    """docs/python.md with the table of today."""
    return written(text, *MARKS[PAGE], table())


if __name__ == "__main__":
    MODULE.write_text(module(MODULE.read_text("utf-8")), "utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
