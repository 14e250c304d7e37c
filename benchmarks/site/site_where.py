"""What the icicle, the wrapped plot and a plot's PDF cost: elements, bytes, CPU seconds, pages.

    python benchmarks/site/site_where.py

The networks are those of `site_build.py`, made up. For each the size of the page's HTML, plain and
gzipped, with the icicle's part of it; its rectangles; CPU seconds to grow, lay out and write it,
and how many times those of 1,000 layers that is; the drawing's width and height in pixels; sheets,
bytes and CPU seconds of the PDF, and what it was tall before on a page of its own. Nothing is
cached, and all of it runs in this process.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import TypeVar

import site_build
from pypdf import PdfReader

from onnxprof.publish.drawing import plot
from onnxprof.publish.icicle import view
from onnxprof.publish.pages import embed, graph_view, render
from onnxprof.publish.pages.catalogue import ModelPage, catalogue
from onnxprof.publish.pdf import plot as plot_pdf
from onnxprof.publish.pdf import typesetter
from onnxprof.publish.site.model_files import undrawn

LAYERS = (180, 1_000, 5_000)
#: Sides of a page of its own size were bounded by this many points, of 1/72 inch.
_MOST_POINTS, _METRE = 14_400, 2_835
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    start = process_time()
    return work(), process_time() - start


def page_of(layers: int) -> ModelPage:
    """180 layers on three devices at six batch sizes, others once."""
    case = replace(site_build.CASES["large"], sizes=(layers,))
    devices, batches = (range(3), case.batches) if layers == LAYERS[0] else (range(1), (1,))
    runs = [site_build.run(0, device, batch, case) for device in devices for batch in batches]
    (page,) = catalogue(runs)
    return page


def report(layers: int) -> float:
    page = page_of(layers)
    result = page.first.result
    assert result is not None
    rows = [*embed.body_rows(result), *embed.closing_rows(result)]
    view.view(rows, result.total_ns)
    made, seconds = timed(lambda: view.view(rows, result.total_ns))
    drawings = graph_view.graphs(page)
    html = undrawn(page, render.SiteFacts("t", "0", ""))["index.html"]
    top = drawings[0]["scopes"][0]
    print(f"{layers:,} layers, {len(page.entries)} runs")
    print(f"  HTML {len(html) / 1e3:.0f} kB, gzipped {len(gzip.compress(html)) / 1e3:.1f}")
    print(f"  icicle {len(made.icicle) / 1e3:.1f} kB, {made.icicle.count('<rect')} rectangles")
    print(f"  icicle {seconds * 1e3:.1f} ms of CPU")
    print(f"  plot on the page {top['w']} x {top['h']} pixels")
    table = page.table
    drawing = plot.draw(plot.plan(table), table, "m")
    tall = plot_pdf._size(drawing)[1] * 0.75
    manuscript, cut = timed(lambda: plot_pdf.manuscript(drawing, "m", 1))
    pdf, pressed = timed(lambda: typesetter.compile_pdf(manuscript))
    pages = len(PdfReader(io.BytesIO(pdf)).pages)
    print(f"  PDF {pages} sheets, {len(pdf) / 1e3:.0f} kB, {cut + pressed:.2f} s of CPU;", end=" ")
    print(f"before one page {min(tall, _MOST_POINTS) / _METRE:.2f} m tall")
    return seconds


def main() -> None:
    seconds = {layers: report(layers) for layers in LAYERS}
    print(f"CPU of the icicle, 5,000 over 1,000 layers: {seconds[5_000] / seconds[1_000]:.1f}")


if __name__ == "__main__":
    main()
