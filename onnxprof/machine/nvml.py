"""NVIDIA's management library: opening it, devices in CUDA's numbering, and their readings.

Through nvidia-ml-py, whose functions mirror the C functions of the NVML API reference. The
numbering is that of the CUDA C++ Programming Guide, `CUDA_VISIBLE_DEVICES`; where GPUs of
several kinds are mixed it holds under `CUDA_DEVICE_ORDER=PCI_BUS_ID` alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from onnxprof.machine.cpu import slug
from onnxprof.records.telemetry import Absence, Quantity

Query = Callable[[Any, Any], float | None]

#: Bits of nvmlClocksEventReasons that lower the clock against the user's will.
HELD_BACK: Mapping[int, str] = {
    0x4: "the GPU's power cap",
    0x8: "a slowdown by the GPU's hardware",
    0x10: "the clock of another GPU that this one keeps step with",
    0x20: "the GPU's heat",
    0x40: "the GPU's heat, by its hardware",
    0x80: "the GPU's power supply",
}
_MIB = 2.0**20


class NvmlError(Exception):
    """The library is missing, or a device does not answer; the text says which."""


@contextmanager
def opened() -> Iterator[Any]:
    """The module `pynvml`, ready for use. Raises NvmlError where there is no driver."""
    try:
        import pynvml
    except ImportError:
        raise NvmlError('nvidia-ml-py is not installed (pip install "nvidia-ml-py>=12")') from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NvmlError(f"no NVIDIA driver answers: {error}") from None
    try:
        yield pynvml
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def visible(nv: Any, environ: Mapping[str, str] | None = None) -> list[Any]:
    """Handles of the devices that CUDA shows, in CUDA's order. Raises NvmlError.

    `CUDA_VISIBLE_DEVICES` lists indices or prefixes of UUIDs and ends at the first invalid one;
    parts of a GPU (`MIG-…`) count as invalid here.
    """
    with errors(nv):
        handles = [nv.nvmlDeviceGetHandleByIndex(i) for i in range(nv.nvmlDeviceGetCount())]
        wanted = (os.environ if environ is None else environ).get("CUDA_VISIBLE_DEVICES")
        if wanted is None:
            return handles
        known = {str(i): handle for i, handle in enumerate(handles)}
        uuids = {_text(nv.nvmlDeviceGetUUID(handle)): handle for handle in handles}
    return list(_chosen(wanted, known, uuids))


def _chosen(wanted: str, known: Mapping[str, Any], uuids: Mapping[str, Any]) -> Iterator[Any]:
    for word in wanted.split(","):
        entry = word.strip()
        begun = [handle for uuid, handle in uuids.items() if uuid.startswith(entry)]
        if entry in known:
            yield known[entry]
        elif entry.startswith("GPU-") and len(begun) == 1:
            yield begun[0]
        else:
            return


def handle(nv: Any, device_id: str, environ: Mapping[str, str] | None = None) -> Any:
    """The handle of the device with an id such as `cuda:1:nvidia-h200`.

    Raises NvmlError where no device has that number and name.
    """
    _, number, name = (*device_id.split(":", 2), "", "")[:3]
    seen = visible(nv, environ)
    index = int(number) if number.isdecimal() else 0
    alike = [device for device in seen if not name or slug(name_of(nv, device)) == name]
    if index < len(seen) and seen[index] in alike:
        return seen[index]
    if len(alike) == 1:
        return alike[0]
    raise NvmlError(f"the driver lists no {device_id}")


def name_of(nv: Any, device: Any) -> str:
    """The device's name, as `NVIDIA H200`. Raises NvmlError."""
    with errors(nv):
        return _text(nv.nvmlDeviceGetName(device))


def driver_version(nv: Any) -> str:
    """The driver's version, as `580.95.05`. Raises NvmlError."""
    with errors(nv):
        return _text(nv.nvmlSystemGetDriverVersion())


@contextmanager
def errors(nv: Any) -> Iterator[None]:
    """Turn the library's errors into NvmlError."""
    try:
        yield
    except nv.NVMLError as error:
        raise NvmlError(str(error)) from None


