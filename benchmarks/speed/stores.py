"""Stores of many runs for the other scripts here: a few runs are written, the rest are links."""

from __future__ import annotations

import os
from pathlib import Path

from onnxprof.store.folder import Store
from onnxprof.testing import sample_run

_MODELS, _BATCHES = 25, (1, 2, 4, 8)


def fill(root: Path, count: int) -> list[Path]:
    """A store of `count` runs of 25 models at four batch sizes; hard links beyond the first 100."""
    store = Store(root)
    written = [
        store.save(sample_run(f"network-{model:02}", batch))
        for model in range(_MODELS)
        for batch in _BATCHES
    ][:count]
    linked = [_link(written[i % len(written)], i) for i in range(len(written), count)]
    return [*written, *linked]


def _link(path: Path, number: int) -> Path:
    new = path.with_name(f"{path.stem}-{number:06}{path.suffix}")
    os.link(path, new)
    return new
