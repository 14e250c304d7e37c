"""A fleet from what `--fleet` says: its machines called, compared, and made into places."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.sweeps.fleet.addresses import Fleet, RayAddress, SshAddress
from onnxprof.sweeps.fleet.calls import Pulse
from onnxprof.sweeps.fleet.devices import Machines
from onnxprof.sweeps.fleet.remote import RemoteDevice
from onnxprof.sweeps.fleet.stock import Stock
from onnxprof.sweeps.fleet.survey import Survey, survey
from onnxprof.sweeps.fleet.tally import Tally
from onnxprof.sweeps.fleet.versions import Standard, refusal
from onnxprof.sweeps.places import Place

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """A fleet that is ready."""

    places: tuple[Place, ...]
    machines: Machines


@dataclass(frozen=True, slots=True)
class Asked:
    """What a user asked of a fleet."""

    fleet: Fleet
    backends: tuple[str, ...]
    """Those of the plan: no machine is asked for others."""
    mixed_versions: bool = False
    pulse: Pulse = field(default_factory=Pulse)
    ssh_options: Mapping[str, Any] = field(default_factory=dict)
    """Further options of asyncssh's `connect`."""


@contextmanager
def opened(asked: Asked, stock: Stock, say: Say) -> Iterator[Opened]:
    """The fleet, until the body ends; `say` hears which machines are left out, and why.

    Raises FleetError where no machine is left.
    """
    if isinstance(asked.fleet, RayAddress):
        from onnxprof.sweeps.fleet.cluster import opened_cluster

        with opened_cluster(asked, asked.fleet, stock, say) as fleet:
            yield fleet
        return
    with _opened_over_ssh(asked, asked.fleet, stock, say) as fleet:
        yield fleet


@contextmanager
def _opened_over_ssh(
    asked: Asked, addresses: Sequence[SshAddress], stock: Stock, say: Say
) -> Iterator[Opened]:
    from onnxprof.sweeps.fleet.ssh import Loop, SshLine, SshNode

    loop, tally = Loop(), Tally()
    nodes = [SshNode(a, asked.backends, loop, asked.pulse, asked.ssh_options) for a in addresses]
    try:
        lines: dict[str, SshLine | OnnxprofError] = called(nodes)
        surveys = {
            name: line if isinstance(line, OnnxprofError) else line.survey
            for name, line in lines.items()
        }
        admitted = admit(surveys, asked, say)
        places = []
        for node in nodes:
            seen, line = admitted.get(node.name), lines[node.name]
            for device_id in seen.devices if seen else ():
                first = line if isinstance(line, SshLine) else None
                lines[node.name] = FleetError("its line is in use")
                places.append(RemoteDevice(node, device_id, seen, stock, tally, first))
        yield Opened(tuple(places), Machines(admitted))
    finally:
        for node in nodes:
            node.close()
        loop.close()


def called(nodes: Iterable[Any]) -> dict[str, Any]:
    """Each machine's first worker, or why there is none; all are called at once."""
    found: dict[str, Any] = {}

    def call(node: Any) -> None:
        try:
            found[node.name] = node.worker()
        except OnnxprofError as error:
            found[node.name] = error

    threads = [threading.Thread(target=call, args=(node,), daemon=True) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {node.name: found[node.name] for node in nodes}


def admit(
    surveys: Mapping[str, Survey | OnnxprofError | None], asked: Asked, say: Say
) -> dict[str, Survey]:
    """The machines that may measure. Raises FleetError where there is none."""
    standard = Standard(survey(asked.backends))
    admitted: dict[str, Survey] = {}
    refused: list[OnnxprofError] = []
    for node, seen in surveys.items():
        if not isinstance(seen, Survey):
            refused.append(seen or FleetError("says nothing of itself", where=node))
            continue
        differences = standard.differences(node, seen)
        if differences and not asked.mixed_versions:
            refused.append(refusal(node, differences))
            continue
        if differences:
            say(f"{node} measures with other versions: {'; '.join(differences)}")
        admitted[node] = seen
        _tell_missing(node, seen, say)
    if not admitted:
        raise FleetError("; ".join(map(str, refused)) or "there is no machine in the fleet")
    for error in refused:
        say(f"left out: {error}")
    return admitted


def _tell_missing(node: str, seen: Survey, say: Say) -> None:
    for runtime in seen.runtimes:
        if not runtime.devices:
            remedy = f". {runtime.remedy}" if runtime.remedy else ""
            say(f"{node} has no {runtime.backend}: {runtime.reason}{remedy}")
