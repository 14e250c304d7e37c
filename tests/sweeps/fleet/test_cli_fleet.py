"""`onnxprof sweep --fleet` and `--store URL` as a user types them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fleets import farm
from support.fleets.sshd import Sshd, sshd, user

from onnxprof.store.folder import scan

pytest.importorskip("asyncssh", reason="needs onnxprof[ssh]")

PLAN = """
[defaults]
budget = 0.1
parity = false
verify = false
telemetry = false

[[models]]
name = "zoo:lenet"
batch = [1, 2]

[[backends]]
name = "farm"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """A machine whose key and host key lie where a user's do."""
    with sshd(tmp_path / "far") as running:
        keys = tmp_path / "home" / ".ssh"
        keys.mkdir(parents=True, mode=0o700)
        shutil.copy(running.folder / "user", keys / "id_ed25519")
        shutil.copy(running.folder / "known_hosts", keys / "known_hosts")
        farm.install(tmp_path / "site")
        (tmp_path / "plan.toml").write_text(PLAN)
        yield running


def swept(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    given = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "site")}
    given |= {"ONNXPROF_CACHE": str(tmp_path / "cache"), "SSH_AUTH_SOCK": ""}
    command = [sys.executable, "-m", "onnxprof", "sweep", "plan.toml", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=os.environ | given, cwd=tmp_path, check=False
    )


def fleet(server: Sshd, site: Path) -> str:
    path = server.program(PYTHONPATH=str(site), FARM_DEVICES="fake:board", FARM_STEP_NS="50000")
    return f"ssh://{user()}@127.0.0.1:{server.port}{path}"


def test_a_sweep_elsewhere_is_printed_and_resumed(server: Sshd, tmp_path: Path) -> None:
    where = fleet(server, tmp_path / "site")
    first = swept(tmp_path, "--fleet", where)
    assert first.returncode == 0, first.stderr
    node = f"127.0.0.1:{server.port}"
    lines = first.stdout.splitlines()
    assert lines[0].startswith("2 jobs: 0 in the store, 2 left")
    assert [f" of {node}, b" in line for line in lines[1:]] == [True, True]
    assert "2 measured" in first.stderr
    again = swept(tmp_path, "--fleet", where, "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert "finished" not in {event["event"] for event in events}
    assert len(scan([tmp_path / "runs"])[0]) == 2


def test_a_shared_store_has_the_runs(server: Sshd, tmp_path: Path) -> None:
    url = (tmp_path / "share").as_uri()
    where = fleet(server, tmp_path / "site")
    done = swept(tmp_path, "--fleet", where, "--store", url, "--quiet")
    assert done.returncode == 0, done.stderr
    assert len(scan([tmp_path / "share"])[0]) == 2
    again = swept(tmp_path, "--fleet", where, "--store", url)
    assert len(scan([tmp_path / "share"])[0]) == 2, again.stderr


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("board", "Write ray://HOST:PORT, local:N or ssh://USER@HOST,USER@HOST"),
        ("ssh://127.0.0.1:1", "cannot be reached"),
    ],
)
def test_a_fleet_that_is_none_is_one_line(
    server: Sshd, tmp_path: Path, where: str, told: str
) -> None:
    done = swept(tmp_path, "--fleet", where)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
