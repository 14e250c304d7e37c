"""Sweeps over ssh, against a real sshd on the loopback address that each test starts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.fleets import farm
from support.fleets.sshd import Sshd, key, sshd, user
from support.fleets.sweeps import sweep, task
from support.networks import models

from onnxprof.errors import FleetError
from onnxprof.sweeps import events
from onnxprof.sweeps.fleet.near.addresses import SshAddress
from onnxprof.sweeps.fleet.near.admission import Asked
from onnxprof.sweeps.fleet.near.calls import Pulse

pytest.importorskip("asyncssh", reason="needs onnxprof[ssh]")

DEVICE = "fake:board"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The farm's backend, here and there."""
    folder = farm.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("FARM_DEVICES", DEVICE)
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "far") as running:
        yield running


def asked(*servers: Sshd, site: Path, **variables: str) -> Asked:
    given = {"PYTHONPATH": str(site), "FARM_DEVICES": DEVICE, "FARM_STEP_NS": "50000"} | variables
    addresses = [
        SshAddress(server.address, user(), server.port, str(server.program(**given)))
        for server in servers
    ]
    known = [str(server.folder / "known_hosts") for server in servers]
    options = servers[0].options | {"known_hosts": known if len(known) > 1 else known[0]}
    options["client_keys"] = [str(server.folder / "user") for server in servers]
    return Asked(tuple(addresses), ("farm",), pulse=Pulse(0.5, 20.0), ssh_options=options)


def workers(server: Sshd) -> list[psutil.Process]:
    """The workers that an sshd has started."""
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            words = process.cmdline()
            found += [process] if words[-2:] == ["worker", "--stdio"] else []
    return found


def test_results_come_back_and_nothing_stays(server: Sshd, site: Path, tmp_path: Path) -> None:
    below: list[psutil.Process] = []

    def look(event: events.Event) -> None:
        if isinstance(event, events.Finished):
            below.extend(workers(server))

    swept = sweep(asked(server, site=site), [task()], tmp_path / "runs", look)
    assert (swept.ended.finished, swept.ended.left) == (2, 0)
    node = f"{server.address}:{server.port}"
    assert swept.nodes == {node: 2}
    assert {dict(run.environment)["node"] for run in swept.runs} == {node}
    assert {run.device.id for run in swept.runs} == {DEVICE}
    assert below
    _, alive = psutil.wait_procs(below, timeout=20)
    assert alive == []


