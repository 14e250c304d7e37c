"""An option that takes one value and is given twice is refused; a parser would drop the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from onnxprof.errors import UsageError


def refuse_repeats(command: Any) -> None:
    """Have a command raise UsageError for what it would read the last value of."""
    command.make_parser = partial(_parser, command.make_parser)


def _parser(make: Callable[[Any], Any], context: Any) -> Any:
    parser = make(context)
    parser.parse_args = partial(_parse, parser.parse_args)
    return parser


def _parse(parse: Callable[..., Any], args: list[str]) -> Any:
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
