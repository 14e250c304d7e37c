"""This machine as part of a Ray cluster: `ray start` with its devices announced as resources."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence

from onnxprof.errors import FleetError, UsageError
from onnxprof.plugins import registry
from onnxprof.sweeps.fleet.cluster.nodes import RESOURCE, settings, token_file
from onnxprof.sweeps.fleet.wire.survey import survey

#: Ray's own usual ports: that of the head, and that of its client server.
HEAD_PORT, CLIENT_PORT = 6379, 10001
_MOST_S = 120.0
_ADDRESS = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}")


def devices_here() -> tuple[str, ...]:
    """The ids of the devices that some backend works on here. Raises FleetError for none."""
    found = tuple(survey(registry.backend_names()).devices)
    if not found:
        raise FleetError(
            "no backend works on any device of this machine",
            remedy="See onnxprof doctor for what to install",
        )
    return found


def command(devices: Sequence[str], join: str = "", name: str = "", ip: str = "") -> list[str]:
    """The command that starts Ray here until it is interrupted: as the head, or joining one.

    Raises UsageError for an address without a port.
    """
    if join and not _ADDRESS.fullmatch(join):
        raise UsageError(
            f"{join!r} is no address of a head", where="--join", remedy="Write HOST:6379"
        )
    words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    if join:
        words += ["--address", join]
    else:
        words += ["--head", "--port", str(HEAD_PORT), "--include-dashboard", "false"]
        words += ["--ray-client-server-port", str(CLIENT_PORT)]
    words += ["--disable-usage-stats", "--num-cpus", "1", "--num-gpus", "0"]
    words += ["--node-name", name or platform.node()]
    words += ["--node-ip-address", ip] if ip else []
    return [*words, "--resources", json.dumps({RESOURCE + id: 1 for id in devices})]


def token() -> str:
    """Where the token of a cluster that starts here is, made if need be; empty for older Rays."""
    words = [sys.executable, "-m", "ray.scripts.scripts", "get-auth-token", "--generate"]
    if not token_file().is_file():
        subprocess.run(words, capture_output=True, check=False, timeout=_MOST_S)
    return str(token_file()) if token_file().is_file() else ""


def start(words: Sequence[str]) -> None:
    """Become Ray. Raises FleetError where it is not installed."""
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise FleetError(
            f"Ray cannot be imported: {error}", remedy='pip install "onnxprof[fleet]"'
        ) from None
    os.environ |= settings()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(words[0], list(words))
