"""The line of progress: written anew on a terminal and in a notebook, absent elsewhere."""

from __future__ import annotations

import io
import warnings

import pytest

from onnxprof.api.base.progress import Line
from onnxprof.api.base.telling import warn


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


#: What Jupyter puts in place of stderr, by where its class is.
Notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})


def visible(text: str) -> list[str]:
    """Lines as a screen shows them: what follows a carriage return stands over what was there."""
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


@pytest.mark.parametrize("kind", [Terminal, Notebook])
def test_a_line_gives_way_to_what_stays(kind: type[io.StringIO]) -> None:
    stream = kind()
    line = Line(True, stream)
    line.show("lenet, batch 1: measuring")
    assert visible(stream.getvalue()) == ["lenet, batch 1: measuring"]
    line.note("lenet, batch 1: 0.1 ms")
    assert visible(stream.getvalue()) == ["onnxprof: lenet, batch 1: 0.1 ms", ""]
    line.clear()
    assert visible(stream.getvalue())[-1] == ""


def test_it_is_not_written_anew_all_the_time() -> None:
    stream = Terminal()
    line = Line(True, stream)
    for count in range(1000):
        line.show(f"at {count}")
    assert stream.getvalue() == "\rat 0"


def test_elsewhere_only_what_stays_is_written() -> None:
    stream = io.StringIO()
    line = Line(True, stream)
    line.show("measuring")
    line.note("done")
    line.clear()
    assert stream.getvalue() == "onnxprof: done\n"


def test_nothing_is_written_where_none_is_wanted() -> None:
    stream = Terminal()
    line = Line(False, stream)
    line.show("measuring")
    line.note("done")
    line.clear()
    assert stream.getvalue() == ""


def test_names_reach_no_terminal_as_they_are() -> None:
    stream = Terminal()
    line = Line(True, stream)
    line.show("a\x1b[31m\r\nb")
    line.note("a\x1b[31m\r\nb")
    assert "\x1b" not in stream.getvalue()
    assert stream.getvalue().count("\n") == 1
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warn("a\x1b[31m\nb")
    assert str(told[0].message) == "a\\x1b[31m\\nb"
    assert told[0].filename == __file__


def test_a_closed_stream_is_no_terminal() -> None:
    stream = Terminal()
    stream.close()
    Line(True, stream).clear()
