"""Takes the pictures of README.md and docs/: pages of the gallery, and the board of a sweep.

    python benchmarks/results/pictures.py [--only NAME]... [--site DIR] [--store DIR] [--out docs]

`page` is a model's page and `leaderboard` the first one, both of the site in DIR, else of one that
is built here from results/. `board` is what `onnxprof sweep status` prints of a store, else of a
small sweep that is started here and looked at midway: three networks and a file that is no model.
Without `--only` all are taken. Needs Playwright and a chromium; `make pictures` installs the first.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from onnxprof.sweeps.status.file import State, state, statuses

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
#: By name, the page below the site's folder; a window of this size is shown.
PAGES = {"page": "models/squeezenet/index.html", "leaderboard": "index.html"}
WINDOW = {"width": 1180, "height": 800}
NAMES = (*PAGES, "board")
COLUMNS = 80
#: Seconds until the sweep must have something to show.
PATIENCE_S = 300.0
#: Jobs that are measured when the sweep is looked at.
ENOUGH = 4
PLAN = """
[defaults]
budget = 1
threads = [1]

[[models]]
name = ["zoo:lenet", "broken.onnx", "zoo:squeezenet", "zoo:resnet50"]
batch = [1, 8, 32]

[[backends]]
name = ["ort", "openvino"]
"""
THEME = TerminalTheme(
    (27, 30, 35),
    (222, 226, 230),
    [
        *((27, 30, 35), (255, 107, 107), (105, 219, 124), (255, 212, 59)),
        *((116, 192, 252), (218, 119, 242), (102, 217, 232), (222, 226, 230)),
    ],
)
TERMINAL = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: {background}; }}
pre {{ display: inline-block; margin: 0; padding: 14px 18px; color: {foreground};
  background: {background}; font: 13px/1.45 "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
{stylesheet}</style><pre>{code}</pre>"""


@dataclass(frozen=True, slots=True)
class Camera:
    """A browser, and where its pictures go."""

    browser: Any
    out: Path

    def page(self, name: str, address: str) -> None:
        """Take the top of a page as a visitor first sees it, in light colours."""
        context = self.browser.new_context(viewport=WINDOW, color_scheme="light", locale="en-GB")
        page = context.new_page()
        page.goto(address, wait_until="load")
        page.wait_for_timeout(500)
        page.screenshot(path=self._place(name))
        context.close()

    def terminal(self, name: str, html: str) -> None:
        """Take what a terminal shows, two pixels for one."""
        context = self.browser.new_context(device_scale_factor=2, viewport=WINDOW)
        page = context.new_page()
        page.set_content(html)
        page.locator("pre").screenshot(path=self._place(name))
        context.close()

    def _place(self, name: str) -> Path:
        path = self.out / f"{name}.png"
        print(path)
        return path


def terminal_page(command: str, printed: str, columns: int = COLUMNS) -> str:
    """A page that shows a command and what it printed, with its colours."""
    console = Console(
        record=True, file=StringIO(), width=columns, force_terminal=True, color_system="truecolor"
    )
    console.print(Text(f"$ {command}", style="dim"))
    console.print(Text.from_ansi(printed.rstrip("\n")), soft_wrap=True)
    return console.export_html(theme=THEME, code_format=TERMINAL, inline_styles=True)


def board(store: Path) -> str:
    """What `onnxprof sweep status` prints of a store, in colours; without this machine's name."""
    shown = {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    environment = os.environ | shown
    words = ["-m", "onnxprof", "sweep", "status", "--store", store.name]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=store.parent,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    if not done.stdout.strip():
        raise SystemExit(f"{store} knows no sweep: {done.stderr.strip()}")
    return _nameless(done.stdout)


def _nameless(printed: str) -> str:
    """The board without the machine's name in the sentence above it."""
    lines = printed.splitlines()
    board = next(i for i, line in enumerate(lines) if " jobs" in line and " of " in line)
    sentence = " ".join(line.strip() for line in lines[:board])
    sentence = sentence.replace(f" on {platform.node()}", "")
    return "\n".join([*textwrap.wrap(sentence, COLUMNS), *lines[board:], ""])


def board_midway(folder: Path) -> str:
    """The board of a sweep that is started in a folder, once some of it is done, and then ended."""
    (folder / "plan.toml").write_text(PLAN, "utf-8")
    (folder / "broken.onnx").write_bytes(b"this is no model")
    store = folder / "sweep"
    words = ["-m", "onnxprof", "sweep", "plan.toml", "--store", store.name, "--quiet"]
    sweep = subprocess.Popen([sys.executable, *words], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        _await(lambda: _is_midway(store) or sweep.poll() is not None)
        return board(store)
    finally:
        sweep.terminate()
        sweep.wait(60)


def _is_midway(store: Path) -> bool:
    """Whether there is one sweep that runs, has measured some jobs, and is within another."""
    found, _ = statuses(store)
    if len(found) != 1 or state(found[0]) is not State.RUNNING:
        return False
    tally = found[0].tally
    busy = any(place.running and place.running.share > 0.2 for place in tally.places)
    return tally.finished >= ENOUGH and tally.failed > 0 and busy


def _await(is_there: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_there():
        if time.monotonic() > end:
            raise SystemExit("the sweep shows nothing yet")
        time.sleep(0.1)


def gallery(folder: Path) -> Path:
    """The site of the runs in results/, built in a folder."""
    site = folder / "site"
    words = ["site", "build", "--store", str(ROOT / "results"), "--out", str(site)]
    words += ["--title", "onnxprof gallery"]
    subprocess.run([sys.executable, "-m", "onnxprof", *words], check=True)
    return site


def main(names: Sequence[str], site: Path | None, store: Path | None, out: Path) -> None:
    """Take these pictures."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory()))
        driver = held.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        held.callback(browser.close)
        camera = Camera(browser, out)
        if pages := [name for name in PAGES if name in names]:
            folder = (site or gallery(scratch)).resolve()
            for name in pages:
                camera.page(name, (folder / PAGES[name]).as_uri())
        if "board" in names:
            printed = board(store.resolve()) if store else board_midway(scratch)
            name = shlex.quote(store.resolve().name) if store else "sweep"
            command = f"onnxprof sweep status --store {name}"
            camera.terminal("board", terminal_page(command, printed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=NAMES)
    parser.add_argument("--site", type=Path, help="a built gallery, else one is built")
    parser.add_argument("--store", type=Path, help="whose board to take, else a sweep is started")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    asked = parser.parse_args()
    main(asked.only or NAMES, asked.site, asked.store, asked.out)
