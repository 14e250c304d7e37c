"""A Ray cluster as a fleet: Ray has the machines, their devices as resources, and their losses.

For each device there is a lane, which holds a relay on a machine with that device. Where a machine
is lost, Ray puts a new relay where the device is free, or keeps it waiting until it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.sweeps.fleet.cluster.nodes import RESOURCE, names
from onnxprof.sweeps.fleet.cluster.relay import Relay
from onnxprof.sweeps.fleet.near.calls import Call, Pulse, Sent, greet
from onnxprof.sweeps.fleet.near.devices import fits
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.near.tally import Tally
from onnxprof.sweeps.fleet.wire.frames import Frame, encoded
from onnxprof.sweeps.fleet.wire.lines import Heard
from onnxprof.sweeps.fleet.wire.survey import Survey
from onnxprof.sweeps.places import Desk, PlaceLostError
from onnxprof.sweeps.tasks import Task

#: How long one question to a relay may take beyond what it waits itself.
_ANSWER_S, _READ_S = 60.0, 2.0
_START_S = 90.0
_LOOK_S = 0.5


class DisconnectedError(FleetError):
    """The cluster itself is no longer reached, so that no machine of it can come back."""


@dataclass(slots=True)
class RayLine:
    """Messages to a worker through its relay."""

    node: str
    relay: Any
    heard: Heard
    survey: Survey
    """What the machine has."""

    def send(self, frame: Frame) -> None:
        """Send a message."""
        _asked(self.relay.write.remote(encoded(frame)), self.node, _ANSWER_S)

    def next(self) -> Frame:
        """The next message."""
        while not self.heard.is_ready:
            answer = self.relay.read.remote(_READ_S)
            data, ending = _asked(answer, self.node, _READ_S + _ANSWER_S)
            if data:
                self.heard.add(data)
            if ending:
                self.heard.over(ending)
        return self.heard.next()


@dataclass(slots=True)
class Cluster:
    """What the lanes of a cluster share."""

    backends: tuple[str, ...]
    pulse: Pulse
    refuses: Callable[[str, Survey], OnnxprofError | None]
    """Why a machine may not measure; None where it may."""
    tally: Tally = field(default_factory=Tally)
    sent: dict[str, Sent] = field(default_factory=dict)
    surveys: dict[str, Survey] = field(default_factory=dict)
    parked: list[Any] = field(default_factory=list)
    """Relays on machines that may not measure: they hold a device, so that Ray gives out others."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def relay(self, device_id: str, node_id: str = "") -> Any:
        """A new relay that holds a device, wherever Ray finds it free; only on a node if named.

        Raises DisconnectedError where the cluster itself is no longer reached.
        """
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {"num_cpus": 0, "resources": {RESOURCE + device_id: 1}}
        if node_id:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
        try:
            return ray.remote(Relay).options(**options).remote(self.pulse.beat_s)
        except ConnectionError as error:
            raise _disconnected(error) from None

    def line(self, relay: Any, place: tuple[str, int]) -> RayLine:
        """The line to a relay that has its place, greeted. Raises FleetError, PlaceLostError."""
        node = names()[place[0]]
        known = self.surveys.get(node)
        line = RayLine(node, relay, Heard(node), known or Survey("", ""))
        seen = greet(line, node, () if known else self.backends, self.pulse)
        line.heard.silence_s = self.pulse.silence_s
        with self.lock:
            line.survey = self.surveys.setdefault(node, seen)
            self.sent.setdefault(node, Sent())
        return line

    def lose(self, node: str) -> None:
        """A machine is gone; what it has is asked anew when it is back."""
        with self.lock:
            self.surveys.pop(node, None)
            self.sent.pop(node, None)


