"""The list of all layers: bytes of its index, CPU seconds to make it, and how it answers.

    python benchmarks/site/site_layers.py [--models 300] [--layers 100] [--systems 6] [--keep DIR]

Runs are made up, of residual networks at one batch size. Prints the size of the page and of its
index, plain and gzipped, the CPU seconds of making the parts and joining them, and, where there is
a Chromium (--chromium), what the page's script spends on opening, filtering and sorting.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import site_build

from onnxprof.publish.layerlist import page as layerlist
from onnxprof.publish.layerlist.index import batches
from onnxprof.publish.layerlist.part import part
from onnxprof.publish.pages.catalogue import model_page
from onnxprof.publish.pages.render import SiteFacts, asset
from onnxprof.publish.site.model_files import write


def parts(asked: argparse.Namespace) -> Iterator[bytes]:
    """What each model's build leaves for the list."""
    case = site_build.Case(asked.models, asked.systems, (1,), (asked.layers,))
    for model in range(asked.models):
        found = [site_build.run(model, device, 1, case) for device in range(asked.systems)]
        yield part(model_page(f"network-{model:03}", found, frozenset()))


def sizes(text: bytes) -> str:
    """Megabytes, plain and gzipped."""
    return f"{len(text) / 1e6:.2f} MB, {len(gzip.compress(text)) / 1e6:.2f} MB gzipped"


def answers(folder: Path, chromium: str) -> Iterator[tuple[str, float]]:
    """Milliseconds of the page's main thread until rows stand there, by what was asked."""
    import playwright.sync_api as playwright

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        metrics = page.context.new_cdp_session(page)
        metrics.send("Performance.enable")

        def spent() -> float:
            found = metrics.send("Performance.getMetrics")["metrics"]
            return float(next(m["value"] for m in found if m["name"] == "TaskDuration")) * 1e3

        page.goto((folder / layerlist.PATH).as_uri())
        page.wait_for_selector("#ll-rows tbody tr")
        yield "open", spent()
        for name, act in (
            ("an operator", lambda: page.select_option("#ll-op", "Conv")),
            ("a word", lambda: page.fill("#ll-q", "stage2")),
            ("sort by layer", lambda: page.click("#ll-rows th[data-key=name] button")),
            ("clear", lambda: page.click("button[type=reset]")),
            ("sort all by layer", lambda: page.click("#ll-rows th[data-key=system] button")),
        ):
            before = spent()
            act()
            page.wait_for_timeout(1500)
            yield name, spent() - before
        browser.close()


def main() -> None:
    """Make the list and print what it takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("models", 300), ("layers", 100), ("systems", 6)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--chromium", default="")
    asked = parser.parse_args()
    start = time.process_time()
    made = list(parts(asked))
    middle = time.process_time()
    found = batches(made)
    html = layerlist.layers_page(found, SiteFacts("layers", "0", ""))
    joined = time.process_time() - middle
    [one] = found
    print(f"{one.rows:,} rows of {one.models} models on {asked.systems} systems")
    print(f"index: {sizes(one.text.encode())}; page: {sizes(html.encode())}")
    print(f"CPU: {middle - start:.1f} s for runs and parts, {joined:.2f} s to join them")
    folder = asked.keep or Path(tempfile.mkdtemp())
    write(folder / layerlist.PATH, html)
    write(folder / layerlist.script(one.batch), one.text)
    for name in (*layerlist.ASSETS, "site.js", "style.css", "grades.css"):
        write(folder / "assets" / name, asset(name))
    if asked.chromium:
        for name, ms in answers(folder, asked.chromium):
            print(f"{name}: {ms:.0f} ms of the page's main thread")


if __name__ == "__main__":
    main()
