"""The plan of one line that `onnxprof profile A B C` is: models by one set of options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from onnxprof.errors import OnnxprofError
from onnxprof.jobs.options import Options
from onnxprof.jobs.setting import setting, with_backend
from onnxprof.jobs.sweep import sizes_of, start_server
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.plugins import registry
from onnxprof.records.device import Device
from onnxprof.sweeps.devices import here, spread
from onnxprof.sweeps.tasks import Task


def tasks_of(
    options: Options,
    force: bool = False,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> list[Task]:
    """A task for each device and model, device by device; `say` hears of another runtime version.

    Raises UsageError or BackendError for what no model can be measured with.
    """
    options = with_backend(options)
    start_server(registry.backend(options.backend))
    asked = partial(_devices, options, say) if options.runtime else here
    whole = spread([Task(replace(options, models=options.models[:1]), force=force)], asked)
    for _, error in whole.refused:
        raise error
    sized = _sized(options, progress)
    return [
        task.asking(models=(model,), dims=sized.get(model, options.dims))
        for task in whole.tasks
        for model in options.models
    ]


def _devices(
    options: Options, say: Callable[[str], None] | None, backend: str, wanted: str, provider: str
) -> Sequence[Device]:
    """Those of the version of the runtime that the options name."""
    asked = replace(options, backend=backend, device=wanted, provider=provider)
    return setting(asked, say=say).devices


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
