"""Rewrites a model and checks that it is the same network: to be called in a process of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from onnxprof.checks.reference import check
from onnxprof.errors import ModelError
from onnxprof.model.feeds import generate
from onnxprof.model.file import ModelFile, batch_axes, declared_fills, open_found, prepare
from onnxprof.model.graph.data_files import DataFolder, is_external, stored_tensors
from onnxprof.model.graph.operators import plain_domain
from onnxprof.model.graph.read import read_file
from onnxprof.model.graph.walk import graphs
from onnxprof.model.graph.weights import size_bytes
from onnxprof.model.layers import inspect
from onnxprof.model.sources.policy import Resolved
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.plugins.verbs import Simplifying
from onnxprof.records.parity import Parity
from onnxprof.records.run import Request
from onnxprof.records.step import Granularity

#: protobuf serialises no more than this.
_MOST_BYTES = (1 << 31) - 1
_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What became of a model."""

    operators: tuple[tuple[str, int, int], ...]
    """Operator, layers before and after, of those whose number changed."""
    worst: float
    """The largest error of an output's element, relative to the output."""
    checks: int
    """Sets of inputs on which both models were compared."""
    bytes: int


def rewrite(model: Resolved, asked: Request, target: Path) -> Rewritten:
    """Write the rewritten model to `target`, in one file.

    Raises UsageError and ModelError where the model is not that of the run, where the result has
    other inputs, outputs or operators than ONNX's of the model's opsets, where nothing changed,
    and where outputs differ or cannot be compared.
    """
    original = open_found(model)
    where = str(original.path)
    _refuse_other(original, asked, where)
    backend = registry.reference()
    if not isinstance(backend, Simplifying):
        raise ModelError("the reference backend cannot rewrite models", where=where)
    backend.simplify(original.path, target)
    made, before = read_file(target), original.structure
    changed = _changed(before, made)
    _restore(made, before, where)
    _embed(made, original.path)
    target.write_bytes(made.SerializeToString())
    try:
        onnx.checker.check_model(str(target))
    except onnx.checker.ValidationError as error:
        raise ModelError(f"the result is no valid model: {error}", where=where) from None
    parities = list(_parities(original, open_found(Resolved(target, model.name, "")), asked))
    worst = max((one.max_rel for parity in parities for one in parity.outputs), default=0.0)
    return Rewritten(changed, worst, len(parities), target.stat().st_size)


def _refuse_other(model: ModelFile, asked: Request, where: str) -> None:
    facts = model.facts()
    if facts.sha256 != asked.model_sha256:
        raise ModelError(
            f"is another file than the run's: its SHA-256 starts with {facts.sha256[:12]}, that of"
            f" the run with {asked.model_sha256[:12]}",
            where=where,
            remedy="Give the file that was measured with --model",
        )
    if facts.file_bytes > _MOST_BYTES:
        raise ModelError("more than 2 GB cannot be rewritten", where=where)


def _operators(model: onnx.ModelProto) -> Counter[str]:
    kinds = (node.op_type for graph in graphs(model.graph) for node in graph.node)
    return Counter(kind for kind in kinds if kind != "Constant")


def _changed(before: onnx.ModelProto, after: onnx.ModelProto) -> tuple[tuple[str, int, int], ...]:
    was, now = _operators(before), _operators(after)
    kinds = (kind for kind in sorted(was | now) if was[kind] != now[kind])
    return tuple((kind, was[kind], now[kind]) for kind in kinds)


def _restore(made: onnx.ModelProto, before: onnx.ModelProto, where: str) -> None:
    """Give the result the inputs, outputs, opsets and metadata of the original.

    Raises ModelError where they do not fit.
    """
    for what, ours, theirs in (
        ("inputs", _inputs(made.graph), _inputs(before.graph)),
        ("outputs", _names(made.graph.output), _names(before.graph.output)),
    ):
        if sorted(ours) != sorted(theirs):
            raise ModelError(f"the rewrite changes the {what}: {ours} for {theirs}", where=where)
    opsets = {plain_domain(o.domain): o.version for o in before.opset_import}
    for graph in graphs(made.graph):
        for node in graph.node:
            if plain_domain(node.domain) not in opsets:
                raise ModelError(f"the rewrite needs {node.domain} {node.op_type}", where=where)
    versions = {plain_domain(o.domain): o.version for o in made.opset_import}
    if any(versions.get(domain, version) != version for domain, version in opsets.items()):
        raise ModelError("the rewrite changes the opset", where=where)
    weights = _names(made.graph.initializer)
    kept = [value for value in before.graph.input if value.name not in weights]
    for field, values in ((made.graph.input, kept), (made.graph.output, before.graph.output)):
        del field[:]
        field.extend(values)
    del made.opset_import[:], made.metadata_props[:]
    made.opset_import.extend(before.opset_import)
    made.metadata_props.extend(before.metadata_props)
    made.ir_version = max(before.ir_version, 4)  # from 4 on weights need not be inputs
    made.producer_name, made.producer_version = "onnxprof", ""


def _embed(made: onnx.ModelProto, original: Path) -> None:
    """Put weights that the result still has in the original's data files into it."""
    data = DataFolder.of(original)
    for tensor in stored_tensors(made):
        if is_external(tensor):
            tensor.raw_data = data.read(tensor, size_bytes(tensor, str(tensor.name)))
            tensor.ClearField("external_data")
            tensor.ClearField("data_location")


def _names(values: object) -> list[str]:
    return [value.name for value in values]  # type: ignore[attr-defined]


def _inputs(graph: onnx.GraphProto) -> list[str]:
    weights = set(_names(graph.initializer))
    return [value.name for value in graph.input if value.name not in weights]


def _parities(original: ModelFile, made: ModelFile, asked: Request) -> Iterator[Parity]:
    """Outputs of both, on inputs of two seeds and, where the batch is free, of two batches."""
    dims, where = dict(asked.dims), str(original.path)
    free = not batch_axes(original, dims).fixed
    for extra in range(_SEEDS):
        batch = asked.batch + extra if free else asked.batch
        table = inspect(original, batch, dims)
        inputs = generate(table, asked.seed + extra, declared_fills(original))
        work = Workload(
            prepare(original, batch, dims), table, inputs, 1, granularity=Granularity.WRITTEN
        )
        theirs = Workload(
            prepare(made, batch, dims),
            inspect(made, batch, dims),
            inputs,
            1,
            granularity=Granularity.WRITTEN,
        )
        with registry.reference().open(theirs) as session:
            session.infer()
            values = session.values()
        parity = check(work, values)
        _refuse_unequal(parity, where)
        yield parity


def _refuse_unequal(parity: Parity, where: str) -> None:
    if parity.passed and all(one.passed for one in parity.outputs):
        return
    bad = next((one for one in parity.outputs if not one.passed), None)
    reason = parity.reason or "no output could be compared"
    if bad is not None:
        reason = f"output {bad.name}: {bad.note or f'differs by {bad.max_rel:.2g} of its size'}"
    raise ModelError(f"not rewritten: {reason}", where=where)
