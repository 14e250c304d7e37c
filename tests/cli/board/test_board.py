"""The board and the lines of a sweep, to the character, and how often the board is drawn."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console
from support.golden import check_golden
from support.sweeps.events import BERT, CPU, END, RESNET, SCRIPT, job, tally

from onnxprof.cli.board import live, words
from onnxprof.cli.board.lines import Lines
from onnxprof.cli.board.live import Board
from onnxprof.cli.board.view import Board as View
from onnxprof.cli.board.watching import shown
from onnxprof.sweeps.events import (
    Advanced,
    AlreadyStored,
    Ended,
    Event,
    Failed,
    Finished,
    Noted,
    Planned,
    Skipped,
    Started,
)


def drawn(width: int, events: tuple[tuple[float, Event], ...] = SCRIPT) -> str:
    console = Console(
        record=True,
        width=width,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=True,
        legacy_windows=False,
    )
    console.print(View(tally(events)))
    return console.export_text()


def lines_of(width: int, events: tuple[tuple[float, Event], ...]) -> list[str]:
    said: list[str] = []
    lines = Lines(said.append, said.append, width)
    for _, event in events:
        lines.hear(event)
    return said


@pytest.mark.parametrize("width", [80, 120])
def test_the_board(width: int) -> None:
    text = drawn(width)
    check_golden(f"board_{width}.txt", text)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_lines(width: int) -> None:
    said = lines_of(width, (*SCRIPT, END))
    check_golden(f"board_lines_{width}.txt", "\n".join(said) + "\n")
    assert max(len(line) for line in said if line.startswith("[")) <= width
    assert all(line.isprintable() for line in said)


def test_every_job_that_ends_has_one_line() -> None:
    said = lines_of(80, SCRIPT)
    assert sum(line.startswith("[") for line in said) == 6
    assert len(lines_of(80, ((0.0, Planned(3, 3, 0)),))) == 1


@pytest.mark.parametrize("width", [20, 40, 60])
def test_narrow_terminals_cut_and_do_not_wrap(width: int) -> None:
    text = drawn(width)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) == len(drawn(200).splitlines())


def test_when_it_is_over_no_device_is_shown() -> None:
    text = drawn(80, (*SCRIPT, END))
    assert "over after 95 s" in text
    assert "idle" not in text
    assert "sampling" not in text


def test_of_many_devices_the_rest_is_counted() -> None:
    events = [(1.0, Started(job("net", n, device=f"cuda:{n}:x", node="farm"))) for n in range(20)]
    gone = (2.0, Finished(job("net", 19, device="cuda:19:x", node="farm"), "", 1.0, 1.0))
    text = drawn(80, ((0.0, Planned(20, 0, 20)), *events, gone))
    assert text.count("cuda:") == 13  # twelve, and the one that was measured last
    assert "8 more" in text
    assert "7 of them busy" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59, "59 s"), (110, "2 min"), (7300, "2 h 2 min")]
)
def test_clock(seconds: float, text: str) -> None:
    assert words.time_text(seconds) == text


def test_titles_tell_devices_providers_and_nodes_apart() -> None:
    assert words.title(RESNET) == "resnet50, ort on cpu, batch 8, 1 thread"
    assert words.title(BERT) == (
        "bert-base, torch on cuda:0 of farm-2, batch 1, 1 thread, sequence=128"
    )
    assert words.title(BERT, with_device=False) == (
        "bert-base, torch, batch 1, 1 thread, sequence=128"
    )
    assert "\x1b" not in words.title(job("a\x1b[31m"))


class Drawn:
    """A board whose pace is the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nudges = 0
        self.work: Callable[[], None] | None = None
        outer = self

        class Stepped:
            def __init__(self, work: Callable[[], None], interval_s: float) -> None:
                assert interval_s >= 0.5
                outer.work = work

            def nudge(self) -> None:
                outer.nudges += 1

            def close(self) -> None:
                assert outer.work is not None
                outer.work()

        monkeypatch.setattr(live, "Pace", Stepped)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, height=40, force_terminal=True)


