"""The plan of one line that `onnxprof profile A B C` is: models by one set of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from onnxprof.errors import BackendError, OnnxprofError, UsageError
from onnxprof.jobs.options import Options, refuse_contradictions
from onnxprof.jobs.outlook import ahead_s
from onnxprof.jobs.setting import setting, with_backend
from onnxprof.jobs.sweep import sizes_of, start_server
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.verbs import has_provider
from onnxprof.sweeps.devices import Spread, on, spread
from onnxprof.sweeps.tasks import Task

#: What takes less is over before its announcement is read; from the other on minutes are enough.
_WORTH_SAYING_S, _MINUTES_S = 5.0, 600.0

Say = Callable[[str], None]


def tasks_of(
    options: Options,
    force: bool = False,
    progress: Progress | None = None,
    say: Say | None = None,
) -> list[Task]:
    """A task for each device and model, device by device; of several backends, model by model.

    `say` hears of another version of the runtime. Raises UsageError or BackendError for what no
    model can be measured with. A backend of several that does not work here has tasks, too: they
    fail with the reason, and keep no other from running.
    """
    refuse_contradictions(options)
    names = backend_names(options.backend)
    if options.runtime:
        _refuse_several(names)
        options = with_backend(options)
        names = (options.backend,)
    loaded = _loaded(names)
    start_server(*loaded.values())
    sized = _sized(options, progress)
    if len(names) == 1:
        found = _found(_of_one_model(options, force), say)
        for _, error in found.refused:
            raise error
        return [_of_model(task, model, sized) for task in found.tasks for model in options.models]
    bare = [task for each in _settled(options, names, loaded) for task in _spread(each, force)]
    return [_of_model(task, model, sized) for model in options.models for task in bare]


def _refuse_several(names: Sequence[str]) -> None:
    if len(names) > 1:
        raise UsageError(
            f"--runtime is a version of one runtime, and --backend names {len(names)} backends",
            remedy="Leave --backend away: the package's name says which it is",
        )


def _found(task: Task, say: Say | None) -> Spread:
    """The task for each device that is meant, as the version of the runtime has them."""
    if not task.options.runtime:
        return spread([task])
    found = setting(task.options, say=say)
    return Spread([on(task, device, found.options) for device in found.devices])


def backend_names(text: str) -> tuple[str, ...]:
    """`ort,torch` as ("ort", "torch"), each once. Raises UsageError for an empty item."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        remedy = "Put one comma between two names"
        raise UsageError(f"--backend {text!r} has an empty item", remedy=remedy)
    return tuple(dict.fromkeys(names))


def remarks(tasks: Sequence[Task], options: Options) -> Iterator[str]:
    """What of the options is not for all of several backends."""
    without = dict.fromkeys(
        task.options.backend for task in tasks if task.options.provider != options.provider
    )
    for name in without:
        yield f"{name} has no provider {options.provider!r}: --provider is for the other backends"


def announcement(tasks: Sequence[Task]) -> str:
    """How long the tasks will take, in a line; empty where that is short or nobody knows."""
    seconds = [ahead_s(task.options) for task in tasks]
    known = [each for each in seconds if each is not None]
    whole = sum(known)
    if len(known) < len(seconds) or whole < _WORTH_SAYING_S:
        return ""
    options = tasks[0].options
    count = sum(len(task.options.batches) for task in tasks)
    number = f"{count} measurements" if count > 1 else "the measurement"
    each = f"up to {options.budget.seconds:g} s of sampling"
    if options.duration:
        each = f"{options.duration:g} s of sampling at least"
    loads = f", then {options.streams} at a time" if options.streams else ""
    many = f"{each} each" if count > 1 else each
    return f"{number}: {many}{loads}; some {_spelled(whole)} in all, with loading and checks"


def _spelled(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < _MINUTES_S else f"{seconds / 60:.0f} min"


def _loaded(names: Sequence[str]) -> Mapping[str, Backend]:
    """The backends of these names; one of several that does not load is left out.

    Raises UsageError for a name that nobody registered.
    """
    found: dict[str, Backend] = {}
    for name in names:
        try:
            found[name] = registry.backend(name)
        except BackendError:  # its tasks say why
            if len(names) == 1:
                raise
    return found


def _settled(
    options: Options, names: Sequence[str], loaded: Mapping[str, Backend]
) -> Iterator[Options]:
    """The options for each backend, with the provider where it has it. Raises UsageError."""
    provider = options.provider
    having = [
        name
        for name in names
        if not provider or (name in loaded and has_provider(loaded[name], provider))
    ]
    if not having:
        raise UsageError(
            f"none of {', '.join(names)} has a provider {provider!r}",
            remedy="See onnxprof doctor",
        )
    for name in names:
        yield replace(options, backend=name, provider=provider if name in having else "")


def _of_one_model(options: Options, force: bool) -> Task:
    return Task(replace(options, models=options.models[:1]), force=force)


def _spread(options: Options, force: bool) -> list[Task]:
    """A task for each device; one without a device, which will say why, where there is none."""
    found = spread([_of_one_model(options, force)])
    return [*found.tasks, *(task for task, _ in found.refused)]


def _of_model(task: Task, model: str, sized: Mapping[str, tuple[tuple[str, int], ...]]) -> Task:
    return task.asking(models=(model,), dims=sized.get(model, task.options.dims))


def _sized(options: Options, progress: Progress | None) -> dict[str, tuple[tuple[str, int], ...]]:
    """For each model that is there the sizes of the axes that it has."""
    if len(options.models) < 2 or not options.dims:
        return {}
    files: dict[str, Resolved] = {}
    for model in options.models:
        try:
            files[model] = resolve(model, progress)
        except OnnxprofError:  # its task says why
            continue
    return dict(zip(files, sizes_of(list(files.values()), options), strict=True))
