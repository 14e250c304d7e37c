"""The values of an original graph and of the graph that onnxruntime optimised it to.

Both are loaded with optimisations off and with intermediate tensors as outputs, so that the
saved graph runs exactly the steps that were timed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.backends.ort.runtime.session import NO_PACKING, BoundSession, place_of
from onnxprof.errors import BackendError
from onnxprof.model.graph.functions import body_nodes
from onnxprof.model.graph.walk import walk
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.verify.verdicts import Observed
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import USUAL, Granularity

Arrays = dict[str, NDArray[Any]]
Feeds = Mapping[str, NDArray[Any]]
#: Tensors to read; None for all.
Wanted = Collection[str] | None


def observed(
    workload: Workload,
    original: onnx.ModelProto,
    executed: onnx.ModelProto,
    folder: Path,
    feeds: Sequence[Feeds],
    wanted: tuple[Wanted, Wanted] = (None, None),
) -> list[Observed]:
    """One observation for each set of inputs; the executed graph's weights are in `folder`.

    Values that are no tensors are left out. Raises BackendError.
    """
    first = reference_values(workload, original, feeds, wanted[0])
    second = executed_values(workload, executed, folder, feeds, wanted[1])
    return [Observed(*pair) for pair in zip(first, second, strict=True)]


def executed_values(
    workload: Workload,
    executed: onnx.ModelProto,
    folder: Path,
    feeds: Sequence[Feeds],
    wanted: Wanted = None,
) -> list[Arrays]:
    """The executed graph's values where it was timed, one mapping for each set of inputs."""
    return _values(workload, executed, PreparedModel(b"", folder), feeds, wanted)


def reference_values(
    workload: Workload,
    original: onnx.ModelProto,
    feeds: Sequence[Feeds],
    wanted: Wanted = None,
) -> list[Arrays]:
    """The original's values on the CPU, one mapping for each set of inputs."""
    plain = replace(workload, provider="cpu", device="", granularity=Granularity.WRITTEN)
    on_cpu = replace(plain, setup=USUAL)
    return _values(on_cpu, original, workload.model, feeds, wanted)


def _values(
    workload: Workload,
    model: onnx.ModelProto,
    place: PreparedModel,
    feeds: Sequence[Feeds],
    wanted: Wanted,
) -> list[Arrays]:
    names = {value.name for value in model.graph.input}
    shown = replace(place, source=with_outputs(model, wanted))
    session = _session(workload, shown, packing=_computes_as_packed(model))
    del shown
    results: list[Arrays] = []
    for inputs in feeds:
        fed = {name: array for name, array in inputs.items() if name in names}
        bound = BoundSession(session, fed, place_of(workload))
        bound.infer()
        results.append({**fed, **bound.views()})
    return results


def _computes_as_packed(model: onnx.ModelProto) -> bool:
    """Whether weights in another layout change what is computed.

    MatMulNBits rounds its input to eight bits at `accuracy_level` 4, if its weights are packed.
    """
    bodies = map(body_nodes, model.functions)
    return any(node.op_type == "MatMulNBits" for node in chain(walk(model.graph), *bodies))


def _session(workload: Workload, model: PreparedModel, *, packing: bool) -> Any:
    """A session that reads weights where they are, or packs them where it cannot do without."""
    try:
        return ort_session.create(workload, model, partial(_as_it_is, packing=packing))
    except BackendError:
        return ort_session.create(workload, model, partial(_as_it_is, packing=True))


def _as_it_is(made: Any, *, packing: bool) -> None:
    import onnxruntime as ort

    made.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    made.enable_cpu_mem_arena = False  # tensors are kept one by one, and freed so
    if not packing:
        made.add_session_config_entry(NO_PACKING, "1")


def with_outputs(model: onnx.ModelProto, wanted: Wanted = None) -> bytes:
    """The model, written, with these or all tensors of its top-level nodes as outputs.

    It is not copied, since its weights may be in it, but changed for the moment.
    """
    outputs = model.graph.output
    own = len(outputs)
    there = {value.name for value in outputs}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in there and (wanted is None or name in wanted):
                outputs.append(onnx.ValueInfoProto(name=name))
    try:
        return bytes(model.SerializeToString())
    finally:
        del outputs[own:]
