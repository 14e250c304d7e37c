"""Which package may import which, and what the core never imports."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter

import pytest
from support.house import (
    HEIGHT,
    MODULES,
    PAGE,
    PICTURE,
    SOURCES,
    arrows,
    imports,
    ours,
    page,
    picture,
    room,
)
from support.places import ROOT

from onnxprof.cli.main import COMMANDS

#: Modules of a folder, `__init__.py` among them; networks are a file each.
MOST_MODULES = 14
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
RUNTIMES = ("onnxruntime", "torch", "openvino", "tensorrt", "tensorrt_rtx", "tensorflow", "keras")
#: Runtimes that networks are defined in, too: exporters and the zoo's makers import them.
FRAMEWORKS = ("torch", "tensorflow", "keras")
BACKENDS = "onnxprof.backends."
OPTIONAL = ("jinja2", "typst", "graphlay", "plotly", "mlperf_loadgen")
#: What no `--help` needs; the list of commands needs no more than typer.
HEAVY = (*RUNTIMES, *OPTIONAL, "onnx", "scipy", "pyarrow", "google.protobuf")
HEAVIER = (*HEAVY, "numpy", "psutil", "rich")
#: What a command may import of ours at the top, beside typer: its parameters.
LIGHT = (
    "onnxprof.cli.choosing",
    "onnxprof.cli.commands.stored.compared",
    "onnxprof.cli.completing.scripts",
    "onnxprof.cli.lazy",
    "onnxprof.cli.output",
    "onnxprof.cli.parameters",
    "onnxprof.compare.gates.requirement",
    "onnxprof.jobs.options",
    "onnxprof.records.step",
)


def test_imports_point_downwards() -> None:
    def allowed(mine: str, theirs: str) -> bool:
        return not mine or theirs == mine or bool(theirs and HEIGHT[theirs] < HEIGHT[mine])

    upwards = [
        f"{module} may not import {imported}"
        for module in MODULES
        for imported in ours(module)
        if not allowed(room(module), room(imported))
    ]
    assert upwards == []


def test_only_its_own_folder_names_a_backends_modules() -> None:
    def owner(name: str) -> str:
        return ".".join(name.split(".")[:3]) if name.startswith(BACKENDS) else ""

    def allowed(mine: str, theirs: str) -> bool:
        return theirs in ("", mine, f"{BACKENDS}cuda" if mine else "")

    foreign = [
        f"{module} may not import {imported}"
        for module in MODULES
        for imported in imports(module)
        if not allowed(owner(module), owner(imported))
    ]
    assert foreign == []


def test_only_backends_import_runtimes() -> None:
    importing = []
    for module in MODULES:
        defines = module.startswith(("onnxprof.exporters.", "onnxprof.zoo."))
        tops = {name.partition(".")[0] for name in imports(module)}
        refused = set(RUNTIMES) - set(FRAMEWORKS if defines else ())
        if tops & refused and not module.startswith(BACKENDS):
            importing.append(module)
    assert importing == []


def test_every_package_stands_on_a_floor() -> None:
    bare = {"onnxprof", "onnxprof.backends"}
    assert {module for module in MODULES if not room(module)} == bare
    assert {name for name in HEIGHT if f"onnxprof.{name}" not in MODULES} == set()


def test_the_page_and_the_picture_show_the_house_of_today() -> None:
    remedy = "run `make house`"
    assert PICTURE.read_text("utf-8") == picture(), remedy
    text = PAGE.read_text("utf-8")
    assert text == page(text), remedy


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_packages_import_each_other_in_a_circle() -> None:
    assert circle(arrows()) == []
    assert circle({"a": {"b"}, "b": {"a"}}) != []


def test_files_and_functions_stay_short() -> None:
    long = []
    for module, path in MODULES.items():
        text = path.read_text("utf-8")
        if len(text.splitlines()) > MOST_LINES:
            long.append(module)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MOST_LINES_OF_A_FUNCTION:
                    long.append(f"{module}.{node.name}")
    assert long == []


def test_tests_stay_short_too() -> None:
    long = [
        path.relative_to(ROOT)
        for top in ("benchmarks", "tests")
        for path in (ROOT / top).rglob("*.py")
        if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    ]
    assert long == []


def test_folders_stay_small() -> None:
    folders = [p.parent for top in ("benchmarks", "tests") for p in (ROOT / top).rglob("*.py")]
    large = {SOURCES["onnxprof.zoo"] / "networks"}
    folders += [path.parent for path in MODULES.values() if path.parent not in large]
    crowded = {path for path in folders if len(list(path.glob("*.py"))) > MOST_MODULES}
    assert crowded == set()


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


BLOCK = """
import importlib, sys
from importlib.abc import MetaPathFinder
class Blocked(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
for name in {modules!r}:
    importlib.import_module(name)
"""


def test_every_module_imports_without_runtimes_and_extras() -> None:
    # Definitions in torch are modules to be read; only a maintainer's export imports them.
    apart = ("onnxprof.__main__", "onnxprof.zoo.networks.")
    modules = [name for name in MODULES if not name.startswith(apart)]
    python(BLOCK.format(blocked=RUNTIMES + OPTIONAL, modules=modules))


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        (["--help"], HEAVIER),
        (["--version"], HEAVIER),
        (["profile", "--help"], HEAVIER),
        (["compare", "--help"], HEAVIER),
        (["inspect", "--help"], HEAVY),
        (["runs", "--help"], HEAVY),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], unwanted: tuple[str, ...]) -> None:
    code = f"""
import sys
sys.argv = ["onnxprof", *{arguments!r}]
from onnxprof.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", [name for name in {unwanted!r} if name in sys.modules])
"""
    assert python(code).splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_little_at_the_top(command: str) -> None:
    """What its parameters are made of, and no more."""
    for node in ast.parse(MODULES[COMMANDS[command].module].read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            tops = {name.partition(".")[0] for name in names if name not in LIGHT}
            assert tops <= {"typer", *sys.stdlib_module_names}, names


def test_no_module_takes_the_name_of_a_runtime() -> None:
    assert not {path.stem for path in MODULES.values()} & {"torch", "onnxruntime", "onnx"}
    assert not (ROOT / "site" / "__init__.py").exists()


PLACES = re.compile(r"(?<![\w./])/(?:work|root|opt|mnt|Users|home/[a-z]+)/[\w.-]+")
TEXTS = ("py", "toml", "md", "in", "cfg", "sh", "yml", "yaml", "html", "js", "css", "json")


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    folders = ("onnxprof", "backends", "exporters", "zoo", "site", "benchmarks", "docs", ".ci")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    found += [path for path in ROOT.iterdir() if path.is_file() and path.name != ".git"]
    texts = [path for path in found if path.suffix[1:] in TEXTS or not path.suffix]
    named = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        for match in [PLACES.search(path.read_text("utf-8", "replace"))]
        if match
    ]
    assert named == []


def test_no_two_test_files_have_one_name() -> None:
    """pytest imports them by their names alone, and refuses the second."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted({name for name in names if names.count(name) > 1}) == []
