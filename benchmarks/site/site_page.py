"""What a model's page weighs, when it first paints, how fast it sorts and draws 5,000 layers.

    python benchmarks/site/site_page.py [--rounds 5] [--build DIR | --sites DIR...]

Needs Playwright and a chromium on the path. The runs are those of `site_build.py`, made up: 180
layers on three devices at six batch sizes, and single runs of 1,000 and 5,000 layers. Times are
medians of so many fresh pages, served over http from this machine; sorting and drawing count to
the end of the second frame after the click, when the rows in view stand.

The pages of 1,000 and 5,000 layers are also weighed, each in a browser of its own: bytes of HTML,
elements, resident memory of the process that shows the page, CPU seconds of all processes of the
browser and seconds until the second frame after the page is loaded. The bare limit is the page that
explains the method, which has no table; the exponent is that of growth with layers. `--sites`
weighs sites that `--build` of several revisions wrote, in alternation.
"""

from __future__ import annotations

import argparse
import gzip
import math
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
import site_build
from playwright.sync_api import sync_playwright

from onnxprof.publish.disk.serve import server
from onnxprof.publish.site import build as site

LAYERS = (180, 1_000, 5_000)
PAGES = [f"models/network-{number:03}/index.html" for number in range(len(LAYERS))]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
PLAIN = "method.html"
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
MEASURES = {"kB of HTML": 1e3, "elements": 1, "MB of memory": 1e6, "CPU s": 1, "seconds": 1}
TIMED = """async (act) => {
  const start = performance.now();
  eval(act);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - start;
}"""


def build(folder: Path) -> None:
    case = replace(site_build.CASES["large"], sizes=LAYERS)
    runs = [site_build.run(0, device, batch, case) for device in range(3) for batch in case.batches]
    others = [site_build.run(model, 0, 1, case) for model in (1, 2)]
    site.build_site([*runs, *others], folder)


