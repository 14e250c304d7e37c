"""Materialising: reproducible numbers, verified files, locks, full disks; and `onnxprof zoo`."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT
from typer.testing import CliRunner

from onnxprof import zoo
from onnxprof.cli.commands.zoo import app
from onnxprof.errors import ModelError, StoreError, UsageError
from onnxprof.zoo import cache, materialisation
from onnxprof.zoo.catalogue import skeleton_path
from onnxprof.zoo.making import skeleton, wire
from onnxprof.zoo.making.generator import normals
from onnxprof.zoo.making.recipe import Recipe

MAKE = """
import sys
from pathlib import Path
from onnxprof import zoo
print(zoo.materialise(sys.argv[1], cache=Path(sys.argv[2])))
"""


def spawn(*arguments: str, code: str = MAKE) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=ROOT)


def test_first_values_are_these() -> None:
    """Pinned: another generator, however good, makes other files."""
    digest = hashlib.sha256(normals("seed", 0, 100_000, 1.0, 0.5).astype("<f4").tobytes())
    assert digest.hexdigest().startswith("b7a6da13456d0b6d")


def test_values_are_normal() -> None:
    values = normals("seed", 0, 1 << 20, 0.0, 1.0).astype(float)
    assert abs(values.mean()) < 0.005
    assert abs(values.std() - 1) < 0.005
    assert abs((values**3).mean()) < 0.01
    # Irwin–Hall of order four: excess kurtosis -6/5/4.
    assert abs((values**4).mean() - 2.7) < 0.02


@given(st.integers(0, 40_000).map(lambda n: n * 4), st.integers(1, 70_000))
def test_stream_may_be_cut_anywhere(start: int, count: int) -> None:
    whole = normals("cut", 0, start + count, 0.0, 1.0)
    assert np.array_equal(normals("cut", start, count, 0.0, 1.0), whole[start:])


def test_stream_is_cut_at_blocks() -> None:
    with pytest.raises(ValueError, match="multiples of four"):
        normals("cut", 3, 8, 0.0, 1.0)


@given(st.integers(0, (1 << 64) - 1))
def test_varint_round_trip(value: int) -> None:
    data = wire.varint(value)
    assert wire.read_varint(data, 0) == (value, len(data))


@pytest.mark.parametrize("recipe", [Recipe(1.0), Recipe(0.5, 0.25, "net/w")])
def test_recipe_round_trip(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_half_precision_and_constants() -> None:
    assert Recipe(1.0).values("<f2", 0, 3).tolist() == [1, 1, 1]
    assert Recipe(0.0, 1.0, "a").values("<f2", 0, 3).dtype == np.float16


def test_digest_streams_without_a_file() -> None:
    assert zoo.digest("lenet") == zoo.entry("lenet").sha256


def test_damaged_skeleton(tmp_path: Path) -> None:
    damaged = tmp_path / "net.onnx"
    damaged.write_bytes(skeleton_path("lenet").read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"net\.onnx: the skeleton cannot be read"):
        skeleton.read(damaged)


def test_file_is_named_after_its_digest_and_reused(tmp_path: Path) -> None:
    path = zoo.materialise("lenet", cache=tmp_path)
    before = path.stat()
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert sha256 == zoo.entry("lenet").sha256
    assert path == tmp_path / "zoo" / f"lenet-{sha256[:12]}.onnx"
    after = zoo.materialise("lenet", cache=tmp_path).stat()
    # Not all of the status: reading the file changes the time of its last access.
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".onnx", ".verified"]


def test_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "elsewhere"))
    assert zoo.materialise("lenet").is_relative_to(tmp_path / "elsewhere")


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    zoo.materialise("squeezenet", lambda *step: seen.append(step), tmp_path)
    assert seen == sorted(seen)
    assert seen[-1] == (zoo.entry("squeezenet").bytes,) * 2


@pytest.mark.parametrize("damage", ["flipped", "short", "empty"])
def test_corrupted_file_is_made_again(damage: str, tmp_path: Path) -> None:
    path = zoo.materialise("lenet", cache=tmp_path)
    good = path.read_bytes()
    flipped = good[:9000] + bytes([good[9000] ^ 1]) + good[9001:]
    path.write_bytes({"flipped": flipped, "short": good[:-1], "empty": b""}[damage])
    assert zoo.materialise("lenet", cache=tmp_path).read_bytes() == good


def test_unstamped_file_is_verified_not_made_again(tmp_path: Path) -> None:
    path = zoo.materialise("lenet", cache=tmp_path)
    path.with_name(f"{path.name}.verified").unlink()
    inode = path.stat().st_ino
    assert zoo.materialise("lenet", cache=tmp_path).stat().st_ino == inode
    assert cache.is_stamped(path)


def test_wrong_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxprof.zoo.making.stream.stream", lambda *_: "0" * 64)
    with pytest.raises(ModelError, match="not the published 514dea8073d1"):
        zoo.materialise("lenet", cache=tmp_path)
    assert not list((tmp_path / "zoo").iterdir())


def test_two_processes_make_one_file(tmp_path: Path) -> None:
    """The second waits for the first, then uses its file."""
    both = [spawn("resnet50", str(tmp_path)) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert sorted(p.suffix for p in (tmp_path / "zoo").iterdir()) == [".onnx", ".verified"]


def test_second_process_waits(tmp_path: Path) -> None:
    path = cache.folder(tmp_path) / f"lenet-{zoo.entry('lenet').sha256[:12]}.onnx"
    path.parent.mkdir()
    with cache.locked(path):
        other = spawn("lenet", str(tmp_path))
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(1.5)
        assert not path.exists()
    assert other.communicate(timeout=60)[0].strip() == str(path)


def test_leftovers_of_a_killed_process_go(tmp_path: Path) -> None:
    path = zoo.materialise("lenet", cache=tmp_path)
    path.unlink()
    path.with_name(f"{path.name}.1.part").write_bytes(b"half")
    path.with_name(f"{path.name}.lock").touch()
    zoo.materialise("lenet", cache=tmp_path)
    assert sorted(p.suffix for p in path.parent.iterdir()) == [".onnx", ".verified"]


def test_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
    assert resource
    process = spawn("squeezenet", str(tmp_path), code=limit + MAKE)
    assert "StoreError: " in process.communicate(timeout=60)[1]
    assert not list((tmp_path / "zoo").iterdir())


def test_disk_without_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left.*Make room for 0\.0 MB there") as caught:
        zoo.materialise("lenet", cache=tmp_path)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "zoo").iterdir())


def test_cache_that_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "zoo").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        zoo.materialise("lenet", cache=tmp_path)


def test_read_only_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zoo.materialise("lenet", cache=tmp_path)
    path.with_name(f"{path.name}.verified").unlink()

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "write_text", refused)
    assert zoo.materialise("lenet", cache=tmp_path) == path


def test_clean_takes_only_what_is_asked(tmp_path: Path) -> None:
    lenet, squeezenet = (zoo.materialise(n, cache=tmp_path) for n in ("lenet", "squeezenet"))
    other = lenet.with_name("mine.onnx")
    other.write_bytes(b"")
    assert materialisation.clear("lenet", tmp_path) >= zoo.entry("lenet").bytes
    assert (lenet.exists(), squeezenet.exists()) == (False, True)
    materialisation.clear(cache=tmp_path)
    assert list(lenet.parent.iterdir()) == [other]
    assert materialisation.clear(cache=tmp_path / "nothing") == 0


def test_clean_tells_names_apart_that_begin_alike(tmp_path: Path) -> None:
    folder = cache.folder(tmp_path)
    folder.mkdir()
    for name in ("resnet50", "resnet50-v2", "resnet50-cifar10"):
        (folder / f"{name}-0123456789ab.onnx").write_bytes(b"12345")
    assert materialisation.clear("resnet50", tmp_path) == 5
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["resnet50-cifar10-0123456789ab.onnx", "resnet50-v2-0123456789ab.onnx"]


def test_read_only_cache_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refused)
    with pytest.raises(StoreError, match=r"Read-only file system.*ONNXPROF_CACHE"):
        zoo.materialise("lenet", cache=tmp_path / "new")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("ONNXPROF_CACHE", str(tmp_path / "cache"))
    return CliRunner()


def test_cli_lists_and_informs(cli: CliRunner) -> None:
    assert cli.invoke(app, ["list"]).stdout.startswith("NAME ")
    assert "25,610,152" in cli.invoke(app, ["info", "resnet50"]).stdout
    assert isinstance(cli.invoke(app, ["list", "--format", "xml"]).exception, UsageError)
    assert isinstance(cli.invoke(app, ["info", "resnet5"]).exception, UsageError)


def test_cli_materialises_and_cleans(cli: CliRunner, tmp_path: Path) -> None:
    item = zoo.entry("lenet")
    done = cli.invoke(app, ["materialise", "lenet"])
    sha256, path = done.stdout.split()
    assert (sha256, done.stderr) == (item.sha256, "")
    assert Path(path).stat().st_size == item.bytes
    copy = tmp_path / "copy.onnx"
    done = cli.invoke(app, ["materialise", "lenet", "-o", str(copy)])
    assert done.stdout.split() == [sha256, str(copy)]
    assert copy.read_bytes() == Path(path).read_bytes()
    assert "freed 25.6 kB" in cli.invoke(app, ["clean", "lenet"]).stdout
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["lenet", "--all"], ["lenet", "vgg19", "-o", "x.onnx"], ["lenet", "nothing-like-it"]],
)
def test_cli_refuses(arguments: list[str], cli: CliRunner, tmp_path: Path) -> None:
    assert isinstance(cli.invoke(app, ["materialise", *arguments]).exception, UsageError)
    assert not (tmp_path / "cache").exists()


def test_cli_output_that_cannot_be_written(cli: CliRunner, tmp_path: Path) -> None:
    target = tmp_path / "missing" / "lenet.onnx"
    failed = cli.invoke(app, ["materialise", "lenet", "-o", str(target)])
    assert isinstance(failed.exception, UsageError)
    assert "there is no folder" in str(failed.exception)
