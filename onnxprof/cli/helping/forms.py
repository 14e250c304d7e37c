"""Parameters in a command's help as manuals write them: `MODEL...`, `[RUN]`, `--threads N`.

typer would name Python's types (`<list[str]>`, `<int range>`) and put braces around arguments. What
stands behind a name is asked of `make_metavar` by typer 0.26, of `display_type_rich` by later ones.
"""

from __future__ import annotations

from functools import partial
from typing import Any

#: What a value of a Python type is called, by what typer calls it.
_KINDS = {"str": "TEXT", "path": "FILE", "int": "N", "float": "N"}
_KINDS |= {"int range": "N", "float range": "N"}
_KINDS |= {"integer": "N", "integer range": "N", "text": "TEXT", "file": "FILE"}
#: A list of choices that is longer stands in the description.
_LONGEST = 40


def reshape(command: Any) -> None:
    """Have a command's help write its parameters so."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            _argument(parameter)
        else:
            _option(parameter)


def _argument(parameter: Any) -> None:
    name = str(parameter.metavar or parameter.name.upper()).replace("...", "").strip("[]{}")
    many = "..." if parameter.nargs != 1 else ""
    parameter.metavar = name
    usage = f"{name}{many}" if parameter.required else f"[{name}]{many}"
    parameter.get_usage_pieces = partial(_said, [usage])
    parameter._rich_display_name = partial(_said, usage)
    parameter.display_type_rich = partial(_said, "")
    parameter.make_metavar = partial(_said, usage)


def _option(parameter: Any) -> None:
    if parameter.metavar is not None:
        return
    if told := getattr(parameter, "display_type", None):
        parameter.display_type_rich = partial(_kind, parameter, told)
    else:
        parameter.make_metavar = partial(_kind, parameter, parameter.make_metavar)


def _kind(parameter: Any, told: Any, ctx: Any) -> str | None:
    shown: str | None = told(ctx)
    if not shown:
        return None
    bare = str(shown).strip("<>[]")
    if len(bare) <= _LONGEST:
        return _KINDS.get(bare.lower(), bare)
    name = str(parameter.name).rstrip("_").upper()
    if bare not in (parameter.help or ""):
        parameter.help = f"{parameter.help} {bare.replace('|', ', ')}."
    return name


def _said(answer: Any, *_: Any, **__: Any) -> Any:
    return answer
