"""What happens in a sweep, as records: the board, `sweep status` and `--json` read nothing else.

Times are UTC in ISO 8601, durations seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from onnxprof.model.dims.grammar import Dims, each

#: Version of the events as they are written; grows when a reader of the last one would be misled.
EVENTS_VERSION = 1


@dataclass(frozen=True, slots=True)
class JobName:
    """A measurement within a plan: what a line about it has to say."""

    key: str
    """Tells it from all others of the plan, and is the same when the plan is read again."""
    model: str
    backend: str
    provider: str
    device: str
    batch: int
    threads: int
    dims: Dims = ()
    node: str = ""
    """The machine that runs it; empty for this one."""
    runtime: str = ""
    """Package and version of a runtime beside the installed one; empty for that one."""
    phase: str = ""
    """As `decode:512`; empty for a plain inference."""

    @property
    def sizes(self) -> str:
        """`batch 8`, `batch 1, sequence=128`, `batch 1, decode:512`."""
        phase = (self.phase,) if self.phase else ()
        return ", ".join((f"batch {self.batch}", *phase, *each(self.dims)))

    @property
    def title(self) -> str:
        """`resnet50 at batch 8`, `gpt2 at batch 1, past=128`."""
        return f"{self.model} at {self.sizes}"


@dataclass(frozen=True, slots=True)
class Planned:
    """The sweep begins: how many jobs it has, and how many of them are left.

    It may come again when more is known, and the last one holds.
    """

    kind: ClassVar[str] = "planned"
    jobs: int
    done: int
    """In the store already, not run again."""
    left: int
    seconds: float | None = None
    """How long what is left is expected to take; None where nothing tells."""
    failed: int = 0
    """Those of the done ones that only failed and are not tried again."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A job that would be run, in a dry run."""

    kind: ClassVar[str] = "foreseen"
    job: JobName
    seconds: float | None = None
    """What it is expected to take; None where nothing tells."""
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A job has its device."""

    kind: ClassVar[str] = "started"
    job: JobName


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a job is at, and which part of it is done, from 0 to 1."""

    kind: ClassVar[str] = "advanced"
    job: JobName
    doing: str
    share: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A job was measured and stored."""

    kind: ClassVar[str] = "finished"
    job: JobName
    run: str
    """The stored file, relative to the store."""
    latency_ns: float | None
    seconds: float
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A job gave no times; the record of that is stored."""

    kind: ClassVar[str] = "failed"
    job: JobName
    reason: str
    run: str = ""
    """The stored record; empty where there is none, as for a model that is not there."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A job that is not run: it will not fit into memory, or its model stays at another batch."""

    kind: ClassVar[str] = "skipped"
    job: JobName
    reason: str
    cause: str = ""
    """`memory`; `size`, as of too large inputs; `phase`, which is for other models; or `batch`,
    where the model keeps its own."""


def refusal_cause(lacks_phase: bool) -> str:
    """The cause of a job that its model cannot have."""
    return "phase" if lacks_phase else "size"


@dataclass(frozen=True, slots=True)
class AlreadyStored:
    """A job that the store has, which was known only once its model was read; it is not run."""

    kind: ClassVar[str] = "already_stored"
    job: JobName


@dataclass(frozen=True, slots=True)
class Noted:
    """Something that somebody should read and that is no job's end: a node lost, a model gone."""

    kind: ClassVar[str] = "noted"
    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The sweep is over, or was stopped."""

    kind: ClassVar[str] = "ended"
    finished: int
    failed: int
    skipped: int
    left: int
    """Jobs that nobody began, because the sweep was stopped or its hour was over."""


Event = (
    Planned
    | Foreseen
    | Started
    | Advanced
    | Finished
    | Failed
    | Skipped
    | AlreadyStored
    | Noted
    | Ended
)
#: Hears of each event in the order in which they happen.
Listener = Callable[[Event], None]


def as_json(event: Event, at: str) -> dict[str, Any]:
    """The event as JSON's types, with its kind and the time `at` which it happened."""
    return {"version": EVENTS_VERSION, "event": event.kind, "at": at, **asdict(event)}
