"""What `--fleet` may say: `ray://HOST:PORT`, `local:N`, or machines that are reached over ssh."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from onnxprof.errors import UsageError

_SSH = re.compile(
    r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>\[[0-9a-fA-F:.%\w]+\]|[\w.-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<path>/.*)?"
)
_RAY = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+):\d{1,5}")
_FORMS = "Write ray://HOST:PORT, local:N or ssh://USER@HOST,USER@HOST"
_MOST_LOCAL = 1024


@dataclass(frozen=True, slots=True)
class SshAddress:
    """A machine that runs a worker for us."""

    host: str
    user: str = ""
    port: int = 0
    """0 for what ~/.ssh/config says, else 22."""
    program: str = ""
    """The onnxprof there; empty for the one on the PATH. A leading `~/` is the home folder."""

    @property
    def node(self) -> str:
        """What the machine is called in events and records: never the user."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def command(self) -> str:
        """The command line for the shell there."""
        if self.program.startswith("~/"):
            program = f'"$HOME"/{shlex.quote(self.program[2:])}'
        else:
            program = shlex.quote(self.program or "onnxprof")
        return f"exec {program} worker --stdio"


@dataclass(frozen=True, slots=True)
class RayAddress:
    """A Ray cluster: its client server, or this machine alone."""

    url: str = ""
    """Empty for a cluster that is started here for the sweep."""
    jobs: int = 0
    """How many jobs at once a cluster of this machine takes."""


Fleet = RayAddress | tuple[SshAddress, ...]


def parse(text: str) -> Fleet:
    """The machines that an option names. Raises UsageError with what is allowed."""
    if text.startswith("ssh://"):
        return _ssh(text)
    if text.startswith("ray://") and _RAY.fullmatch(text.removeprefix("ray://")):
        return RayAddress(url=text)
    if text.startswith("local:"):
        count = text.removeprefix("local:")
        if count.isascii() and count.isdigit() and 0 < int(count) <= _MOST_LOCAL:
            return RayAddress(jobs=int(count))
        raise UsageError(
            f"{text!r} names no number of jobs",
            where="--fleet",
            remedy=f"Write local:1 to local:{_MOST_LOCAL}",
        )
    raise UsageError(f"{text!r} names no fleet", where="--fleet", remedy=_FORMS)


def _ssh(text: str) -> tuple[SshAddress, ...]:
    parts = [part.strip().removeprefix("ssh://") for part in text.split(",")]
    addresses = tuple(_machine(part) for part in parts)
    names = [address.node for address in addresses]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"{twice[0]} is there twice",
            where="--fleet",
            remedy="A worker a device is started by itself: name each machine once",
        )
    return addresses


def _machine(text: str) -> SshAddress:
    match = _SSH.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if match is None or port > 65535:
        raise UsageError(f"{text!r} names no machine", where="--fleet", remedy=_FORMS)
    program = match["path"] or ""
    program = program[1:] if program.startswith("/~/") else program
    return SshAddress(match["host"].strip("[]"), match["user"] or "", port, program)