def _text(value: str | bytes) -> str:
    """As text: releases of nvidia-ml-py return either type."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _instant_power(nv: Any, device: Any) -> float:
    """Power now in watts; nvmlDeviceGetPowerUsage averages over a second on most GPUs."""
    field = nv.nvmlDeviceGetFieldValues(device, [nv.NVML_FI_DEV_POWER_INSTANT])[0]
    if field.nvmlReturn:
        raise nv.NVMLError(field.nvmlReturn)
    return float(field.value.uiVal) / 1e3


def _own_memory(nv: Any, device: Any) -> float | None:
    held = nv.nvmlDeviceGetComputeRunningProcesses(device)
    own = [process.usedGpuMemory for process in held if process.pid == os.getpid()]
    return own[0] / _MIB if own and own[0] is not None else None


#: Queries by quantity; the first that works is used.
_QUERIES: Mapping[Quantity, tuple[Query, ...]] = {
    Quantity.POWER: (_instant_power, lambda nv, it: nv.nvmlDeviceGetPowerUsage(it) / 1e3),
    Quantity.UTILISATION: (lambda nv, it: nv.nvmlDeviceGetUtilizationRates(it).gpu / 100,),
    Quantity.CLOCK: (lambda nv, it: nv.nvmlDeviceGetClockInfo(it, nv.NVML_CLOCK_SM),),
    Quantity.MEMORY_CLOCK: (lambda nv, it: nv.nvmlDeviceGetClockInfo(it, nv.NVML_CLOCK_MEM),),
    Quantity.TEMPERATURE: (
        lambda nv, it: nv.nvmlDeviceGetTemperature(it, nv.NVML_TEMPERATURE_GPU),
    ),
    Quantity.DEVICE_MEMORY: (lambda nv, it: nv.nvmlDeviceGetMemoryInfo(it).used / _MIB,),
    Quantity.PROCESS_MEMORY: (_own_memory,),
}


def _counter(nv: Any, device: Any) -> float:
    return float(nv.nvmlDeviceGetTotalEnergyConsumption(device))


#: The second name is for drivers before R535.
_REASONS: tuple[Query, ...] = (
    lambda nv, it: nv.nvmlDeviceGetCurrentClocksEventReasons(it),
    lambda nv, it: nv.nvmlDeviceGetCurrentClocksThrottleReasons(it),
)


class Gpu:
    """Repeated readings of one GPU; quantities that it does not report are in `absent`."""

    source = "nvml"

    def __init__(self, nv: Any, device: Any) -> None:
        self._nv, self._handle = nv, device
        self.absent: list[Absence] = []
        ways = {quantity: self._first(quantity.value, _QUERIES[quantity]) for quantity in _QUERIES}
        self._queries = {quantity: way for quantity, way in ways.items() if way is not None}
        self._counter = self._first("energy", (_counter,))
        self._reasons = self._first("throttling", _REASONS)

    def _first(self, what: str, ways: Sequence[Query]) -> Query | None:
        """The first query that works now; if none does, `absent` gets the reason."""
        reason = ""
        for way in ways:
            try:
                way(self._nv, self._handle)
            except (self._nv.NVMLError, AttributeError) as error:  # an older nvidia-ml-py
                reason = str(error)
            else:
                return way
        self.absent.append(Absence(f"nvml {what}", reason))
        return None

    def values(self) -> dict[Quantity, float]:
        """Every quantity that has a value now. Raises NvmlError if the device is gone."""
        with errors(self._nv):
            asked = {q: way(self._nv, self._handle) for q, way in self._queries.items()}
        return {quantity: float(value) for quantity, value in asked.items() if value is not None}

    def energy_mj(self) -> float | None:
        """Millijoules since the driver was loaded; None without a counter. Raises NvmlError."""
        return self._asked(self._counter)

    def held_back(self) -> frozenset[str]:
        """The reasons that lower the clock at present. Raises NvmlError."""
        bits = int(self._asked(self._reasons) or 0)
        return frozenset(text for bit, text in HELD_BACK.items() if bits & bit)

    def _asked(self, way: Query | None) -> float | None:
        if way is None:
            return None
        with errors(self._nv):
            return way(self._nv, self._handle)
