"""What every command has: `-v` and `-q`, defaults from a file, no option of one value twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import typer
from typer.main import get_command

from onnxprof.cli import loudness
from onnxprof.cli.defaults.found import File, in_force
from onnxprof.cli.defaults.values import Defaults, check_members, defaults_of
from onnxprof.cli.helping.forms import reshape
from onnxprof.errors import OnnxprofError, UsageError

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is going on, and when.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say less beside the result; with -qq errors alone.")
]
_KEPT = "onnxprof.cli.defaults"


def share(command: Any) -> None:
    """Give a command what every command has; it keeps options of its own with these names."""
    taken = {text for parameter in command.params for text in parameter.opts}
    command.params += [each for each in _options() if not taken.intersection(each.opts)]
    reshape(command)
    command.make_parser = partial(_parser, command.make_parser)
    command.make_context = partial(_context, command, command.make_context)
    command.invoke = partial(_invoke, command.invoke)


def _options() -> list[Any]:
    def hear(verbose: Verbose = False, quiet: Quiet = False) -> None:
        """Both are heeded before the command is parsed, see `onnxprof.cli.loudness`."""

    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(hear)
    options = get_command(app).params
    for option in options:
        option.expose_value = False
    return list(options)


def _context(
    command: Any,
    make: Callable[..., Any],
    name: str | None,
    words: list[str],
    parent: Any = None,
    **extra: Any,
) -> Any:
    """The command's context, with how much is to be said, and the file's defaults."""
    loudness.of_command(words)
    said = {"quiet": True} if loudness.level() <= loudness.QUIET else {}
    file = in_force() if parent is not None else None
    if file is None or name is None:
        return make(name, words, parent=parent, default_map=said, **extra)
    defaults = _defaults(file, command, name, parent)
    values = said | defaults.values
    try:
        context = make(name, words, parent=parent, default_map=values, **extra)
    except Exception as error:
        raise _placed(error, defaults) from None
    context.meta[_KEPT] = defaults
    return context


def _defaults(file: File, command: Any, name: str, parent: Any) -> Defaults:
    """Raises UsageError for what the file has wrong on the way to the command, and for it."""
    root = parent.find_root()
    groups: list[Any] = []
    while parent is not None and parent is not root:
        groups.insert(0, parent)
        parent = parent.parent
    words = [group.info_name for group in groups]
    for depth, group in enumerate(groups, 1):
        check_members(file, words[:depth], group.command.commands)
    return defaults_of(file, command, [*words, name], root.command.commands)


def _placed(error: Exception, defaults: Defaults) -> Exception:
    """The error, with the line of the file where the refused value stands there."""
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    name = str(getattr(parameter, "name", ""))
    if context is None or name not in defaults.keys or not _is_default(context, name):
        return error
    message = getattr(error, "message", "") or str(error)
    return UsageError(message, where=defaults.where(name))


def _is_default(context: Any, name: str) -> bool:
    """Whether a parameter's value is that of the file."""
    return getattr(context.get_parameter_source(name), "name", "") == "DEFAULT_MAP"


def _invoke(invoke: Callable[[Any], Any], context: Any) -> Any:
    """Run the command; an error that names an option set by the file says where."""
    try:
        return invoke(context)
    except OnnxprofError as error:
        defaults: Defaults | None = context.meta.get(_KEPT)
        name = _blamed(error, context, defaults) if defaults and not error.where else ""
        if not name or defaults is None:
            raise
        raise type(error)(error.what, where=defaults.where(name), remedy=error.remedy) from error


def _blamed(error: OnnxprofError, context: Any, defaults: Defaults) -> str:
    """The parameter whose value the file gave and the error is about; empty where it is none."""
    for name, keys in defaults.keys.items():
        option = keys[-1]
        named = f"--{option}" in error.what or error.what.startswith(f"no {option} ")
        if named and _is_default(context, name):
            return name
    return ""


def _parser(make: Callable[[Any], Any], context: Any) -> Any:
    parser = make(context)
    parser.parse_args = partial(_parse, parser.parse_args)
    return parser


def _parse(parse: Callable[..., Any], args: list[str]) -> Any:
    """Raises UsageError for an option of which the parser would keep the last value alone."""
    found = parse(args=args)
    given = Counter(id(parameter) for parameter in found[2] if _takes_one(parameter))
    for parameter in found[2]:
        if given[id(parameter)] > 1:
            raise UsageError(
                f"{parameter.opts[0]} is given {given[id(parameter)]} times and takes one value",
                remedy="Give it once; several values, where it takes them, stand in one list: 1,2",
            )
    return found


def _takes_one(parameter: Any) -> bool:
    if parameter.param_type_name != "option":
        return False
    return not (parameter.multiple or parameter.is_flag or parameter.count)
