"""The command that measures a run again, from what was asked for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import PurePath

from onnxprof.records.device import Device
from onnxprof.records.run import Request, Run
from onnxprof.records.step import Granularity, Timer

#: What a reference begins with that is no file.
REMOTE = ("zoo:", "hub:", "hf:")


def is_repeatable(run: Run) -> bool:
    """Whether onnxprof measured it; what another program measured is repeated there."""
    return run.origin is None


def words(run: Run, seconds: float, processes: int) -> list[str]:
    """The words of `onnxprof profile`, each option with the words of its value behind it.

    They are those of `onnxprof.jobs.options.command_line`, which a test holds them to, and stand
    for the request and not for the stored command, which anybody may have written. A device of a
    machine is its kind, since elsewhere it has another name.
    """
    asked = run.request
    found = ["onnxprof", "profile", model_word(run.model.reference)]
    for flag, value in _options(asked, run, f"{seconds:g}", processes):
        found += [f"{flag}={value}"] if value.startswith("-") else [flag, value]
    return found


def command(run: Run, seconds: float, processes: int) -> str:
    """The same as a line for a shell."""
    return shlex.join(words(run, seconds, processes))


def model_word(reference: str) -> str:
    """The model as an argument: a file whose name looks like an option gets `./`."""
    if reference.startswith(REMOTE):
        return reference
    name = PurePath(reference).name if reference else reference
    return f"./{name}" if name.startswith("-") else name


def _options(asked: Request, run: Run, seconds: str, processes: int) -> Iterator[tuple[str, str]]:
    kind = device_kind(asked, run.device)
    yield from (("--backend", asked.backend), ("--device", kind), ("--batch", str(asked.batch)))
    yield from (("--threads", str(asked.threads)), ("--budget", seconds))
    if asked.provider not in ("", kind):
        yield "--provider", asked.provider
    yield from (("--dim", f"{name}={size}") for name, size in asked.dims)
    if asked.phase:
        yield "--phase", asked.phase
    if asked.granularity is not Granularity.EXECUTED:
        yield "--granularity", asked.granularity.value
    if asked.timer != Timer.AUTO.value:
        yield "--timer", asked.timer
    if asked.seed:
        yield "--seed", str(asked.seed)
    if asked.inputs_sha256:
        yield "--inputs", inputs_name(run.command)
    if processes != 1:
        yield "--processes", str(processes)
    if asked.optimization_level:
        yield "--optimization-level", asked.optimization_level
    yield from (("--session-option", f"{name}={value}") for name, value in asked.session_options)
    yield from (("--provider-option", f"{name}={value}") for name, value in asked.provider_options)
    yield from _amount(asked)


def _amount(asked: Request) -> Iterator[tuple[str, str]]:
    """How much was to be sampled, where the budget did not decide it."""
    if asked.iterations:
        yield "--iterations", str(asked.iterations)
    if asked.warmup is not None:
        yield "--warmup", str(asked.warmup)
    if asked.duration:
        yield "--duration", f"{asked.duration:g}"
    if asked.streams:
        yield "--streams", str(asked.streams)


def device_kind(asked: Request, device: Device) -> str:
    """The kind of the device: `cpu`, `cuda`."""
    return device.kind or asked.device_id.partition(":")[0] or "cpu"


def inputs_name(command: str) -> str:
    """The name of the file of inputs as the stored command has it, which no digest covers."""
    try:
        given = shlex.split(command)
        name = PurePath(given[given.index("--inputs") + 1]).name
    except (ValueError, IndexError):
        name = ""
    return name or "inputs.npz"
