"""Inference profiler for ONNX models: per-layer times that add up, on any runtime."""

from __future__ import annotations

__version__: str

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    """Look the version up when asked: importlib.metadata costs a third of `onnxprof --help`."""
    if name != "__version__":
        raise AttributeError(f"module 'onnxprof' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("onnxprof")
    except PackageNotFoundError:  # a source tree that was never installed
        return "0+unknown"
