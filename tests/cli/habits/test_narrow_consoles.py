"""Names that a console's code page lacks: replaced before the layout, so that columns stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from support.habits.commands import started

from onnxprof.publish.notebook.encodable import encodable
from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

NAMES = ("净化器", "model-😀", "plain → name")


def ascii_only(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def table() -> Table:
    made = Table(title=Text("名"), caption="字")
    for head in ("name", "检"):
        made.add_column(head)
    for name in NAMES:
        made.add_row(Text(name, style="bold"), name)
    return made


def printed(part: object) -> list[str]:
    console = Console(width=80, color_system=None, force_terminal=False)
    with console.capture() as caught:
        console.print(encodable(part, ascii_only), markup=False)
    return caught.get().splitlines()


def test_columns_stand_below_each_other() -> None:
    lines = printed(table())
    rows = [line for line in lines if any(ascii_only(name) in line for name in NAMES)]
    assert len(rows) == len(NAMES)
    assert len({len(line.rstrip()) for line in rows}) == 1
    assert ascii_only("名") in lines[0] + lines[1]


def test_what_holds_other_parts_is_replaced_too() -> None:
    parts = Group(Text("净"), Padding(Text("检"), (0, 0, 0, 2)), table())
    text = "\n".join(printed(parts))
    for name in ("净", "检", *NAMES):
        assert ascii_only(name) in text


def test_styles_stay_on_their_words() -> None:
    text = Text("净 red →", style="dim")
    text.stylize("red", 2, 5)
    made = encodable(text, ascii_only)
    assert made.plain == r"\u51c0 red \u2192"
    [span] = made.spans
    assert (made.plain[span.start : span.end], span.style) == ("red", "red")
    assert made.style == "dim"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_lists_of_models_in_any_script(encoding: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    for name in NAMES[:2]:
        for batch in (1, 8):
            store.save(sample_run(name, batch, seed=batch))
    settings = {"PYTHONIOENCODING": f"{encoding}:replace", "COLUMNS": "80", "PYTHONUTF8": "0"}
    done = started("runs", "list", folder=tmp_path, env=settings, encoding=encoding)
    assert done.code == 0, done.err
    rows = [line for line in done.out.splitlines() if "2026-" in line]
    assert len(rows) == 4
    assert len({cell_len(line.rstrip()) for line in rows}) == 1
    assert max(cell_len(line) for line in rows) <= 80
