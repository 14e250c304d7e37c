"""Runs of several settings, for tests of the leaderboard."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from onnxprof.publish.leaderboard import data
from onnxprof.publish.leaderboard.board import board
from onnxprof.publish.leaderboard.index import index_page
from onnxprof.publish.pages.catalogue import catalogue
from onnxprof.publish.pages.render import ASSETS, SiteFacts, asset
from onnxprof.publish.site.model_files import write
from onnxprof.records.run import Run
from onnxprof.records.telemetry import Energy, Telemetry
from onnxprof.testing import sample_run
from support.sites import failed_run, hostile_run, wrong_run

GPU = "cuda:0:x"


def asked(run: Run, **changes: object) -> Run:
    """The run with other settings."""
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **changes))  # type: ignore[arg-type]


def spent(run: Run, millijoules: float) -> Run:
    """The run with the energy of one inference."""
    read = Telemetry(1.0, 10, 50.0, energies=(Energy("rapl package-0", 10 * millijoules),))
    return dataclasses.replace(run, telemetry=read)


def bert(size: int, scale: float, threads: int = 2, backend: str = "fake") -> Run:
    """A run of a model whose size is a choice."""
    run = sample_run("bert", 1, backend=backend, scale=scale)
    return asked(run, dims=(("seq", size),), threads=threads)


def board_runs() -> list[Run]:
    """Two systems on one CPU and a GPU; sizes, threads and batches that differ."""
    return [
        *(sample_run("alpha", b) for b in (1, 8)),
        *(sample_run("alpha", b, backend="other", scale=0.5) for b in (1, 8)),
        *(sample_run("alpha", b, GPU, "other", scale=2.0 / b) for b in (1, 8)),
        bert(128, 10.0),
        bert(128, 5.0, backend="other"),
        bert(16, 1.0),
        asked(sample_run("many", 1, scale=0.1), threads=16),
        sample_run("many", 1, backend="other"),
        spent(sample_run("lenet", 1, scale=1.5), 5.0),
        spent(sample_run("lenet", 1, backend="other", scale=3.0), 4.0),
        failed_run("gone", 1),
        wrong_run(),
        sample_run("liar", 1, backend="other"),
        hostile_run(),
    ]


def crowd_site(folder: Path, count: int) -> None:
    """The first page of so many models with what it asks for, and nothing else of a site."""
    pages = catalogue([sample_run(f"model-{i:03}", 1) for i in range(count)])
    write(folder / "index.html", index_page(board(pages), [], SiteFacts("crowd", "tests", "")))
    write(folder / data.NAME, data.script(board(pages)))
    for name in ASSETS:
        write(folder / "assets" / name, asset(name))
