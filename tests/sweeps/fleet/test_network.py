"""Sweeps across hosts of the tests' own: network namespaces, one of which is cut off midway."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.fleets import farm
from support.fleets.hosts import Host, host
from support.fleets.sshd import Sshd, sshd, user
from support.fleets.sweeps import Swept, sweep, task

from onnxprof.sweeps import events
from onnxprof.sweeps.fleet.near.addresses import SshAddress
from onnxprof.sweeps.fleet.near.admission import Asked
from onnxprof.sweeps.fleet.near.calls import Pulse

pytest.importorskip("asyncssh", reason="needs onnxprof[ssh]")

DEVICE = "fake:board"
#: Both ends give up after so long a silence.
PULSE = Pulse(beat_s=0.3, silence_s=3.0)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = farm.install(tmp_path / "site")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("FARM_DEVICES", DEVICE)
    return folder


@contextmanager
def machine(tmp_path: Path, site: Path, number: int = 1) -> Iterator[tuple[Host, Sshd, str]]:
    """A host with an sshd, and the program that a sweep is to start there."""
    with host(number) as there, sshd(tmp_path / f"far{number}", there.address, there.within) as far:
        program = far.program(
            PYTHONPATH=str(site),
            FARM_DEVICES=DEVICE,
            FARM_STEP_NS="50000",
            ONNXPROF_LOCKS=str(tmp_path / f"locks{number}"),
        )
        yield there, far, str(program)


def asked(*machines: tuple[Host, Sshd, str]) -> Asked:
    addresses = [SshAddress(far.address, user(), far.port, path) for _, far, path in machines]
    options = machines[0][1].options
    options["known_hosts"] = [str(far.folder / "known_hosts") for _, far, _ in machines]
    options["client_keys"] = [str(far.folder / "user") for _, far, _ in machines]
    return Asked(tuple(addresses), ("farm",), pulse=PULSE, ssh_options=options)


def swept_with_a_cut(request: Asked, there: Host, folder: Path, *, until_noticed: bool) -> Swept:
    """Sweep, cut the host off once it has measured something, and mend that later."""
    cut, noticed = threading.Event(), threading.Event()
    node = f"{there.address}:"

    def hear(event: events.Event) -> None:
        is_there = isinstance(event, events.Finished) and event.job.node.startswith(node)
        if is_there and not cut.is_set():
            there.cut()
            cut.set()
        if isinstance(event, events.Noted) and cut.is_set():
            noticed.set()

    def mend() -> None:
        assert cut.wait(60)
        if until_noticed:
            assert noticed.wait(60)
            time.sleep(PULSE.silence_s)  # the far end gives up, too
        there.mend()

    mending = threading.Thread(target=mend, daemon=True)
    mending.start()
    tasks = [task(seed=seed, batches=(1, 2, 4)) for seed in range(3)]
    swept = sweep(request, tasks, folder, hear)
    mending.join(60)
    assert cut.is_set()
    told = f"{swept.notes}: {swept.of(events.Failed)}"
    assert (swept.ended.finished, swept.ended.failed, swept.ended.left) == (9, 0, 0), told
    requests = [run.request for run in swept.runs]
    assert len(set(requests)) == len(requests) == 9
    return swept


def test_a_host_that_is_cut_off_and_comes_back_goes_on(tmp_path: Path, site: Path) -> None:
    with machine(tmp_path, site) as one:
        swept = swept_with_a_cut(asked(one), one[0], tmp_path / "runs", until_noticed=True)
    assert any(why in swept.notes for why in ("said nothing for 3 s", "its connection broke"))


def test_a_short_cut_is_not_noticed(tmp_path: Path, site: Path) -> None:
    with machine(tmp_path, site) as one:
        request = replace(asked(one), pulse=Pulse(beat_s=0.3, silence_s=60.0))
        swept = swept_with_a_cut(request, one[0], tmp_path / "runs", until_noticed=False)
    assert swept.notes == ""


def test_what_a_lost_host_had_begun_goes_to_the_other(tmp_path: Path, site: Path) -> None:
    with machine(tmp_path, site) as one, machine(tmp_path, site, 2) as two:
        swept = swept_with_a_cut(asked(one, two), one[0], tmp_path / "runs", until_noticed=True)
    assert len(swept.nodes) == 2
