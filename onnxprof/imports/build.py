"""Files that other profilers wrote, together with the ONNX file, as a run like any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxprof import __version__
from onnxprof.analysis import warnings
from onnxprof.errors import UsageError
from onnxprof.machine.cpu import slug
from onnxprof.model.file import ModelFile
from onnxprof.model.layers import inspect
from onnxprof.model.sizing import sizing
from onnxprof.model.sources.resolve import published
from onnxprof.model.suggestion import refuse_missing
from onnxprof.plugins import registry
from onnxprof.plugins.readers import Recorded, Recording
from onnxprof.provenance import steps as named_steps
from onnxprof.provenance.names import Evidence, Names
from onnxprof.provenance.onnx_graph import read_graph
from onnxprof.provenance.ties import TiedStep
from onnxprof.records.device import Device
from onnxprof.records.layer import LayerTable
from onnxprof.records.run import IMPORTED, RUNTIME, Request, Run
from onnxprof.records.step import Confidence, Step
from onnxprof.records.timings import Timings
from onnxprof.records.warning import RunWarning, WarningKind

_BLOCKS = 24
_NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that no file contains and that the user gives."""

    batch: int = 1
    dims: tuple[tuple[str, int], ...] = ()
    device_name: str = ""
    device_kind: str = ""
    """`cpu`, `cuda`, `gpu`, `npu`; empty for the kind that the profiled program usually runs on."""
    runtime: str = ""
    """Name and version: `TensorRT 11.0`."""
    threads: int = 0
    """Number of threads; 0 where it is not known."""
    command: str = ""
    created: str = ""


def build(model: ModelFile, recording: Recording, facts: Facts) -> Run:
    """The run that the files describe. Raises UsageError for another model's or batch's files."""
    refuse_missing(model, sizing(model, dict(facts.dims)))
    table = inspect(model, facts.batch, dict(facts.dims))
    if table.batch != facts.batch:
        raise UsageError(
            f"the model stays at batch {table.batch}: {table.obstacle}",
            where=str(model.path),
            remedy=f"Use --batch {table.batch}",
        )
    names = Names(table)
    recorded = recording(names, table)
    evidence = tuple(named_steps.outermost(unit.evidence, table) for unit in recorded.units)
    _refuse_stranger(model, names, evidence, recorded)
    named = {name for proof in evidence for name in proof.layers}
    graph = named_steps.without_sizes(read_graph(model.structure.graph), table, named)
    ties = recorded.tie(graph, evidence, model.structure.graph)
    if not _has_batch(recorded, evidence, table):
        lacks = (*recorded.lacks, f"no shape in it tells the batch: {table.batch} as it was given")
        recorded = replace(recorded, lacks=lacks)
    steps = tuple(_step(i, step, recorded, table) for i, step in enumerate(ties.steps))
    timings = _timings(recorded, ties.steps)
    known = published(model.facts())
    device = _device(recorded, facts)
    return Run(
        request=Request(
            model_name=known.name,
            model_sha256=known.sha256,
            backend=recorded.backend,
            provider=device.kind,
            device_id=device.id,
            batch=facts.batch,
            dims=facts.dims,
            threads=facts.threads,
            timer=IMPORTED,
        ),
        model=known,
        device=device,
        environment=_environment(recorded, facts),
        created=facts.created,
        command=facts.command,
        table=table,
        steps=steps,
        folded=ties.folded,
        timings=timings,
        warnings=tuple(_warnings(recorded, facts, timings, steps, evidence, names)),
        origin=recorded.origin,
    )


def _refuse_stranger(
    model: ModelFile, names: Names, evidence: Sequence[Evidence], recorded: Recorded
) -> None:
    strange, named = named_steps.missing(names, evidence)
    if named - strange < max(recorded.least_known * named, 1):
        more = f", and {recorded.remedy}" if recorded.remedy else ""
        raise UsageError(
            f"the files name {named} ONNX layers, of which this model has {named - strange}",
            where=str(model.path),
            remedy=f"Give the same ONNX file that was profiled{more}",
        )


