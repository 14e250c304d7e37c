"""A fleet on a Ray cluster: connected to, or started here, and its devices made into lanes."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.sweeps.fleet.cluster.lanes import Cluster, Lane
from onnxprof.sweeps.fleet.cluster.nodes import RESOURCE, Node, nodes, settings
from onnxprof.sweeps.fleet.near.addresses import RayAddress
from onnxprof.sweeps.fleet.near.admission import Asked, Gate, Opened, Say, admit
from onnxprof.sweeps.fleet.near.devices import Machines
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.wire.survey import Survey, survey
from onnxprof.sweeps.places import Place

_MANY = 1 << 16
#: Models go over in small parts, and nothing of them stays in Ray's store.
_OBJECTS = 80 * 2**20
_INSTALL = 'pip install "onnxprof[fleet]"'
_REACH = "Is the head running, and is its token (~/.ray/auth_token) here? See docs/fleet.md"
_ANNOUNCE = "Start Ray there with `onnxprof worker --join HOST:PORT`"


@contextmanager
def opened_cluster(asked: Asked, address: RayAddress, stock: Stock, say: Say) -> Iterator[Opened]:
    """The cluster's devices as places, until the body ends."""
    gate = Gate(asked, say)
    with _connected(asked, address):
        cluster = Cluster(asked.backends, asked.pulse, gate.refusal)
        slots = threading.Semaphore(address.jobs or _MANY)
        found = nodes()
        lanes = {
            node.name: [
                Lane(cluster, device_id, stock, slots)
                for device_id, count in node.devices.items()
                for _ in range(count)
            ]
            for node in found
        }
        try:
            admitted = admit(_surveyed(found, lanes, say), gate, say)
            for name in lanes.keys() - admitted.keys():
                cluster.parked += [lane.relay for lane in lanes.pop(name)]
            places: list[Place] = [lane for those in lanes.values() for lane in those]
            yield Opened(tuple(places), Machines(admitted))
        finally:
            for those in lanes.values():
                for lane in those:
                    lane.stop()


def _surveyed(
    found: tuple[Node, ...], lanes: dict[str, list[Lane]], say: Say
) -> dict[str, Survey | OnnxprofError]:
    """What each machine has, its lanes ready; all machines are asked at once."""
    answers: dict[str, Survey | OnnxprofError] = {}

    def ask(node: Node) -> None:
        try:
            for lane in lanes[node.name]:
                lane.settle(node.id)
            line = lanes[node.name][0].line
            answers[node.name] = line.survey if line else FleetError("has no worker")
        except OnnxprofError as error:
            answers[node.name] = error

    asked = [node for node in found if node.devices]
    for node in found:
        if not node.devices and not node.is_head_alone:
            say(f"{node.name} announces no devices. {_ANNOUNCE}")
    threads = [threading.Thread(target=ask, args=(node,), daemon=True) for node in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {node.name: answers[node.name] for node in asked}


@contextmanager
def _connected(asked: Asked, address: RayAddress) -> Iterator[None]:
    """Connect to Ray, or start it here; what was started here ends with the body."""
    os.environ |= settings()
    try:
        import ray
    except ImportError as error:
        raise FleetError(f"Ray cannot be imported: {error}", remedy=_INSTALL) from None
    given: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address.url:
        given |= {"address": address.url}
    else:
        here = survey(asked.backends)
        given |= {"address": "local", "include_dashboard": False, "num_cpus": address.jobs}
        given |= {"object_store_memory": _OBJECTS, "_node_name": "here"}
        given |= {"resources": {RESOURCE + id: 1 for id in here.devices}}
    try:
        with (
            warnings.catch_warnings()
        ):  # what it warns of is the error below, or of no concern here
            warnings.simplefilter("ignore")
            ray.init(**given)
    except Exception as error:  # refused, of another version, not to be started
        with suppress(Exception):
            ray.shutdown()
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise FleetError(
            f"Ray cannot be reached: {why}",
            where=address.url or f"local:{address.jobs}",
            remedy=_REACH,
        ) from None
    try:
        yield
    finally:
        with suppress(Exception):
            ray.shutdown()
