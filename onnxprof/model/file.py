"""From a model's reference to a checked model file, and from there to what a runtime loads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from onnxprof.errors import ModelError, UsageError
from onnxprof.model import metadata as declarations
from onnxprof.model.collector import unhurried
from onnxprof.model.graph import functions
from onnxprof.model.graph import parameters as weights
from onnxprof.model.graph.data_files import DataFolder, is_external, stored_tensors
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.outline import Outline, Reading, outline
from onnxprof.model.graph.read import read_file
from onnxprof.model.graph.skim import read_structure
from onnxprof.model.graph.walk import Naming, check_tensors, graphs, normalise
from onnxprof.model.rebatch import plan as rebatch
from onnxprof.model.rebatch.axes import BatchAxes, FreeDim, all_sizes, check_dims, input_shapes
from onnxprof.model.rebatch.beams import relate_beams
from onnxprof.model.rebatch.plan import Plan, Rebatched
from onnxprof.model.sources.policy import Progress, Resolved
from onnxprof.model.sources.resolve import resolve
from onnxprof.records.layer import ModelFacts, PreparedModel, Shape
from onnxprof.zoo.declaration import Fill

if TYPE_CHECKING:
    from hashlib import _Hash as HASH

_CHUNK = 1 << 20
#: protobuf serialises no more than this.
_MAX_SERIALISED = (1 << 31) - 1


@dataclass(frozen=True, slots=True, eq=False)
class ModelFile:
    """A checked model file, held without its weights."""

    path: Path
    name: str
    """The model's name in tables and in the store: the file's stem, or the zoo's name."""
    reference: str
    """The reference as the user gave it; that of a remote file has its revision filled in."""
    structure: onnx.ModelProto
    """The graph without large weights (they keep dims and type); node names are unique."""
    naming: Naming
    parameters: int
    """Number of elements of all weights, see `weights.parameters`."""
    _plans: dict[tuple[tuple[str, int], ...], Plan] = field(default_factory=dict, repr=False)
    _reading: Reading = field(default_factory=Reading, repr=False)

    @property
    def nodes(self) -> Outline:
        """The nodes of `structure`, read once."""
        return self._reading.of(self.structure.graph)

    def facts(self) -> ModelFacts:
        """Digest, size and header facts. Reads the file and its external data once, in chunks."""
        import hashlib

        digest, total = hashlib.sha256(), 0
        for path in self.files():
            total += _feed(digest, path)
        return ModelFacts(
            name=self.name,
            reference=self.reference,
            sha256=digest.hexdigest(),
            file_bytes=total,
            ir_version=self.structure.ir_version,
            opsets=tuple((o.domain, o.version) for o in self.structure.opset_import),
            producer=" ".join(
                _text(t)
                for t in (self.structure.producer_name, self.structure.producer_version)
                if t
            ),
            graph_name=_text(self.structure.graph.name),
            parameters=self.parameters,
        )

    def files(self) -> list[Path]:
        """The model file and those of its external data, in order of first use."""
        data = DataFolder.of(self.path)
        outside = filter(is_external, stored_tensors(self.structure))
        files = (data.place(tensor).file for tensor in outside)
        return [self.path, *dict.fromkeys(files)]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _feed(digest: HASH, path: Path) -> int:
    size = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from None
    return size


def open_model(reference: str, progress: Progress | None = None) -> ModelFile:
    """Resolve a reference, then check and read the model. Raises ModelError or UsageError."""
    return open_found(resolve(reference, progress))


@unhurried()
def open_found(resolved: Resolved) -> ModelFile:
    """Check and read the file that a reference was resolved to. Raises ModelError."""
    path = resolved.path
    try:
        structure = read_structure(path)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(path)) from None
    nodes = outline(structure.graph)
    parameters = weights.parameters(structure, nodes)
    inlined = functions.inline(structure, path)
    _check_opsets(structure, path)
    naming, nodes = normalise(structure, path, None if inlined else nodes)
    renamed = relate_beams(structure)
    naming = replace(naming, changed=naming.changed or inlined or renamed)
    check_tensors(structure, nodes, path)
    return ModelFile(
        *(path, resolved.name, resolved.reference, structure, naming, parameters),
        _reading=Reading(nodes),
    )


def _check_opsets(model: onnx.ModelProto, path: Path) -> None:
    imported = {o.domain: o.version for o in model.opset_import}
    versions = [imported[domain] for domain in DEFAULT_DOMAINS if domain in imported]
    if versions:
        return
    if any(node.domain in DEFAULT_DOMAINS for g in graphs(model.graph) for node in g.node):
        raise ModelError(
            "no opset import says which version of the operators is meant",
            where=str(path),
            remedy="Export it again, or set opset_import with the onnx package",
        )


def plan_for(model: ModelFile, dims: Mapping[str, int], *, deep: bool) -> Plan:
    """The re-batching plan.

    Without `deep` it has the batch axes and free axes only; with it also the edits or the obstacle
    in the graph, computed once per model and dims.
    """
    key = tuple(sorted(dims.items()))
    if key in model._plans:
        return model._plans[key]
    batch_plan = rebatch.survey(model.structure)
    check_dims(batch_plan.free, batch_plan.batch, dims, model.structure)
    if not deep:
        return batch_plan
    batch_plan = rebatch.plan(model.structure, dims, model.nodes)
    model._plans[key] = batch_plan
    return batch_plan


def rebatched(model: ModelFile, batch: int, dims: Mapping[str, int]) -> Rebatched:
    """The structure at a batch, or at the file's own batch with the obstacle named.

    Raises UsageError for an invalid batch or dim.
    """
    plan = _plan(model, batch, dims)
    return rebatch.at_batch(model.structure, plan, batch, dims, model.path.parent, model.nodes)


