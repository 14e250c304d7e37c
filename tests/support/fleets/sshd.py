"""A real sshd on the loopback address, with keys of its own, for one test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_CONFIG = """
ListenAddress {address}
Port {port}
HostKey {folder}/host
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
AllowTcpForwarding no
ClientAliveInterval 1
ClientAliveCountMax 3
"""


@dataclass(slots=True)
class Sshd:
    """A server that runs, and what a client needs to reach it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    address: str = "127.0.0.1"

    @property
    def options(self) -> dict[str, Any]:
        """Options of asyncssh's `connect`, which keep it from the user's own files."""
        return {
            "client_keys": [str(self.folder / "user")],
            "known_hosts": str(self.folder / "known_hosts"),
            "config": None,
            "agent_path": None,
        }

    def program(self, name: str = "onnxprof", **variables: str) -> Path:
        """A script that runs this onnxprof with folders of the test's own."""
        path = self.folder / name
        given = {"ONNXPROF_CACHE": self.folder / f"{name}-cache", "PYTHONPATH": ""} | variables
        given |= {"ONNXPROF_LOCKS": os.environ.get("ONNXPROF_LOCKS", str(self.folder / "locks"))}
        lines = [f"export {key}='{value}'" for key, value in given.items()]
        lines.append(f"exec '{sys.executable}' -m onnxprof \"$@\"")
        path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        path.chmod(0o700)
        return path


def binary() -> str:
    """Where sshd is; the test is skipped where it is not installed."""
    found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no sshd here: install openssh-server")
    return found


def key(path: Path) -> str:
    """A new key pair; returns the public half."""
    path.unlink(missing_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True
    )
    return path.with_suffix(".pub").read_text("utf-8").strip()


@contextmanager
def sshd(folder: Path, address: str = "127.0.0.1", within: tuple[str, ...] = ()) -> Iterator[Sshd]:
    """A server that lets this user in with a key of the test's own.

    `within` is a command that runs it elsewhere, as in a network namespace.
    """
    program, port = binary(), _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "authorized").write_text(key(folder / "user") + "\n")
    (folder / "known_hosts").write_text(f"[{address}]:{port} {key(folder / 'host')}\n")
    (folder / "config").write_text(_CONFIG.format(folder=folder, port=port, address=address))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    command = [*within, program, "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _await(folder / "log", process)
        yield Sshd(folder, port, process, address)
    finally:
        process.terminate()
        process.wait(10)


def user() -> str:
    """Who is let in."""
    return getpass.getuser()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(log: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        text = log.read_text("utf-8", "replace")
        if "listening on" in text:
            return
        if process.poll() is not None:
            pytest.fail(f"sshd ended: {text}")
        time.sleep(0.02)
    pytest.fail("sshd did not start")