def test_it_is_drawn_again_only_where_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Drawn(monkeypatch)
    with Board(terminal()) as shown_board:
        shown_board.hear(Planned(2, 0, 2))
        shown_board.hear(Started(RESNET))
        shown_board.hear(Advanced(RESNET, "sampling", 0.101))
        assert steps.nudges == 3
        for thousandth in range(102, 104):
            shown_board.hear(Advanced(RESNET, "sampling", thousandth / 1000))
        shown_board.hear(Planned(2, 0, 2))
        assert steps.nudges == 3
        shown_board.hear(Advanced(RESNET, "sampling", 0.12))
        assert steps.nudges == 4


def test_a_thousand_notes_are_one_redraw(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Drawn(monkeypatch)
    writes: list[str] = []

    class Counted(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    console = Console(file=Counted(), width=80, height=40, force_terminal=True)
    with Board(console) as shown_board:
        writes.clear()
        for i in range(1000):
            shown_board.hear(Skipped(job("net", i), f"net at batch {i} will not fit"))
        assert writes == []
        assert steps.work is not None
        steps.work()
        [text] = writes
        assert text.count("will not fit") == 1000
        assert "of 0 jobs" in text
        steps.work()
        assert "will not fit" not in writes[1]


def test_notes_stand_above_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    Drawn(monkeypatch)
    console = terminal()
    with Board(console) as shown_board:
        shown_board.hear(Noted("a [bold]node[/bold]\x1b[2J is\ngone"))
        shown_board.hear(Planned(2, 0, 2))
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert "a [bold]node[/bold]\\x1b[2J is gone" in text
    assert "0 of 2 jobs" in text


def test_where_there_is_no_terminal_there_are_no_escapes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(file=io.StringIO(), width=80)
    with shown(console) as hear:
        for _, event in SCRIPT:
            hear(event)
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "[ 31/120] lenet, ort on cpu, batch 1, 1 thread: 45.91 µs" in said.out
    assert "[ 33/120] vgg16" in said.err


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    with shown(console) as hear:
        hear(SCRIPT[0][1])
    assert capsys.readouterr().out == "120 jobs: 30 in the store, 90 left, some 90 min\n"


def test_quiet_says_what_failed_and_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with shown(terminal(), quiet=True) as hear:
        for _, event in (*SCRIPT, END):
            hear(event)
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert [": failed: " in line for line in lines] == [True, True, False, False]
    assert lines[2] == "  operator \\x1b[31mFoo\\x1b[0m is not known to this runtime"


def test_the_interrupted_board_gives_the_terminal_back() -> None:
    console = terminal()

    def interrupted() -> None:
        with Board(console) as shown_board:
            shown_board.hear(Planned(2, 0, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().rstrip("\n").endswith("\x1b[?25h")  # the cursor is shown
    assert CPU.startswith("cpu")


def test_jobs_that_another_sweep_stored_meanwhile_are_counted_at_the_end() -> None:
    stored = ((0.0, AlreadyStored(job("net"))), (0.0, Ended(0, 1, 0, 0)))
    assert lines_of(80, stored) == ["0 measured, 1 failed, 1 stored already"]


def test_reasons_that_are_in_no_record_are_said_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    Drawn(monkeypatch)
    console = terminal()
    with Board(console) as shown_board:
        for _, event in (*SCRIPT, SCRIPT[4], END):
            shown_board.hear(event)
    assert isinstance(console.file, io.StringIO)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    assert text.count("needs 21.4 GiB and 16.0 GiB are free") == 1
    [reason, rest] = text.splitlines()[-2:]
    assert reason == "operator \\x1b[31mFoo\\x1b[0m is not known to this runtime"
    assert rest.endswith("83 left: the same command measures them")
    long = Failed(job("net"), "why " * 50)
    assert lines_of(80, ((0.0, long), (0.0, long))).count("  " + ("why " * 50).strip()) == 1
