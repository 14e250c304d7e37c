"""Whether ceilings still hold: what they were measured with against what there is now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxprof.records.ceilings import Ceilings
from onnxprof.records.device import Device
from onnxprof.records.run import RUNTIME, Run

#: Facts that a rate depends on; a fact that one side lacks says nothing.
_HARDWARE = ("cpu", "cpu.features", "cpu.caches")
_HERE = (RUNTIME, "onnxprof", *_HARDWARE)


def stale(ceilings: Ceilings, device: Device, environment: Iterable[tuple[str, str]]) -> str:
    """What changed since these ceilings were measured, in words; empty where nothing did."""
    return _changed(ceilings, device, dict(environment), _HERE)


def unfit(ceilings: Ceilings, run: Run) -> str:
    """Why these ceilings do not bound a run, in words; empty where they do.

    A run keeps its ceilings where onnxprof alone has another version.
    """
    return _changed(ceilings, run.device, dict(run.environment), (RUNTIME, *_HARDWARE))


def _changed(
    ceilings: Ceilings, device: Device, now: Mapping[str, str], keys: Iterable[str]
) -> str:
    then = dict(ceilings.environment)
    changes = [
        f"{key} was {then[key]} and is {now[key]}"
        for key in keys
        if key in then and key in now and then[key] != now[key]
    ]
    if ceilings.device.driver != device.driver:
        changes.append(f"the driver was {ceilings.device.driver} and is {device.driver}")
    return "; ".join(changes)
