"""What a store has of a request, told by the names of its files: nothing is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from onnxprof.store.folder import Store, path_part

#: Batch, threads, digest of the request, time, and the mark of a failure: see docs/store.md.
_NAME = re.compile(
    r"b(?P<batch>\d{4,})-t(?P<threads>\d+)-(?P<digest>[0-9a-f]{12})-[^/]*?(?P<failed>-failed)?"
    r"(-\d+)?\.parquet"
)


class Answer(NamedTuple):
    """A stored run, as its name says it."""

    digest: str
    """Of its request."""
    batch: int
    threads: int
    failed: bool
    path: Path


def answers(store: Store, model_name: str, device_id: str, backend: str) -> list[Answer]:
    """The runs of a model on a device and backend, the failed ones among them, by name."""
    return list(_in(store.root.joinpath(*map(path_part, (model_name, device_id, backend)))))


def answers_of(store: Store, model_name: str) -> list[Answer]:
    """The runs of a model on every device and backend."""
    place = store.root / path_part(model_name)
    folders = (backend for device in _folders(place) for backend in _folders(device))
    return [answer for folder in folders for answer in _in(folder)]


def _folders(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir())
    except OSError:
        return []


def _in(folder: Path) -> Iterator[Answer]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return
    for name in names:
        if match := _NAME.fullmatch(name):
            digest, failed = match["digest"], match["failed"] is not None
            batch, threads = int(match["batch"]), int(match["threads"])
            yield Answer(digest, batch, threads, failed, folder / name)
