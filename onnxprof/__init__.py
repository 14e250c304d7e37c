"""Inference profiler for ONNX models: per-layer times that add up, on any runtime.

    import onnxprof as op

    runs = op.profile("model.onnx", batches=(1, 8))
    print(runs)

docs/python.md shows the rest. A name is imported when it is used: `import onnxprof` costs nothing.
"""

from __future__ import annotations

import sys
from types import ModuleType

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all of this
if TYPE_CHECKING:
    from onnxprof import errors as errors
    from onnxprof.api.advising import advise as advise
    from onnxprof.api.aligning import align as align
    from onnxprof.api.comparing import compare as compare
    from onnxprof.api.exporting import export as export
    from onnxprof.api.inspecting import cost as cost
    from onnxprof.api.inspecting import inspect as inspect
    from onnxprof.api.inspecting import symbolic_cost as symbolic_cost
    from onnxprof.api.loading import load as load
    from onnxprof.api.measuring import profile as profile
    from onnxprof.api.options import Measuring as Measuring
    from onnxprof.api.publishing import doctor as doctor
    from onnxprof.api.publishing import site as site
    from onnxprof.api.reporting import report as report
    from onnxprof.api.results.advice import Advice as Advice
    from onnxprof.api.results.alignment import Alignment as Alignment
    from onnxprof.api.results.comparison import Comparison as Comparison
    from onnxprof.api.results.diagnosis import Diagnosis as Diagnosis
    from onnxprof.api.results.inspection import Costs as Costs
    from onnxprof.api.results.inspection import Inspection as Inspection
    from onnxprof.api.results.inspection import SymbolicCosts as SymbolicCosts
    from onnxprof.api.results.phased import Phased as Phased
    from onnxprof.api.results.runs import Failure as Failure
    from onnxprof.api.results.runs import Runs as Runs
    from onnxprof.api.results.scalings import Scalings as Scalings
    from onnxprof.api.results.versions import VersionsCompared as VersionsCompared
    from onnxprof.api.scaling import phases as phases
    from onnxprof.api.scaling import scaling as scaling
    from onnxprof.api.versions.comparing import compare_versions as compare_versions
    from onnxprof.jobs.exporting.export import Exported as Exported
    from onnxprof.publish.site.build import Built as Built
    from onnxprof.records.device import Device as Device
    from onnxprof.records.layer import Layer as Layer
    from onnxprof.records.layer import LayerKind as LayerKind
    from onnxprof.records.layer import LayerTable as LayerTable
    from onnxprof.records.layer import ModelFacts as ModelFacts
    from onnxprof.records.layer import Tensor as Tensor
    from onnxprof.records.run import Request as Request
    from onnxprof.records.run import Run as Run
    from onnxprof.records.step import Step as Step
    from onnxprof.records.timings import Timings as Timings
    from onnxprof.records.warning import RunWarning as RunWarning

__version__: str

#: The module of each public name; tests/api/test_names.py holds it equal to the imports above.
_PLACES = {
    "Advice": "onnxprof.api.results.advice",
    "Alignment": "onnxprof.api.results.alignment",
    "Built": "onnxprof.publish.site.build",
    "Comparison": "onnxprof.api.results.comparison",
    "Costs": "onnxprof.api.results.inspection",
    "Device": "onnxprof.records.device",
    "Diagnosis": "onnxprof.api.results.diagnosis",
    "Exported": "onnxprof.jobs.exporting.export",
    "Failure": "onnxprof.api.results.runs",
    "Inspection": "onnxprof.api.results.inspection",
    "Layer": "onnxprof.records.layer",
    "LayerKind": "onnxprof.records.layer",
    "LayerTable": "onnxprof.records.layer",
    "Measuring": "onnxprof.api.options",
    "ModelFacts": "onnxprof.records.layer",
    "Phased": "onnxprof.api.results.phased",
    "Request": "onnxprof.records.run",
    "Run": "onnxprof.records.run",
    "RunWarning": "onnxprof.records.warning",
    "Runs": "onnxprof.api.results.runs",
    "Scalings": "onnxprof.api.results.scalings",
    "Step": "onnxprof.records.step",
    "SymbolicCosts": "onnxprof.api.results.inspection",
    "Tensor": "onnxprof.records.layer",
    "Timings": "onnxprof.records.timings",
    "VersionsCompared": "onnxprof.api.results.versions",
    "advise": "onnxprof.api.advising",
    "align": "onnxprof.api.aligning",
    "compare": "onnxprof.api.comparing",
    "compare_versions": "onnxprof.api.versions.comparing",
    "cost": "onnxprof.api.inspecting",
    "doctor": "onnxprof.api.publishing",
    "errors": "onnxprof.errors",
    "export": "onnxprof.api.exporting",
    "inspect": "onnxprof.api.inspecting",
    "load": "onnxprof.api.loading",
    "phases": "onnxprof.api.scaling",
    "profile": "onnxprof.api.measuring",
    "report": "onnxprof.api.reporting",
    "scaling": "onnxprof.api.scaling",
    "site": "onnxprof.api.publishing",
    "symbolic_cost": "onnxprof.api.inspecting",
}
__all__ = ["__version__", *_PLACES]


class _Package(ModuleType):
    """Keeps the functions of the API under their names.

    To import `onnxprof.compare.changes` would bind the package `onnxprof.compare` here, in place of
    the function `compare`.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _PLACES and isinstance(value, ModuleType) and name != "errors"):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

if not TYPE_CHECKING:  # a type checker would take any name for a public one

    def __getattr__(name: str) -> object:
        """Import a public name when it is used; the version takes importlib.metadata."""
        if name == "__version__":
            return _version()
        if name not in _PLACES:
            raise AttributeError(f"module 'onnxprof' has no attribute {name!r}")
        from importlib import import_module

        module = import_module(_PLACES[name])
        found = module if name == "errors" else getattr(module, name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("onnxprof")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