def test_a_model_is_sent_once_with_its_data(server: Sshd, site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    (folder / "data").mkdir(parents=True)
    path = models.external(models.lenet(), folder, "data/weights.bin")
    tasks = [task(str(path), seed=seed) for seed in range(3)]
    request = asked(server, site=site)
    swept = sweep(request, tasks, tmp_path / "runs")
    assert swept.ended.finished == 6
    assert {run.model.reference for run in swept.runs} == {path.name}
    assert {run.request.model_name for run in swept.runs} == {path.stem}
    kept = server.folder / "onnxprof-cache" / "fleet"
    assert [each.name[:64] for each in kept.iterdir()] == [swept.runs[0].request.model_sha256]
    assert list(kept.glob("*/data/weights.bin"))
    times = {each: each.stat().st_mtime_ns for each in kept.glob("*/*.onnx")}
    sweep(request, tasks, tmp_path / "others")
    assert {each: each.stat().st_mtime_ns for each in kept.glob("*/*.onnx")} == times


def test_a_model_whose_data_lie_elsewhere_is_sent_nowhere(
    server: Sshd, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(1 << 20))
    folder = tmp_path / "models"
    folder.mkdir()
    path = models.external(models.lenet(), folder, "../secret.bin")
    swept = sweep(asked(server, site=site), [task(str(path))], tmp_path / "runs")
    assert swept.ended.failed == 2
    assert "outside the model's folder" in swept.of(events.Failed)[0].reason
    assert not list((server.folder / "onnxprof-cache").rglob("*.bin"))


def test_a_file_of_inputs_goes_along(server: Sshd, site: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", Input3=np.zeros((1, 1, 28, 28), np.float32))
    path = models.save(models.lenet(), tmp_path)
    given = task(str(path), inputs=str(tmp_path / "in.npz"), batches=(1,))
    swept = sweep(asked(server, site=site), [given], tmp_path / "runs")
    assert swept.ended.finished == 1
    assert swept.runs[0].request.inputs_sha256
    assert swept.of(events.Finished)[0].job.key == swept.of(events.Started)[0].job.key


def test_a_stored_job_is_not_run_again(server: Sshd, site: Path, tmp_path: Path) -> None:
    request = asked(server, site=site)
    sweep(request, [task(batches=(1,))], tmp_path / "runs")
    swept = sweep(request, [task(batches=(1, 2))], tmp_path / "runs")
    assert [event.job.batch for event in swept.of(events.AlreadyStored)] == [1]
    assert [event.job.batch for event in swept.of(events.Finished)] == [2]
    assert len(swept.runs) == 2


def test_a_model_that_is_gone_fails_alone(server: Sshd, site: Path, tmp_path: Path) -> None:
    tasks = [task(str(tmp_path / "gone.onnx")), task()]
    swept = sweep(asked(server, site=site), tasks, tmp_path / "runs")
    assert (swept.ended.finished, swept.ended.failed) == (2, 2)
    assert "there is no such file" in swept.of(events.Failed)[0].reason


def test_two_machines_with_one_device_share_its_jobs(site: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(sshd(tmp_path / name)) for name in ("a", "b")]
        request = asked(*servers, site=site, ONNXPROF_LOCKS="")
        swept = sweep(request, [task(seed=seed) for seed in range(6)], tmp_path / "runs")
    assert swept.ended.finished == 12
    names = {f"127.0.0.1:{server.port}" for server in servers}
    assert set(swept.nodes) == names
    assert {dict(run.environment)["node"] for run in swept.runs} == names


@pytest.mark.posix
def test_a_killed_worker_loses_nothing(server: Sshd, site: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(event: events.Event) -> None:
        if isinstance(event, events.Finished) and not killed:
            for process in workers(server):
                killed.append(process.pid)
                process.send_signal(signal.SIGKILL)

    tasks = [task(batches=(1, 2, 4), seed=seed) for seed in range(2)]
    swept = sweep(asked(server, site=site), tasks, tmp_path / "runs", kill)
    assert killed
    assert (swept.ended.finished, swept.ended.failed, swept.ended.left) == (6, 0, 0)
    requests = [run.request for run in swept.runs]
    assert len(requests) == len(set(requests)) == 6
    assert "its worker ended with SIGKILL" in swept.notes


@pytest.mark.posix
def test_a_job_that_takes_its_worker_down_fails_alone(
    server: Sshd, site: Path, tmp_path: Path
) -> None:
    deadly = task(batches=(1,), seed=13)
    bound = replace(deadly, device_id=DEVICE, device_kind="fake")

    def kill(event: events.Event) -> None:
        if isinstance(event, events.Started) and event.job.key.startswith(bound.key):
            for process in workers(server):
                process.send_signal(signal.SIGKILL)

    swept = sweep(asked(server, site=site), [deadly, task()], tmp_path / "runs", kill)
    assert (swept.ended.finished, swept.ended.failed) == (2, 1)
    assert "was lost 3 times" in swept.of(events.Failed)[0].reason


def test_a_machine_without_the_runtime_is_named(server: Sshd, site: Path, tmp_path: Path) -> None:
    request = asked(server, site=site, FARM_DEVICES="")
    swept = sweep(request, [task()], tmp_path / "runs")
    assert swept.ended.failed == 2
    reason = swept.of(events.Failed)[0].reason
    assert "no farm here (set FARM_DEVICES)" in reason
    assert str(server.port) in reason


def test_other_versions_are_refused_or_recorded(server: Sshd, site: Path, tmp_path: Path) -> None:
    other = farm.install(tmp_path / "other", version="2.0")
    request = asked(server, site=other)
    with pytest.raises(FleetError, match=r"farm-runtime 2\.0, here farm-runtime 1\.0"):
        sweep(request, [task()], tmp_path / "runs")
    mixed = Asked(
        request.fleet, request.backends, True, request.pulse, ssh_options=request.ssh_options
    )
    swept = sweep(mixed, [task()], tmp_path / "runs")
    assert "measures with other versions" in swept.notes
    assert {dict(run.environment)["farm-runtime"] for run in swept.runs} == {"2.0"}


def test_a_changed_host_key_is_refused(server: Sshd, site: Path, tmp_path: Path) -> None:
    key(tmp_path / "another")
    public = (tmp_path / "another.pub").read_text("utf-8")
    (server.folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {public}")
    with pytest.raises(FleetError, match="its host key has changed") as caught:
        sweep(asked(server, site=site), [task()], tmp_path / "runs")
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}'" in str(caught.value)
    assert not (server.folder / "onnxprof-cache").exists()


def test_an_unknown_host_key_is_not_taken(server: Sshd, site: Path, tmp_path: Path) -> None:
    (server.folder / "known_hosts").write_text("")
    with pytest.raises(FleetError, match="its host key is not in"):
        sweep(asked(server, site=site), [task()], tmp_path / "runs")


def test_a_machine_that_does_not_know_the_user_is_named(
    server: Sshd, site: Path, tmp_path: Path
) -> None:
    request = asked(server, site=site)
    key(server.folder / "user")
    with pytest.raises(FleetError, match="lets nobody in with the keys that are here"):
        sweep(request, [task()], tmp_path / "runs")


def test_a_machine_without_onnxprof_is_named(server: Sshd, site: Path, tmp_path: Path) -> None:
    address = SshAddress(server.address, user(), server.port, "/nowhere/onnxprof")
    request = asked(server, site=site)
    there = Asked((address,), ("farm",), pulse=request.pulse, ssh_options=request.ssh_options)
    with pytest.raises(FleetError, match=r"Install onnxprof there, or say where it is: ssh://"):
        sweep(there, [task()], tmp_path / "runs")


def test_one_machine_of_two_is_enough(server: Sshd, site: Path, tmp_path: Path) -> None:
    request = asked(server, site=site)
    assert isinstance(request.fleet, tuple)
    both = (*request.fleet, SshAddress("127.0.0.1", user(), 1))
    swept = sweep(
        Asked(both, ("farm",), pulse=request.pulse, ssh_options=request.ssh_options),
        [task()],
        tmp_path / "runs",
    )
    assert swept.ended.finished == 2
    assert "left out: 127.0.0.1:1: cannot be reached" in swept.notes


def test_nothing_of_the_user_is_in_a_record(server: Sshd, site: Path, tmp_path: Path) -> None:
    swept = sweep(asked(server, site=site), [task(batches=(1,))], tmp_path / "runs")
    assert not any(os.fspath(tmp_path) in value for _, value in swept.runs[0].environment)
