"""What a user asked of a fleet, and which of its machines may measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from onnxprof.errors import FleetError, OnnxprofError
from onnxprof.sweeps.fleet.near.addresses import Fleet
from onnxprof.sweeps.fleet.near.calls import Pulse
from onnxprof.sweeps.fleet.near.devices import Machines
from onnxprof.sweeps.fleet.near.versions import Standard, refusal
from onnxprof.sweeps.fleet.wire.survey import Survey, survey
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


class Gate:
    """Lets machines in whose versions are those of the fleet."""

    def __init__(self, asked: Asked, say: Say) -> None:
        self._standard = Standard(survey(asked.backends))
        self._mixed, self._say = asked.mixed_versions, say

    def refusal(self, node: str, seen: Survey) -> FleetError | None:
        """Why a machine may not measure; None where it may, with a word on how it differs."""
        differences = self._standard.differences(node, seen)
        if differences and not self._mixed:
            return refusal(node, differences)
        if differences:
            self._say(f"{node} measures with other versions: {'; '.join(differences)}")
        return None


def admit(surveys: Mapping[str, Survey | OnnxprofError], gate: Gate, say: Say) -> dict[str, Survey]:
    """The machines that may measure. Raises FleetError where there is none."""
    admitted: dict[str, Survey] = {}
    refused: list[OnnxprofError] = []
    for node, seen in surveys.items():
        error = seen if isinstance(seen, OnnxprofError) else gate.refusal(node, seen)
        if error is not None:
            refused.append(error)
        elif isinstance(seen, Survey):
            admitted[node] = seen
    if not admitted:
        raise FleetError("; ".join(map(str, refused)) or "there is no machine in the fleet")
    for error in refused:
        say(f"left out: {error}")
    _tell_lacking(admitted, say)
    return admitted


def _tell_lacking(admitted: Mapping[str, Survey], say: Say) -> None:
    """Say which machines lack a runtime that others have; what none has, its jobs say."""
    runtimes = [(node, runtime) for node, seen in admitted.items() for runtime in seen.runtimes]
    had = {runtime.backend for _, runtime in runtimes if runtime.devices}
    for node, runtime in runtimes:
        if not runtime.devices and runtime.backend in had:
            remedy = f". {runtime.remedy}" if runtime.remedy else ""
            say(f"{node} has no {runtime.backend}: {runtime.reason}{remedy}")
