"""`advise --apply`: rewrites a run's model and measures both in turn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from onnxprof.errors import UsageError
from onnxprof.writing import refuse_unwritable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onnxprof.model.sources.policy import Resolved
    from onnxprof.processes.confined import Limits
    from onnxprof.reasons.advice.advise import Advice
    from onnxprof.reasons.advice.applied import Applied, Measured
    from onnxprof.records.run import Run
    from onnxprof.rewrite.safe import Rewritten

_THRESHOLD = 0.02


def check_target(target: Path) -> None:
    """Raise UsageError for a file that no model should be written to."""
    if target.suffix.lower() != ".onnx":
        raise UsageError("--apply writes a model", where=str(target), remedy="End it in .onnx")
    refuse_unwritable(target)


def applied(
    every: Sequence[Advice],
    target: Path,
    model: str,
    measuring: tuple[float, int],
    limits: Limits,
) -> Applied:
    """Rewrite the model of the only run to `target`, which is then measured against it.

    `measuring` is the budget of each model in seconds, 0 for none, and the number of pairs of
    processes. Raises UsageError where a safe rewrite has nothing to do, or for several runs.
    """
    from onnxprof.cli.sources import model_of
    from onnxprof.reasons.advice.applied import Applied
    from onnxprof.reasons.advice.base.finding import Gain

    advice = _only(every)
    source = model_of(advice.run, model)
    if target.exists() and target.samefile(source.path):
        raise UsageError("is the model itself", where=str(target), remedy="Name another file")
    done = _rewritten(source, advice.run, target, limits)
    gain = advice.rewritable or Gain(0.0, 0.0)
    made = Applied(
        *(str(target), done.operators, done.worst, done.checks, done.bytes),
        (gain.low_ns / advice.total_ns, gain.high_ns / advice.total_ns),
    )
    if not measuring[0]:
        return made
    pair = str(source.path), str(target)
    return replace(made, measured=measured(advice.run, *pair, measuring, limits))


def _only(every: Sequence[Advice]) -> Advice:
    if len(every) != 1:
        raise UsageError(
            f"--apply rewrites the model of one run, {len(every)} are named",
            remedy="Name one by its id or file",
        )
    [advice] = every
    if advice.rewritable is None:
        raise UsageError(
            "no finding has a safe rewrite: nothing is written",
            where=advice.run.request.model_name,
        )
    return advice


def _rewritten(source: Resolved, run: Run, target: Path, limits: Limits) -> Rewritten:
    from onnxprof.processes.confined import confined
    from onnxprof.processes.scratch import scratch
    from onnxprof.rewrite.safe import rewrite

    with scratch() as folder:
        made = Path(folder) / "model.onnx"
        work = partial(rewrite, source, run.request, made)
        reference, writes = source.reference, (Path(folder),)
        done = confined(work, limits, "rewriting the model", reference, writes)
        beside = target.with_name(f".{target.name}.part")
        try:
            shutil.copyfile(made, beside)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    return done


def measured(
    run: Run, before: str, after: str, measuring: tuple[float, int], limits: Limits
) -> Measured:
    """Both models in turn, as the run was measured."""
    from onnxprof.api.in_turn import of_models
    from onnxprof.cli.commands.versions.in_turn import measured as in_turn
    from onnxprof.compare.changes import compare
    from onnxprof.jobs.options import Options
    from onnxprof.measure.budget import Budget
    from onnxprof.reasons.advice.applied import Measured
    from onnxprof.records.step import Timer

    asked = run.request
    options = Options(
        models=(),
        backend=asked.backend,
        provider="" if asked.provider == run.device.kind else asked.provider,
        device=asked.device_id,
        batches=(asked.batch,),
        dims=asked.dims,
        threads=asked.threads,
        budget=Budget(measuring[0]),
        processes=measuring[1],
        granularity=asked.granularity,
        optimization_level=asked.optimization_level,
        session_options=asked.session_options,
        provider_options=asked.provider_options,
        seed=asked.seed,
        timer=Timer.TRACE,
        verify=False,
        telemetry=False,
        limits=limits,
    )
    phases = (asked.phase,) if asked.phase else ()
    pairing, _ = in_turn(of_models(before, after, options), None, phases=phases)
    [pair] = compare(pairing.pairs, _THRESHOLD, in_turn=True).pairs
    row = pair.latency
    low, high = row.interval or (float("nan"), float("nan"))
    ratio = row.ratio if row.ratio is not None else float("nan")
    return Measured(
        row.a_ns or 0.0, row.b_ns or 0.0, 1 - ratio, (1 - high, 1 - low), row.verdict.value
    )
