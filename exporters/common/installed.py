"""Whether a framework and its ONNX libraries are installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from onnxprof.records.device import Availability

REMEDY = 'pip install "onnxprof[export]"'


def availability(exporter: str, *modules: str) -> Availability:
    """Availability of an exporter: usable if every module is installed. Imports none of them."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        return Availability(
            exporter, "cpu", False, f"{' and '.join(missing)} not installed", REMEDY
        )
    return Availability(exporter, "cpu", True, ", ".join(map(_version, modules)))


def _version(module: str) -> str:
    name = {"tensorflow": "tensorflow-cpu"}.get(module, module)
    for candidate in (name, module):
        try:
            return f"{module} {version(candidate)}"
        except PackageNotFoundError:
            continue
    return module
