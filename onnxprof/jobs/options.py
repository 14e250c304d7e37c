"""What a user may ask of a measurement, each option stated once.

The parameters of commands, the printed command, the job and the stored request are read from the
fields of `Options`; this module is as light as a `--help` needs it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from onnxprof.measure.budget import Amount, Budget, Load
from onnxprof.measure.contradictions import refuse_amount
from onnxprof.model.dims import grammar
from onnxprof.processes.limits import Limits
from onnxprof.records.step import Granularity, Setup, Timer

#: How long the check by values may take: in budgets of a process, at least, and at most.
_CHECKING, _LEAST_CHECKING_S, _MOST_CHECKING_S = 4.0, 10.0, 60.0
#: Where the check is all that was asked for.
_ONLY_CHECKING_S = 600.0
#: The largest number of seconds or GiB: a system's waits overflow at 25 days.
LARGEST = 1e6
#: A process's part of the budget is not cut below this.
_LEAST_SECONDS = 0.25

Texts = Callable[[Any], list[str]]


def _plainly(value: Any) -> list[str]:
    return [str(value)]


@dataclass(frozen=True, slots=True)
class Option:
    """How a command line has one field of `Options`; its default's type says how it is read."""

    default: Any
    flag: str
    help: str
    metavar: str | None = None
    kind: type | None = None
    """The type of a value, where the default is None for none."""
    usual: str = ""
    """What happens without the option, where its default does not say it."""
    least: float | None = None
    most: float | None = None
    also: str = ""
    """Another flag that means the same."""
    always: bool = False
    """Stands in the printed command even where it has its default."""
    texts: Texts = _plainly
    """A value as the texts behind the flag, which is repeated before each of them."""

    @property
    def name(self) -> str:
        """The flag without its dashes."""
        return self.flag.removeprefix("--")

    def words(self, value: Any) -> list[str]:
        """What gives the value in a command; a switch at its default needs no word."""
        if isinstance(value, bool):
            word = self.flag if value else f"--no-{self.name}"
            return [] if value == self.default else [word]
        return [word for text in self.texts(value) for word in self._given(text)]

    def _given(self, text: str) -> tuple[str, ...]:
        """One word where the value could be taken for an option."""
        return (f"{self.flag}={text}",) if text.startswith("-") else (self.flag, text)


def _pairs(pairs: tuple[tuple[str, str], ...]) -> list[str]:
    return [f"{name}={value}" for name, value in pairs]


