"""A device of a machine that is reached over ssh, as a place that runs tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.near.calls import Call
from onnxprof.sweeps.fleet.near.devices import fits
from onnxprof.sweeps.fleet.near.stock import Stock
from onnxprof.sweeps.fleet.near.tally import Tally
from onnxprof.sweeps.fleet.ssh.client import SshLine, SshNode
from onnxprof.sweeps.fleet.wire.survey import Survey
from onnxprof.sweeps.places import Desk, PlaceLostError
from onnxprof.sweeps.tasks import Task

#: How long to wait before a machine that is gone is called again: at first, and at most.
_FIRST_S, _LONGEST_S = 2.0, 60.0


@dataclass(slots=True, eq=False)
class RemoteDevice:
    """One device; a worker of its own measures on it."""

    node: SshNode
    device_id: str
    survey: Survey
    stock: Stock
    tally: Tally
    line: SshLine | None = None
    first_s: float = _FIRST_S
    width: int = 1
    is_refused: bool = False
    """The machine is not what it was taken for, and is not called again."""
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """The machine."""
        return self.node.name

    def fits(self, task: Task) -> bool:
        """Whether the task is for this device, and its runtime is there."""
        return fits(task, self.survey, self.device_id)

    def run(self, task: Task, desk: Desk) -> None:
        """Run what is left of a task. Raises PlaceLostError where the machine is gone."""
        call: Call | None = None
        try:
            line = self.line = self.line or self.node.worker()
            call = Call(line, self.name, task, desk, self.stock, self.node.sent, self.tally)
            call.run()
        except FleetError as error:
            self.is_refused = True
            self._lose(call, str(error))
            raise PlaceLostError(str(error)) from error
        except PlaceLostError as error:
            self._lose(call, str(error))
            raise

    def comes_back(self, wanted: Callable[[], bool]) -> bool:
        """Call the machine until it answers; False where it is not to be called or not wanted."""
        pause = self.first_s
        while wanted() and not self.is_refused and not self._stopped.wait(pause):
            pause = min(2 * pause, _LONGEST_S)
            try:
                self.line = self.node.worker()
                return True
            except PlaceLostError:
                continue
            except FleetError:
                return False
        return False

    def stop(self) -> None:
        """End what runs there."""
        self._stopped.set()
        if self.line is not None:
            self.line.close()

    def _lose(self, call: Call | None, reason: str) -> None:
        line, self.line = self.line, None
        if line is not None:
            self.node.drop(line)
        if call is None or self._stopped.is_set():
            return
        is_crash = line is not None and line.has_crashed
        if why := self.tally.lose(call.task, is_crash=is_crash):
            call.give_up(f"{why}, at last: {reason}")
