"""Planning runs under limits, ends at once when interrupted, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper
from support.networks import models

from onnxprof.errors import ModelError, UsageError
from onnxprof.processes.confined import Limits, confine, confined
from onnxprof.processes.scratch import scratch, sweep_leftovers
from onnxprof.processes.witness import kernel_bytes

posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc")


def doubling(count: int) -> ModelProto:
    """Each Concat takes the one before twice."""
    nodes = [models.node("Concat", [f"e{i}"] * 2, [f"e{i + 1}"], axis=0) for i in range(count)]
    nodes.append(models.node("Relu", ["x"], ["y"]))
    ends = [models.value("x", ["N", 4])], [models.value("y", ["N", 4])]
    return models.model(nodes, *ends, [models.ints("e0", 1)])


def function_bomb(depth: int) -> ModelProto:
    """Each function calls the next one twice: 2 ** depth nodes once expanded."""
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    functions = []
    for i in range(depth + 1):
        inner = [(f"F{i + 1}", "a", "t"), (f"F{i + 1}", "t", "b")]
        body = [helper.make_node(f, [x], [y], domain="my") for f, x, y in inner]
        if i == depth:
            body = [helper.make_node("Relu", ["a"], ["b"])]
        functions.append(helper.make_function("my", f"F{i}", ["a"], ["b"], body, imports))
    call = helper.make_node("F0", ["x"], ["y"], domain="my", name="f0")
    ends = [models.value("x", ["N", 4])], [models.value("y", None)]
    return models.model([call], *ends, domains=["my"], functions=functions)


def started(repository: Path, *words: str, temporary: Path | None = None) -> subprocess.Popen[str]:
    """A command of this tree, with 6 GB of memory at most."""
    command = [sys.executable, "-m", "onnxprof", *words]
    environment = os.environ | ({"TMPDIR": str(temporary)} if temporary else {})
    return subprocess.Popen(
        command,
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_bounded if os.name == "posix" else None,
    )


def _bounded() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))


def ended(process: subprocess.Popen[str], seconds: float = 120) -> tuple[int, str, str]:
    try:
        out, told = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, out, told


def nothing(value: int) -> int:
    return value


def forever() -> None:
    while True:
        pass


def taken(size: int) -> int:
    return int(np.ones(size, np.uint8).sum())


def limited_twice() -> int:
    """How much the limit is above what the process has, after it was to be raised."""
    import resource

    confine(Limits(60, 4 << 30))
    has = kernel_bytes(Path("/proc/self/status"), "VmData")
    return resource.getrlimit(resource.RLIMIT_DATA)[0] - (has or 0)


def greedy() -> int:
    return int(np.ones(1 << 31, np.uint8).sum())


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def deep(count: int = 0) -> int:
    return deep(count + 1)


def refuse() -> None:
    raise UsageError("no", where="here", remedy="Ask again")


def test_the_result_comes_back() -> None:
    assert confined(partial(nothing, 7), Limits(60), "counting") == 7


def test_an_error_of_ours_comes_back_as_it_is() -> None:
    with pytest.raises(UsageError) as caught:
        confined(refuse, Limits(60), "asking")
    assert str(caught.value) == "here: no. Ask again"


@pytest.mark.parametrize(
    ("work", "limits", "match"),
    [
        (forever, Limits(0.3), "stopped after 0.3 s, while planning. Allow more with --timeout"),
        pytest.param(
            greedy, Limits(60, 1 << 30), "planning takes more memory than 1 GiB", marks=linux
        ),
        pytest.param(crash, Limits(60), "planning was ended by SIGKILL", marks=posix),
        (deep, Limits(60), "nested too deeply"),
    ],
)
def test_what_goes_wrong_is_one_error(work: object, limits: Limits, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        confined(work, limits, "planning", "m.onnx")  # type: ignore[arg-type]


@linux
@pytest.mark.parametrize("memory_bytes", [1, 1 << 20])
def test_a_limit_that_is_too_little_to_begin_with_is_said_at_once(memory_bytes: int) -> None:
    """Such a process can take no page more: its answer must not wait for one."""
    limits = Limits(600, memory_bytes)  # a time that this test would not last
    with pytest.raises(ModelError, match="planning takes more memory than"):
        confined(partial(nothing, 7), limits, "planning", "m.onnx")


@linux
def test_a_copy_of_a_large_process_has_the_whole_of_its_limit() -> None:
    """What it was copied with is not what the work takes."""
    held = np.ones(300 << 20, np.uint8)
    limits = Limits(60, 160 << 20)
    assert confined(partial(taken, 80 << 20), limits, "planning") == 80 << 20
    with pytest.raises(ModelError, match="planning takes more memory than 160 MiB"):
        confined(partial(taken, 400 << 20), limits, "planning")
    assert held.all()


@linux
def test_the_first_limit_of_a_process_stays() -> None:
    assert confined(limited_twice, Limits(60, 512 << 20), "planning") < 600 << 20


@pytest.mark.posix
@pytest.mark.parametrize("command", ["inspect", "profile"])
@pytest.mark.parametrize("made", [function_bomb(60), doubling(40)], ids=["functions", "doubling"])
def test_small_files_that_grow_are_bounded(
    command: str, made: ModelProto, repository: Path, tmp_path: Path
) -> None:
    path = models.save(made, tmp_path)
    words = [command, str(path), "--timeout", "5", "--memory", "1", "--batch", "1"]
    if command == "profile":
        words += ["--store", str(tmp_path / "runs"), "--budget", "0.1", "--no-wait"]
    code, _, told = ended(started(repository, *words))
    assert code in (0, 2)
    assert "bug" not in told
    assert "Traceback" not in told
    assert code == 0 or len(told.splitlines()) <= 3


#: `inspect`, whose work is a call of a library that looks at no signal.
_LONG_CALL = """
import onnxprof.api.reading
from onnxprof.cli.main import main
onnxprof.api.reading.seen = lambda *_: sum(range(10**12))
main()
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_planning_at_once(
    number: signal.Signals, repository: Path, tmp_path: Path
) -> None:
    path = models.save(models.linear(), tmp_path)
    words = ["-c", _LONG_CALL, "inspect", str(path), "--memory", "1"]
    process = subprocess.Popen(
        [sys.executable, *words], cwd=repository, stderr=subprocess.PIPE, text=True
    )
    children = _wait_for_child(process)
    process.send_signal(number)
    code, _, told = ended(process, 60)
    assert (code, told) == (128 + number, "onnxprof: interrupted\n")
    assert children
    assert all(not _runs(child) for child in children)


