"""Memory of a model in words: what is alive at the peak, and what a model will take."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.plugins.memory import smaller
from onnxprof.publish.text.safe import printable, shortened
from onnxprof.records.memory import Buffer, Liveness, PredictedMemory
from onnxprof.records.run import Request, Run

_MIB, _GIB = 2**20, 2**30
_MOST_NAMED = 3


def size_text(count: int) -> str:
    """Bytes with a unit of powers of two, three significant digits: `840 B`, `12.3 MiB`."""
    for unit, size in (("GiB", _GIB), ("MiB", _MIB), ("KiB", 1 << 10)):
        if count >= size:
            value = count / size
            return f"{value:,.{max(0, 3 - len(str(int(value))))}f} {unit}"
    return f"{count} B"


def peak_text(alive: Liveness) -> str:
    """The peak of activations, the step it is at, and what makes it up; empty without steps."""
    peak = alive.peak
    if peak is None:
        return ""
    limit = "at least " if alive.peak_at_least else ""
    head = f"Memory: {limit}{size_text(peak.alive_bytes)} of activations at the peak"
    made_of = f", at {_name(peak.step)}: {buffers_text(peak.buffers)}" if peak.buffers else ""
    return f"{head}{made_of}. {weights_text(alive)}."


def buffers_text(buffers: Sequence[Buffer], most: int = _MOST_NAMED) -> str:
    """The largest buffers by name and size, and how many more there are."""
    shown = [_buffer(buffer) for buffer in buffers[:most]]
    rest = buffers[most:]
    if rest:
        sizes = size_text(sum(b.size_bytes or 0 for b in rest))
        shown.append(f"{len(rest)} more of {sizes}")
    return ", ".join(shown)


def counted_text(run: Run) -> str:
    """What the runtime counted; empty where it was not asked to."""
    counted = run.counted_memory
    if not counted:
        return ""
    most = max(counted, key=lambda memory: memory.output_bytes + memory.temporary_bytes)
    outputs, temporary = (
        sum(memory.output_bytes for memory in counted),
        sum(memory.temporary_bytes for memory in counted),
    )
    return (
        f"Counted by the runtime: {len(counted)} of {len(run.steps)} steps allocate"
        f" {size_text(outputs)} for outputs and {size_text(temporary)} for themselves; most does"
        f" {_name(most.step)}, {size_text(most.output_bytes + most.temporary_bytes)}."
    )


def weights_text(alive: Liveness) -> str:
    """The size of the weights in the file."""
    limit = "at least " if alive.weights_at_least else ""
    return f"Weights: {limit}{size_text(alive.weights_bytes)}"


def predicted_text(expected: PredictedMemory) -> str:
    """What a model will take, and for what."""
    limit = "at least " if expected.at_least else "some "
    if expected.load_peak_bytes > expected.run_peak_bytes:
        part = f"{size_text(expected.loading_bytes)} while loading"
    else:
        part = f"{size_text(expected.inputs_bytes + expected.activations_bytes)} activations"
    parts = [f"{size_text(expected.weights_bytes)} weights", part]
    parts.append(f"{size_text(expected.runtime_bytes)} runtime")
    return f"{limit}{size_text(expected.peak_bytes)} ({', '.join(parts)})"


def refusal(title: str, expected: PredictedMemory, memory_bytes: int, asked: Request) -> str:
    """Why a measurement is not begun, and which of the sizes that are asked for could be less."""
    return (
        f"{title} will not fit: it takes {predicted_text(expected)}, and"
        f" {size_text(memory_bytes)} may be used. Allow more with --memory, use"
        f" {smaller(asked)}, or measure it all the same with --force"
    )


def unfit_text(title: str, takes: int, usable: int) -> str:
    """Why a job of a sweep is skipped, where its figure alone is remembered."""
    return (
        f"{title} will not fit: it takes some {size_text(takes)}, and"
        f" {size_text(usable)} may be used"
    )


def _buffer(buffer: Buffer) -> str:
    size = "of unknown size" if buffer.size_bytes is None else size_text(buffer.size_bytes)
    return f"{_name(buffer.tensor)} {size}"


def _name(name: str) -> str:
    """A tensor's or step's name, without the scope of a subgraph."""
    return printable(shortened(name.rpartition("\0")[2], 40))