def _said(flag: str, help: str, **details: Any) -> dict[str, Any]:
    return {"flag": flag, "help": help, **details}


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asked to be measured; options in the order of the printed command."""

    models: tuple[str, ...]
    backend: str = field(
        default="ort", metadata=_said("--backend", "The runtime; see onnxprof doctor.", always=True)
    )
    device: str = field(
        default="",
        metadata=_said(
            "--device",
            "A device's id, its kind, or all of the backend's [default: its first].",
            always=True,
        ),
    )
    batches: tuple[int, ...] = field(
        default=(1,),
        metadata=_said(
            "--batch",
            "Batch sizes, as in 1,8.",
            always=True,
            texts=lambda sizes: [",".join(map(str, sizes))],
        ),
    )
    threads: int = field(
        default=0,
        metadata=_said(
            "--threads", "Threads; 0 for every usable core.", always=True, least=0, most=1024
        ),
    )
    budget: Budget = field(
        default=Budget(),
        metadata=_said(
            "--budget",
            "Seconds of measuring for each model and batch size.",
            always=True,
            least=0.01,
            texts=lambda budget: [f"{budget.seconds:g}"],
        ),
    )
    provider: str = field(
        default="",
        metadata=_said(
            "--provider",
            "Execution provider or mode of the backend: cuda, openvino, compile.",
        ),
    )
    runtime: str = field(
        default="",
        metadata=_said(
            "--runtime",
            "Another version of the runtime, installed apart: onnxruntime==1.22.1.",
            metavar="PACKAGE==VERSION",
        ),
    )
    dims: grammar.Dims = field(
        default=(),
        metadata=_said(
            "--dim",
            "Size of a free axis: 128; 1,16,128 in turn; or tied to others: past+new.",
            metavar="NAME=SIZE",
            texts=lambda dims: list(grammar.each(dims)),
        ),
    )
    granularity: Granularity = field(
        default=Granularity.EXECUTED,
        metadata=_said(
            "--granularity",
            "executed (optimised) or written (one step a layer).",
        ),
    )
    timer: Timer = field(
        default=Timer.AUTO,
        metadata=_said(
            "--timer",
            "auto, trace (the runtime's profiler), prefix (un-profiled) or cupti (on a GPU).",
        ),
    )
    seed: int = field(default=0, metadata=_said("--seed", "Seed of generated inputs.", least=0))
    inputs: str = field(
        default="",
        metadata=_said(
            "--inputs",
            "Arrays to feed, by input name.",
            metavar="FILE.npz",
            texts=lambda file: [Path(file).name],
        ),
    )
    processes: int = field(
        default=1,
        metadata=_said(
            "--processes",
            "Fresh processes that share the budget, 0.25 s each at least.",
            least=1,
            most=1000,
        ),
    )
    parity: bool = field(
        default=True, metadata=_said("--parity", "Compare outputs with unoptimised onnxruntime.")
    )
    verify: bool = field(
        default=True, metadata=_said("--verify", "Check by values which layers a step computed.")
    )
    telemetry: bool = field(
        default=True, metadata=_said("--telemetry", "Read power, memory, clocks afterwards.")
    )
    allocations: bool = field(
        default=False,
        metadata=_said("--allocations", "Have the runtime count what each step allocates."),
    )
    iterations: int = field(
        default=0,
        metadata=_said(
            "--iterations",
            "Un-profiled inferences, exactly so many; 0 for as many as the budget gives.",
            least=0,
            most=10_000_000,
        ),
    )
    warmup: int | None = field(
        default=None,
        metadata=_said(
            "--warmup",
            "Inferences between the first one and sampling.",
            kind=int,
            usual="until latency is steady",
            least=0,
            most=10_000_000,
        ),
    )
    duration: float = field(
        default=0.0,
        metadata=_said(
            "--duration",
            "Seconds of sampling at least, even once the median is known.",
            least=0,
            texts=lambda seconds: [f"{seconds:g}"],
        ),
    )
    streams: int = field(
        default=0,
        metadata=_said(
            "--streams",
            "After that, so many inferences at a time, for throughput; they divide the threads.",
            also="--sessions",
            least=0,
            most=1024,
        ),
    )
    optimization_level: str = field(
        default="",
        metadata=_said(
            "--optimization-level",
            "disable, basic, extended, layout or all; see docs/backends.md [default: all].",
            metavar="LEVEL",
        ),
    )
    session_options: tuple[tuple[str, str], ...] = field(
        default=(),
        metadata=_said(
            "--session-option",
            "An option of the runtime by its own name, repeatable; see docs/backends.md.",
            metavar="NAME=VALUE",
            texts=_pairs,
        ),
    )
    provider_options: tuple[tuple[str, str], ...] = field(
        default=(),
        metadata=_said(
            "--provider-option",
            "An option of the execution provider, likewise.",
            metavar="NAME=VALUE",
            texts=_pairs,
        ),
    )
    phase: str = field(
        default="",
        metadata=_said(
            "--phase",
            "Of a model with states: prefill:512, decode:512..2048, steps:16; docs/decoders.md.",
            metavar="KIND:SIZE",
        ),
    )
    only_verify: bool = False
    """The check by values is what was asked for: it has its longest time."""
    limits: Limits = field(default_factory=Limits)

    @property
    def setup(self) -> Setup:
        """How the runtime is to be set."""
        return Setup(self.optimization_level, self.session_options, self.provider_options)

    @property
    def process_budget(self) -> Budget:
        """A process's part of the budget: not below a quarter of a second, or all of it.

        A longer duration takes the budget's place.
        """
        whole = max(self.budget.seconds, self.duration)
        return Budget(max(whole / self.processes, min(whole, _LEAST_SECONDS)))

    def amount(self, process: int = 0) -> Amount:
        """What the process of this number is to sample, where the budget does not decide it."""
        each, more = divmod(self.iterations, self.processes)
        return Amount(each + (process < more), self.warmup, self.duration / self.processes)

    @property
    def load(self) -> Load:
        """The load of the streams, as long as the budget of a process."""
        return Load(self.streams, self.process_budget.seconds, self.iterations)

    @property
    def verify_seconds(self) -> float:
        """How long the check by values may take in a process."""
        if self.only_verify:
            return _ONLY_CHECKING_S
        wanted = _CHECKING * self.process_budget.seconds
        return min(max(wanted, _LEAST_CHECKING_S), _MOST_CHECKING_S)


#: By the name of the field.
TABLE: Mapping[str, Option] = {
    each.name: Option(default=each.default, **each.metadata)
    for each in fields(Options)
    if each.metadata
}


def refuse_contradictions(options: Options) -> None:
    """Raise UsageError where one option rules out another; the usual budget counts as not given."""
    is_usual = options.budget == TABLE["budget"].default
    refuse_amount(
        iterations=options.iterations,
        duration=options.duration,
        budget=None if is_usual else options.budget.seconds,
        processes=options.processes,
        timeout=options.limits.seconds,
    )


def command_line(options: Options) -> str:
    """The command that measures this again, for a shell; of a file of inputs, the name alone."""
    from onnxprof.model.sources.resolve import argument

    words = ["onnxprof", "profile", *map(argument, options.models)]
    for name, option in TABLE.items():
        value = getattr(options, name)
        if option.always or value != option.default:
            words += option.words(value)
    return shlex.join(words)