def _wait_for_child(process: subprocess.Popen[str]) -> list[int]:
    import psutil

    while process.poll() is None:
        try:
            if found := psutil.Process(process.pid).children():
                time.sleep(0.3)
                return [child.pid for child in found]
        except psutil.Error:
            break
        time.sleep(0.01)
    return []


def _runs(pid: int) -> bool:
    import psutil

    with_pid = psutil.Process(pid) if psutil.pid_exists(pid) else None
    try:
        return with_pid is not None and with_pid.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _folders(place: Path) -> Iterator[Path]:
    return place.glob("onnxprof-*")


def _slow() -> ModelProto:
    """Some 40 billion multiplications: no machine has measured it before it is interrupted."""
    side, depth = 1024, 40
    names = [f"t{i}" for i in range(depth + 1)]
    nodes = [
        models.node("MatMul", [before, "w"], [after], f"matmul{i}")
        for i, (before, after) in enumerate(pairwise(names))
    ]
    ends = [models.value(name, [1, side, side]) for name in (names[0], names[-1])]
    return models.model(nodes, ends[:1], ends[1:], [models.weight("w", side, side)])


def _measuring(repository: Path, tmp_path: Path) -> subprocess.Popen[str]:
    path = models.save(_slow(), tmp_path)
    words = ("--batch", "1", "--budget", "60", "--store", str(tmp_path / "runs"), "--no-wait")
    process = started(repository, "profile", str(path), *words, temporary=tmp_path)
    while process.poll() is None and not any(_folders(tmp_path)):
        time.sleep(0.02)
    time.sleep(0.5)
    return process


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_cleans_up(
    number: signal.Signals, repository: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    process = _measuring(repository, tmp_path)
    process.send_signal(number)
    code, _, told = ended(process)
    assert code == 128 + number, told
    assert "interrupted" in told
    assert not any(_folders(tmp_path))


@linux
def test_a_killed_process_takes_its_child_along_and_is_swept_later(
    repository: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    import psutil

    process = _measuring(repository, tmp_path)
    children = [child.pid for child in psutil.Process(process.pid).children(recursive=True)]
    process.kill()
    ended(process)
    left = sorted(_folders(tmp_path))
    assert left
    for _ in range(500):
        if not any(map(_runs, children)):
            break
        time.sleep(0.02)
    assert not any(map(_runs, children))
    swept: list[Path] = []
    for _ in range(500):  # one that began after they were listed may hold it a moment longer
        swept += sweep_leftovers(tmp_path, young_s=-1)
        if len(swept) == len(left):
            break
        time.sleep(0.02)
    assert sorted(swept) == left
    assert not any(_folders(tmp_path))


@posix
def test_nobody_elses_folder_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "onnxprof-no-lock").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".owner").touch()
    (tmp_path / "onnxprof-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "onnxprof-file").touch()
    with scratch() as held:
        assert sweep_leftovers(tmp_path, young_s=-1) == []
        assert Path(held).is_dir()
    assert not Path(held).exists()
    assert (tmp_path / "elsewhere" / ".owner").exists()
    assert (tmp_path / "onnxprof-no-lock").exists()


@posix
def test_an_empty_folder_of_a_process_killed_at_once_goes_an_hour_later(tmp_path: Path) -> None:
    names = ("onnxprof-abcdefgh", "onnxprof-abcdefg1", "onnxprof-abcdefg2")
    empty, filled, young = (tmp_path / name for name in names)
    for folder in (empty, filled, young):
        folder.mkdir()
    (filled / "file").touch()
    for folder in (empty, filled):
        os.utime(folder, (1e9, 1e9))
    assert sweep_leftovers(tmp_path, young_s=-1) == [empty]
    assert not empty.exists()
    assert filled.is_dir()
    assert young.is_dir()


_KEEPING = """
import os, sys
from onnxprof.processes import fork_server, scratch
from onnxprof.cli.main import _leave
fork_server.start(("json",))
print(os.listdir(os.environ["TMPDIR"]), flush=True)
_leave(3) if sys.argv[1:] else None
"""


@linux
@pytest.mark.parametrize("words", [(), ("leave",)], ids=["as ever", "at once"])
def test_the_server_of_processes_leaves_nothing_in_either_way_out(words: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        done = _keeping(Path(short), *words)
        assert (done.returncode, done.stderr) == (3 if words else 0, "")
        assert "onnxprof-" in done.stdout
        assert "pymp-" not in done.stdout
        assert list(Path(short).iterdir()) == []


@linux
def test_a_temporary_folder_too_deep_for_sockets_holds_none(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    done = _keeping(deep)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def _keeping(temporary: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _KEEPING, *words],
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )


@posix
@pytest.mark.parametrize("work", ["tempfile.mkdtemp", "shutil.rmtree"])
def test_an_interrupt_while_a_folder_is_made_or_removed_leaves_none(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    module, _, name = work.partition(".")
    before = getattr(sys.modules[module], name)
    left: list[str] = []

    def interrupted(*given: object, **named: object) -> object:
        done = before(*given, **named) if name == "mkdtemp" else None
        signal.raise_signal(signal.SIGINT)
        return done if name == "mkdtemp" else before(*given, **named)

    monkeypatch.setattr(work, interrupted)
    with pytest.raises(KeyboardInterrupt), scratch() as folder:
        left.append(folder)
    assert len(left) == (name == "rmtree")
    assert list(tmp_path.iterdir()) == []