def _has_batch(recorded: Recorded, evidence: Sequence[Evidence], table: LayerTable) -> bool:
    """Whether the files contain shapes of the model's tensors, most of which must have this batch.

    Raises UsageError where most have another batch.
    """
    known = {t.name: t.shape for layer in table.nodes for t in layer.outputs if t.is_static}
    layers = {layer.name: layer for layer in table.nodes}
    pairs = []
    for unit, proof in zip(recorded.units, evidence, strict=True):
        tensors = unit.outputs
        if len(proof.layers) == 1 and layers[proof.layers[0]].op_type == unit.kind:
            given = layers[proof.layers[0]].outputs
            tensors = tuple(
                replace(t, name=g.name) for t, g in zip(tensors, given, strict=False) if not t.name
            )
        shapes = [(known.get(t.name), t.shape) for t in tensors]
        pairs += [(a, b) for a, b in shapes if a and b and len(a) == len(b) and a[1:] == b[1:]]
    other = [b[0] for a, b in pairs if a[0] != b[0]]
    if 2 * len(other) > len(pairs):
        batch = max(set(other), key=other.count)
        raise UsageError(
            f"the files are of batch {batch}, not {table.batch}", remedy=f"Add --batch {batch}"
        )
    return bool(pairs)


def _step(position: int, step: TiedStep, recorded: Recorded, table: LayerTable) -> Step:
    units = [recorded.units[i] for i in step.members]
    return Step(
        name=" + ".join(unit.name for unit in units),
        op_type=" + ".join(dict.fromkeys(unit.kind for unit in units if unit.kind)),
        provider=units[-1].provider,
        layers=named_steps.with_inner(step.layers, table),
        confidence=step.confidence if step.layers else Confidence.NONE,
        evidence=step.evidence,
        outputs=tuple(tensor for tensor in units[-1].outputs if tensor.name),
        position=position,
        nodes=len(units),
    )


def _timings(recorded: Recorded, steps: Sequence[TiedStep]) -> Timings:
    sums = [recorded.unit_ns[list(step.members)].sum(axis=0) for step in steps]
    latency = recorded.latency_ns
    return Timings(
        load_ns=recorded.load_ns,
        first_ns=recorded.first_ns,
        warmup_ns=_NONE,
        latency_ns=latency,
        latency_block=(np.arange(latency.size) * _BLOCKS // max(latency.size, 1)).astype(np.int32),
        traced_ns=recorded.traced_ns,
        step_ns=np.array(sums, np.int64).reshape(len(steps), recorded.unit_ns.shape[1]),
    )


def _device(recorded: Recorded, facts: Facts) -> Device:
    kind = facts.device_kind or recorded.device_kind
    name = facts.device_name or "unknown device"
    number = "" if kind == "cpu" else "0:"
    return Device(f"{kind}:{number}{slug(name) or 'unknown'}", kind, name)


def _environment(recorded: Recorded, facts: Facts) -> tuple[tuple[str, str], ...]:
    """Software of the machine that was profiled, and the version of onnxprof that imports."""
    version = facts.runtime.split()[-1] if facts.runtime.split() else ""
    facts_given = ((registry.packages_of(recorded.backend)[0], version), (RUNTIME, facts.runtime))
    return (*((key, value) for key, value in facts_given if value), ("imported by", __version__))


def _warnings(
    recorded: Recorded,
    facts: Facts,
    timings: Timings,
    steps: Sequence[Step],
    evidence: Sequence[Evidence],
    names: Names,
) -> Iterator[RunWarning]:
    strange, named = named_steps.missing(names, evidence)
    lacks = [
        *recorded.lacks,
        *(["the device was not named"] if not facts.device_name else []),
        *(["the runtime's version was not given"] if not facts.runtime else []),
        *([f"{strange} of {named} names in it are no layers of the model"] if strange else []),
        "outputs were not compared",
    ]
    yield RunWarning(WarningKind.IMPORTED, float(recorded.origin.inferences), "; ".join(lacks))
    if timings.latency_ns.size:
        yield from warnings.median_warnings(timings)
    yield from warnings.step_warnings(timings, steps)
