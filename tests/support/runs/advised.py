"""Scripted runs for the rules of the advice: a graph in a few words, and a time for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from onnxprof.reasons.advice.advise import Advice, advise
from onnxprof.reasons.advice.base.finding import Finding
from onnxprof.records.device import Device
from onnxprof.records.layer import Layer, LayerKind, LayerTable, Shape, Tensor
from onnxprof.records.run import Run
from onnxprof.records.step import Confidence, Step
from onnxprof.testing import sample_run

MS = 1_000_000
Node = tuple[str, str, Sequence[str]]
"""Name, operator, and the tensors that it reads; it yields a tensor of its own name. Tensors whose
names begin with `w` are initializers."""


def tensor(name: str, shapes: Mapping[str, Shape], dtype: str = "float32") -> Tensor:
    return Tensor(name, dtype, shapes.get(name, (1, 16, 8, 8)))


def table(
    nodes: Sequence[Node],
    shapes: Mapping[str, Shape] | None = None,
    attributes: Mapping[str, tuple[tuple[str, str], ...]] | None = None,
    dtypes: Mapping[str, str] | None = None,
) -> LayerTable:
    known, types = shapes or {}, dtypes or {}
    read = dict.fromkeys(name for *_, reads in nodes for name in reads)
    made = {name: tensor(name, known, types.get(name, "float32")) for name in read}
    fixed = [made[name] for name in read if name.startswith("w")]
    given = [
        Layer(t.name, LayerKind.INITIALIZER, "Initializer", inputs=(t,), outputs=(t,))
        for t in fixed
    ]
    rows = [
        Layer(
            *(name, LayerKind.NODE, op_type, op_type, "", 17),
            inputs=tuple(made[each] for each in reads),
            outputs=(tensor(name, known, types.get(name, "float32")),),
            attributes=(attributes or {}).get(name, ()),
        )
        for name, op_type, reads in nodes
    ]
    return LayerTable((*given, *rows), 1)


def run_of(
    layers: LayerTable,
    steps: Sequence[tuple[str, Sequence[str], float]],
    overhead_ms: float = 0.05,
    seed: int = 0,
    device: Device | None = None,
    **asked,
) -> Run:
    """A run whose steps (operator, layers, milliseconds) scatter by 1 %."""
    base = sample_run(seed=seed)
    assert base.timings is not None
    rng = np.random.default_rng(seed)
    ms = np.array([each[2] for each in steps])
    noise = 1 + 0.01 * rng.random((len(steps), 50))
    step_ns = (ms[:, None] * MS * noise).astype(np.int64)
    latency = ((ms.sum() + overhead_ms) * MS * (1 + 0.01 * rng.random(80))).astype(np.int64)
    made = [
        Step(f"{number} {op_type}", op_type, "cpu", tuple(names), Confidence.EXACT, position=number)
        for number, (op_type, names, _) in enumerate(steps)
    ]
    traced = step_ns.sum(axis=0) + round(overhead_ms * MS)
    timings = replace(
        base.timings, step_ns=step_ns, latency_ns=latency, traced_ns=traced, warmup_ns=latency[:8]
    )
    return replace(
        base,
        request=replace(base.request, **asked),
        device=device or base.device,
        table=replace(layers, batch=asked.get("batch", 1)),
        steps=tuple(made),
        timings=timings,
    )


def alone(nodes: Sequence[Node], ms: Sequence[float], **details) -> Run:
    """A run in which each node is a step of its own."""
    kinds = {key: details.pop(key) for key in ("shapes", "attributes", "dtypes") if key in details}
    steps = [(op_type, [name], time) for (name, op_type, _), time in zip(nodes, ms, strict=True)]
    return run_of(table(nodes, **kinds), steps, **details)


def found(rule: str, run: Run, *others: Run, **details) -> list[Finding]:
    """The findings of a rule on a run."""
    advice = advise(run, others=others, **details)
    return [one for one in advice.findings if one.rule == rule]


def advice_of(run: Run, *others: Run) -> Advice:
    return advise(run, others=others)
