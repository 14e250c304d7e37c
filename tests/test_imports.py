"""Who may import whom, and what the core never imports: DESIGN's table as a test."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from onnxprof.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
#: Where the source of each package lies.
SOURCES = {
    "onnxprof": ROOT / "onnxprof",
    "onnxprof.backends": ROOT / "backends",
    "onnxprof.exporters": ROOT / "exporters",
    "onnxprof.zoo": ROOT / "zoo",
}
#: Rooms of one or more modules (a package counts as one module). A new module goes in here.
ROOMS: Mapping[str, tuple[str, ...]] = {
    "records": ("records", "devicefacts", "outcomes", "timings", "readings", "gpurows"),
    "contracts": ("contracts",),
    "folders": ("folders",),
    "stats": ("stats",),
    "ratios": ("ratios",),
    "serial": ("serial",),
    "tensors": ("tensors", "protobound", "datafiles"),
    "model": (
        *("modelfile", "graph", "layertypes", "folding"),
        *("operands", "reshaping", "shapes", "batchaxes", "rebatch", "declared"),
        *("references", "modelhub", "huggingface", "shaping", "localfunctions", "weights"),
        "suggestion",
        *("batchtrace", "obstacles", "mixing"),
    ),
    "inspector": ("inspector", "attributes"),
    "provenance": ("provenance", "congruence", "topology"),
    "verify": ("verify",),
    "interruptions": ("interruptions",),
    "steptimes": ("steptimes",),
    "measure": ("measure", "sampling", "cautions", "cuts", "repeating", "outlook"),
    "reconcile": ("reconcile",),
    "merge": ("merge",),
    "compare": (
        *("compare", "blocks", "align", "alignment", "remarks", "batches", "systems", "pairing"),
        "replicates",
    ),
    "environment": ("environment", "machine", "cpu", "clocks", "nvml", "devices"),
    "plugins": ("plugins",),
    "placement": ("placement",),
    "diagnose": ("diagnose",),
    "store": ("store", "runfile", "runguard", "summary"),
    "inputs": ("inputs", "inputuses"),
    "parity": ("parity",),
    "reference": ("reference",),
    "telemetry": ("telemetry", "rapl", "cpufreq", "memory"),
    "devicelock": ("devicelock",),
    "confined": ("confined", "scratch"),
    "worker": ("worker", "checked", "served", "others"),
    "batchproof": ("batchproof",),
    "sweep": ("sweep", "alternate", "proving"),
    "publish": ("publish",),
    "exporting": ("exporting", "exportcheck", "exportchild"),
    "importing": ("importing", "recordings"),
    "cli": ("cli", "__main__"),
    "testing": ("testing",),
    "backends": ("backends",),
    "exporters": ("exporters",),
    "zoo": ("zoo",),
    "zoocheck": ("zoocheck", "activations"),
}
#: What a room may import besides itself and the package's version.
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "records": (),
    "contracts": ("records",),
    "folders": (),
    "stats": ("records",),
    "ratios": ("records",),
    "serial": ("records",),
    "tensors": ("records", "contracts"),
    "confined": ("contracts",),
    "model": ("records", "contracts", "folders", "tensors", "confined", "zoo"),
    "inspector": ("records", "contracts", "tensors", "model"),
    "provenance": ("records",),
    "verify": ("records", "provenance"),
    "interruptions": ("records",),
    "steptimes": ("records", "stats", "interruptions"),
    "measure": ("records", "contracts", "stats", "provenance", "steptimes"),
    "reconcile": ("records", "contracts", "stats", "interruptions", "steptimes"),
    "merge": ("records", "contracts", "stats", "measure"),
    "compare": (*("records", "contracts", "stats", "ratios", "merge", "steptimes", "reconcile"),),
    "environment": ("records",),
    "plugins": ("records", "contracts"),
    "placement": ("records", "contracts"),
    "diagnose": ("records", "contracts", "plugins", "environment", "telemetry"),
    "store": ("records", "contracts", "stats", "serial", "steptimes"),
    "inputs": ("records", "contracts", "zoo"),
    "parity": ("records",),
    "reference": ("records", "contracts", "parity", "plugins"),
    "telemetry": ("records", "contracts", "environment"),
    "devicelock": ("contracts", "folders"),
    "worker": (
        *("records", "contracts", "model", "inspector", "inputs", "measure", "plugins"),
        *("reference", "environment", "telemetry", "confined"),
        *("reference", "environment", "telemetry", "verify", "batchproof"),
    ),
    "batchproof": (
        *("records", "contracts", "model", "inspector", "inputs", "parity", "reference"),
        "plugins",
    ),
    "exporting": ("records", "contracts", "plugins", "parity", "model"),
    "sweep": tuple(room for room in ROOMS if room not in ("cli", "publish", "testing")),
    "publish": (
        *("records", "contracts", "reconcile", "compare", "serial", "stats", "store", "zoo"),
        *("folders", "steptimes"),
    ),
    "importing": (
        *("records", "contracts", "model", "inspector", "measure", "environment", "backends"),
    ),
    "cli": tuple(ROOMS),
    "testing": ("records", "contracts"),
    "backends": (
        "records",
        "contracts",
        "folders",
        "tensors",
        "provenance",
        "verify",
        "environment",
    ),
    "exporters": ("records", "contracts"),
    "zoo": ("records", "contracts", "folders", "exporters"),
    "zoocheck": ("records", "contracts", "model", "inspector", "inputs", "zoo"),
}
RUNTIMES = ("onnxruntime", "torch", "openvino", "tensorrt", "tensorrt_rtx", "tensorflow", "keras")
OPTIONAL = ("jinja2", "typst", "graphlay", "plotly")
#: What no `--help` needs; the list of commands needs no more than typer.
HEAVY = (*RUNTIMES, *OPTIONAL, "onnx", "scipy", "pyarrow", "google.protobuf")
HEAVIER = (*HEAVY, "numpy", "psutil", "rich")


def files() -> Iterator[tuple[str, Path]]:
    """Every module of ours with its dotted name; the links inside onnxprof/ are not followed."""
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            inner = path.relative_to(folder)
            if not (folder / inner.parts[0]).is_symlink():
                parts = (package, *inner.with_suffix("").parts)
                yield ".".join(parts).removesuffix(".__init__"), path


def head(module: str) -> str:
    """`onnxprof.cli.commands.doctor` is in `cli`; the package itself is the empty name."""
    return module.removeprefix("onnxprof").lstrip(".").partition(".")[0]


@cache
def room(module: str) -> str:
    """The room of a module of ours; the package itself is nobody's and everybody's."""
    found = [name for name, modules in ROOMS.items() if head(module) in modules]
    if head(module) and not found:
        pytest.fail(f"{module} has no room: place it in ROOMS of tests/test_imports.py")
    return found[0] if found else ""


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at module scope or inside a function."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module == "onnxprof":
                yield from (f"onnxprof.{alias.name}" for alias in node.names)
            else:
                yield node.module or ""


MODULES = dict(files())


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_left(module: str) -> None:
    mine = room(module)
    for imported in imports(MODULES[module]):
        if imported.partition(".")[0] != "onnxprof" or imported == "onnxprof.__version__":
            continue
        theirs = room(imported)
        allowed = theirs in ("", mine) or theirs in ALLOWED[mine]
        assert allowed, f"{module} ({mine}) may not import {imported} ({theirs})"


def test_the_map_has_no_room_that_is_gone() -> None:
    there = {head(module) for module in MODULES}
    assert set(ALLOWED) == set(ROOMS)
    assert {name for modules in ROOMS.values() for name in modules} <= there


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
        (["profile", "--help"], HEAVY),
        (["inspect", "--help"], HEAVY),
        (["runs", "--help"], HEAVY),
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str], unwanted: tuple[str, ...]) -> None:
    code = f"""
import sys
sys.argv = ["onnxprof", *{arguments!r}]
from onnxprof.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", [name for name in {unwanted!r} if name in sys.modules])
"""
    assert python(code).splitlines()[-1] == "LOADED []"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_imports_only_typer_and_the_standard_library_at_the_top(command: str) -> None:
    for node in ast.parse(MODULES[COMMANDS[command].module].read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            tops = {name.partition(".")[0] for name in names}
            assert tops <= {"typer", *sys.stdlib_module_names}, names


@pytest.mark.parametrize("module", MODULES)
def test_files_stay_short(module: str) -> None:
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= 400


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
