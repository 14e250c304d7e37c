"""The OpenVINO runtime itself: quiet import, devices, errors in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.machine.cpu import cpu_device
from onnxprof.plugins.memory import SMALLER, is_exhausted
from onnxprof.plugins.source_places import without_places
from onnxprof.records.device import Device

REMEDY = 'pip install "onnxprof[openvino]"'
_TELEMETRY = "openvino_telemetry"
_LONGEST = 300
#: Parts of the runtime's messages without a reason: places in its source, and headings.
_NOISE = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r"Exception from \S+?:\d+:",
        r"Check '.*?' failed at \S+?:\d+:",
        r"\bfailed at \S+?:\d+:",
        r"FrontEnd API failed with \w+:",
        r"Model wasn't fully converted\.?( Failed operations detailed log:)?",
        r"-- \S+ with a message:",
        r"Summary:\s*-- Conversion is failed for:.*",
        r"Summary:\s*--",
        r"To facilitate the conversion of unsupported operations.*",
        r"\bLoading input model\b",
    )
)


#: How the runtime names a node of its own graph: with all that it reads and yields.
_OPERANDS = re.compile(
    r"While validating node '(?:\S+::)?(\S+) (\S+) \(.*?\) -> \(.*?\)'"
    r"(?: with friendly_name '[^']*')?:?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ListedDevice:
    """A device that the runtime lists."""

    target: str
    """The runtime's name: `CPU`, `GPU.0`, `NPU`."""
    device: Device


def runtime() -> Any:
    """The `openvino` module. Raises ImportError, or whatever a broken wheel raises.

    On import OpenVINO sends a note to Google Analytics if the package `openvino_telemetry` is
    installed and the user did not decline. A profiler should send nothing: that package is
    hidden while OpenVINO is imported, and OpenVINO uses its own stand-in, which sends nothing.
    """
    with _hidden(_TELEMETRY):
        import openvino
    return openvino


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Make importing the package fail during the body, unless it was imported before."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop(package, None)


@contextmanager
def runtime_errors(what: str, remedy: str = "") -> Iterator[None]:
    """Turn the runtime's exceptions into a BackendError of one line."""
    try:
        yield
    except (OnnxprofError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:  # the runtime raises RuntimeError, TypeError and other classes
        text = f"OpenVINO {what}: {reason(error)}"
        remedy = f"Use {SMALLER}" if is_exhausted(error) else remedy
        raise BackendError(text, where="openvino", remedy=remedy) from error


def reason(error: BaseException) -> str:
    """The first reason in the runtime's message, in one line.

    The runtime's source files and lines, and the conditions checked there, are left out.
    """
    text = str(error)
    for pattern in _NOISE:
        text = pattern.sub("\n", text)
    text = _OPERANDS.sub(r"While validating node '\1 \2':", text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    stated = [line.strip(" :") for line in lines if line.strip(" :.")]
    places = sum(1 for _ in takewhile(lambda line: line.startswith("While "), stated))
    first = " ".join(stated[: places + 1])
    return (without_places(first) or type(error).__name__)[:_LONGEST]


def version(module: Any) -> str:
    """`openvino 2026.4.1`, without the build's number and branch."""
    return f"openvino {str(module.__version__).partition('-')[0]}"


def devices(core: Any) -> list[ListedDevice]:
    """The CPU, and the first GPU and NPU by Intel that the runtime lists."""
    by_kind: dict[str, ListedDevice] = {}
    for target in core.available_devices:
        kind = target.partition(".")[0].lower()
        if kind in ("cpu", "gpu", "npu"):
            by_kind.setdefault(kind, ListedDevice(target, _device(core, target, kind)))
    return list(by_kind.values())


def _device(core: Any, target: str, kind: str) -> Device:
    if kind == "cpu":
        return cpu_device()
    name = _tidy(str(_property(core, target, "FULL_DEVICE_NAME") or target))
    number = target.partition(".")[2]
    memory = _property(core, target, f"{kind.upper()}_DEVICE_TOTAL_MEM_SIZE")
    return Device(
        id=f"{kind}:{number or 0}:{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-')}",
        kind=kind,
        name=name,
        memory_bytes=memory if isinstance(memory, int) else 0,
    )


def _tidy(name: str) -> str:
    """`Intel Arc Graphics` from `Intel(R) Arc(TM) Graphics (iGPU)`."""
    return " ".join(re.sub(r"\((R|TM|C|iGPU|dGPU)\)", " ", name, flags=re.IGNORECASE).split())


def _property(core: Any, target: str, name: str) -> object:
    try:
        value: object = core.get_property(target, name)
    except Exception:  # a driver may refuse any property, with any class
        return None
    return value