@dataclass(slots=True, eq=False)
class Lane:
    """One device at a time, on whichever machine Ray has it free."""

    cluster: Cluster
    device_id: str
    stock: Stock
    slots: threading.Semaphore
    """How many lanes measure at once."""
    line: RayLine | None = None
    relay: Any = None
    width: int = 1
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The machine that it is on now."""
        return self.line.node if self.line else ""

    def fits(self, task: Task) -> bool:
        """Whether the task is for this device, and its runtime is there."""
        if self.line is None:  # it may be put anywhere
            return task.device_id == self.device_id
        return fits(task, self.line.survey, self.device_id)

    def run(self, task: Task, desk: Desk) -> None:
        """Run what is left of a task. Raises PlaceLostError where the machine is gone."""
        if self.line is None:
            raise PlaceLostError("has no machine", where=self.device_id)
        line, shared = self.line, self.cluster
        sent = shared.sent.setdefault(line.node, Sent())
        call = Call(line, line.node, task, desk, self.stock, sent, shared.tally)
        try:
            with self.slots:
                call.run()
        except (FleetError, PlaceLostError) as error:
            self._drop()
            shared.lose(line.node)
            is_crash = line.heard.has_ended
            why = "" if self._stopped.is_set() else shared.tally.lose(task, is_crash=is_crash)
            if why:
                call.give_up(f"{why}, at last: {error}")
            raise PlaceLostError(str(error)) from error

    def comes_back(self, wanted: Callable[[], bool]) -> bool:
        """Have Ray put a relay where the device is free, and wait for that."""
        while wanted() and not self._stopped.is_set():
            self.relay = self.cluster.relay(self.device_id)
            try:
                place = self._placed(wanted)
                if place is None:
                    break
                self.line = self.cluster.line(self.relay, place)
            except DisconnectedError:
                raise
            except (FleetError, PlaceLostError):
                self._drop()
                self._stopped.wait(_LOOK_S)
                continue
            if self.cluster.refuses(self.line.node, self.line.survey) is None:
                return True
            self.cluster.parked.append(self.relay)
            self.line = self.relay = None
        self._drop()
        return False

    def settle(self, node_id: str) -> None:
        """Take the device on this machine. Raises FleetError, PlaceLostError."""
        self.relay = self.cluster.relay(self.device_id, node_id)
        answer = self.relay.place.remote()
        self.line = self.cluster.line(self.relay, _asked(answer, self.device_id, _START_S))

    def stop(self) -> None:
        """End what runs there."""
        self._stopped.set()
        self._drop()

    def _placed(self, wanted: Callable[[], bool]) -> tuple[str, int] | None:
        """Where the relay is, once Ray has put it somewhere; None where nobody wants it more."""
        import ray

        answer = self.relay.place.remote()
        while wanted() and not self._stopped.is_set():
            try:
                ready, _ = ray.wait([answer], timeout=_LOOK_S)
            except ConnectionError as error:
                raise _disconnected(error) from None
            if ready:
                place: tuple[str, int] = _asked(answer, self.device_id, _ANSWER_S)
                return place
        return None

    def _drop(self) -> None:
        import ray

        relay, self.relay, self.line = self.relay, None, None
        if relay is not None:
            with suppress(Exception):  # it or the whole cluster may be gone
                ray.kill(relay)


def _disconnected(error: Exception) -> DisconnectedError:
    why = " ".join(str(error).split()).partition("Last exception")[0][:200]
    return DisconnectedError(
        f"the connection to the Ray cluster is lost ({why})",
        remedy="The same command goes on with what is left",
    )


def _asked(answer: Any, node: str, seconds: float) -> Any:
    """What a relay answers. Raises PlaceLostError where it is gone."""
    import ray
    from ray import exceptions

    try:
        return ray.get(answer, timeout=seconds)
    except exceptions.GetTimeoutError:
        raise PlaceLostError(f"did not answer for {seconds:g} s", where=node) from None
    except exceptions.RayTaskError as error:
        raise PlaceLostError(f"cannot start a worker ({error.cause})", where=node) from None
    except (exceptions.RayError, ConnectionError) as error:
        why = f"is lost ({type(error).__name__.removesuffix('Error')})"
        raise PlaceLostError(why, where=node) from None
