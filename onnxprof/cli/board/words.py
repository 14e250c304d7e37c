"""How jobs and times are called on the board, in lines, and in `sweep status`."""

from __future__ import annotations

from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import printable
from onnxprof.sweeps.events import Finished, JobName, Skipped
from onnxprof.sweeps.status.tally import Tally

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
#: The caveat of a run whose outputs differ from the reference.
_WRONG = ("wrong_outputs", "parity_failed")


def device_name(device: str) -> str:
    """The kind of a device, and its number: `cpu` for `cpu:intel-xeon`, `cuda:0` for a GPU."""
    kind, _, rest = device.partition(":")
    number = rest.partition(":")[0]
    return f"{kind}:{number}" if number.isdigit() else kind


def title(job: JobName, *, with_device: bool = True, is_short: bool = False) -> str:
    """`resnet50, ort on cpu, batch 8, 1 thread, sequence=128`; the threads where they are known.

    Where it is to be short, batch and threads are as in the names of stored files: `b8 t1`.
    """
    kind = job.device.partition(":")[0]
    backend = job.backend if job.provider in ("", kind) else f"{job.backend} ({job.provider})"
    place = device_name(job.device) + (f" of {job.node}" if job.node else "")
    runtime = f"{backend} on {place}" if with_device and place else backend
    sizes = [f"{axis}={size}" for axis, size in job.dims]
    return printable(", ".join([job.model, runtime, *_setting(job, is_short), *sizes]))


def _setting(job: JobName, is_short: bool) -> list[str]:
    if is_short:
        return [f"b{job.batch} t{job.threads}" if job.threads else f"b{job.batch}"]
    threads = f"{job.threads} thread{'' if job.threads == 1 else 's'}"
    return [f"batch {job.batch}", *([threads] if job.threads else [])]


def clock(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 05 min`, `2 d 4 h`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{round(whole / _MINUTE)} min"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR} h"


def latency(ns: float | None) -> str:
    """A latency with its unit."""
    return "no latency" if ns is None else duration(ns)


def finished(event: Finished) -> str:
    """`8.312 ms, took 6 s, 2 caveats`."""
    wrong = [caveat for caveat in event.caveats if caveat in _WRONG]
    others = len(event.caveats) - len(wrong)
    parts = [
        latency(event.latency_ns),
        *(["wrong outputs"] if wrong else []),
        f"took {clock(event.seconds)}",
        *([f"{others} caveat{'' if others == 1 else 's'}"] if others else []),
    ]
    return ", ".join(parts)


def skipped(event: Skipped) -> str:
    """Why a job was not run."""
    return f"skipped: {one_line(event.reason)}"


def one_line(text: str) -> str:
    """A reason in one line, safe to print."""
    return printable(" ".join(text.split()))


def counts(tally: Tally) -> str:
    """`80 measured, 3 failed, 2 skipped, …`; what there is none of is left out."""
    parts = [
        (tally.finished, "measured"),
        (tally.failed, "failed"),
        (tally.skipped, "skipped"),
        (tally.stored, "stored before"),
    ]
    return ", ".join(f"{count:,} {word}" for count, word in parts if count)


def time_left(tally: Tally) -> str:
    """`about 1 h 12 min left`, `over after 12 min`."""
    if tally.is_over:
        return f"over after {clock(tally.elapsed_s)}"
    left = tally.left_s
    return "time left not known yet" if left is None else f"about {clock(left)} left"
