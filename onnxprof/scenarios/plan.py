"""What is to be run, checked as far as that is possible before anything is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnxprof.errors import UsageError
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import TABLE, Options
from onnxprof.jobs.proving import proven
from onnxprof.jobs.setting import NONE, with_backend
from onnxprof.jobs.sweep import plan as planned_jobs
from onnxprof.machine.kernel import usable_cores
from onnxprof.model.sources.policy import Progress
from onnxprof.model.sources.resolve import argument, published
from onnxprof.plugins import registry
from onnxprof.plugins.verbs import predicted_memory
from onnxprof.records.scenarios.asked import RULES_S, RULES_SAMPLES, Asked, Scenario
from onnxprof.records.step import Granularity, Setup
from onnxprof.scenarios import loadgen
from onnxprof.scenarios.serving import sizes
from onnxprof.scenarios.systems import ModelSystem

#: What `--quick` makes of the duration.
QUICK_S = 5.0
_FEWEST_SAMPLES = 64
#: Options of a measurement that stand in the command where they differ from their default.
_KEPT = ("provider", "runtime", "dims", "seed", "inputs", "session_options", "provider_options")


@dataclass(frozen=True, slots=True)
class Load:
    """What a user asks of a scenario, beside the options that say what is measured."""

    scenario: Scenario
    target_latency_ms: float = 0.0
    rate: float = 0.0
    sessions: int = 1
    max_batch: int = 1
    max_wait_ms: float = 0.0
    duration_s: float = RULES_S

    @property
    def samples(self) -> int:
        """The least samples of an offline run: the rules', or a part of them."""
        part = min(1.0, self.duration_s / RULES_S)
        return max(_FEWEST_SAMPLES, round(RULES_SAMPLES * part))


@dataclass(frozen=True, slots=True)
class Plan:
    """A scenario to be run."""

    asked: Asked
    jobs: tuple[Job, ...]
    """One a batch that sessions are loaded at, the smallest first."""
    options: Options
    command: str
    loadgen: str

    @property
    def system(self) -> ModelSystem:
        """The model as it will answer."""
        return ModelSystem(self.jobs, self.asked.sessions > 1)


def check(load: Load) -> None:
    """Raise UsageError for what goes together with no scenario of that name."""
    name, is_server = load.scenario, load.scenario is Scenario.SERVER
    if is_server and not load.target_latency_ms:
        raise UsageError(
            "the server scenario needs the latency that queries are to be answered in",
            remedy="Add --target-latency MS, as in --target-latency 15",
        )
    for flag, value in (("--target-latency", load.target_latency_ms), ("--rate", load.rate)):
        if value and not is_server:
            raise UsageError(f"{flag} is for the server scenario, not for {name}")
    if name is Scenario.SINGLE_STREAM:
        for flag, count in (("--sessions", load.sessions), ("--max-batch", load.max_batch)):
            if count > 1:
                what = f"{flag} {count}: a single stream has one sample at a time"
                raise UsageError(what, remedy=f"Leave out {flag}, or choose another scenario")
    if load.max_wait_ms and load.max_batch == 1:
        raise UsageError("--max-wait without --max-batch: nobody waits for a batch of one")
    if load.max_wait_ms and not is_server:
        raise UsageError(f"--max-wait is for the server scenario: {name} has all samples at hand")


