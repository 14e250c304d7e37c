"""`onnxprof worker`: measure what another machine's sweep sends here."""

from __future__ import annotations

from typing import Annotated

import typer

from onnxprof.cli.output import say


def worker(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Take tasks on stdin, send results on stdout.")
    ] = False,
    head: Annotated[
        bool, typer.Option("--head", help="Start the head of a Ray cluster here.")
    ] = False,
    join: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Join the Ray cluster of that head.")
    ] = "",
    name: Annotated[
        str, typer.Option(help="What this machine is called there [default: its host name].")
    ] = "",
    ip: Annotated[
        str, typer.Option(help="The address that the others reach it at [default: Ray's choice].")
    ] = "",
) -> int:
    """Measure what another machine's `sweep --fleet` sends.

    Over ssh the sweep starts it by itself, with --stdio. With --head or --join this machine and
    its devices are part of a Ray cluster until you interrupt it.
    """
    from onnxprof.errors import UsageError

    if [stdio, head, bool(join)].count(True) != 1:
        raise UsageError(
            "a worker needs one of --stdio, --head and --join",
            remedy="Over ssh `onnxprof sweep --fleet ssh://USER@HOST` starts it by itself",
        )
    if not stdio:
        _be_part_of_a_cluster(join, name, ip)
        return 0
    from onnxprof.sweeps.fleet.far.pipe import Pipe
    from onnxprof.sweeps.fleet.far.worker import serve
    from onnxprof.sweeps.here import Here

    return serve(Pipe.of_streams(), Here)


def _be_part_of_a_cluster(join: str, name: str, ip: str) -> None:
    from onnxprof.sweeps.fleet.cluster import joining

    devices = joining.devices_here()
    words = joining.command(devices, join, name, ip)
    say(f"announces {', '.join(devices)}")
    host = join.rpartition(":")[0] or ip or "THIS-HOST"
    say(f"to sweep here: onnxprof sweep PLAN.toml --fleet ray://{host}:{joining.CLIENT_PORT}")
    if not join:
        if place := joining.token():
            say(f"who is to join or sweep needs a copy of {place}")
        say(f"to add a machine: onnxprof worker --join {host}:{joining.HEAD_PORT}")
    joining.start(words)
