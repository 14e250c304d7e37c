"""The distribution: what is in it, and that it works where it is installed. Needs no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.packaging

#: Folders of the source tree and where they are installed.
HOMES = {
    "onnxprof": "onnxprof",
    "backends": "onnxprof/backends",
    "exporters": "onnxprof/exporters",
    "zoo": "onnxprof/zoo",
    "site": "onnxprof/site",
}
LINKS = ("backends", "exporters", "zoo", "site")
SMOKE = """
import importlib.metadata, importlib.resources, pathlib, site, sys
import onnxprof.backends.ort.backend, onnxprof.exporters, onnxprof.zoo, onnxprof.cli.main
from onnxprof.plugins import registry as plugins
assert pathlib.Path(site.__file__).name == "site.py", site.__file__
assert plugins.backends()["ort"].error == "", plugins.backends()["ort"]
assert (importlib.resources.files("onnxprof") / "py.typed").is_file()
from onnxprof.publish.disk.package import folder
from onnxprof.publish.pages.render import asset
from onnxprof.zoo.catalogue import SKELETONS
assert asset("style.css")
assert list(SKELETONS.iterdir())
assert list((folder("site") / "templates").iterdir())
assert (folder("zoo") / "skeletons").samefile(SKELETONS)
for name in ("backends", "exporters", "zoo"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name + " is importable at the top level")
print(pathlib.Path(onnxprof.__file__).parent, importlib.metadata.version("onnxprof"))
"""


#: What needs templates, scripts and sources of the site.
SITE = """
import onnxprof as op
from onnxprof.testing import sample_run
op.Runs([sample_run()]).save("runs")
op.site("runs", "public")
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Output of a command that must succeed; the tests' own interpreter settings stay out."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=cwd, env=environment
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def junk(_: str, names: list[str]) -> list[str]:
    """What a copy of the source leaves out: what git ignores."""
    suffixes = (".pyc", ".egg-info")
    unwanted = ("__pycache__", "build", "dist", "runs", "demo")
    return [name for name in names if name.endswith(suffixes) or name in unwanted or _hidden(name)]


