"""A fleet over ssh: its machines called and made into places, a place for each device."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from onnxprof.errors import OnnxprofError
from onnxprof.sweeps.fleet.near.addresses import SshAddress
from onnxprof.sweeps.fleet.near.admission import Asked, Gate, Opened, Say, admit
from onnxprof.sweeps.fleet.near.devices import Machines
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.near.tally import Tally
from onnxprof.sweeps.fleet.ssh.client import Loop, SshLine, SshNode
from onnxprof.sweeps.fleet.ssh.remote import RemoteDevice
from onnxprof.sweeps.places import Place


@contextmanager
def opened_over_ssh(
    asked: Asked, addresses: Sequence[SshAddress], stock: Stock, say: Say
) -> Iterator[Opened]:
    """The machines as places, until the body ends."""
    loop, tally = Loop(), Tally()
    nodes = [SshNode(a, asked.backends, loop, asked.pulse, asked.ssh_options) for a in addresses]
    try:
        lines: dict[str, SshLine | OnnxprofError] = called(nodes)
        surveys = {
            name: line if isinstance(line, OnnxprofError) else line.survey
            for name, line in lines.items()
        }
        admitted = admit(surveys, Gate(asked, say), say)
        places: list[Place] = []
        for node in nodes:
            seen = admitted.get(node.name)
            for number, device_id in enumerate(seen.devices if seen else ()):
                line = lines[node.name] if number == 0 else None
                first = line if isinstance(line, SshLine) else None
                places.append(
                    RemoteDevice(node, device_id, admitted[node.name], stock, tally, first)
                )
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
