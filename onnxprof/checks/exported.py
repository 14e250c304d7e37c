"""Checks of an exported file: valid ONNX, a free batch axis, the framework's outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, NodeProto

from onnxprof.checks.parity import compare
from onnxprof.errors import BackendError, ExportError, OnnxprofError
from onnxprof.model.graph.operators import plain_domain
from onnxprof.model.graph.outline import outline
from onnxprof.model.graph.read import read_file
from onnxprof.model.graph.walk import graphs
from onnxprof.model.rebatch.operands import Operands
from onnxprof.model.rebatch.plan import plan
from onnxprof.plugins import registry
from onnxprof.plugins.exporter import Sample
from onnxprof.plugins.verbs import FileSession
from onnxprof.records.parity import OutputParity

#: Domains of operators that runtimes know beside ONNX's own.
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")


@dataclass(frozen=True, slots=True)
class Agreement:
    """The file's outputs against the framework's, on the same inputs."""

    batch: int
    outputs: tuple[OutputParity, ...]

    @property
    def passed(self) -> bool:
        """Whether every output is within its tolerance."""
        return all(output.passed for output in self.outputs)

    @property
    def worst(self) -> OutputParity:
        """The output that fails, if any does, with the largest relative error."""
        return max(self.outputs, key=lambda o: (not o.passed, o.max_rel, o.max_abs))


def check(
    path: Path,
    samples: Sequence[Sample],
    batches: Sequence[int],
    batch: str,
    where: str,
    dims: Mapping[str, int],
) -> tuple[Agreement, ...]:
    """Every check of an exported file, cheapest first.

    `batch` is the symbol that the batch must have, empty where it is fixed; `batches` those
    that the file must run at; `where` names the target in messages. Raises ExportError for
    an unusable file; wrong outputs are only reported in the agreements returned.
    """
    structure = _loaded(path, where)
    check_operators(structure, where)
    _check_validity(path, where)
    if batch:
        check_batch(structure, samples, batches, where, dims)
    elif not samples:
        raise ExportError("the framework computed nothing to compare with", where=where)
    return tuple(_agreements(path, samples, where))


def _loaded(path: Path, where: str) -> ModelProto:
    try:
        return read_file(path)
    except Exception as error:
        raise ExportError(f"the exporter wrote no ONNX file: {error}", where=where) from error


def check_operators(model: ModelProto, where: str) -> None:
    """Raise ExportError for a layer whose operator is neither ONNX's nor a function of the file."""
    functions = {(function.domain, function.name) for function in model.functions}
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    for node in (node for graph in graphs(model.graph) for node in graph.node):
        if (node.domain, node.op_type) not in functions and not _is_known(node, opsets):
            domain = f" of domain {node.domain}" if node.domain else ""
            raise ExportError(
                f"the exporter has no translation of operator {node.op_type}{domain} "
                f"(layer {node.name or node.output[0]})",
                where=where,
                remedy="Replace that layer by one that ONNX has, or try a newer exporter",
            )


def _is_known(node: NodeProto, opsets: Mapping[str, int]) -> bool:
    if node.domain == "com.microsoft":
        return True
    domain = plain_domain(node.domain)
    version = opsets.get(node.domain, opsets.get(domain, 0))
    return domain in _DOMAINS and onnx.defs.has(node.op_type, version, domain)


def _check_validity(path: Path, where: str) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        line = " ".join(str(error).split())[:300]
        raise ExportError(f"the exported file is not valid: {line}", where=where) from error


def check_batch(
    model: ModelProto,
    samples: Sequence[Sample],
    batches: Sequence[int],
    where: str,
    dims: Mapping[str, int],
) -> None:
    """Raise ExportError, naming the layer, where an input or output has a fixed batch."""
    done = {sample.batch for sample in samples}
    missing = [size for size in batches if size not in done]
    fixed = [value.name for value in (*_inputs(model), *model.graph.output) if not _is_free(value)]
    stuck = fixed or list(_unscaled(model, samples))
    if not missing and not stuck:
        return
    layer = blamed(model, dims)
    what = f"the batch is hard-coded: {layer}" if layer else "the batch is hard-coded"
    if stuck:
        what += f"; {', '.join(stuck)} keep{'s' if len(stuck) == 1 else ''} its size"
    elif missing:
        what += f"; the framework itself fails at batch {', '.join(map(str, missing))}"
    raise ExportError(
        what,
        where=where,
        remedy="Take the size from the input instead (x.shape[0], or -1 in a reshape), "
        "or export with --no-dynamic-batch",
    )


def _inputs(model: ModelProto) -> list[onnx.ValueInfoProto]:
    stored = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in stored]


def _is_free(value: onnx.ValueInfoProto) -> bool:
    """Whether axis 0 has no fixed size; a scalar has no axis to free."""
    shape = value.type.tensor_type.shape.dim
    return not shape or not shape[0].HasField("dim_value")


def _unscaled(model: ModelProto, samples: Sequence[Sample]) -> Iterator[str]:
    """Outputs whose first axis does not follow the batch in the framework."""
    for index, value in enumerate(model.graph.output):
        shapes = {s.batch: s.outputs[index].shape for s in samples if index < len(s.outputs)}
        parts = {shape[0] / batch if shape else 0 for batch, shape in shapes.items()}
        if len(parts) > 1 or parts == {0}:
            yield value.name


def blamed(model: ModelProto, dims: Mapping[str, int]) -> str:
    """The layer that holds on to the batch, in words; empty where none can be named."""
    nodes = outline(model.graph)
    try:
        batch_plan = plan(model, dims, nodes)
    except OnnxprofError:
        return ""
    if batch_plan.obstacle or not batch_plan.edits:
        return batch_plan.obstacle
    (index, position), _ = min(batch_plan.edits, key=lambda edit: edit[0])
    node = Operands(model, nodes).nodes[index].node
    return f"layer {node.name} ({node.op_type}): its operand {node.input[position]} is fixed"


def _agreements(path: Path, samples: Sequence[Sample], where: str) -> Iterator[Agreement]:
    session = _session(path, where)
    for sample in samples:
        outputs = _run(session, sample, where)
        if len(outputs) != len(sample.outputs):
            raise ExportError(
                f"the file has {len(outputs)} outputs, the network has {len(sample.outputs)}",
                where=where,
            )
        pairs = zip(session.outputs, sample.outputs, outputs, strict=True)
        yield Agreement(sample.batch, tuple(compare(n, want, got) for n, want, got in pairs))


def _session(path: Path, where: str) -> FileSession:
    reference = registry.reference()
    try:
        return reference.file_session(path)
    except ImportError as error:
        remedy = 'pip install "onnxprof[cpu]"'
        raise BackendError(
            "onnxruntime is needed to check the file", where=where, remedy=remedy
        ) from error
    except Exception as error:
        line = str(error).splitlines()[0]
        raise ExportError(f"onnxruntime does not load the file: {line}", where=where) from error


def _run(session: FileSession, sample: Sample, where: str) -> list[Any]:
    fed = {name: array for name, array in sample.inputs.items() if name in session.inputs}
    try:
        return session.run(fed)
    except Exception as error:
        line = str(error).splitlines()[0]
        raise ExportError(f"the file fails at batch {sample.batch}: {line}", where=where) from error