def _hidden(name: str) -> bool:
    return name.startswith(".") and name != ".ci"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A clean copy of the source tree, links as links."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    shutil.copytree(repository, copy, symlinks=True, ignore=junk)
    return copy


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """An sdist with the wheel built from it, and in `direct` the wheel of the source tree."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check"]
    run(*build, "--outdir", out, source, cwd=out)
    run(*build, "--wheel", "--outdir", out / "direct", source, cwd=out)
    return out


def only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def wheel_files(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(name for name in archive.namelist() if not name.endswith("/"))


def sdist_files(folder: Path) -> set[str]:
    with tarfile.open(only(folder, "*.tar.gz")) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def source_files(source: Path) -> Iterator[tuple[str, str]]:
    """Where each file of the package lies, and where it is installed."""
    for folder, home in HOMES.items():
        for path in (source / folder).rglob("*"):
            inner = path.relative_to(source / folder)
            linked = folder == "onnxprof" and inner.parts[0] in LINKS
            if path.is_file() and not linked and "__pycache__" not in path.parts:
                yield f"{folder}/{inner.as_posix()}", f"{home}/{inner.as_posix()}"


def test_the_links_are_relative_and_lead_to_the_folders(repository: Path) -> None:
    for name in LINKS:
        assert os.readlink(repository / "onnxprof" / name) == f"../{name}"


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(
    source: Path, dist: Path
) -> None:
    files = wheel_files(only(dist, "*.whl"))
    installed = [name for name in files if ".dist-info/" not in name]
    assert installed == sorted(home for _, home in source_files(source))


def test_nothing_else_reaches_the_top_of_site_packages(dist: Path) -> None:
    files = wheel_files(only(dist, "*.whl"))
    tops = {name.partition("/")[0] for name in files if ".dist-info/" not in name}
    assert tops == {"onnxprof"}


def test_the_wheel_has_the_parts_that_must_be_there(dist: Path) -> None:
    files = wheel_files(only(dist, "*.whl"))
    assert {
        "onnxprof/py.typed",
        "onnxprof/backends/ort/backend.py",
        "onnxprof/cli/commands/doctor.py",
    } <= set(files)
    for folder in ("onnxprof/zoo/skeletons/", "onnxprof/site/templates/", "onnxprof/site/assets/"):
        assert [name for name in files if name.startswith(folder)], folder
    assert [name for name in files if name.endswith(".dist-info/licenses/LICENSE")]


def test_the_wheel_of_the_sdist_is_that_of_the_tree(dist: Path) -> None:
    through, direct = only(dist, "*.whl"), only(dist / "direct", "*.whl")
    assert through.name == direct.name
    assert wheel_files(through) == wheel_files(direct)
    with zipfile.ZipFile(through) as left, zipfile.ZipFile(direct) as right:
        differ = [name for name in wheel_files(direct) if left.read(name) != right.read(name)]
    assert differ == []


def test_the_sdist_is_complete_and_has_no_leftovers(source: Path, dist: Path) -> None:
    files = sdist_files(dist)
    assert {path for path, _ in source_files(source)} <= files
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml"} <= files
    allowed = (*HOMES, "docs", "onnxprof.egg-info")
    stray = [name for name in files if "/" in name and name.partition("/")[0] not in allowed]
    assert stray == []
    assert not [name for name in files if name.endswith(".pyc") or "__pycache__" in name]


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """Python of an empty virtual environment that sees the dependencies installed here.

    They come after the environment's own packages, and without their `.pth` files, so that an
    editable install of onnxprof here is not seen there.
    """
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    python = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(python, "-c", code, cwd=tmp_path).strip())
    lent = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    (own / "lent.pth").write_text("\n".join(lent) + "\n")
    return python


def install(python: Path, *what: str | Path, cwd: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    run(*pip, *offline, "--disable-pip-version-check", *what, cwd=cwd)


def check(python: Path, cwd: Path) -> Path:
    """Run what is installed, away from the source tree; returns where it lies."""
    place = Path(run(python, "-c", SMOKE, cwd=cwd).rpartition(" ")[0])
    shown = run(python.with_name("onnxprof"), "--help", cwd=cwd)
    assert "profile" in shown
    assert "doctor" in shown
    assert run(python, "-m", "onnxprof", "--help", cwd=cwd)
    return place


def test_the_wheel_works_where_it_is_installed(fresh: Path, dist: Path, tmp_path: Path) -> None:
    install(fresh, only(dist, "*.whl"), cwd=tmp_path)
    assert check(fresh, tmp_path).is_relative_to(tmp_path / "env")


def test_an_editable_install_works(fresh: Path, source: Path, tmp_path: Path) -> None:
    install(fresh, "--editable", source, cwd=tmp_path)
    assert check(fresh, tmp_path) == source / "onnxprof"


def test_every_entry_point_and_script_leads_somewhere(repository: Path) -> None:
    import tomllib
    from importlib import import_module

    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    groups = [project["scripts"], *project["entry-points"].values()]
    for group in groups:
        for target in group.values():
            module, _, attribute = target.partition(":")
            assert hasattr(import_module(module), attribute), target


@pytest.fixture(scope="module")
def unlinked(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    """The tree as git writes it where there are no symbolic links: files with the target."""
    clone = tmp_path_factory.mktemp("unlinked") / "checkout"
    shutil.copytree(source, clone, symlinks=True)
    for name in LINKS:
        place = clone / "onnxprof" / name
        target = os.readlink(place)
        place.unlink()
        place.write_text(target)
    return clone


def test_a_clone_without_links_makes_the_same_wheel(
    unlinked: Path, dist: Path, tmp_path: Path
) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check"]
    run(*build, "--wheel", "--outdir", tmp_path, unlinked, cwd=tmp_path)
    assert wheel_files(only(tmp_path, "*.whl")) == wheel_files(only(dist / "direct", "*.whl"))


def test_an_editable_install_of_such_a_clone_works(
    fresh: Path, unlinked: Path, tmp_path: Path
) -> None:
    install(fresh, "--editable", unlinked, cwd=tmp_path)
    assert check(fresh, tmp_path) == unlinked / "onnxprof"
    pytest.importorskip("jinja2")
    run(fresh, "-c", SITE, cwd=tmp_path)
    assert (tmp_path / "public" / "index.html").is_file()
    assert "lenet" in run(fresh.with_name("onnxprof"), "zoo", "list", cwd=tmp_path)