def planned(
    load: Load,
    options: Options,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Plan:
    """What would be run. `say` hears of another version of the runtime.

    Raises OnnxprofError for what cannot work.
    """
    check(load)
    version = loadgen.version()
    loadgen.module()
    options = with_backend(options)
    shared = options.threads or max(1, usable_cores() // load.sessions)
    wanted = replace(options, batches=sizes(load.max_batch), threads=shared)
    jobs = tuple(sorted(planned_jobs(wanted, progress, say=say), key=lambda job: job.batch))
    _refuse_batches(jobs, load)
    _refuse_memory(jobs, load, options)
    return _plan(load, wanted, jobs, version)


def _plan(load: Load, options: Options, jobs: tuple[Job, ...], version: str) -> Plan:
    first = jobs[0]
    asked = Asked(
        scenario=load.scenario,
        model_name=first.facts.name,
        model_sha256=first.facts.sha256,
        backend=options.backend,
        provider=first.provider,
        device_id=first.device.id,
        threads=options.threads,
        sessions=load.sessions,
        max_batch=load.max_batch,
        max_wait_ns=round(load.max_wait_ms * 1e6),
        target_latency_ns=round(load.target_latency_ms * 1e6),
        rate=load.rate,
        duration_s=load.duration_s,
        samples=load.samples,
        dims=first.table.dims,
        seed=options.seed,
        inputs_sha256=_digest(options.inputs),
        setup=_setup(first.options),
        runtime=options.runtime,
    )
    return Plan(asked, jobs, options, command_line(load, first), version)


def _setup(settled: Options) -> Setup:
    """How the runtime is set: a graph as written is one without optimisations."""
    is_written = settled.granularity is Granularity.WRITTEN
    return replace(settled.setup, level=NONE) if is_written else settled.setup


def _digest(inputs: str) -> str:
    import hashlib

    return hashlib.sha256(Path(inputs).read_bytes()).hexdigest() if inputs else ""


def command_line(load: Load, job: Job) -> str:
    """The command that measures this again, for a shell."""
    options = job.options
    model = argument(published(job.facts).reference)
    words = ["onnxprof", "scenario", model, "--scenario", load.scenario]
    words += ["--backend", options.backend, "--device", options.device]
    numbers = {
        "--target-latency": load.target_latency_ms,
        "--rate": load.rate,
        "--max-wait": load.max_wait_ms,
    }
    words += ["--sessions", str(load.sessions), "--threads", str(options.threads)]
    words += ["--max-batch", str(load.max_batch), "--duration", f"{load.duration_s:g}"]
    words += [word for flag, n in numbers.items() if n for word in (flag, f"{n:g}")]
    setup = _setup(options)
    kept = {name: getattr(options, name) for name in _KEPT} | {"optimization_level": setup.level}
    for name, value in kept.items():
        if value != TABLE[name].default:
            words += TABLE[name].words(value)
    return shlex.join(words)


def confirmed(plan: Plan, progress: Callable[[Job, str, float], None]) -> Plan:
    """The plan, once its batches are proved. Raises UsageError where the model forbids one.

    Run this where nothing else is measured: it runs the model.
    """
    jobs = proven(plan.jobs, plan.options, progress)
    kept = tuple(sorted(jobs, key=lambda job: job.batch))
    _refuse(kept, plan.asked.max_batch)
    return replace(plan, jobs=kept)


def _refuse_batches(jobs: Sequence[Job], load: Load) -> None:
    _refuse(jobs, load.max_batch)


def _refuse(jobs: Sequence[Job], max_batch: int) -> None:
    """Raise UsageError unless there is a job for each batch that a session needs."""
    missing = sorted(set(sizes(max_batch)) - {job.batch for job in jobs})
    if not missing:
        return
    first = jobs[0]
    why = next((job.table.obstacle for job in jobs if job.table.obstacle), "it has no other")
    if missing[0] == 1:
        what = f"stays at batch {first.batch}, and samples come one by one: {why}"
        remedy = "Export the model with batch 1, or with a batch that is free"
    else:
        what, remedy = f"stays at batch {first.batch}: {why}", "Use --max-batch 1"
    raise UsageError(what, where=first.facts.name, remedy=remedy)


def _refuse_memory(jobs: Sequence[Job], load: Load, options: Options) -> None:
    """Raise UsageError where the sessions together will not fit."""
    backend, most = registry.backend(options.backend), options.limits.memory_bytes
    each = [predicted_memory(backend, job.provider, job.table) for job in jobs]
    known = [memory for memory in each if memory is not None]
    if not known or not most:
        return
    held = sum(memory.run_peak_bytes - memory.runtime_bytes for memory in known)
    total = known[0].runtime_bytes + load.sessions * held
    if total > most:
        batches = ", ".join(str(job.batch) for job in jobs)
        raise UsageError(
            f"will not fit: {load.sessions} x the model at batches {batches} takes some"
            f" {total / 2**30:.1f} GiB, and {most / 2**30:.1f} GiB may be used",
            where=jobs[0].facts.name,
            remedy="Use fewer --sessions, a smaller --max-batch, or allow more with --memory",
        )
