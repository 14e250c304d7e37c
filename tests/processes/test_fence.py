"""Fences around a process: what it may no longer do, what it still may, and what is said of it."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from onnxprof.processes.confined import Limits, confined
from onnxprof.processes.fence import landlock, namespaces, places, seccomp
from onnxprof.processes.fence.enclose import SWITCH, Enclosure, enclose
from onnxprof.processes.trial.probe import probe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fences are those of Linux")


@pytest.fixture(scope="module")
def held() -> Enclosure:
    return probe().promised


@pytest.fixture
def files(held: Enclosure) -> str:
    if not held.files.by:
        pytest.skip(f"writing is not fenced here: {held.files.why}")
    return held.files.by


@pytest.fixture
def network(held: Enclosure) -> str:
    if not held.network.by:
        pytest.skip(f"networks are not fenced here: {held.network.why}")
    return held.network.by


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def attempt(deed: str, place: str) -> str:
    """What came of it; a path in the temporary folder where none is given."""
    path = Path(place)
    try:
        if deed == "write":
            path.write_text("changed")
        elif deed == "cut":
            os.truncate(path, 1)
        elif deed == "remove":
            path.unlink()
        elif deed == "rename":
            path.rename(Path(tempfile.gettempdir(), "taken"))
        elif deed == "link":
            path.hardlink_to(_own("mine"))
        elif deed == "fold":
            path.mkdir()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "done"


def _own(name: str) -> Path:
    path = Path(tempfile.gettempdir(), name)
    path.write_text("mine")
    return path


@pytest.mark.parametrize("deed", ["write", "cut", "remove", "rename"])
def test_a_file_outside_is_not_changed(deed: str, files: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("as it was")
    outcome = confined(partial(attempt, deed, str(kept)), Limits(60), "trying")
    assert outcome in ("EACCES", "EROFS", "EXDEV")
    assert kept.read_text() == "as it was"


@pytest.mark.parametrize("deed", ["write", "fold", "link"])
def test_nothing_is_made_outside(deed: str, files: str, tmp_path: Path) -> None:
    outcome = confined(partial(attempt, deed, str(tmp_path / "new")), Limits(60), "trying")
    assert outcome in ("EACCES", "EROFS", "EXDEV")
    assert list(tmp_path.iterdir()) == []


def test_what_is_asked_for_may_be_written(tmp_path: Path) -> None:
    work = partial(attempt, "write", str(tmp_path / "new"))
    assert confined(work, Limits(60), "trying", writes=[tmp_path]) == "done"
    assert (tmp_path / "new").read_text() == "changed"


def usual() -> list[str]:
    """What runtimes do with files, in the folder and on devices."""
    from multiprocessing import shared_memory

    folder = Path(tempfile.gettempdir())
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    (folder / "a" / "kernel.tmp").write_text("compiled")
    (folder / "a" / "kernel.tmp").replace(folder / "b" / "kernel")
    Path("/dev/null").write_text("gone")
    Path("/proc/self/oom_score_adj").write_text("1000")
    shared = shared_memory.SharedMemory(create=True, size=64)
    shared.close()
    shared.unlink()
    with tempfile.TemporaryFile() as file:
        file.write(b"x")
    ours, theirs = socket.socketpair()
    ours.close()
    theirs.close()
    shell = subprocess.run(["sh", "-c", "echo $TMPDIR; : > $TMPDIR/c"], capture_output=True)
    return [shell.stdout.decode().strip(), str(folder), (folder / "b" / "kernel").read_text()]


def test_what_runtimes_need_is_allowed() -> None:
    shells, pythons, text = confined(usual, Limits(60), "trying")
    assert shells == pythons
    assert Path(pythons).name.startswith("onnxprof-")
    assert not Path(pythons).exists()
    assert text == "compiled"


def through_a_child(place: str) -> int:
    return subprocess.run(
        ["sh", "-c", f"echo changed > {place}"], stderr=subprocess.PIPE
    ).returncode


def test_programs_that_it_starts_are_fenced_too(files: str, tmp_path: Path) -> None:
    work = partial(through_a_child, str(tmp_path / "new"))
    assert confined(work, Limits(60), "trying") != 0
    assert not (tmp_path / "new").exists()


def dial(port: int, kind: int, family: int) -> str:
    try:
        with socket.socket(family, kind) as calling:
            calling.connect(("127.0.0.1" if family == socket.AF_INET else "::1", port))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "connected"


def test_a_loopback_listener_is_not_reached(network: str, listener: int) -> None:
    work = partial(dial, listener, socket.SOCK_STREAM, socket.AF_INET)
    assert work() == "connected"
    assert confined(work, Limits(60), "dialling") in ("EACCES", "ENETUNREACH")


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_no_network_socket_is_opened(kind: int, family: int, network: str) -> None:
    if "seccomp" not in network:
        pytest.skip(f"without seccomp, {network} alone refuses networks")
    assert confined(partial(dial, 9, kind, family), Limits(60), "dialling") == "EACCES"


def signal_parent() -> str:
    try:
        os.kill(os.getppid(), 0)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "sent"


def test_signals_reach_nobody_else() -> None:
    try:
        scoped = landlock.version() >= 6
    except OSError as error:
        pytest.skip(landlock.missing(error))
    if not scoped:
        pytest.skip("Landlock scopes signals from version 6 on")
    assert confined(signal_parent, Limits(60), "trying") == "EPERM"


def test_the_switch_leaves_fences_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    work = partial(attempt, "write", str(tmp_path / "new"))
    assert confined(work, Limits(60), "trying") == "done"
    assert probe().promised.files.why == "ONNXPROF_FENCE switches fences off"


def _without(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("onnxprof.processes.fence.enclose._HERE", [])
    monkeypatch.setattr(landlock, "call", refuse)
    monkeypatch.setattr(namespaces, "restrict", refuse)
    monkeypatch.setattr(seccomp, "call", refuse)
    monkeypatch.setattr(seccomp, "renounce_privileges", lambda: None)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSYS, "this kernel has no Landlock"),
        (errno.EOPNOTSUPP, "Landlock is switched off in this kernel"),
        (errno.EPERM, "Landlock is not available"),
    ],
)
def test_what_is_not_there_is_left_out_with_a_reason(
    number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without(monkeypatch, number)
    found = enclose([str(tmp_path)])
    assert found.files.by == found.network.by == ""
    assert found.files.why.startswith(reason)
    assert "no namespaces can be made" in found.files.why
    assert "no filter of system calls" in found.network.why


def test_the_first_landlock_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch, errno.EPERM)
    monkeypatch.setattr(landlock, "version", lambda: 1)
    assert "Landlock 1 moves no files" in enclose([str(tmp_path)]).files.why


def answer(lines: list[tuple[int, int, int, int]], interface: int, number: int, first: int) -> int:
    """What the filter returns, as the kernel reads it (Linux documentation, BPF)."""
    data = {0: number, 4: interface, 16: first}
    held, at = 0, 0
    while True:
        code, if_true, if_false, value = lines[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            held = data[value]
        elif code == 0x15:
            at += if_true if held == value else if_false
        elif code == 0x35:
            at += if_true if held >= value else if_false
        else:
            raise AssertionError(f"unknown instruction {code:#x}")


_ALLOWED, _REFUSED, _UNKNOWN = 0x7FFF0000, 0x50000 | errno.EACCES, 0x50000 | errno.ENOSYS


@pytest.mark.parametrize("processor", sorted(seccomp.NUMBERS))
def test_the_filter_lets_all_pass_but_sockets_of_networks(processor: str) -> None:
    numbers = seccomp.NUMBERS[processor]
    lines = seccomp.program(numbers)
    ask = partial(answer, lines, numbers.interface)
    assert ask(numbers.socket, socket.AF_UNIX) == _ALLOWED
    assert ask(numbers.socket, socket.AF_NETLINK) == _ALLOWED
    for family in (socket.AF_INET, socket.AF_INET6, 17, 40, 1 << 31):
        assert ask(numbers.socket, family) == _REFUSED
    assert ask(425, 0) == _UNKNOWN
    others = [n for n in range(600) if n not in (numbers.socket, 425)]
    assert {ask(number, 2) for number in others} == {_ALLOWED}
    assert answer(lines, numbers.interface ^ 1, numbers.socket, 1) == _UNKNOWN
    if numbers.others_from:
        assert ask(numbers.others_from | numbers.socket, 2) == _UNKNOWN


#: As a user who is not root, in a process whose files that user may see.
_AS_NOBODY = """
import ctypes, errno, os, socket, sys
from onnxprof.processes.fence import namespaces
folder, outside = sys.argv[1:]
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # its own files in /proc are its own again
try:
    namespaces.restrict([folder], network=False)