def _plan(model: ModelFile, batch: int, dims: Mapping[str, int]) -> Plan:
    rebatch.check_batch(batch)
    plan = plan_for(model, dims, deep=False)
    return plan if batch == plan.batch.own else plan_for(model, dims, deep=True)


def batch_axes(model: ModelFile, dims: Mapping[str, int]) -> BatchAxes:
    """The batch axes of the inputs, and the batch size that the file has."""
    return plan_for(model, dims, deep=False).batch


def doubt(model: ModelFile, batch: int, dims: Mapping[str, int]) -> str:
    """Why shapes alone do not prove a batch; empty at the file's own batch or with an obstacle."""
    plan = _plan(model, batch, dims)
    if batch == plan.batch.own or plan.obstacle:
        return ""
    if plan.mixing:
        return f"the batch is free, but items influence each other: {plan.mixing}"
    if not plan.batch.fixed:
        return ""
    return f"batch {batch} is unproven; profile proves it or stays at {plan.batch.own}"


def missing_dims(model: ModelFile, dims: Mapping[str, int]) -> tuple[FreeDim, ...]:
    """Symbolic input axes that have neither the batch nor a size in `dims`."""
    free = plan_for(model, dims, deep=False).free
    return tuple(dim for dim in free if dim.name not in dims)


def model_axes(model: ModelFile) -> frozenset[str]:
    """Names of all symbolic axes of the inputs, batch axes included."""
    plan = plan_for(model, {}, deep=False)
    return frozenset((*plan.batch.symbols, *(dim.name for dim in plan.free)))


def free_axes(model: ModelFile) -> dict[str, Shape]:
    """Input shapes by input name: the names of axes that need a size, None for every other axis."""
    free = {dim.name for dim in missing_dims(model, {})}
    return {
        name: tuple(d if d in free else None for d in shape)
        for name, shape in input_shapes(model.structure).items()
    }


def with_defaults(model: ModelFile, dims: Mapping[str, int]) -> dict[str, int]:
    """The sizes given, and for the other symbolic axes those that the file declares.

    Raises UsageError for an invalid dim, ModelError for an invalid declaration.
    """
    missing = missing_dims(model, dims)
    declared = declarations.dims(model.structure, str(model.path)) if missing else {}
    return {**dims, **{m.name: declared[m.name] for m in missing if m.name in declared}}


def declared_fills(model: ModelFile) -> dict[str, Fill]:
    """Fills by input name, as the file declares them. Raises ModelError for an invalid one."""
    return declarations.fills(model.structure, str(model.path))


def prepare(model: ModelFile, batch: int, dims: Mapping[str, int]) -> PreparedModel:
    """The model as a runtime is to load it, at a batch (or the file's own, see `rebatched`).

    The file itself where naming its symbolic sizes is enough, else the changed model's bytes.
    Raises UsageError listing the sizes that are missing, ModelError for a changed model of
    more than 2 GB.
    """
    plan = _plan(model, batch, dims)
    _refuse_missing(missing_dims(model, dims))
    light = rebatch.at_batch(model.structure, plan, batch, dims, model.path.parent)
    folder = model.path.parent
    if not (model.naming.changed or light.rewritten or plan.unnamed):
        sizes = all_sizes(model.structure, plan.batch, light.batch, dims)
        return PreparedModel(model.path, folder, tuple(sizes.items()))
    full = _load_full(model)
    changed = rebatch.at_batch(full, plan, batch, dims, folder).structure
    del full
    _forget_shapes(changed)
    return PreparedModel(_serialise(changed, model.path), folder)


def _refuse_missing(missing: tuple[FreeDim, ...]) -> None:
    if missing:
        listed = "; ".join(f"{m.name} (of {', '.join(m.inputs)})" for m in missing)
        remedy = "Give each with --dim NAME=SIZE, or arrays with --inputs"
        raise UsageError(f"no size given for symbolic axes: {listed}", remedy=remedy)


def _load_full(model: ModelFile) -> onnx.ModelProto:
    if model.path.stat().st_size > _MAX_SERIALISED:
        _refuse_size(model.path)
    full = read_file(model.path)
    functions.inline(full, model.path)
    normalise(full, model.path)
    relate_beams(full)
    return full


def _forget_shapes(model: onnx.ModelProto) -> None:
    """Declared shapes may be stale after a rewrite; the runtime infers its own."""
    for graph in graphs(model.graph):
        for value in _stale(graph):
            value.tensor_type.ClearField("shape")


def _stale(graph: onnx.GraphProto) -> Iterator[onnx.TypeProto]:
    for value in (*graph.value_info, *graph.output):
        if value.type.HasField("tensor_type"):
            yield value.type


def _serialise(model: onnx.ModelProto, path: Path) -> bytes:
    if model.ByteSize() > _MAX_SERIALISED:
        _refuse_size(path)
    return bytes(model.SerializeToString())


def _refuse_size(path: Path) -> None:
    raise ModelError(
        "this model must be rewritten (its batch or its node names), and more than 2 GB "
        "cannot be written as one message",
        where=str(path),
        remedy="Store its weights as external data",
    )


__all__ = [
    "FreeDim",
    "ModelFile",
    "Rebatched",
    "batch_axes",
    "declared_fills",
    "free_axes",
    "missing_dims",
    "model_axes",
    "open_found",
    "open_model",
    "prepare",
    "rebatched",
    "resolve",
    "with_defaults",
]
