"""A second host: a network namespace of the test's own, joined to this one by a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

#: Addresses for documentation and tests (RFC 5737), of which no network has any.
_NETWORK = "198.51.100"


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace and its cable."""

    name: str
    cable: str
    address: str

    @property
    def within(self) -> tuple[str, ...]:
        """What runs a command there."""
        return ("ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self.cable, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self.cable, "up")


@contextmanager
def host(number: int = 1) -> Iterator[Host]:
    """A host; the test is skipped where the system makes none."""
    name = f"onnxprof-{os.getpid()}-{number}"
    near, far = f"op{os.getpid() % 10**7}n{number}", f"op{os.getpid() % 10**7}f{number}"
    subnet = 4 * ((2 * os.getpid() + number) % 60)
    mine, theirs = f"{_NETWORK}.{subnet + 1}", f"{_NETWORK}.{subnet + 2}"
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces here: there is no `ip`")
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no network namespaces here: {made.stderr.strip()}")
    try:
        try:
            _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
            _ip("addr", "add", f"{mine}/30", "dev", near)
            _ip("link", "set", near, "up")
            _ip("-n", name, "addr", "add", f"{theirs}/30", "dev", far)
            _ip("-n", name, "link", "set", far, "up")
            _ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
        yield Host(name, near, theirs)
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", near], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, text=True, check=True)