except OSError as error:
    print("refused", error.strerror)
    sys.exit()
def tried(work):
    try:
        work()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def again():
    if ctypes.CDLL(None, use_errno=True).mount(b"none", b"/", None, 0x1020, None):
        raise OSError(ctypes.get_errno(), "mount")
def dial():
    with socket.socket() as calling:
        calling.connect(("127.0.0.1", 9))
print(*map(tried, [
    lambda: open(folder + "/mine", "w").close(), lambda: open(outside, "a").close(),
    lambda: open("/dev/null", "w").close(), dial, again,
]), os.geteuid() == os.stat(folder).st_uid)
"""


def test_namespaces_do_it_where_there_is_no_landlock(repository: Path) -> None:
    with tempfile.TemporaryDirectory() as outer:  # pytest's folders are closed to others
        folder, outside = Path(outer, "inside"), Path(outer, "outside")
        folder.mkdir()
        outside.touch()
        for path, mode in ((Path(outer), 0o777), (folder, 0o777), (outside, 0o666)):
            path.chmod(mode)
            if os.geteuid() == 0:
                os.chown(path, 65534, 65534)
        command = [sys.executable, "-c", _AS_NOBODY, str(folder), str(outside)]
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    if done.returncode and "PermissionError" in done.stderr:
        pytest.skip("another user cannot read this tree")
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("refused"):
        pytest.skip(f"no namespaces here: {done.stdout.strip()}")
    mine, elsewhere, null, dialled, again, owner = done.stdout.split()
    assert (mine, elsewhere, null) == ("done", "EROFS", "done")
    assert dialled == "ENETUNREACH"
    assert again == "EPERM"
    assert owner == "True"


def test_root_keeps_its_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(OSError, match="what root may do"):
        namespaces.restrict([], network=False)


def test_the_probe_tells_what_was_tried_and_what_came_of_it(held: Enclosure) -> None:
    found = probe()
    assert found.wrote is not bool(held.files.by)
    assert found.connected is not bool(held.network.by)


def test_caches_of_drivers_are_where_a_user_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels, home = tmp_path / "kernels", tmp_path / "home"
    rows = (("A_CACHE", "a", "/dev/null"), ("B_CACHE", "b/c", "/dev/null"), ("", "d", "/dev/none"))
    monkeypatch.setattr(places, "_CACHES", rows)
    monkeypatch.setenv("A_CACHE", str(kernels))
    monkeypatch.setattr(Path, "home", lambda: home)
    found = [path for path in places.writable() if path.startswith(str(tmp_path))]
    assert found == [str(kernels), str(home / "b" / "c")]
    assert all(Path(path).is_dir() for path in found)


def _homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_nobody_needs_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_CACHES", (("", "b", "/dev/null"),))
    monkeypatch.setattr(Path, "home", _homeless)
    assert "/dev/null" in list(places.writable())
