"""Tasks in phases of models with states: each phase goes to the models that have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.processes.confined import Limits, confined
from onnxprof.records.sequences.phase import Phase, PhaseKind
from onnxprof.sequences.grammar import points
from onnxprof.sweeps.tasks import Task

Kinds = Mapping[str, frozenset[PhaseKind]]


def in_phases(
    tasks: Sequence[Task],
    texts: Sequence[str],
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Task]:
    """A task for each phase that the texts name, where its model has it.

    Of several models each has its own: a file for the prompt beside one for later tokens. `say`
    hears of those without any. A phase that no model has goes to all, which say why. Raises
    UsageError for a text that names no phase.
    """
    phases = points(texts)
    if not phases:
        return list(tasks)
    kinds = _kinds(tasks, progress)
    for model in dict.fromkeys(task.model for task in tasks):
        if not any(_takes(model, phase, kinds) for phase in phases):
            say(f"{model} has no {_names(phases)}: these are for the other models")
    return list(_placed(tasks, phases, kinds))


def lacks_phase(model: str, options: Options, progress: Progress | None = None) -> bool:
    """Whether a model can be read and has no phase of the kind that the options ask for."""
    if not options.phase:
        return False
    kind = Phase.of(options.phase).kind
    try:
        return kind not in _kinds_of(model, options.limits, progress)
    except OnnxprofError:
        return False


def _kinds_of(model: str, limits: Limits, progress: Progress | None) -> frozenset[PhaseKind]:
    file = resolve(model, progress)
    return confined(partial(_kinds_in, file), limits, "planning", file.reference)


def _placed(tasks: Sequence[Task], phases: Sequence[Phase], kinds: Kinds) -> Iterator[Task]:
    for task in tasks:
        for phase in phases:
            if _takes(task.model, phase, kinds):
                yield task.asking(phase=str(phase))


def _takes(model: str, phase: Phase, kinds: Kinds) -> bool:
    """Whether the phase is for the model: it has it, or no model has it, or nobody knows."""
    known = frozenset[PhaseKind]().union(*kinds.values())
    return model not in kinds or phase.kind in kinds[model] or phase.kind not in known


def _names(phases: Sequence[Phase]) -> str:
    return " or ".join(dict.fromkeys(phase.kind.value for phase in phases))


def _kinds(tasks: Sequence[Task], progress: Progress | None) -> Kinds:
    """By model the phases that it has; nothing of one model alone, and of those not to be read."""
    models = dict.fromkeys(task.model for task in tasks)
    if len(models) < 2:
        return {}
    found: dict[str, frozenset[PhaseKind]] = {}
    for model in models:
        try:
            found[model] = _kinds_of(model, tasks[0].options.limits, progress)
        except OnnxprofError:  # its task says why
            continue
    return found


def _kinds_in(file: Resolved) -> frozenset[PhaseKind]:
    from onnxprof.model.file import open_found
    from onnxprof.sequences.planned import phases_of

    return phases_of(open_found(file))
