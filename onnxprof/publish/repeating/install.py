"""What to install: onnxprof, the runtime and what both rest on, in the versions of a run."""

from __future__ import annotations

import re
import shlex

from onnxprof.compare.systems import runtime_version
from onnxprof.records.run import Run

_VERSION = re.compile(r"[0-9][\w.!+-]{0,40}")
_PACKAGE = re.compile(r"[A-Za-z0-9][\w.-]{0,80}")
#: Builds of torch that PyPI does not have, by the local part of their version.
_LOCAL = re.compile(r"cpu|xpu|cu\d{2,4}|rocm[\d.]+")
_TORCH = "https://download.pytorch.org/whl/"
_ALSO = ("onnx", "numpy")
#: What else onnxprof needs for a backend, where the runtime alone is not enough.
_EXTRAS = {"tensorrt": "tensorrt"}


def install(run: Run) -> str:
    """A line for a shell; what the run does not tell the version of is not pinned.

    Versions come from the run's file: what is no version or no package is left out.
    """
    facts = dict(run.environment)
    extras = [_EXTRAS[run.request.backend]] if run.request.backend in _EXTRAS else []
    extras += ["hub"] if run.model.reference.startswith("hf:") else []
    named = f"onnxprof[{','.join(extras)}]" if extras else "onnxprof"
    package, _, version = runtime_version(run).partition(" ")
    pinned = [_pinned(named, facts.get("onnxprof", ""))]
    if package and _PACKAGE.fullmatch(package):
        pinned.append(_pinned(package, version))
    pinned += [_pinned(name, facts[name]) for name in _ALSO if name in facts and name != package]
    return shlex.join(["pip", "install", *pinned, *_index(package, version)])


def _pinned(package: str, version: str) -> str:
    public, _, local = version.partition("+")
    if package == "torch" and _LOCAL.fullmatch(local):
        public = version
    return f"{package}=={public}" if _VERSION.fullmatch(public) else package


def _index(package: str, version: str) -> list[str]:
    local = version.partition("+")[2]
    if package != "torch" or not _LOCAL.fullmatch(local):
        return []
    return ["--extra-index-url", f"{_TORCH}{local}"]
