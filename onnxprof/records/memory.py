"""Memory while a model runs: what is alive at each step, and what a runtime counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Buffer:
    """Memory that one activation takes, or several that share it, from step to step."""

    tensor: str
    """The activation it was made for; views and results in place have no buffer of their own."""
    size_bytes: int | None
    """None where shape or dtype is unknown."""
    first: int
    """Index of the step that writes it; 0 for an input of the model."""
    last: int
    """Index of the last step that needs it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is alive while one step runs."""

    step: str
    alive_bytes: int
    """Activations, the model's inputs and its finished outputs among them; no weights."""
    at_least: bool
    """Whether a buffer of unknown size is alive, too."""
    buffers: tuple[Buffer, ...] = ()
    """Largest first."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """The activations of one inference, over its steps in the order of execution."""

    steps: tuple[str, ...]
    alive_bytes: tuple[int, ...]
    """While each step runs."""
    at_least: tuple[bool, ...]
    """For each step, whether a buffer of unknown size is alive, too."""
    buffers: tuple[Buffer, ...]
    weights_bytes: int = 0
    """Initializers as the file has them; they are alive all the time."""
    weights_at_least: bool = False
    """Whether the size of a weight is unknown."""

    @property
    def peak(self) -> Moment | None:
        """The step with most bytes alive, the first of equals; None where there are no steps."""
        if not self.steps:
            return None
        return self.moment(max(range(len(self.steps)), key=self.alive_bytes.__getitem__))

    @property
    def peak_at_least(self) -> bool:
        """Whether the true peak may be larger, since some size is unknown."""
        return any(self.at_least)

    def moment(self, index: int) -> Moment:
        """What is alive while the step with this index runs."""
        return self._moment(index, (b for b in self.buffers if b.first <= index <= b.last))

    def moments(self) -> Iterator[Moment]:
        """What is alive at each step, in order."""
        waiting = sorted(self.buffers, key=lambda buffer: -buffer.first)
        alive: list[Buffer] = []
        for index in range(len(self.steps)):
            alive = [buffer for buffer in alive if buffer.last >= index]
            while waiting and waiting[-1].first <= index:
                alive.append(waiting.pop())
            yield self._moment(index, alive)

    def _moment(self, index: int, alive: Iterable[Buffer]) -> Moment:
        ranked = sorted(alive, key=lambda b: (-(b.size_bytes or 0), b.first, b.tensor))
        return Moment(
            self.steps[index], self.alive_bytes[index], self.at_least[index], tuple(ranked)
        )


@dataclass(frozen=True, slots=True)
class CountedMemory:
    """The memory of one step as the runtime counted it, in one inference without reuse."""

    step: str
    """Name of the step in the run."""
    output_bytes: int
    """Allocated for the step's outputs."""
    temporary_bytes: int
    """Allocated by the step for itself and freed at its end."""


@dataclass(frozen=True, slots=True)
class PredictedMemory:
    """The growth of a process's resident memory that a model will cause."""

    runtime_bytes: int
    """The runtime's code and its bookkeeping."""
    weights_bytes: int
    """Weights as the runtime keeps them."""
    loading_bytes: int
    """What loading takes for a while, on top of both."""
    retained_bytes: int
    """What the C library keeps of that in the process, free for other small blocks."""
    inputs_bytes: int
    activations_bytes: int
    """What the runtime's allocator holds for activations once the model is warm."""
    at_least: bool
    """Whether a size is unknown, so that the figures are lower limits."""

    @property
    def load_peak_bytes(self) -> int:
        """The peak until the model is loaded."""
        return self.runtime_bytes + self.weights_bytes + self.loading_bytes

    @property
    def run_peak_bytes(self) -> int:
        """The peak while the loaded model runs."""
        held = self.runtime_bytes + self.weights_bytes
        return held + self.inputs_bytes + self.activations_bytes

    @property
    def peak_bytes(self) -> int:
        """The larger of both: what the runtime holds, and the least that must be there."""
        return max(self.load_peak_bytes, self.run_peak_bytes)

    @property
    def resident_peak_bytes(self) -> int:
        """The same with what the C library keeps: the growth of resident memory."""
        return max(self.load_peak_bytes, self.run_peak_bytes + self.retained_bytes)
