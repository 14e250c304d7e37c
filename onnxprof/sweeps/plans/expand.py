"""From a plan to tasks: every combination of what its tables list, once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import product
from typing import Any

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options, refuse_contradictions
from onnxprof.jobs.setting import ALL, NONE
from onnxprof.model.dims.grammar import Size, refuse_many, resolved
from onnxprof.processes.limits import Limits
from onnxprof.records.step import Granularity
from onnxprof.runtimes.wanted import backend_of, parse
from onnxprof.sweeps.plans.models import references
from onnxprof.sweeps.plans.read import USUAL_BACKENDS, Entry, Plan
from onnxprof.sweeps.plans.values import FIELDS, LISTED, TABLES
from onnxprof.sweeps.tasks import Task, by_batch

#: Multiplied out; the batches of a task stay together.
_AXES = tuple(sorted(LISTED - {"batch"}))


@dataclass(frozen=True, slots=True)
class Expanded:
    """The tasks of a plan, and what in it stands for nothing."""

    tasks: tuple[Task, ...]
    notes: tuple[str, ...]


def expanded(plan: Plan) -> Expanded:
    """A task for each model, backend and combination of settings, in the order of the plan.

    Where two entries ask for the same, it is one task with the batches of both. Raises UsageError,
    with the line, for a network that the zoo does not have and for keys that contradict each other.
    """
    batches: dict[Task, dict[int, None]] = {}
    notes: list[str] = []
    matches = [(model, _references(plan, model, notes)) for model in plan.models]
    several = len({reference for _, found in matches for reference in found}) > 1
    for model, found in matches:
        is_of_several = len(found) > 1 if "phase" in model.given else several
        for reference in found:
            for backend in plan.backends:
                for name in backend.names:
                    for task in _tasks(plan, model, reference, backend, name):
                        task = replace(
                            task, optional_phase=is_of_several and bool(task.options.phase)
                        )
                        mine = batches.setdefault(task.asking(batches=()), {})
                        mine.update(dict.fromkeys(task.options.batches))
    whole = (task.asking(batches=tuple(mine)) for task, mine in batches.items())
    tasks = tuple(each for task in whole for each in by_batch(task))
    return Expanded(tasks, tuple(notes))


def _references(plan: Plan, model: Entry, notes: list[str]) -> list[str]:
    found: list[str] = []
    for name in model.names:
        with _at(plan, model):
            matches = references(name, plan.path.parent)
        if not matches:
            notes.append(f"{plan.where(model.line)}: {name} matches no file")
        found += matches
    return list(dict.fromkeys(found))


def _tasks(plan: Plan, model: Entry, reference: str, backend: Entry, name: str) -> Iterator[Task]:
    """What a model says goes before what a backend says, and that before the defaults.

    Raises UsageError, with the line of the model, for keys of which one rules out another.
    """
    given = {**plan.defaults.given, **backend.given, **model.given}
    usual = {axis: sizes for axis, sizes in plan.defaults.dims.items() if axis not in model.dims}
    usual |= {axis: sizes for axis, sizes in backend.dims.items() if axis not in model.dims}
    dims = {**usual, **model.dims}
    axes = [axis for axis in _AXES if axis in given]
    single = {key: given[key][0] for key in given if key not in LISTED}
    with _at(plan, model):
        refuse_many({axis: len(sizes) for axis, sizes in dims.items()})
    for chosen in product(*(given[axis] for axis in axes)):
        settled = single | dict(zip(axes, chosen, strict=True))
        for sizes in product(*dims.values()):
            options = _options(reference, name, settled, given.get("batch", (1,)), dims, sizes)
            with _at(plan, model):
                options = replace(options, dims=resolved(options.dims))
                refuse_contradictions(options)
            with _at(plan, backend if "runtime" in backend.given else plan.defaults):
                options = _of_version(plan, options)
            yield Task(options, tuple(sorted(usual)), force=settled.get("force", False))


@contextmanager
def _at(plan: Plan, entry: Entry) -> Iterator[None]:
    """Give an error the line of a table."""
    try:
        yield
    except UsageError as error:
        where = plan.where(entry.line)
        raise UsageError(error.what, where=where, remedy=error.remedy) from None


def _of_version(plan: Plan, options: Options) -> Options:
    """The options with the backend of the version that they name, if they name one.

    Raises UsageError where the plan names another backend for it.
    """
    if not options.runtime:
        return options
    package = parse(options.runtime).package
    name = backend_of(package)
    if name != options.backend and plan.backends != USUAL_BACKENDS:
        raise UsageError(
            f"{package} is a runtime of the backend {name}, not of {options.backend}",
            remedy=f'Write runtime below a [[backends]] with name = "{name}"',
        )
    return replace(options, backend=name)


def _options(
    reference: str,
    backend: str,
    settled: Mapping[str, Any],
    batches: tuple[int, ...],
    dims: Mapping[str, Any],
    sizes: tuple[Size, ...],
) -> Options:
    given = {FIELDS[key]: value for key, value in settled.items() if key in FIELDS}
    given |= {FIELDS[key]: tuple(sorted(given[FIELDS[key]])) for key in TABLES if key in settled}
    limits = Limits(settled.get("timeout", Limits().seconds), int(settled.get("memory", 0) * 2**30))
    return Options(
        models=(reference,),
        backend=backend,
        batches=batches,
        dims=tuple(sorted(zip(dims, sizes, strict=True))),
        limits=limits,
        **given,
    )


def excluded(plan: Plan, tasks: Iterable[Task]) -> Expanded:
    """The tasks, their devices settled, without the jobs that the plan excludes."""
    used: set[int] = set()
    kept = []
    for task in tasks:
        batches = tuple(
            batch for batch in task.options.batches if not _hits(plan, task, batch, used)
        )
        if batches:
            kept.append(task.asking(batches=batches))
    notes = [
        f"{plan.where(each.line)}: this [[exclude]] matches nothing"
        for number, each in enumerate(plan.exclusions)
        if number not in used
    ]
    return Expanded(tuple(kept), tuple(notes))


def _hits(plan: Plan, task: Task, batch: int, used: set[int]) -> bool:
    hits = {i for i, each in enumerate(plan.exclusions) if _matches(each, task, batch)}
    used |= hits
    return bool(hits)


def _matches(exclusion: Entry, task: Task, batch: int) -> bool:
    """Whether all keys of an exclusion match a job; of a key's values, any."""
    options = task.options
    sizes = dict(options.dims)
    special: dict[str, tuple[Any, ...]] = {
        "model": (task.model_name, task.model),
        "batch": (batch,),
        "device": (task.device_id, task.device_kind, options.device),
        "provider": (options.provider or task.device_kind,),
        "optimization-level": (_level(options),),
    }
    return all(
        any(_fits(pattern, value) for pattern in patterns for value in _of(key, options, special))
        for key, patterns in exclusion.given.items()
    ) and all(sizes.get(axis) in wanted for axis, wanted in exclusion.dims.items())


def _level(options: Options) -> str:
    """The level by the name that a plan gives it, settled or not."""
    written = options.granularity is Granularity.WRITTEN
    return options.optimization_level or (NONE if written else ALL)


def _of(key: str, options: Options, special: Mapping[str, tuple[Any, ...]]) -> tuple[Any, ...]:
    return special[key] if key in special else (getattr(options, FIELDS[key]),)


def _fits(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, str) and isinstance(value, str):
        return fnmatchcase(value, pattern)
    if isinstance(pattern, tuple) and isinstance(value, tuple):
        return set(pattern) <= set(value)  # options of a runtime: a task may have others beside
    return bool(pattern == value)
