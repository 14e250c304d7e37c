"""Scripted runs of several systems, to be laid side by side."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
from rich.console import Console, RenderableType

from onnxprof.analysis.processes import merge
from onnxprof.records.parity import OutputParity, Parity
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.records.warning import RunWarning, WarningKind
from onnxprof.testing import sample_run

CONV, RELU, GEMM = (layer.name for layer in sample_run().table.nodes)


def several(backend: str = "ort", scale: float = 1.0, batch: int = 1, fused: bool = True) -> Run:
    """Ten scripted processes."""
    seed = sum(map(ord, backend)) * 100 + batch
    each = [
        sample_run("net", batch, backend=backend, scale=scale, fused=fused, seed=seed + i)
        for i in range(10)
    ]
    return merge(each)


def changed(run: Run, **fields: object) -> Run:
    return dataclasses.replace(run, request=dataclasses.replace(run.request, **fields))


def warned(run: Run, *kinds: WarningKind) -> Run:
    return dataclasses.replace(run, warnings=tuple(RunWarning(kind, 0.5) for kind in kinds))


def judged(run: Run, passed: bool) -> Run:
    return dataclasses.replace(run, parity=Parity("ort", (OutputParity("y", passed=passed),)))


def of_one_step(run: Run) -> Run:
    """As torch.compile runs it."""
    assert run.timings is not None
    whole = run.timings.step_ns.sum(axis=0, keepdims=True)
    step = Step("compiled", "Compiled", "torch", (CONV, RELU, GEMM), Confidence.EXACT)
    timings = dataclasses.replace(run.timings, step_ns=whole)
    return dataclasses.replace(run, steps=(step,), timings=timings)


def untraced(run: Run) -> Run:
    assert run.timings is not None
    none = np.zeros((0, 0), np.int64)
    timings = dataclasses.replace(run.timings, step_ns=none, traced_ns=none[0:0].reshape(-1))
    return dataclasses.replace(run, steps=(), timings=timings)


def shown(part: RenderableType, width: int = 80) -> str:
    sink = io.StringIO()
    Console(file=sink, width=width, highlight=False).print(part, markup=False)
    return "\n".join(line.rstrip() for line in sink.getvalue().splitlines()) + "\n"


def three() -> list[Run]:
    """Two fusions, one run with wrong outputs, a layer folded, a tie inferred."""
    ort, torch = several(), several("torch", 2.0, fused=False)
    openvino = judged(several("openvino", 0.5), passed=False)
    inferred = dataclasses.replace(ort.steps[0], confidence=Confidence.INFERRED)
    steps = (ort.steps[0], dataclasses.replace(ort.steps[1], layers=()), ort.steps[2])
    return [
        judged(dataclasses.replace(ort, steps=(inferred, *ort.steps[1:])), passed=True),
        torch,
        dataclasses.replace(openvino, steps=steps, folded=(GEMM,)),
    ]
