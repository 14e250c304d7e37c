"""How jobs and times are called on the board, in lines, and in `sweep status`."""

from __future__ import annotations

from onnxprof.compare.settings import threads_text
from onnxprof.publish.tables.plan import time_text
from onnxprof.publish.text.numbers import duration
from onnxprof.publish.text.safe import counted, printable
from onnxprof.sweeps.events import Ended, Finished, JobName, Planned
from onnxprof.sweeps.status.tally import Tally

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
    backend = job.runtime.replace("==", " ") or job.backend
    if job.provider not in ("", kind):
        backend = f"{backend} ({job.provider})"
    place = device_name(job.device) + (f" of {job.node}" if job.node else "")
    runtime = f"{backend} on {place}" if with_device and place else backend
    sizes = [f"{axis}={size}" for axis, size in job.dims]
    phase = [job.phase] if job.phase else []
    return printable(", ".join([job.model, runtime, *_setting(job, is_short), *phase, *sizes]))


def _setting(job: JobName, is_short: bool) -> list[str]:
    if is_short:
        return [f"b{job.batch} t{job.threads}" if job.threads else f"b{job.batch}"]
    return [f"batch {job.batch}", *([threads_text(job.threads)] if job.threads else [])]


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
        f"took {time_text(event.seconds)}",
        *([f"{others} caveat{'' if others == 1 else 's'}"] if others else []),
    ]
    return ", ".join(parts)


def planned(plan: Planned) -> str:
    """`48 jobs: 12 in the store, 2 of them failed, 36 left, some 21 min`."""
    parts = [f"{plan.done:,} in the store"]
    parts += [f"{plan.failed:,} of them failed"] if plan.failed else []
    parts.append(f"{plan.left:,} left")
    if plan.left and plan.seconds:
        parts.append(f"some {time_text(plan.seconds)}")
    return f"{counted(plan.jobs, 'job', 'jobs')}: {', '.join(parts)}"


def over(end: Ended, found: int = 0) -> str:
    """`34 measured, 2 failed, 1 skipped, 11 left: the same command measures them`.

    `found` counts the jobs that were found to be stored only when their turn came.
    """
    parts = [f"{end.finished:,} measured"]
    parts += [f"{end.failed:,} failed"] if end.failed else []
    parts += [f"{end.skipped:,} skipped"] if end.skipped else []
    parts += [f"{found:,} stored already"] if found else []
    parts += [f"{end.left:,} left: the same command measures them"] if end.left else []
    return ", ".join(parts)


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
        return f"over after {time_text(tally.elapsed_s)}"
    left = tally.left_s
    return "time left not known yet" if left is None else f"about {time_text(left)} left"
