"""What the first page of many models weighs, when it first paints, how fast a control answers.

    python benchmarks/site/site_index.py [--models 300] [--rounds 5]

Needs Playwright and a chromium on the path. The figures are made up: 300 models on six systems, two
numbers of threads and six batch sizes, whose latencies differ. Pages are served over http from this
machine, each round in a fresh page. First paint is the browser's own; a control counts until its
handler is done and the page is laid out anew (`layout`), and to the end of the second frame after
(`frames`). CPU seconds are those of all processes of the browser: of a round, and of a change of
batch.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from playwright.sync_api import sync_playwright

from onnxprof.publish.disk.files import write
from onnxprof.publish.disk.serve import server
from onnxprof.publish.leaderboard import data
from onnxprof.publish.leaderboard.board import board
from onnxprof.publish.leaderboard.index import index_page
from onnxprof.publish.pages.catalogue import Entry, ModelPage, catalogue
from onnxprof.publish.pages.render import ASSETS, SiteFacts, asset
from onnxprof.publish.site.model_files import encoded
from onnxprof.records.run import Run
from onnxprof.testing import sample_run

SYSTEMS = [(f"cpu:machine-{d}", backend) for d in range(2) for backend in ("a", "b", "c")]
BATCHES, THREADS = (1, 2, 4, 8, 16, 32), (2, 16)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
#: Controls that are changed in turn, and how often all of them.
ACTS = {
    "batch": "document.querySelector('[name=batch][value=\"32\"]').click()",
    "best batch": "document.querySelector('[name=batch][value=best]').click()",
    "throughput": "document.querySelector('[name=metric][value=throughput]').click()",
    "threads": "document.querySelector('[name=threads][value=\"16\"]').click()",
    "sort": "document.querySelector('#models thead th:nth-child(3) button').click()",
    "all rows": "document.querySelector('#more button:last-child').click()",
    "batch, all rows": "document.querySelector('[name=batch][value=\"4\"]').click()",
}
CHANGES = 48
TIMED = """async (act) => {
  const start = performance.now();
  eval(act);
  document.body.getBoundingClientRect();
  const layout = performance.now() - start;
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return [layout, performance.now() - start];
}"""


def runs() -> Iterator[Run]:
    """One model on every system."""
    for device, backend in SYSTEMS:
        for batch in BATCHES:
            for threads in THREADS:
                run = sample_run("m", batch, device, backend)
                yield replace(run, request=replace(run.request, threads=threads))


def models(count: int) -> list[ModelPage]:
    """Models that differ in name and latencies."""
    (page,) = catalogue(runs())
    return [
        replace(
            page,
            slug=f"model-{i:03}",
            facts=replace(page.facts, name=f"network-{i:03}"),
            entries=tuple(scaled(entry, i, n) for n, entry in enumerate(page.entries)),
        )
        for i in range(count)
    ]


def scaled(entry: Entry, model: int, number: int) -> Entry:
    assert entry.result
    factor = 1 + (model * 7919 + number * 104_729) % 1000 / 250
    return replace(
        entry, result=replace(entry.result, total_ns=int(entry.result.total_ns * factor))
    )


def build(folder: Path, count: int) -> None:
    """Write the page with what it asks for, and print what it weighs."""
    pages = models(count)
    facts = SiteFacts("many models", "benchmark", "2026-01-01T00:00:00Z")
    files = {
        "index.html": encoded(index_page(board(pages), [], facts)),
        data.NAME: encoded(data.script(board(pages))),
        **{f"assets/{name}": asset(name) for name in ASSETS},
    }
    for name, content in files.items():
        write(folder / name, content)
    for name in ("index.html", data.NAME):
        content = files[name]
        packed = len(gzip.compress(content))
        print(f"{name}: {len(content) / 1e3:.0f} kB, {packed / 1e3:.0f} gzipped")


def browser_cpu() -> float:
    found = psutil.Process().children(recursive=True)
    return sum(sum(p.cpu_times()[:2]) for p in found if p.name().startswith("chrom"))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with server(folder) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def visit(page: Any, address: str) -> dict[str, Sequence[float]]:
    """Milliseconds of first paint, and of each control until laid out and until shown."""
    page.goto(f"{address}/index.html")
    while (paint := page.evaluate(PAINT)) is None:
        page.wait_for_timeout(20)
    found: dict[str, Sequence[float]] = {"first paint": [float(paint)]}
    page.wait_for_timeout(300)
    for name, act in ACTS.items():
        found[name] = page.evaluate(TIMED, act)
    return found


def cpu_of_a_change(page: Any, address: str) -> float:
    """CPU seconds of the browser for a change of batch, over CHANGES of them with their frames."""
    page.goto(f"{address}/index.html")
    page.wait_for_timeout(500)
    start = browser_cpu()
    for i in range(CHANGES):
        page.evaluate(
            TIMED, f"document.querySelectorAll('[name=batch]')[{i % len(BATCHES)}].click()"
        )
    return (browser_cpu() - start) / CHANGES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as text, sync_playwright() as driver:
        folder = Path(text)
        build(folder, asked.models)
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        rounds = []
        with served(folder) as address:
            start = browser_cpu()
            for _ in range(asked.rounds):
                page = browser.new_page(bypass_csp=True)
                rounds.append(visit(page, address))
                elements = page.evaluate("document.querySelectorAll('*').length")
                page.close()
            spent = (browser_cpu() - start) / asked.rounds
            change = cpu_of_a_change(browser.new_page(bypass_csp=True), address)
        browser.close()
    for name in rounds[0]:
        columns = zip(*(its[name] for its in rounds), strict=True)
        print(f"{name}: " + ", ".join(f"{median(column):.0f} ms" for column in columns))
    print(f"elements with all rows: {elements:,}; CPU of the browser: {spent:.2f} s a round")
    print(f"CPU of the browser for a change of batch: {change * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
