"""`onnxprof worker`: measure what another machine's sweep sends here."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.errors import UsageError


def worker(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Take tasks on stdin and send results on stdout.")
    ] = False,
) -> int:
    """Measure what another machine's `sweep --fleet` sends; it starts this by itself."""
    if not stdio:
        raise UsageError(
            "a worker is started by `onnxprof sweep --fleet`",
            remedy="By hand it needs --stdio, and messages on its stdin",
        )
    from onnxprof.sweeps.fleet.far.pipe import Pipe
    from onnxprof.sweeps.fleet.far.worker import serve
    from onnxprof.sweeps.here import Here

    return serve(Pipe.of_streams(), Here)
