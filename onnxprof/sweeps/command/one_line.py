"""The plan of one line that `onnxprof profile A B C` is: models by one set of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from onnxprof.errors import BackendError, OnnxprofError, UsageError
from onnxprof.jobs.options import Options, refuse_contradictions
from onnxprof.jobs.outlook import ahead_s
from onnxprof.jobs.setting import setting, with_backend
from onnxprof.jobs.sweep import sizes_of, start_server
from onnxprof.model.dims import grammar
from onnxprof.model.dims.choosing import left_out, names_of
from onnxprof.model.dims.grammar import Dims
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.verbs import has_provider
from onnxprof.sweeps.devices import Spread, on, spread
from onnxprof.sweeps.tasks import Task, by_batch

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
    known = sized_models(options, progress)
    if len(names) == 1:
        found = _found(_of_one_model(options, force), say)
        for _, error in found.refused:
            raise error
        bare = found.tasks
        return [
            each for t in bare for model in options.models for each in of_model(t, known[model])
        ]
    bare = [task for each in _settled(options, names, loaded) for task in _spread(each, force)]
    return [each for model in options.models for t in bare for each in of_model(t, known[model])]


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
    """What of the options is not for all of several backends; how many measurements axes make."""
    without = dict.fromkeys(
        task.options.backend for task in tasks if task.options.provider != options.provider
    )
    for name in without:
        yield f"{name} has no provider {options.provider!r}: --provider is for the other backends"
    if many := how_many(tasks, options):
        yield many


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


def of_model(task: Task, model: Sized) -> Iterator[Task]:
    """A task of a model for each combination of sizes, the last axis fastest."""
    for dims in grammar.combinations(model.dims):
        yield from by_batch(task.asking(models=(model.reference,), dims=grammar.resolved(dims)))


@dataclass(frozen=True, slots=True)
class Sized:
    """A model with the sizes that are meant for it."""

    reference: str
    dims: Dims


def sized_models(options: Options, progress: Progress | None) -> dict[str, Sized]:
    """For each model that is there the sizes of the axes that it has; else all."""
    files: dict[str, Resolved] = {}
    for model in options.models if options.dims else ():
        try:
            files[model] = resolve(model, progress)
        except OnnxprofError:  # its task says why
            continue
    found = dict(zip(files, sizes_of(list(files.values()), options), strict=True))
    return {model: Sized(model, found.get(model, options.dims)) for model in options.models}


def axes_left_out(tasks: Sequence[Task], asked: Options) -> list[tuple[str, str]]:
    """Models without an axis whose size is given for others, and the axis, each once."""
    models = {task.model: task for task in tasks}
    names = [names_of(task.model, task.model_name) for task in models.values()]
    sized = [task.options.dims for task in models.values()]
    titles = [task.model_name for task in models.values()]
    found = left_out(asked.dims, names, sized)
    return list(dict.fromkeys((titles[number], axis) for number, axis in found))


def how_many(tasks: Sequence[Task], asked: Options) -> str:
    """`24 measurements: 3 sizes of past x 2 of new x 4 of the batch`; empty for one size each."""
    swept = [(name, len(grammar.alternatives(size))) for name, size in asked.dims]
    axes = [(name, count) for name, count in swept if count > 1]
    if not axes:
        return ""
    whole = sum(len(task.options.batches) for task in tasks)
    factors = [f"{count} {'sizes ' if not i else ''}of {n}" for i, (n, count) in enumerate(axes)]
    batches = len(asked.batches)
    models = len(dict.fromkeys(task.model for task in tasks))
    factors += [f"{batches} of the batch"] if batches > 1 else []
    factors += [f"{models} models"] if models > 1 else []
    known = prod(count for _, count in axes) * batches * models
    others = whole // known if known else 0
    factors += [f"{others} systems"] if others > 1 else []
    is_product = known * max(others, 1) == whole
    return f"{whole} measurements" + (f": {' x '.join(factors)}" if is_product else "")
