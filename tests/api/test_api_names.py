"""`import onnxprof`: public names that cost nothing until they are used, and stay what they are."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module

import pytest
from support.places import ROOT

import onnxprof as op

FUNCTIONS = (
    *(
        "advise",
        "align",
        "compare",
        "compare_versions",
        "cost",
        "doctor",
        "export",
        "inspect",
        "load",
        "profile",
    ),
    *("report", "scaling", "site", "symbolic_cost"),
)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_import_brings_its_own_module_alone() -> None:
    code = """
import sys, types, __future__
old = set(sys.modules)
import onnxprof
print(*sys.modules.keys() - old)
"""
    assert python(code) == "onnxprof\n"


def test_no_function_rests_on_the_command_line() -> None:
    code = f"""
import sys, onnxprof
for name in {FUNCTIONS!r}:
    getattr(onnxprof, name)
print([name for name in sys.modules if name.startswith(("typer", "onnxprof.cli"))])
"""
    assert python(code) == "[]\n"


def test_to_list_the_names_brings_nothing_more() -> None:
    code = """
import sys
import onnxprof
old = set(sys.modules)
assert "profile" in dir(onnxprof), dir(onnxprof)
print(len(sys.modules.keys() - old))
"""
    assert python(code) == "0\n"


@pytest.mark.parametrize("name", ["errors", "Run", "LayerTable", "Measuring"])
def test_errors_and_records_bring_no_runtime_and_no_table(name: str) -> None:
    heavy = ("onnxruntime", "torch", "openvino", "pyarrow", "rich", "pandas", "polars", "plotly")
    code = f"import sys, onnxprof; onnxprof.{name}; print([m for m in {heavy} if m in sys.modules])"
    assert python(code) == "[]\n"


def imported_for_checkers() -> dict[str, str]:
    """Name and module of each import that a type checker sees."""
    tree = ast.parse((ROOT / "onnxprof" / "__init__.py").read_text("utf-8"))
    [block] = [
        node
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {
        alias.asname or "": f"{node.module}.errors" if alias.name == "errors" else node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_a_type_checker_sees_the_names_that_there_are() -> None:
    assert imported_for_checkers() == op._PLACES
    assert set(op.__all__) == {"__version__", *op._PLACES}


@pytest.mark.parametrize("name", [name for name in op.__all__ if name != "__version__"])
def test_every_name_is_there_and_documented(name: str) -> None:
    found = getattr(op, name)
    assert inspect.getdoc(found)
    assert name in dir(op)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_functions_whatever_was_imported_below(name: str) -> None:
    for module in ("compare.changes", "cost.count", "doctor", "site", "compare", "cost"):
        import_module(f"onnxprof.{module}")
    assert inspect.isfunction(getattr(op, name))


def test_packages_with_the_name_of_a_function_are_imported_as_ever() -> None:
    code = """
from onnxprof.compare import changes, pairing
from onnxprof.compare.changes import compare as judge
import onnxprof.compare.systems
import onnxprof
from onnxprof import compare, cost, doctor, site, errors, folders
assert callable(compare) and callable(cost) and callable(doctor) and callable(site)
assert changes.compare is judge
assert errors.UsageError.__module__ == "onnxprof.errors"
from onnxprof import *
assert compare is onnxprof.compare
"""
    python(code)


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'profil'"):
        op.profil  # noqa: B018
    with pytest.raises(ImportError, match="profil"):
        from onnxprof import profil  # noqa: F401


def test_the_version_is_that_of_the_package() -> None:
    assert op.__version__[0].isdigit()
