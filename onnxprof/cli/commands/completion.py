"""`onnxprof completion`: the script that makes a shell complete commands, options and values."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.completing.scripts import SCRIPTS, Shell
from onnxprof.cli.output import deliver


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh, fish or powershell.")],
) -> None:
    """Print the script that completes onnxprof in a shell; its first lines say how to load it."""
    deliver(SCRIPTS[shell])
