"""The page that lists every layer of every model."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprof.publish.layerlist.index import Batch, first
from onnxprof.publish.pages.render import SiteFacts, render

#: Where the page lies in a site, and the folder of its index.
PATH, FOLDER = "layers.html", "layers"
ASSETS = ("layerlist.js", "layerlist.css")


def script(batch: int) -> str:
    """The file of the index at a batch size, below the site's folder."""
    return f"{FOLDER}/batch-{batch}.js"


def layers_page(found: Sequence[Batch], site: SiteFacts) -> str:
    """The page; without its script it has the totals at the batch size of the most runs."""
    shown = first(found)
    return render("layerlist.html", site, PATH, batches=found, shown=shown)
