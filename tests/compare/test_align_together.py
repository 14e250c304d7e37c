"""Which runs belong side by side, and what they are called there."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import strategies as own
from support.compare.aligned import GEMM, changed, several

from onnxprof.compare.align import align
from onnxprof.compare.systems import labels, newest, refuse_unlike
from onnxprof.compare.verdict import Caveat
from onnxprof.errors import UsageError
from onnxprof.testing import sample_run


def test_unlike_runs_are_refused_by_name() -> None:
    run = several()
    refused = {
        "1 run to align": [run],
        "no runs to align": [],
        "batch differs: 1, 8": [run, several(batch=8)],
        "axes differ: none, height=320": [run, changed(run, dims=(("height", 320),))],
        "inputs differ: generated, abcabcabcabc": [run, changed(run, inputs_sha256="abc" * 20)],
        "out of memory": [run, dataclasses.replace(run, timings=None, failure="out of memory")],
    }
    for words, runs in refused.items():
        with pytest.raises(UsageError, match=words):
            refuse_unlike(runs)
    refuse_unlike([run, several(batch=8)], over="batch")
    refuse_unlike([run, changed(run, inputs_sha256="abc" * 20)], force=True)


def test_another_file_with_the_same_layers_passes_with_a_caveat() -> None:
    other = changed(several("torch"), model_sha256="cd" * 32)
    refuse_unlike([several(), other])
    kinds = [remark.kind for remark in align([several(), other]).remarks]
    assert kinds == [Caveat.MODELS_DIFFER]
    fewer = dataclasses.replace(
        other, table=dataclasses.replace(other.table, layers=other.table.layers[:-1])
    )
    with pytest.raises(UsageError, match=f"1 layers are in one .*, such as '{GEMM}'"):
        refuse_unlike([several(), fewer])
    refuse_unlike([several(), fewer], force=True)


def test_labels_are_as_long_as_they_must_be() -> None:
    run = several()
    one = changed(run, threads=1)
    assert labels([run, several("torch")]) == ("ort", "torch")
    assert labels([run, one, several("torch")]) == ("ort 2 threads", "ort 1 thread", "torch")
    assert labels([run, changed(run, provider="cuda")]) == ("ort cpu", "ort cuda")
    assert labels([run, run, run]) == ("ort", "ort #2", "ort #3")


@given(st.lists(own.requests, min_size=1, max_size=6))
def test_labels_tell_any_runs_apart(requests: list[object]) -> None:
    runs = [dataclasses.replace(sample_run(), request=request) for request in requests]
    found = labels(runs)
    assert len(set(found)) == len(runs) or any(" #" in r.request.backend for r in runs)


def test_the_newest_of_each_system() -> None:
    old = sample_run(created="2026-01-01T00:00:00Z")
    new = sample_run(created="2026-01-02T00:00:00Z")
    other = sample_run(backend="torch", created="2025-01-01T00:00:00Z")
    assert newest([new, other, old]) == [new, other]
    assert len(newest([new, sample_run(batch=8)])) == 2
