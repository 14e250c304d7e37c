"""`onnxprof sweep PLAN.toml` and its subcommands."""

from __future__ import annotations

from typing import Any

import typer

from onnxprof.cli.lazy import Lazy, lazy_group

_PLACE = "onnxprof.cli.commands.sweeping"
_TABLE = {
    "run": Lazy(f"{_PLACE}.run", "run", "Measure what is left of a plan; may be left out."),
    "init": Lazy(f"{_PLACE}.init", "init", "Write a plan with comments, for what works here."),
}
_HELP = ("-h", "--help")


class _PlanGroup(lazy_group(_TABLE)):  # type: ignore[misc]
    """Takes `sweep PLAN.toml` for `sweep run PLAN.toml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As ever, with `run` before what is no subcommand."""
        if args and args[0] not in (*self.commands, *_HELP):
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_PlanGroup,
    help="Measure what a plan lists: onnxprof sweep PLAN.toml. Again, it does what is left.",
    no_args_is_help=True,
)
