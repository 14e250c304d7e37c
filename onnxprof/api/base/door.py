"""Messages as Python's users need them: `--dim seq=128` is `dims={"seq": 128}` here.

What is below the API names options as the command line has them. The functions of the API are the
door through which a message leaves: each knows its own parameters, and options that are none of
them stay as they are.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.options import TABLE

#: What stands behind `**options`; phases are a parameter of their own.
_MEASURING = frozenset(TABLE) - {"phase"}
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")
#: By the name of an option what parameters may be called, besides its own name.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    **{option.name: (field, f"{field}s") for field, option in TABLE.items()},
    "batch": ("batches", "batch"),
    "tag": ("tags",),
    "output": ("path", "output"),
}
_SWITCHES = {option.name for option in TABLE.values() if isinstance(option.default, bool)} | {
    *("force", "wait", "layer-errors", "bisect", "symbolic")
}
#: An option, and behind it what can only be a value: a figure, a pair, a placeholder, a word that
#: some option takes.
_WORDS = (
    "ort|openvino|torch|tensorrt|cpu|cuda|eager|compile|written|executed|auto|trace|prefix|cupti"
    "|disable|basic|extended|layout|all"
)
_VALUE = rf"[^\s`'\"]*(?:[=:](?=\S)|\d)[^\s`'\"]*|[A-Z]+(?![a-z])|(?:{_WORDS})(?!\w)"
_OPTION = re.compile(rf"--(no-)?([a-z][a-z-]*[a-z])(?:[ =]({_VALUE}))?")
#: Parameters of the function that is at work.
_PARAMETERS: ContextVar[frozenset[str]] = ContextVar("parameters", default=frozenset())


def public(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """A function of the API, whose errors and warnings name its own arguments."""
    known = _parameters(function)

    @wraps(function)
    def called(*given: _Given.args, **options: _Given.kwargs) -> _Result:
        before = _PARAMETERS.set(known)
        try:
            return function(*given, **options)
        except OnnxprofError as error:
            error.what, error.remedy = in_python(error.what), in_python(error.remedy)
            error.args = (error.what,)
            raise
        finally:
            _PARAMETERS.reset(before)

    return called


def _parameters(function: Callable[..., object]) -> frozenset[str]:
    """Names of the arguments; `**options` are those of a measurement."""
    found = inspect.signature(function).parameters.values()
    options = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in found)
    return frozenset(each.name for each in found) | (_MEASURING if options else frozenset())


def arguments() -> frozenset[str]:
    """What the function that is at work takes, for a message about one that it does not."""
    return _PARAMETERS.get()


def in_python(text: str) -> str:
    """The text with the arguments of the function that is at work in place of options."""
    parts: list[str] = []
    pairs: dict[str, dict[str, str]] = {}
    end = 0
    for match in _OPTION.finditer(text):
        name = _parameter(match[2])
        between = text[end : match.start()]
        value, rest = _split(match[3] or "")
        is_pair = "=" in value and name in ("dims", "session_options", "provider_options")
        if pairs and not (is_pair and name in pairs and not between.strip()):
            parts.append(_joined(pairs))
            pairs = {}
        if not pairs:
            parts.append(between)
        end = match.end() - len(rest)
        if not name:
            parts.append(text[match.start() : end])
        elif is_pair:
            key, _, size = value.partition("=")
            pairs.setdefault(name, {})[key] = _literal(size, name != "dims")
        else:
            parts.append(_argument(name, match[2], value, is_off=bool(match[1])))
    return "".join([*parts, *([_joined(pairs)] if pairs else []), text[end:]])


def _parameter(option: str) -> str:
    """The parameter that is meant; empty where the function has none."""
    plain = option.replace("-", "_")
    names = (*_FIELDS.get(option, ()), plain)
    return next((name for name in names if name in _PARAMETERS.get()), "")


def _split(value: str) -> tuple[str, str]:
    """A value, and the stop or bracket behind it that belongs to the sentence."""
    bare = value.rstrip(".,;:)")
    return bare, value[len(bare) :]


def _joined(pairs: Mapping[str, Mapping[str, str]]) -> str:
    [(name, found)] = pairs.items()
    items = ", ".join(f'"{key}": {value}' for key, value in found.items())
    return f"{name}={{{items}}}"


def _argument(name: str, option: str, value: str, *, is_off: bool) -> str:
    if option in _SWITCHES:
        return f"{name}={not is_off}"
    return f"{name}={_literal(value)}" if value else name


def _literal(value: str, is_text: bool = False) -> str:
    """The value as Python has it; a placeholder such as SIZE stays one."""
    if re.fullmatch(r"[A-Z]+", value):
        return value
    if is_text:
        return f'"{value}"'
    items: Sequence[str] = value.split(",")
    if all(re.fullmatch(r"\d+(\.\d+)?", item) for item in items):
        return value if len(items) == 1 else f"[{', '.join(items)}]"
    return f'"{value}"'
