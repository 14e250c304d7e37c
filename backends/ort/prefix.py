"""Growing prefixes of the graph that onnxruntime executes, each a session of its own.

The optimised graph is saved with packed weights beside it, so that every prefix maps the
same bytes; loaded with optimisations off, it runs the same steps as the whole graph.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx

from onnxprof.backends.ort.graphs.saved import unchanged
from onnxprof.backends.ort.graphs.scopes import load_saved
from onnxprof.backends.ort.profile import Profile, keys_by_node
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.session import BoundSession, place_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.onnx_graph import read_graph
from onnxprof.records.elements.table import by_name
from onnxprof.records.layer import PreparedModel
from onnxprof.records.sequences.states import Carried

_PROBE = "onnxprof_empty"
_OWN_OPSET = 13


def open_prefixes(
    workload: Workload, saved: Path, dtypes: dict[str, str], counts: Sequence[int]
) -> list[BoundSession]:
    """One session for the first `count` nodes of the saved graph, for each count.

    A count of 0 gives an empty session with the same inputs. Raises BackendError where the
    saved graph cannot be cut or loaded.
    """
    executed = load_saved(saved)
    return [_open(workload, saved.parent, _prefix(executed, n, dtypes)) for n in counts]


def _open(workload: Workload, folder: Path, model: onnx.ModelProto) -> BoundSession:
    prepared = PreparedModel(model.SerializeToString(), folder)
    names = {value.name for value in model.graph.input}
    inputs = {name: array for name, array in workload.inputs.items() if name in names}
    if _PROBE in names:
        inputs[_PROBE] = np.zeros(1, np.float32)
    session = ort_session.create(workload, prepared, unchanged)
    made = {value.name for value in model.graph.output}
    shared = (pair for pair in workload.carried.shared if pair[0] in names and pair[1] in made)
    return BoundSession(session, inputs, place_of(workload), Carried(shared=tuple(shared)))


def _prefix(executed: onnx.ModelProto, count: int, dtypes: dict[str, str]) -> onnx.ModelProto:
    if count == 0:
        return _empty(executed)
    graph = executed.graph
    kept = graph.node[:count]
    read = read_graph(graph)
    inside = {name for node in read.nodes[:count] for name in node.inputs}
    later = {name for node in read.nodes[count:] for name in node.inputs} | set(read.outputs)
    made = [name for node in kept for name in node.output if name]
    outputs = [name for name in made if name in later] or [n for n in made if n not in inside]
    if not outputs:
        raise BackendError(f"the first {count} steps have no result to stop at")
    declared = {value.name: value for value in graph.output}
    prefix = onnx.helper.make_graph(
        kept,
        "prefix",
        list(graph.input),
        [declared.get(name) or typed(name, dtypes) for name in outputs],
        [tensor for tensor in graph.initializer if tensor.name in inside],
        sparse_initializer=[s for s in graph.sparse_initializer if s.values.name in inside],
    )
    return model_like(executed, prefix)


def typed(name: str, dtypes: Mapping[str, str]) -> onnx.ValueInfoProto:
    """A tensor of the executed graph as an output. Raises BackendError for one of unknown type."""
    element = by_name(dtypes.get(name, ""))
    if element is None:
        raise BackendError(f"the type of tensor {name!r} is not known, so nothing can be cut there")
    return onnx.helper.make_tensor_value_info(name, element.number, None)


def _empty(executed: onnx.ModelProto) -> onnx.ModelProto:
    """A model for the cost of a call: the same inputs, and one step that copies one number."""
    probe = onnx.helper.make_tensor_value_info(_PROBE, onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info(f"{_PROBE}_out", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", [_PROBE], [out.name], name=_PROBE)
    graph = onnx.helper.make_graph([node], "empty", [*executed.graph.input, probe], [out])
    return model_like(executed, graph)


def model_like(executed: onnx.ModelProto, graph: onnx.GraphProto) -> onnx.ModelProto:
    """A model of that graph with the operator sets of the executed one."""
    imports = list(executed.opset_import)
    if not any(not o.domain for o in imports):
        imports.append(onnx.helper.make_opsetid("", _OWN_OPSET))
    made: onnx.ModelProto = onnx.helper.make_model(
        graph, opset_imports=imports, ir_version=executed.ir_version
    )
    made.functions.extend(executed.functions)
    return made


def output_types(profile: Profile, nodes: Sequence[onnx.NodeProto]) -> dict[str, str]:
    """NumPy's name of the dtype of every output that the profile saw."""
    seen: dict[str, str] = {}
    waiting = keys_by_node(profile.shapes, ((node.name, node.op_type) for node in nodes))
    for node in nodes:
        names = [name for name in node.output if name]
        keys = waiting.get((node.name, node.op_type), [])
        shapes = profile.shapes[keys.pop(0)] if keys else ()
        if len(names) == len(shapes):
            seen.update(zip(names, (dtype for dtype, _ in shapes), strict=True))
    return seen
