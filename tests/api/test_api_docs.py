"""Examples run: those of docstrings, of docs/python.md, and the notebook."""

from __future__ import annotations

import ast
import doctest
import json
import re
import sys
import warnings
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import pytest
from support.places import ROOT

import onnxprof as op
from onnxprof import api

PAGE, NOTEBOOK = ROOT / "docs" / "python.md", ROOT / "docs" / "tour.ipynb"
MODULES = sorted(info.name for info in walk_packages(api.__path__, "onnxprof.api."))
FUNCTIONS = [name for name in op.__all__ if name != "errors" and name[0].islower()]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def examples(module: str) -> list[doctest.DocTest]:
    return [each for each in doctest.DocTestFinder().find(import_module(module)) if each.examples]


@pytest.mark.parametrize("module", [name for name in MODULES if examples(name)])
def test_the_examples_of_docstrings(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module.endswith("measuring"):
        pytest.importorskip("onnxruntime")
    if module.endswith(("publishing", "reporting")):
        pytest.importorskip("jinja2")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
    said: list[str] = []
    for each in examples(module):
        runner.run(each, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "__version__"])
def test_every_function_has_an_example(name: str) -> None:
    function = getattr(op, name)
    found = doctest.DocTestFinder(recurse=False).find(function, name)
    assert any(each.examples for each in found)


def test_the_page_names_every_function_and_every_method_of_runs() -> None:
    text = PAGE.read_text("utf-8")
    for name in FUNCTIONS:
        assert name == "__version__" or f"`op.{name}(" in text, name
    methods = [name for name in vars(op.Runs) if name[0] != "_" and name not in ("parts",)]
    for name in methods:
        assert re.search(rf"\.{name}\b", text), name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all blocks run, one after the other: a later one reads what an earlier one stored."""
    return tmp_path_factory.mktemp("snippets")


def test_the_blocks_of_the_page_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("onnxruntime", "pandas"):
        pytest.importorskip(package)
    monkeypatch.chdir(place)
    assert len(BLOCKS) >= 7
    for block in BLOCKS:
        assert "import onnxprof as op" in block
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            exec(compile(block, str(PAGE), "exec"), {"__name__": "snippet"})
    assert (place / "runs").is_dir()


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return found


def test_the_notebook_has_no_outputs_and_no_more_than_it_needs() -> None:
    whole = json.loads(NOTEBOOK.read_text("utf-8"))
    assert whole["nbformat"] == 4
    assert set(whole["metadata"]) <= {"kernelspec", "language_info"}
    for cell in cells():
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            ast.parse("".join(cell["source"]))
    assert NOTEBOOK.stat().st_size < 20_000


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a kernel of this interpreter, whatever is registered on this machine."""
    folder = tmp_path / "jupyter" / "kernels" / "tour"
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "tour", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    for variable, name in (("PATH", "jupyter"), ("RUNTIME_DIR", "r"), ("CONFIG_DIR", "c")):
        monkeypatch.setenv(f"JUPYTER_{variable}", str(tmp_path / name))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return "tour"


def test_the_notebook_runs_in_jupyter(kernel: str, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    for package in ("ipykernel", "onnxruntime", "pandas", "plotly"):
        pytest.importorskip(package)
    book = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=300, kernel_name=kernel, resources=resources).execute()
    outputs = [out for cell in book.cells for out in cell.get("outputs", ())]
    assert not [out for out in outputs if out.output_type == "error"]
    data = [out.data for out in outputs if "data" in out]
    assert any("s measured (" in each.get("text/html", "") for each in data)
    assert any("application/vnd.plotly.v1+json" in each for each in data)
    said = "".join(out.text for out in outputs if out.output_type == "stream")
    assert "Traceback" not in said
    assert "ipywidgets" not in said
    assert "onnxprof: lenet, batch 1" in said
