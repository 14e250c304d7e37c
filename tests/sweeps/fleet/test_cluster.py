"""Sweeps over a Ray cluster of fake nodes with fake devices."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.fleets import farm
from support.fleets.rays import Rays, rays
from support.fleets.sweeps import sweep, task

from onnxprof.errors import FleetError
from onnxprof.sweeps import events
from onnxprof.sweeps.fleet.cluster.nodes import SETTINGS
from onnxprof.sweeps.fleet.near.addresses import RayAddress
from onnxprof.sweeps.fleet.near.admission import Asked

pytest.importorskip("ray", reason="needs onnxprof[fleet]")
pytestmark = pytest.mark.cluster

#: Loopback alone, and nothing in the user's folders.
OURS = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "disabled"}
GPU, NPU = "fake:gpu", "fake:npu"


@pytest.fixture(scope="module", autouse=True)
def _bounded() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        # Ray stays on the loopback address where it takes this for a system without clusters.
        patch.setattr("ray._private.ray_constants.ENABLE_RAY_CLUSTER", False)
        for name, value in (SETTINGS | OURS).items():
            patch.setenv(name, value)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rays]:
    """A head without machines; one that lost some is not lent on, as it notices that late."""
    site = farm.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with rays(tmp_path, site, port) as running:
        yield running


def asked(url: str, mixed: bool = False) -> Asked:
    return Asked(RayAddress(url), ("farm",), mixed)


def test_jobs_go_where_their_device_is(cluster: Rays, tmp_path: Path) -> None:
    cluster.add("a", GPU)
    cluster.add("b", NPU)
    cluster.add("c")
    tasks = [task(device=device, seed=seed) for device in (GPU, NPU) for seed in range(2)]
    swept = sweep(asked(cluster.client), tasks, tmp_path / "runs")
    assert swept.ended.finished == 8
    assert swept.nodes == {"a": 4, "b": 4}
    places = {(dict(run.environment)["node"], run.device.id) for run in swept.runs}
    assert places == {("a", GPU), ("b", NPU)}
    assert "c announces no devices" in swept.notes
    assert not [name for run in swept.runs for name, _ in run.environment if "OMP_NUM" in name]


def test_a_node_that_is_killed_loses_nothing(cluster: Rays, tmp_path: Path) -> None:
    cluster.add("a", GPU)
    cluster.add("b", GPU)
    lost: list[str] = []

    def lose(event: events.Event) -> None:
        if isinstance(event, events.Finished) and not lost:
            lost.append(event.job.node)
            cluster.lose(event.job.node)

    tasks = [task(seed=seed, batches=(1, 2, 4)) for seed in range(4)]
    swept = sweep(asked(cluster.address), tasks, tmp_path / "runs", lose)
    assert (swept.ended.finished, swept.ended.failed, swept.ended.left) == (12, 0, 0)
    requests = [run.request for run in swept.runs]
    assert len(set(requests)) == len(requests) == 12
    assert f"{lost[0]}: " in swept.notes


def test_jobs_wait_for_a_lost_node_that_comes_back(cluster: Rays, tmp_path: Path) -> None:
    cluster.add("a", GPU)
    cluster.add("b", NPU)
    measured, noticed, found = threading.Event(), threading.Event(), []

    def hear(event: events.Event) -> None:
        if isinstance(event, events.Finished) and event.job.node == "a":
            measured.set()
        if isinstance(event, events.Noted):
            noticed.set()

    def work() -> None:
        tasks = [task(device=GPU, seed=seed) for seed in range(8)]  # more than end before the kill
        tasks += [task(device=NPU, seed=seed) for seed in range(2)]
        found.append(sweep(asked(cluster.address), tasks, tmp_path / "runs", hear))

    sweeping = threading.Thread(target=work, daemon=True)
    sweeping.start()
    assert measured.wait(120)
    cluster.lose("a")
    assert noticed.wait(120)
    cluster.add("again", GPU)
    sweeping.join(120)
    swept = found[0]
    assert (swept.ended.finished, swept.ended.left) == (20, 0)
    assert Counter(run.device.id for run in swept.runs) == {GPU: 16, NPU: 4}
    assert set(swept.nodes) == {"a", "b", "again"}


def test_a_node_with_another_runtime_is_left_out(cluster: Rays, tmp_path: Path) -> None:
    other = farm.install(tmp_path / "other", version="2.0")
    cluster.add("a", GPU)
    cluster.add("b", GPU, PYTHONPATH=str(other))
    swept = sweep(asked(cluster.address), [task(), task(seed=1)], tmp_path / "runs")
    assert swept.nodes == {"a": 4}
    assert "left out: b: measures with other versions: farm-runtime 2.0" in swept.notes


def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="Ray cannot be reached"):
        sweep(asked("ray://127.0.0.1:1"), [task()], tmp_path / "runs")


def test_a_cluster_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = farm.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(site))
    for name, value in (
        ("PYTHONPATH", str(site)),
        ("FARM_DEVICES", f"{GPU},{NPU}"),
        ("FARM_STEP_NS", "50000"),
    ):
        monkeypatch.setenv(name, value)
    here = Asked(RayAddress(jobs=1), ("farm",))
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    running, most = 0, 0

    def count(event: events.Event) -> None:
        nonlocal running, most
        running += isinstance(event, events.Started)
        most = max(most, running)
        running -= isinstance(event, events.Finished)

    swept = sweep(here, [task(device="all", batches=(1,))], tmp_path / "runs", count)
    assert {run.device.id for run in swept.runs} == {GPU, NPU}
    assert most == 1
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before]
    _, alive = psutil.wait_procs(left, timeout=20)
    assert not [p for p in alive if "ray" in " ".join(p.cmdline())]
