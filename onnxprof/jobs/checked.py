"""What is added to a run after its samples: whose work steps did, its outputs, allocations."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from onnxprof.analysis.interruptions import Times
from onnxprof.analysis.step_times import divided
from onnxprof.analysis.warnings import tie_warnings
from onnxprof.errors import BackendError, OnnxprofError
from onnxprof.jobs.outlook import Notice
from onnxprof.machine.memory import available_bytes
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Bounds, Proof, ReferenceRun, Workload
from onnxprof.plugins.verbs import MemoryCounting
from onnxprof.provenance.verify.outcomes import all_unchecked
from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.records.warning import WarningKind

Feeds = Mapping[str, NDArray[Any]]
#: The part of the free memory that the check may take.
_MEMORY = 0.4
_STOPPED = "the check did not end"
_TIES = (WarningKind.UNATTRIBUTED_TIME, WarningKind.UNVERIFIED_TIME)


def pending(run: Run, times: Times) -> Run:
    """The run as it is kept in case that the check takes the process with it.

    `times` are those of its steps, here and below.
    """
    return _with_steps(run, all_unchecked(run.steps, _STOPPED), times)


def unchecked(run: Run) -> Run:
    """The run where no check was wanted: no step is `exact`."""
    return replace(run, steps=all_unchecked(run.steps, "switched off"))


def checked(
    run: Run,
    proof: Proof | None,
    inputs: Sequence[Feeds],
    times: Times,
    seconds: float = Bounds().seconds,
) -> Run:
    """The run with verdicts on its steps, and the warnings that follow from them."""
    if proof is None:
        reason = f"{run.request.backend} hands out no values of what it executes"
        return _with_steps(run, all_unchecked(run.steps, reason), times)
    gc.collect()
    try:
        return _with_steps(run, proof.check(run.steps, inputs, bounds(seconds)), times)
    finally:
        proof.close()


def with_verdicts(
    run: Run,
    proof: Proof | None,
    inputs: Callable[[], Sequence[Feeds]] | None,
    keep: Callable[[Run], None],
    seconds: float = Bounds().seconds,
) -> Run:
    """The run as its check leaves it; without `inputs` there is to be none.

    `keep` is given the run first, since the check loads the model twice more.
    """
    if inputs is None:
        return unchecked(run)
    times = divided(run).step_ns  # a verdict changes none
    keep(pending(run, times))
    return checked(run, proof, inputs(), times, seconds)


def with_allocations(run: Run, workload: Workload, progress: Callable[[str, float], None]) -> Run:
    """The run with what its steps allocate; a line says why where nothing is counted."""
    progress("counting allocations", 1.0)
    backend = registry.backend(run.request.backend)
    try:
        if not isinstance(backend, MemoryCounting):
            raise BackendError(f"the backend {backend.name} counts no allocations of steps")
        counted = tuple(backend.counted_memory(workload, run.steps))
    except BackendError as error:
        progress(Notice(str(error)), 1.0)
        return run
    return replace(run, counted_memory=counted)


def feeds(inputs: Feeds, others: Callable[[], Feeds]) -> list[Feeds]:
    """The run's inputs and others, of another seed, where they can be made up."""
    try:
        return [inputs, others()]
    except OnnxprofError:
        return [inputs]


def with_parity(run: Run, workload: Workload, values: Feeds, proof: Proof | None = None) -> Run:
    """The run with its outputs compared with the reference's, and the warnings of that.

    A check that was made has the reference's outputs already.
    """
    from onnxprof.checks.reference import check, warnings_of

    known = proof.expected() if isinstance(proof, ReferenceRun) else None
    parity = check(workload, values, known)
    return replace(run, parity=parity, warnings=(*run.warnings, *warnings_of(parity)))


def bounds(seconds: float) -> Bounds:
    """What a check may take here."""
    free = int(available_bytes() * _MEMORY)
    return Bounds(seconds, min(Bounds().memory_bytes, free))


def _with_steps(run: Run, steps: tuple[Step, ...], times: Times) -> Run:
    others = tuple(warning for warning in run.warnings if warning.kind not in _TIES)
    told = tuple(tie_warnings(times, steps)) if run.timings is not None else ()
    return replace(run, steps=steps, warnings=(*others, *told))
