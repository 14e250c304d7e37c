"""Which machines of a fleet measure with other versions than the rest.

Times of two versions of a runtime are two results. A machine whose versions differ is refused by
name, or with `--mixed-versions` measures all the same: each run's environment has the versions.
"""

from __future__ import annotations

from collections.abc import Iterable

from onnxprof.errors import FleetError
from onnxprof.sweeps.fleet.wire.survey import Survey

MIXED = "--mixed-versions"


class Standard:
    """The versions of a fleet: this machine's, else those of the first machine that has any."""

    def __init__(self, here: Survey) -> None:
        self._onnxprof = here.onnxprof
        self._runtimes = {
            runtime.backend: (runtime.version, "here")
            for runtime in here.runtimes
            if runtime.version
        }

    def differences(self, node: str, there: Survey) -> tuple[str, ...]:
        """In what a machine differs; what nobody had before it is the standard from now on."""
        found = []
        if there.onnxprof != self._onnxprof:
            found.append(f"onnxprof {there.onnxprof}, here {self._onnxprof}")
        for runtime in there.runtimes:
            if not runtime.version:
                continue
            wanted, whose = self._runtimes.setdefault(runtime.backend, (runtime.version, node))
            if runtime.version != wanted:
                found.append(f"{runtime.version}, {whose} {wanted}")
        return tuple(found)


def refusal(node: str, differences: Iterable[str]) -> FleetError:
    """The error for a machine with other versions."""
    return FleetError(
        f"measures with other versions: {'; '.join(differences)}",
        where=node,
        remedy=f"Install the same ones there, or record the difference with {MIXED}",
    )
