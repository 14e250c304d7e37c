"""What pyproject.toml declares: every package that is imported, each with a lowest version."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
#: Modules that are called otherwise than the package that brings them.
PACKAGES = {
    "pynvml": "nvidia-ml-py",
    "cuda": "cuda-python",
    "tensorflow": "tensorflow-cpu",
    "jinja2": "jinja2",
    "axe_playwright_python": "axe-playwright-python",
    "mlperf_loadgen": "mlcommons-loadgen",
}
#: Part of a declared package, or what a user brings: why nothing declares it.
UNDECLARED = {
    "google": "protobuf, which onnx needs and pins for itself",
    "click": "what typer is made of",
    "markupsafe": "what jinja2 is made of",
    "cupti": "cupti-python, of the CUDA that the user has",
    "tensorrt_rtx": "an alternative to tensorrt",
    "onnx_ir": "what onnxscript is made of",
    "pkg_resources": "setuptools' own",
}


@pytest.fixture(scope="module")
def bounds() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bounds", ROOT / ".ci" / "bounds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported() -> Iterator[tuple[str, Path]]:
    for top in ("onnxprof", "backends", "exporters", "zoo"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((alias.name.partition(".")[0], path) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module.partition(".")[0], path


def declared() -> set[str]:
    texts = [*PROJECT["dependencies"]]
    texts += [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    return {re.split(r"[\[<>=~!]", text)[0].lower().replace("_", "-") for text in texts}


def test_every_import_is_declared() -> None:
    known = declared()
    for module, path in imported():
        if module in sys.stdlib_module_names or module in UNDECLARED:
            continue
        package = PACKAGES.get(module, module).lower().replace("_", "-")
        assert package in known, f"{path.relative_to(ROOT)} imports {module}"


def test_every_requirement_has_a_lowest_version(bounds: ModuleType) -> None:
    extras = [extra for extra in PROJECT["optional-dependencies"] if extra != "lint"]
    found = bounds.constraints(PROJECT, extras)
    assert "numpy==2.0" in found
    assert "pytest==8" in found  # of `check`, by way of `test`
    assert "graphlay==0.3.1" in found
    assert "mlcommons-loadgen==6.0.3" in found  # which has markers
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in found)


@pytest.mark.parametrize("text", ["numpy", "numpy<3", "numpy; python_version>'3'"])
def test_a_requirement_without_a_bound_is_named(bounds: ModuleType, text: str) -> None:
    with pytest.raises(ValueError, match="numpy"):
        bounds.constraints({"name": "x", "dependencies": [text]}, ())
