"""The keyword options of a measurement, as a type checker sees them and as `Options` takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any, Literal, TypedDict

from onnxprof import folders
from onnxprof.api.base.door import arguments
from onnxprof.errors import UsageError, did_you_mean
from onnxprof.jobs.options import TABLE
from onnxprof.machine.memory import limit_bytes
from onnxprof.model.dims.grammar import Dims, Size, of_values
from onnxprof.processes.limits import Limits
from onnxprof.sweeps.plans.values import WrongValueError, values

#: Sizes of axes by name: one, several to take in turn, or a tie to others as in `past + new`.
Sizes = Mapping[str, int | str | Iterable[int | str]]
#: Options of the table that functions have as parameters of their own.
OWN = ("backend", "batches", "phase")


# options: made by `make house`
class Measuring(TypedDict, total=False):
    """Options of a measurement; those that are left out have the command's defaults."""

    device: str
    """A device's id, its kind, or all of the backend's."""
    threads: int
    """Threads; 0 for every usable core."""
    budget: float
    """Seconds of measuring for each model and batch size."""
    provider: str
    """Execution provider or mode of the backend: cuda, openvino, compile."""
    runtime: str
    """Another version of the runtime, installed apart: onnxruntime==1.22.1."""
    dims: Mapping[str, int | str | Iterable[int | str]]
    """Size of a free axis: 128; 1,16,128 in turn; or tied to others: past+new."""
    granularity: Literal["executed", "written"]
    """executed (optimised) or written (one step a layer)."""
    timer: Literal["auto", "trace", "prefix", "cupti"]
    """auto, trace (the runtime's profiler), prefix (un-profiled) or cupti (on a GPU)."""
    seed: int
    """Seed of generated inputs."""
    inputs: str | PathLike[str]
    """Arrays to feed, by input name."""
    processes: int
    """Fresh processes that share the budget, 0.25 s each at least."""
    parity: bool
    """Compare outputs with unoptimised onnxruntime."""
    verify: bool
    """Check by values which layers a step computed."""
    telemetry: bool
    """Read power, memory, clocks afterwards."""
    allocations: bool
    """Have the runtime count what each step allocates."""
    iterations: int
    """Un-profiled inferences, exactly so many; 0 for as many as the budget gives."""
    warmup: int | None
    """Inferences between the first one and sampling."""
    duration: float
    """Seconds of sampling at least, even once the median is known."""
    streams: int
    """After that, so many inferences at a time, for throughput; they divide the threads."""
    optimization_level: str
    """disable, basic, extended, layout or all; see docs/backends.md."""
    session_options: Mapping[str, str]
    """An option of the runtime by its own name, repeatable; see docs/backends.md."""
    provider_options: Mapping[str, str]
    """An option of the execution provider, likewise."""


# end of options


def fields_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Options` from keyword options. Raises UsageError for what none of them takes."""
    for name in given:
        if name not in TABLE or name in OWN:
            raise _no_option(name)
    return {name: _field(name, value) for name, value in given.items()}


def _no_option(name: str) -> UsageError:
    known = [each for each in TABLE if each not in OWN]
    hint = did_you_mean(name, {*known, *arguments()} - {"options", "phase"})
    remedy = hint.strip() or f"There are {', '.join(known)}"
    return UsageError(f"there is no option {name!r}", remedy=remedy)


def _field(name: str, value: Any) -> Any:
    usual = TABLE[name].default
    if value is None and usual is None:
        return None
    if name == "dims":
        return axes(value)
    if isinstance(usual, tuple):
        return pairs(name, value)
    if name == "inputs":
        return str(folders.expanded(value).resolve()) if value else ""
    if isinstance(value, list):
        raise UsageError(f"{name} cannot be {value!r}", remedy="Give one value")
    return _checked(TABLE[name].name, _plain(value), name)[0]


def _checked(key: str, value: Any, name: str) -> tuple[Any, ...]:
    """The value or values of a plan's key, by the rule that plans have. Raises UsageError."""
    try:
        return values(key, value)
    except WrongValueError as error:
        what = f"{name} cannot be {error.value!r}"
        raise UsageError(what, remedy=f"Give {error.allowed}") from None


def _plain(value: Any) -> Any:
    """The value as one of Python's own types, as a plan has it: of NumPy's, of an enumeration."""
    if isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def pairs(name: str, given: Mapping[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    """Texts of settings by name. Raises UsageError for what is none."""
    try:
        found = {str(key): _plain(value) for key, value in dict(given or {}).items()}
    except (TypeError, ValueError):
        raise UsageError(f"{name} cannot be {given!r}", remedy='Give {"name": value}') from None
    return tuple((key, _text(value)) for key, value in found.items())


def axes(given: Sizes | None) -> Dims:
    """Sizes of axes by name, as `--dim` has them. Raises UsageError for what is none."""
    try:
        found = {str(name): value for name, value in dict(given or {}).items()}
    except (TypeError, ValueError):
        raise UsageError(f"dims cannot be {given!r}", remedy='Give {"name": value}') from None
    return tuple((name, _size(name, value)) for name, value in found.items())


def _size(axis: str, given: Any) -> Size:
    is_one = isinstance(given, str | int | Integral) or not isinstance(given, Iterable)
    every = [_plain(value) for value in ([given] if is_one else given)]
    where = f"the size of axis {axis!r} cannot be {given!r}"
    if not every or not all(type(value) in (int, str) for value in every):
        raise UsageError(where, remedy='Give a number, a list of them, or a tie: "past + new"')
    try:
        return of_values(every, where)
    except UsageError as error:
        raise UsageError(where, remedy='Give a number, several, or a tie: "past + new"') from error


def _text(value: Any) -> str:
    """As a command line has it: switches are 1 and 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def sizes(given: int | Iterable[int]) -> tuple[int, ...]:
    """Batch sizes, each once, in the order given. Raises UsageError."""
    every = [given] if isinstance(given, int | str) else list(given)
    return _checked("batch", [_plain(size) for size in every], "batch")


def limits(timeout: float, memory: float) -> Limits:
    """Seconds and GiB at which one piece of work is ended; 0 GiB stands for what is free."""
    [seconds] = _checked("timeout", _plain(timeout), "timeout")
    [gib] = _checked("memory", _plain(memory), "memory")
    return Limits(seconds, limit_bytes(gib))
