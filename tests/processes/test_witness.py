"""What is known of a process that ended: its last words, and how much memory it took."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from onnxprof.errors import BackendError, ProcessEnded
from onnxprof.jobs.trouble.ending import ended, last_lines, refused
from onnxprof.processes import fork_server, witness
from onnxprof.processes.apart import Place, started

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pipes as POSIX has them")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path))


def _spoken(place: Place, *words: bytes) -> str:
    with started(fork_server.context(), place, _say, words) as (process, seen):
        process.join(60)
        return seen.text()


def _say(*words: bytes) -> None:
    for i, word in enumerate(words):
        os.write(1 + i % 2, word)


def test_both_streams_are_kept_in_their_order(
    place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    assert _spoken(place, b"one ", b"two ", b"three") == "one two three"
    assert capfd.readouterr() == ("", "")


def test_of_much_the_end_is_kept(place: Place) -> None:
    lines = [b"%07d\n" % number for number in range(40_000)]
    text = _spoken(place, *[b"".join(lines[i : i + 4000]) for i in range(0, 40_000, 4000)])
    assert len(text) == witness._KEPT_BYTES
    assert text.endswith("0039998\n0039999\n")


def test_what_is_no_text_is_no_trouble(place: Place) -> None:
    assert _spoken(place, b"\xff\xfe", b"\x00") == "\ufffd\ufffd\x00"


def test_who_looks_for_a_bug_sees_all_as_it_comes(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONNXPROF_DEBUG", "1")
    assert _spoken(place, b"one ", b"two") == "one two"
    assert capfd.readouterr().err == "one two"


def test_what_was_before_is_forgotten(place: Place) -> None:
    with started(fork_server.context(), place, _say, (b"one",)) as (process, seen):
        process.join(60)
        assert seen.text() == "one"
        seen.begin()
        assert (seen.text(), seen.peak_bytes) == ("", 0)


def _hoard() -> None:
    held = b"x" * (200 << 20)
    time.sleep(60)
    os.write(2, held[:1])


@pytest.mark.skipif(sys.platform != "linux", reason="peaks are those of /proc")
def test_the_peak_of_memory_is_seen_while_it_lives(place: Place) -> None:
    with started(fork_server.context(), place, _hoard, ()) as (_, seen):
        for _ in range(3000):
            if seen.peak_bytes > 200 << 20:
                break
            time.sleep(0.02)
        process_ended = ProcessEnded("the measuring process was ended by SIGKILL")
    assert 200 << 20 < seen.peak_bytes < 2 << 30
    text = str(ended(process_ended, seen))
    assert text.startswith("the measuring process was ended by SIGKILL; its memory had reached 0.")


def _lasting() -> None:
    if os.fork() == 0:
        time.sleep(3)  # holds the streams a while longer
        os._exit(0)
    os.write(2, b"gone\n")


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_helper_that_outlives_the_process_holds_up_nobody(place: Place) -> None:
    with started(fork_server.context(), place, _lasting, ()) as (process, seen):
        process.join(60)
        assert seen.text() == "gone\n"


@pytest.fixture
def silent(place: Place) -> Iterator[witness.Witness]:
    with started(fork_server.context(), place, _say, ()) as (process, seen):
        process.join(60)
        yield seen


def test_an_error_that_says_its_reason_is_left_as_it_is(silent: witness.Witness) -> None:
    error = BackendError("no kernel for Foo", remedy="Use another")
    assert ended(error, silent) is error
    assert ended(ProcessEnded("gone"), None).what == "gone"


def test_a_silent_process_has_no_last_lines(silent: witness.Witness) -> None:
    told = ended(ProcessEnded("gone", where="m at batch 1", remedy="Ask for less"), silent)
    assert isinstance(told, ProcessEnded)
    assert "printed" not in told.what
    assert (told.where, told.remedy) == ("m at batch 1", "Ask for less")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n\n", []),
        ("a\nb\nc\nd\n", ["b", "c", "d"]),
        ("10 %\r50 %\rdone", ["10 %", "50 %", "done"]),
        ("\x1b[1;31merror\x1b[0m: \x1b]0;title\x07bad", ["error: bad"]),
        ("x" * 400, ["x" * 159 + "…"]),
        ("cannot open /home/ann/models/secret/net.onnx!", ["cannot open net.onnx!"]),
        ("at C:\\Users\\ann\\net.onnx: no", ["at net.onnx: no"]),
        ("/usr/lib/libfoo.so(abort+0x1) [0x7f]", ["libfoo.so(abort+0x1) [0x7f]"]),
        ("failed at /onnxruntime_src/core/a.cc:12 in Run", ["failed in Run"]),
        ("1 a/b of /conv1/Conv failed", ["1 a/b of /conv1/Conv failed"]),  # a layer
        ("\u202eright to left\u2066\x00", ["right to left"]),
        ("https://example.org/a/b stays", ["https://example.org/a/b stays"]),
    ],
)
def test_last_lines_are_readable(text: str, expected: list[str]) -> None:
    assert last_lines(text) == expected
    assert all(line.isprintable() for line in last_lines(text))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device"), "cannot write scratch files: No space left"),
        (PermissionError(13, "Permission denied", "/home/ann/x.db"), "may not write x.db: Perm"),
        (OSError(30, "Read-only file system", "/a/y"), "may not write y: Read-only"),
        (PermissionError(13, "Permission denied"), "may not write there or use a network"),
        (OSError("odd"), "cannot write scratch files: odd"),
    ],
)
def test_a_refusal_is_told_without_folders(error: OSError, text: str) -> None:
    told = str(refused(error))
    assert text in told
    assert "/" not in told
