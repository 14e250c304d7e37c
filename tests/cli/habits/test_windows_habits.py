"""What Windows has different, tried here: consoles of code pages, clones without links."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.habits.commands import inside
from support.networks import models
from support.places import ROOT
from support.runs.advised import alone
from support.runs.ceilings import ceilings
from support.runs.scenarios import scenario_run

from onnxprof.store.beside import ceilings as stored_ceilings
from onnxprof.store.beside import scenarios as stored_scenarios
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

NODES = [("stem/conv", "Conv", ("x", "wconv")), ("stem/relu", "Relu", ("stem/conv",))]
LINKS = ("backends", "exporters", "zoo", "site")
#: Prints the help of every command in turn, as a user would ask for it.
EVERY_HELP = """
import sys
from onnxprof.cli import main
from onnxprof.cli.lazy import load, loaded
from onnxprof.cli.output import adapt_streams
adapt_streams()
def words(name, command):
    inner = loaded(command)
    return [[name, *rest] for each in inner for rest in words(each, inner[each])] or [[name]]
for name, entry in main.COMMANDS.items():
    for asked in words(name, load(name, entry)):
        assert main._run([*asked, "--help"]) == 0, asked
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("windows")
    store = Store(root / "runs")
    for batch in (1, 2, 8):
        store.save(sample_run("净-Ω", batch, backend="ort"))
        store.save(sample_run("净-Ω", batch, backend="torch"))
    store.save(alone(NODES, (5, 2), model_name="advised"))
    stored_ceilings.save(store.root, ceilings())
    stored_scenarios.save(store.root, scenario_run())
    models.save(models.lenet(), root, "net.onnx")
    return root


def started(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    env = {"PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "0"}
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        cwd=folder,
        env={**os.environ, **env},
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        "--help",
        "--version",
        "inspect net.onnx --batch 1,2",
        "inspect net.onnx --cost",
        "inspect net.onnx --cost --symbolic",
        "inspect net.onnx --alive",
        "inspect net.onnx --format md",
        "inspect net.onnx --json",
        "inspect nothing-净.onnx",
        "profile net.onnx --batch 1,2 --budget 0.05 --threads 1 -v",
        "profile net.onnx --batch 1 --budget 0.05 --threads 1 -q",
        "provenance net.onnx --threads 1 --budget 0.05",
        "ceilings --list",
        "scenarios list",
        "scenarios show",
        "scenarios matrix",
        "runs list",
        "runs list --json",
        "runs show",
        "runs show --by scope",
        "runs show -v --json",
        "runs export",
        "runs history 净-Ω",
        "runs tag 净 runs",
        "compare runs runs",
        "align --model 净 --batch 1",
        "align --model 净 --over batch",
        "scaling --model 净",
        "advise runs/advised",
        "site build --out public",
        "sweep init",
        "sweep status",
        "zoo list",
        "zoo list --format md",
        "zoo info bert-base",
        "zoo clean lenet",
        "doctor",
        "completion powershell",
        "schema",
        "schema run",
    ],
)
def test_no_command_fails_on_a_console_of_code_page_1252(folder: Path, words: str) -> None:
    done = inside(*words.split(), folder=folder, encoding="cp1252")
    assert "bug in" not in done.err, done.err
    assert "Traceback" not in done.err, done.err
    assert "UnicodeEncodeError" not in done.err
    assert done.code in (0, 1, 2)


@pytest.mark.parametrize("words", ["runs list", "inspect nothing-净.onnx"])
def test_nor_does_the_program_itself(folder: Path, words: str) -> None:
    done = started(folder, "-m", "onnxprof", *words.split())
    assert b"bug in" not in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr, done.stderr
    assert done.returncode == (2 if "nothing" in words else 0)
    assert b"\\u51c0" in done.stdout + done.stderr


def test_every_command_has_help_there(folder: Path) -> None:
    done = started(folder, "-c", EVERY_HELP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"Usage: ") > 30


#: Runs commands as where the modules of POSIX are not, and says how each ended.
WITHOUT_POSIX = """
import sys
for name in ("fcntl", "pwd", "grp", "termios", "pty"):  # psutil needs `resource` on Linux
    sys.modules[name] = None
from onnxprof.cli import main
from onnxprof.cli.output import adapt_streams
adapt_streams()
for words in sys.argv[1:]:
    code = main._run(words.split())
    print(f"{words}: {code}", file=sys.stderr)
"""
DOING_WITHOUT = (
    "inspect net.onnx",
    "runs list",
    "runs show",
    "runs tag 净 other",
    "compare runs runs --batch 1",
    "zoo info lenet",
    "zoo list --json",
    "sweep status",
    "completion powershell",
)


def test_commands_do_without_the_modules_of_posix(folder: Path) -> None:
    done = started(folder, "-c", WITHOUT_POSIX, *DOING_WITHOUT)
    assert b"bug in" not in done.stderr, done.stderr
    assert b"Traceback" not in done.stderr, done.stderr
    told = [line.decode("cp1252") for line in done.stderr.splitlines()]
    for words in DOING_WITHOUT:
        text = words.encode("cp1252", "backslashreplace").decode("cp1252")
        assert {f"{text}: 0", f"{text}: 2"} & set(told), (words, told)


def without_links(tmp_path: Path) -> Path:
    """The packages of a checkout in which git wrote each link as a text file with its target."""
    clone = tmp_path / "clone"
    (clone / "onnxprof").mkdir(parents=True)
    (clone / "onnxprof" / "__init__.py").touch()
    (clone / "onnxprof" / "cli").mkdir()
    (clone / "onnxprof" / "cli" / "__init__.py").touch()
    for name in LINKS:
        (clone / "onnxprof" / name).write_text(f"../{name}")
        inner = clone / name / "inner"
        inner.mkdir(parents=True)
        for place in (clone / name, inner):
            (place / "__init__.py").touch()
    (clone / "setup.py").write_text((ROOT / "setup.py").read_text("utf-8"))
    return clone


LISTING = """
import setuptools
setuptools.setup = lambda **given: print(sorted(given["packages"]), given["package_dir"])
exec(open("setup.py").read())
"""


def test_packages_are_found_where_links_are_text_files(tmp_path: Path) -> None:
    """tests/house/test_packaging.py builds and installs such a clone."""
    clone = without_links(tmp_path)
    done = started(clone, "-c", LISTING)
    assert done.returncode == 0, done.stderr
    expected = ["onnxprof", "onnxprof.cli"]
    expected += [f"onnxprof.{name}{end}" for name in LINKS for end in ("", ".inner")]
    assert done.stdout.decode().startswith(f"{sorted(expected)} ")
