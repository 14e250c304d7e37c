"""docs/tour.md as a reader follows it: its commands in order, and what it says that they print.

`cd tests && python -m support.docs.tour` runs them on this machine and writes what they print now
into the page. A line `…` of the page stands for lines left out; writing keeps what is before it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from support.docs.reader import bring
from support.habits.commands import inside
from support.places import ROOT

PAGE = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = "…"


@dataclass(frozen=True)
class Told:
    """One command of the page, and the lines that the page shows below it."""

    command: str
    lines: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """The command without its program, which is `onnxprof`."""
        program, *words = self.command.split()
        assert program == "onnxprof", self.command
        return words


def told(text: str) -> list[Told]:
    """The commands of a page in order; a block has one."""
    found = []
    for block in BLOCK.findall(text):
        first, *lines = block.rstrip("\n").split("\n")
        assert first.startswith("$ "), first
        found.append(Told(first[2:], tuple(lines)))
    return found


def printed(words: Sequence[str], folder: Path) -> tuple[int, list[str]]:
    """Exit code and lines of a command as a reader of 80 columns sees them, without progress."""
    done = inside(*words, folder=folder, env={"COLUMNS": "80", "NO_COLOR": "1"})
    said = done.out if done.code == 0 else done.out + done.err
    return done.code, [line.rstrip() for line in said.rstrip("\n").split("\n")]


def headings(lines: Sequence[str]) -> list[str]:
    """The heads of tables: lines above a rule, without their spacing."""
    pairs = pairwise(lines)
    return [" ".join(line.split()) for line, rule in pairs if rule.strip() and not rule.strip(" ─")]


def shown(lines: Sequence[str], before: Sequence[str]) -> list[str]:
    """New lines for the page; as many as the old ones had before what they left out."""
    if LEFT_OUT not in before:
        return list(lines)
    return [*lines[: before.index(LEFT_OUT)], LEFT_OUT]


def write() -> None:
    """Run the page and put what is printed into it."""
    text = PAGE.read_text("utf-8")
    with tempfile.TemporaryDirectory() as made:
        bring(Path(made))
        for each in told(text):
            code, lines = printed(each.words, Path(made))
            assert code == 0, "\n".join(lines)
            old = "\n".join([f"$ {each.command}", *each.lines])
            new = "\n".join([f"$ {each.command}", *shown(lines, each.lines)])
            text = text.replace(f"```console\n{old}\n```", f"```console\n{new}\n```")
    PAGE.write_text(text, "utf-8", newline="\n")


if __name__ == "__main__":
    write()