def weights(page: Any, address: str, folder: Path) -> dict[str, int]:
    """Bytes after gzip of each file that a page asks for before any chart is opened."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/{PAGES[0]}")
    page.wait_for_timeout(500)
    files = [url.removeprefix(f"{address}/") for url in asked if url.startswith(address)]
    return {name: len(gzip.compress((folder / name).read_bytes(), 9)) for name in files}


def painted(page: Any, address: str) -> float:
    """Milliseconds to the first paint."""
    page.goto(f"{address}/{PAGES[0]}")
    while (found := page.evaluate(PAINT)) is None:
        page.wait_for_timeout(20)
    return float(found)


def clicked(selector: str) -> str:
    return f'document.querySelector("{selector}").click()'


def sorted_in(page: Any, address: str) -> float:
    page.goto(f"{address}/{PAGES[1]}")
    page.locator("#timing-table").scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    return float(page.evaluate(TIMED, clicked("#timing-table thead th:nth-child(5) button")))


def chosen_in(page: Any, address: str, path: str) -> float:
    """Milliseconds until a layer is lit and its panel stands."""
    page.goto(f"{address}/{path}")
    page.wait_for_timeout(300)
    return float(page.evaluate(TIMED, clicked("#timing-table tbody a.layer")))


def plotted(page: Any, address: str) -> dict[str, float]:
    """What a visitor does with the plot of 5,000 layers, in milliseconds each."""
    page.goto(f"{address}/{PAGES[2]}")
    page.locator("#stage").scroll_into_view_if_needed()
    page.wait_for_selector("#stage.drawn [data-i]")
    page.fill("#find-node", "block2/relu")
    enter = "new KeyboardEvent('keydown', {key: 'Enter', cancelable: true})"
    jump = f"document.getElementById('find-node').dispatchEvent({enter})"
    acts = {
        "open every scope": clicked("#unfold"),
        "zoom": clicked("#zoom-in"),
        "jump to a layer": jump,
        "fold": clicked("#fold"),
    }
    return {name: float(page.evaluate(TIMED, act)) for name, act in acts.items()}


def processes() -> list[psutil.Process]:
    """Those of the browser, not the program that drives it."""
    return [p for p in psutil.Process().children(recursive=True) if p.name().startswith("chrom")]


def cpu_seconds() -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes())


def heaviness(launch: Callable[[], Any], folder: Path, path: str) -> list[float]:
    """The figures of MEASURES for a page in a browser that has shown nothing else."""
    with served(folder) as address:
        browser = launch()
        page = browser.new_page(bypass_csp=True)
        page.evaluate(FRAMES)
        before, start = cpu_seconds(), perf_counter()
        page.goto(f"{address}/{path}")
        page.evaluate(FRAMES)
        wall, cpu = perf_counter() - start, cpu_seconds() - before
        page.wait_for_timeout(500)
        shown = [p for p in processes() if "--type=renderer" in p.cmdline()]
        memory = max(process.memory_info().rss for process in shown)
        elements = page.evaluate("document.querySelectorAll('*').length")
        browser.close()
    return [(folder / path).stat().st_size, elements, memory, cpu, wall]


def weigh(launch: Callable[[], Any], folders: Sequence[Path], rounds: int) -> None:
    pages = {"no table": PLAIN, "1,000 layers": PAGES[1], "5,000 layers": PAGES[2]}
    found: dict[tuple[Path, str], list[list[float]]] = {}
    for _ in range(rounds):
        for folder in folders:
            for name, path in pages.items():
                found.setdefault((folder, name), []).append(heaviness(launch, folder, path))
    middle = {
        key: [median(column) for column in zip(*rows, strict=True)] for key, rows in found.items()
    }
    for i, (measure, unit) in enumerate(MEASURES.items()):
        for folder in folders:
            limit, small, large = (middle[folder, name][i] for name in pages)
            print(
                f"{measure:<14}{folder.name:<12}no table {limit / unit:9.2f}"
                f"   1,000 layers {small / unit:9.2f} ({small / limit:6.2f} x)"
                f"   5,000 layers {large / unit:9.2f} ({large / limit:6.2f} x)"
                f"   exponent {math.log(large / small, 5):5.2f}"
            )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with server(folder) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def main(rounds: int, sites: Sequence[Path]) -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        print("there is no chromium on the path", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as base, sync_playwright() as driver:

        def launch() -> Any:
            return driver.chromium.launch(executable_path=chromium, args=FLAGS)

        if sites:
            weigh(launch, sites, rounds)
            return 0
        folder = Path(base) / "public"
        build(folder)
        weigh(launch, [folder], rounds)
        browser = launch()

        def fresh(act: Callable[..., Any], *more: Any) -> Any:
            # the pages' policy forbids eval, which only this program uses
            context = browser.new_context(bypass_csp=True)
            found = act(context.new_page(), address, *more)
            context.close()
            return found

        with served(folder) as address:
            report(fresh, folder, rounds)
        browser.close()
    return 0


def report(fresh: Callable[..., Any], folder: Path, rounds: int) -> None:
    found = fresh(weights, folder)
    print(f"{'page of 180 layers, 18 runs, gzipped':<44}{sum(found.values()) / 1e3:8.1f} kB")
    for name, size in found.items():
        print(f"  {name:<42}{size / 1e3:8.1f} kB")
    paints = [fresh(painted) for _ in range(rounds)]
    print(f"{'first paint of it':<44}{median(paints):8.0f} ms")
    sorts = [fresh(sorted_in) for _ in range(rounds)]
    print(f"{'sorting 1,000 rows':<44}{median(sorts):8.0f} ms")
    for layers, path in zip(LAYERS, PAGES, strict=True):
        choices = [fresh(chosen_in, path) for _ in range(rounds)]
        print(f"{f'choosing a layer of {layers:,}':<44}{median(choices):8.0f} ms")
    plots = [fresh(plotted) for _ in range(rounds)]
    for name in plots[0]:
        took = median(plot[name] for plot in plots)
        print(f"{f'plot of 5,000 layers: {name}':<44}{took:8.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=Path, help="only write the site")
    parser.add_argument("--sites", type=Path, nargs="+", default=[])
    asked = parser.parse_args()
    if asked.build:
        build(asked.build)
    else:
        sys.exit(main(asked.rounds, asked.sites))
