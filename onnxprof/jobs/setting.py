"""What jobs run on: devices, facts of the runtime and its settings, of any version of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution

from onnxprof.errors import BackendError, ModelError, OnnxprofError, UsageError, did_you_mean
from onnxprof.jobs.job import Job
from onnxprof.jobs.options import TABLE, Options
from onnxprof.machine.facts import environment
from onnxprof.plugins import registry, verbs
from onnxprof.plugins.backend import Backend
from onnxprof.plugins.placement import pick_devices
from onnxprof.processes.apart import import_first
from onnxprof.processes.confined import confined
from onnxprof.records.device import Device
from onnxprof.records.run import RUNTIME
from onnxprof.records.step import USUAL, Granularity
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.runtimes.overlay import (
    Overlay,
    lacking,
    modules_of,
    overlay,
    refuse_another,
    refuse_unused,
)
from onnxprof.runtimes.wanted import backend_of, normalised, oldest_tested, parse, release

Facts = tuple[tuple[str, str], ...]
Answer = tuple[tuple[Device, ...], Facts, Options]
Say = Callable[[str], None]

#: Levels that every runtime has a word for: no optimisation, and all of it.
NONE, ALL = "disable", "all"


@dataclass(frozen=True, slots=True)
class Setting:
    """What jobs of some options find: devices, and facts of machine and software."""

    devices: tuple[Device, ...]
    environment: Facts
    options: Options
    """The options as this version of the runtime takes them, see `settled`."""
    paths: tuple[str, ...] = ()
    """Folders that a process imports from before all others; none for the installed runtime."""
    notes: tuple[RunWarning, ...] = ()

    def placed(self, job: Job) -> Job:
        """The job where its process imports this runtime."""
        return replace(job, paths=self.paths, notes=(*job.notes, *self.notes))


def with_backend(options: Options) -> Options:
    """The options with the backend that the wanted runtime belongs to.

    Raises UsageError where another backend was asked for.
    """
    if not options.runtime:
        return options
    wanted = parse(options.runtime)
    name = backend_of(wanted.package)
    if options.backend not in (name, TABLE["backend"].default):
        raise UsageError(
            f"{wanted.package} is a runtime of the backend {name}, not of {options.backend}",
            remedy="Leave --backend away",
        )
    return replace(options, backend=name, runtime=str(wanted))


def setting(options: Options, wanted: str = "", say: Say | None = None) -> Setting:
    """What jobs of these options run on; `wanted` is a device that they do not name.

    Another version of the runtime is installed apart if need be, and asked in a process of its
    own; `say` hears of that, and of what the version requires and lacks. Raises UsageError or
    BackendError with the reason.
    """
    if not options.runtime:
        return Setting(*_asked(options, wanted))
    found = overlay(parse(options.runtime), say or _nobody)
    notes = tuple(_cautions(found))
    if say is not None:
        _tell(found, notes, say)
    return Setting(*_answer(options, wanted, found), (str(found.path),), notes)


def settled(options: Options, device: Device) -> Options:
    """The options with names and values as they are stored; settled ones stay as they are.

    What means the same has one form: no optimisation is the graph as written, all of it the usual
    setting. Raises UsageError or BackendError for what the backend does not take.
    """
    if options.setup == USUAL:
        return options
    level, written = options.optimization_level, options.granularity is Granularity.WRITTEN
    if written and level not in ("", NONE):
        raise UsageError(
            f"a graph as written is not optimised, and --optimization-level {level} asks for it",
            remedy="Leave out --granularity written, or --optimization-level",
        )
    if level == NONE:
        options = replace(options, granularity=Granularity.WRITTEN)
    if level in (NONE, ALL):
        options = replace(options, optimization_level="")
    backend = registry.backend(options.backend)
    setup = verbs.configured(backend, options.setup, options.provider or device.kind)
    return replace(
        options,
        optimization_level=setup.level,
        session_options=setup.session,
        provider_options=setup.provider,
    )


def _tell(found: Overlay, notes: Sequence[RunWarning], say: Say) -> None:
    for need in lacking(found):
        say(f"{found.title} {need} here")
    for note in notes:
        say(f"caution: {note.subject}")


def _nobody(_: str) -> None:
    """Tell nobody."""


def _answer(options: Options, wanted: str, found: Overlay) -> Answer:
    work = partial(_asked_apart, options, wanted, found)
    doing = f"asking {found.title} for its devices"
    try:
        return confined(work, options.limits, doing, found.title)
    except (BackendError, ModelError) as error:
        what = error.what.removesuffix(".")
        raise BackendError(what, where=found.title, remedy=_remedy(error, found)) from error


def _remedy(error: OnnxprofError, found: Overlay) -> str:
    """What it requires and lacks, but nothing that would install another version in its place."""
    if needs := lacking(found):
        return f"It {' and '.join(needs[:3])}: install that beside onnxprof"
    return "" if "pip install" in error.remedy else error.remedy


def _cautions(found: Overlay) -> list[RunWarning]:
    oldest = oldest_tested(found.package)
    if not oldest or release(found.version) >= release(oldest):
        return []
    about = f"{found.title} is older than {oldest}, the oldest that onnxprof is tested with"
    return [RunWarning(WarningKind.UNTESTED_RUNTIME, subject=about)]


def _asked(options: Options, wanted: str) -> Answer:
    backend = registry.backend(options.backend)
    refuse_provider(backend, options.provider)
    devices = pick_devices(backend, wanted or options.device, options.provider)
    for device in devices:
        options = settled(options, device)
    return tuple(devices), environment(backend=backend), options


def _asked_apart(options: Options, wanted: str, found: Overlay) -> Answer:
    """The same of a runtime in a folder of its own; runs in a process of its own."""
    import_first((str(found.path),))
    backend = registry.backend(options.backend)
    verbs.begin(backend)
    devices, facts, options = _asked(options, wanted)
    refuse_another(found.path)
    refuse_unused(found.path, backend.name)
    return devices, _as_imported(facts, found, verbs.packages(backend)), options


def refuse_provider(backend: Backend, provider: str) -> None:
    """Raise BackendError, with the reason, for a provider of the backend that does not work.

    And UsageError for a name that is none of its providers.
    """
    if provider and provider not in (known := verbs.providers_of(backend)):
        hint = did_you_mean(provider, known, cutoff=0.7)
        raise UsageError(
            f"the {backend.name} backend has no provider {provider!r} here",
            remedy=f"{hint}It has: {', '.join(known) or 'none'}",
        )
    for state in backend.availability() if provider else ():
        if not state.usable and state.device == provider:
            where = f"{backend.name}, provider {provider}"
            raise BackendError(state.detail, where=where, remedy=state.remedy)


def _as_imported(facts: Facts, found: Overlay, packages: Sequence[str]) -> Facts:
    """The facts without packages whose modules the overlay hides, and with its own version."""
    others = (name for name in packages if normalised(name) != found.package)
    hidden = {name for name in others if _is_hidden(name, found)}
    told = {key: value for key, value in facts if key not in hidden}
    return tuple((told | {RUNTIME: found.title, found.package: found.version}).items())


def _is_hidden(package: str, found: Overlay) -> bool:
    try:
        return bool(modules_of(distribution(package)) & found.modules)
    except PackageNotFoundError:
        return False
