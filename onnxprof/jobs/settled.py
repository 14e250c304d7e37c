"""Options whose settings of the runtime its backend has checked, before anything is measured."""

from __future__ import annotations

from dataclasses import replace

from onnxprof.errors import UsageError
from onnxprof.jobs.options import Options
from onnxprof.plugins import registry
from onnxprof.plugins.verbs import configured
from onnxprof.records.device import Device
from onnxprof.records.step import USUAL, Granularity

#: Levels that every runtime has a word for: no optimisation, and all of it.
NONE, ALL = "disable", "all"


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
    setup = configured(backend, options.setup, options.provider or device.kind)
    return replace(
        options,
        optimization_level=setup.level,
        session_options=setup.session,
        provider_options=setup.provider,
    )
