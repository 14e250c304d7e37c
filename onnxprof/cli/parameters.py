"""Parameters of commands, made for typer from the table of options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from onnxprof.cli.options import parse_batches, parse_pairs
from onnxprof.errors import UsageError, choices, did_you_mean
from onnxprof.jobs.options import TABLE, Option
from onnxprof.measure.budget import Budget
from onnxprof.model.dims import grammar
from onnxprof.sequences.grammar import single

#: Of the commands that load a model on one runtime.
SaveOptimized = Annotated[
    Path | None,
    typer.Option(
        "--save-optimized",
        metavar="FILE",
        help="Write the executed graph: .onnx by ort, .xml by openvino.",
    ),
]
#: Of the commands that measure models with states.
Phases = Annotated[
    list[str] | None,
    typer.Option(
        "--phase",
        metavar="KIND:SIZES",
        help="Of a model with states, repeatable: prefill:512, decode:512..2048, steps:16.",
    ),
]
#: Of those that measure in one phase at one size: their own words.
ONE_PHASE = "Of a model with states: prefill:512, decode:512 or steps:16."
#: By the option's name as Python writes it, the field of `Options`.
_FIELDS = {option.name.replace("-", "_"): field for field, option in TABLE.items()}


@dataclass(frozen=True, slots=True)
class Own:
    """A command's own help, default or least value of an option of the table."""

    help: str = ""
    default: Any = None
    least: float | None = None


#: `--dim` of a command that measures once.
ONE_SIZE = Own("One size of a free axis: 128; or tied to others: past+new.")


def takes(*names: str, **own: Own) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """A decorator that gives a command these parameters, in this order.

    Names are the function's own parameters or options of the table. The latter are passed as the
    function's first argument: a dict by the fields of `Options`.
    """

    names = tuple(name.replace("-", "_") for name in names)

    def decorate(function: Callable[..., int]) -> Callable[..., int]:
        mine = inspect.signature(function, eval_str=True).parameters
        signature = inspect.Signature(
            [
                mine[name] if name in mine else _parameter(TABLE[_FIELDS[name]], own.get(name))
                for name in names
            ]
        )

        @wraps(function)
        def command(*positional: Any, **given: Any) -> int:
            bound = signature.bind(*positional, **given)
            bound.apply_defaults()
            asked = {
                _FIELDS[name]: _value(TABLE[_FIELDS[name]], value)
                for name, value in bound.arguments.items()
                if name not in mine
            }
            rest = {name: value for name, value in bound.arguments.items() if name in mine}
            return function(asked, **rest)

        command.__signature__ = signature  # type: ignore[attr-defined]
        return command

    return decorate


def _parameter(option: Option, own: Own | None) -> inspect.Parameter:
    """A parameter as typer reads it from a signature."""
    own = own or Own()
    usual = option.default if own.default is None else own.default
    kind, default = _given(option, usual)
    shown: dict[str, Any] = {"show_default": option.usual} if option.usual else {}
    flags: tuple[str, ...] = (option.flag, option.also) if option.also else ()
    flags = (f"{option.flag}/--no-{option.name}",) if kind is bool else flags
    least = option.least if own.least is None else own.least
    details = typer.Option(
        *flags,
        help=own.help or option.help,
        metavar=option.metavar,
        min=least,
        max=option.most,
        **shown,
    )
    return inspect.Parameter(
        option.name.replace("-", "_"),
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        default=default,
        annotation=Annotated[kind, details],
    )


def _given(option: Option, default: Any) -> tuple[Any, Any]:
    """(type, default) of the option as typer needs them."""
    if isinstance(default, Budget):
        return float, default.seconds
    if isinstance(default, StrEnum):
        return str, default.value
    if isinstance(default, tuple):
        return (str, option.texts(default)[0]) if default else (list[str] | None, None)
    if default is None:
        return option.kind | None if option.kind else str | None, None
    return type(default), default


def _value(option: Option, given: Any) -> Any:
    """A field of `Options` from what typer gives. Raises UsageError."""
    if isinstance(option.default, Budget):
        return Budget(given)
    if isinstance(option.default, StrEnum):
        return _choice(option, given)
    read = _READERS.get(option.flag)
    return given if read is None else read(given)


def _choice(option: Option, text: str) -> StrEnum:
    kind: type[StrEnum] = type(option.default)
    try:
        return kind(text)
    except ValueError:
        known = [choice.value for choice in kind]
        remedy = f"{did_you_mean(text, known)}Choose {choices(known)}"
        raise UsageError(f"no {option.name} {text!r}", remedy=remedy) from None


def _sizes(given: str | int) -> tuple[int, ...]:
    return (given,) if isinstance(given, int) else parse_batches(given)


def _axes(given: Sequence[str] | None) -> grammar.Dims:
    return tuple(grammar.parse(given or []).items())


def _named(flag: str) -> Callable[[Any], Any]:
    return lambda given: parse_pairs(given or [], flag)


def _file(given: str | Path) -> str:
    return str(Path(given).resolve()) if given else ""


#: By flag: how a value from typer becomes that of the field, where the two differ.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "--batch": _sizes,
    "--dim": _axes,
    "--inputs": _file,
    "--phase": single,
    **{flag: _named(flag) for flag in ("--session-option", "--provider-option")},
}
