"""The graph that onnxruntime executes, saved by the runtime and read back."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import onnx

from onnxprof.backends.ort.graphs.scopes import load_saved
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.errors import BackendError
from onnxprof.model.graph.operators import DEFAULT_DOMAINS
from onnxprof.model.graph.read import light, read_file, read_prepared
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.onnx_graph import control_flow, read_node
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Granularity

_SAVED_CONSTANTS = "session.optimized_model_external_initializers_"
#: Bytes of matrices from which on they stay in the model's file.
_MANY_BYTES = 64 << 20
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved graph."""

    path: Path
    folder: Path
    """The folder of its external data."""

    @classmethod
    def beside(cls, path: Path) -> Saved:
        """One whose weights are in its own folder, packed."""
        return cls(path, path.parent)

    def packed(self, workload: Workload) -> Saved:
        """The same graph with packed weights beside it, at any alignment that kernels like.

        Raises BackendError.
        """
        if self.folder == self.path.parent:
            return self
        executed = load_saved(self.path)
        prepared = PreparedModel(executed.SerializeToString(), self.folder)
        path = self.path.with_name("packed.onnx")
        ort_session.create(workload, prepared, partial(_save_to, path, True, True, unchanged))
        _leave_out_empty_packs(path)
        return Saved.beside(path)


def unchanged(made: Any) -> None:
    """Set session options under which a graph runs as it was saved."""
    import onnxruntime as ort

    made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def in_its_file(
    workload: Workload, path: Path, configure: ort_session.Configure
) -> tuple[Any, Workload, Saved] | None:
    """A session that saved its graph, for a model with large matrices; None for any other.

    The matrices are read from the model's file once, while the runtime packs them: they are
    neither copied nor saved, and the session runs on the memory that it would run on anyway. All
    other weights are loaded as they always are.
    """
    names = matrices(read_prepared(light(workload.model)))
    model = light(workload.model, names) if names else workload.model
    if model is workload.model:
        return None
    with suppress(BackendError):
        heavy = replace(workload, model=model)
        session = ort_session.load(heavy, partial(_save_to, path, False, False, configure))
        return session, workload, Saved(path, model.folder)
    return None


def matrices(model: onnx.ModelProto) -> frozenset[str]:
    """Matrices in the file that the runtime packs while loading; empty where they are small.

    Those are matrices of floats that only MatMul and Gemm read, as their second input.
    """
    graph, float32 = model.graph, onnx.TensorProto.FLOAT
    shapes = {
        tensor.name: tensor.dims
        for tensor in graph.initializer
        if tensor.data_location == tensor.EXTERNAL and tensor.data_type == float32
    }
    held = {name for name, dims in shapes.items() if len(dims) == 2}
    held.difference_update(value.name for value in graph.output)
    for node in graph.node:
        multiplies = node.op_type in ("MatMul", "Gemm") and node.domain in DEFAULT_DOMAINS
        others = (name for i, name in enumerate(node.input) if i != 1 or not multiplies)
        held.difference_update(others)
    held.difference_update(_read_inside(graph))
    size = sum(_FLOAT_BYTES * prod(shapes[name]) for name in held)
    return frozenset(held) if size >= _MANY_BYTES else frozenset()


def _read_inside(graph: onnx.GraphProto) -> set[str]:
    """Names that nodes with subgraphs read there."""
    return {name for node in control_flow(graph) for name in read_node(node).inputs}


def saving(
    workload: Workload, path: Path, configure: ort_session.Configure, *, packed: bool = True
) -> Any:
    """A session that saved its graph, with `packed` weights too; None where it cannot be saved.

    Some graphs, such as those with sparse weights, can only be saved with weights inside.
    """
    for outside in (True, False):
        with suppress(BackendError):
            session = ort_session.load(
                workload, partial(_save_to, path, outside, packed, configure)
            )
            _leave_out_empty_packs(path)
            return session
    return None


def _leave_out_empty_packs(path: Path) -> None:
    """Remove packed weights with an empty part, so that the runtime packs them anew.

    onnxruntime saves such parts for quantised depthwise convolutions, but cannot load them.
    """
    if (model := structure(path)) is None:
        return
    broken = [t for t in model.graph.initializer if any(map(_is_empty_pack, t.external_data))]
    for tensor in broken:
        kept = [entry for entry in tensor.external_data if not _is_empty_pack(entry)]
        del tensor.external_data[:]
        tensor.external_data.extend(kept)
    if broken:
        path.write_bytes(model.SerializeToString())


def _is_empty_pack(entry: Any) -> bool:
    """Whether an entry `key|offset;length;flags|…`, a part for each buffer, has an empty part."""
    parts = entry.value.split("|")[1:] if entry.key.startswith("prepacked") else ()
    return any(part.split(";")[1:2] == ["0"] for part in parts)


def _save_to(
    path: Path, outside: bool, packed: bool, configure: ort_session.Configure, made: Any
) -> None:
    configure(made)
    made.optimized_model_filepath = str(path)
    if outside:
        made.add_session_config_entry(f"{_SAVED_CONSTANTS}file_name", path.stem + ".bin")
        made.add_session_config_entry(f"{_SAVED_CONSTANTS}min_size_in_bytes", "1024")
    if outside and packed:  # mapped from the file, then, not packed again by every prefix
        made.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")


def structure(path: Path) -> Any:
    """A saved graph; None where it could not be saved."""
    return read_file(path) if path.exists() else None


def at_level(workload: Workload, beside: Path, level: str) -> Any:
    """The graph at a level below the highest, where names of nodes and tensors survive.

    The graph is saved without a compiling provider, with which saving fails; at the basic level
    the nodes of the later subgraphs are still separate.
    """
    import onnxruntime as ort

    path = beside.with_name("witness.onnx")
    if providers.provider_of(workload).compiles:
        workload = replace(workload, provider="cpu", device="")

    def lower(made: Any) -> None:
        made.add_session_config_entry(ort_session.NO_PACKING, "1")  # it never runs
        if workload.granularity is not Granularity.WRITTEN:
            made.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)

    saving(workload, path, lower, packed=False)
    path.with_suffix(".bin").unlink(missing_ok=True)  # nobody reads its weights
    return structure(path)
