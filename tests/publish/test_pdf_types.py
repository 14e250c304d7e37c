"""The PDF of a run of half precision."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from onnxprof.analysis.reconcile import reconcile
from onnxprof.analysis.widened import computed_in
from onnxprof.publish.pdf import timings
from onnxprof.records.layer import Layer, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Step
from onnxprof.testing import sample_run


def document(run: Run) -> Any:
    return json.loads(timings.manuscript(run, reconcile(run)).data)


def half(run: Run, executed: str) -> Run:
    """The run as one of a float16 model whose steps yield this type."""

    def retyped(tensors: tuple[Tensor, ...], dtype: str) -> tuple[Tensor, ...]:
        return tuple(replace(tensor, dtype=dtype) for tensor in tensors)

    def layer(old: Layer) -> Layer:
        return replace(old, outputs=retyped(old.outputs, "float16"))

    outputs = {old.name: old.outputs for old in run.table.layers}

    def step(old: Step) -> Step:
        made = outputs[old.layers[-1]] if old.layers else ()
        return replace(old, outputs=retyped(made, executed))

    table = replace(run.table, layers=tuple(map(layer, run.table.layers)))
    return replace(run, table=table, steps=tuple(map(step, run.steps)))


def test_a_wider_type_is_marked_and_explained() -> None:
    run = half(sample_run(), "float32")
    wider = [row for row in reconcile(run).rows if computed_in(row.step, run.table)]
    assert wider
    body, _ = timings.printed_rows(reconcile(run), run.table)
    marked = [row for row in body if row.operator.endswith(" *")]
    assert [row.name for row in marked] == [row.name for row in wider]
    assert document(run)["legend"] == (
        "* behind an operator: half precision that is computed in float32."
    )


def test_what_stays_in_its_type_has_no_mark() -> None:
    for run in (sample_run(), half(sample_run(), "float16")):
        body, _ = timings.printed_rows(reconcile(run), run.table)
        assert not [row for row in body if "*" in row.operator]
        assert document(run)["legend"] == ""
