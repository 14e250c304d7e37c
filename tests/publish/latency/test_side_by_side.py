"""Runs of one command on several backends, side by side."""

from __future__ import annotations

from dataclasses import replace

from onnxprof.cli.output import plain_text
from onnxprof.publish.latency.side_by_side import side_by_side
from onnxprof.records.run import Run
from onnxprof.testing import sample_run


def shown(*runs: Run) -> str:
    return plain_text(*side_by_side(runs))


def on(backend: str, batch: int = 1, scale: float = 1.0, **changes) -> Run:
    return sample_run(backend=backend, batch=batch, scale=scale, seed=len(backend), **changes)


def test_a_line_a_backend_and_batch_with_the_speed_up_over_the_first() -> None:
    text = shown(on("ort"), on("ort", 8), on("torch", scale=2.0), on("torch", 8, 2.0))
    assert "sample: torch against ort, batch by batch" in text
    rows = [line.split() for line in text.splitlines() if "baseline" in line or " -5" in line]
    assert [row[-1] for row in rows if "baseline" in row] == ["baseline", "baseline"]
    assert text.count("torch") >= 3
    assert "layer by layer" not in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_each_model_has_a_table_of_its_own() -> None:
    def digest(run: Run) -> Run:
        return replace(run, request=replace(run.request, model_sha256="cd" * 32))

    text = shown(
        on("ort"), digest(on("ort", model="other")), on("torch"), digest(on("torch", model="other"))
    )
    assert "sample: torch against ort" in text
    assert "other: torch against ort" in text


def test_nothing_where_one_backend_is_left_or_no_batch_is_shared() -> None:
    assert shown(on("ort"), on("ort", 8)) == ""
    assert shown(on("ort", 1), on("torch", 8)) == ""
    failed = replace(on("torch"), timings=None, failure="no")
    assert shown(on("ort"), failed) == ""
    assert shown() == ""
