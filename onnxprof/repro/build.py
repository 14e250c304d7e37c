"""Builds the folder of a step: the model, the arrays that it gets and gives, the script."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from onnxprof.errors import ModelError, UsageError, did_you_mean
from onnxprof.model.feeds import from_file, generate
from onnxprof.model.file import ModelFile, batch_axes, declared_fills, open_found, prepare
from onnxprof.model.graph.data_files import DataFolder, is_external
from onnxprof.model.graph.read import read_prepared
from onnxprof.model.graph.weights import size_bytes
from onnxprof.model.layers import inspect
from onnxprof.model.sources.policy import Resolved
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import LayerTable, PreparedModel
from onnxprof.records.run import Run
from onnxprof.records.sequences.phase import Phase
from onnxprof.records.sequences.states import NO_STATES, States
from onnxprof.records.step import Granularity, Step
from onnxprof.repro.cut import Cut, cut, upstream
from onnxprof.repro.script import Setting, text
from onnxprof.sequences.feeding import fed
from onnxprof.sequences.read import states_of

Arrays = Mapping[str, NDArray[Any]]

MODEL, INPUTS, EXPECTED, SCRIPT = "step.onnx", "inputs.npz", "expected.npz", "run.py"
#: The runtime's package in the environment of a run.
_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,40}")
_PROVIDER = re.compile(r"[A-Za-z]{1,40}ExecutionProvider")
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True)
class Built:
    """What was written, for who reads about it."""

    layers: tuple[str, ...]
    inputs: tuple[str, ...]
    """Name, type and shape of each."""
    outputs: tuple[str, ...]
    sizes: tuple[tuple[str, int], ...]
    """Files and their bytes."""
    batch: int = 1
    """The batch that the step's file has of its own, as far as it has one."""
    states: States = NO_STATES
    """Of the run's phase, those that the step takes and returns."""


def step_of(run: Run, layer: str) -> Step:
    """The step that computed a layer. Raises UsageError where none did, or none is known."""
    by_name = {one.name: one for one in run.table.nodes}
    name = layer
    while name in by_name and by_name[name].parent:  # a body runs as part of its control flow
        name = by_name[name].parent
    where = run.request.model_name
    for step in run.steps:
        if name in step.layers:
            return _at_top(step, by_name)
    for step in run.steps:
        if layer == step.name and step.layers:
            return _at_top(step, by_name)
    if layer in run.folded:
        raise UsageError(
            f"{layer!r} was computed while the runtime loaded the model: no step has it",
            where=where,
        )
    if name in by_name:
        raise UsageError(f"no step of this run is tied to {layer!r}", where=where)
    remedy = did_you_mean(layer, by_name, quote="'")
    raise UsageError(
        f"no layer is called {layer!r}",
        where=where,
        remedy=f"{remedy}`onnxprof runs show` lists the slowest layers",
    )


def _at_top(step: Step, by_name: Mapping[str, Any]) -> Step:
    """The step with the layers at the top of the graph, which hold the others."""
    top = tuple(name for name in step.layers if name in by_name and not by_name[name].parent)
    return replace(step, layers=top or step.layers)


def write(run: Run, step: Step, model: Resolved, inputs: Path | None, folder: Path) -> Built:
    """Write the step's files into an existing folder. To be called in a process of its own.

    The arrays are those that unoptimised onnxruntime on the CPU has at the step's boundary, for the
    inputs that the run was measured with. Raises UsageError and ModelError where the model or the
    inputs are not those of the run.
    """
    opened = open_found(model)
    asked = run.request
    _refuse_other(run, opened.facts().sha256, str(opened.path))
    dims = dict(run.table.dims)
    table = inspect(opened, asked.batch, dims)
    fed = _fed(run, table, inputs, opened)
    prepared = prepare(opened, asked.batch, dims)
    whole = read_prepared(prepared)
    data = DataFolder.of_prepared(prepared)
    part = cut(whole, step.layers, table, lambda tensor: _loaded(tensor, data))
    values = _values(whole, prepared, table, fed, (*part.inputs, *part.outputs))
    _describe(part, values)
    expected = {name: values[name] for name in part.outputs if name in values}
    (folder / MODEL).write_bytes(part.model.SerializeToString())
    (folder / INPUTS).write_bytes(archive({name: values[name] for name in part.inputs}))
    (folder / EXPECTED).write_bytes(archive(expected))
    states = _carried_through(opened, asked.phase, part)
    (folder / SCRIPT).write_text(text(_setting(run, step, _shared(states, part))), "utf-8")
    files = (MODEL, INPUTS, EXPECTED, SCRIPT)
    return Built(
        step.layers,
        tuple(_shown(name, values) for name in part.inputs),
        tuple(_shown(name, values) for name in part.outputs),
        tuple((name, (folder / name).stat().st_size) for name in files),
        batch_axes(open_found(Resolved(folder / MODEL, MODEL, MODEL)), {}).own or 1,
        states,
    )


def _carried_through(opened: ModelFile, phase: str, part: Cut) -> States:
    """The model's states that the part takes and returns, where there is a phase."""
    known = states_of(opened).states if phase else ()
    taken, returned = set(part.inputs), set(part.outputs)
    return States(tuple(s for s in known if s.input in taken and s.output in returned))


def _shared(states: States, part: Cut) -> tuple[tuple[int, int], ...]:
    """Numbers of outputs that are written where an input is, and of that input."""
    pairs = ((state.output, state.input) for state in states.states if state.shared)
    return tuple((part.outputs.index(after), part.inputs.index(before)) for after, before in pairs)


def archive(arrays: Arrays) -> bytes:
    """A .npz file; unlike `numpy.savez` it takes arrays of any name."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as held:
        for name, array in arrays.items():
            with held.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    return sink.getvalue()


def _refuse_other(run: Run, sha256: str, where: str) -> None:
    if sha256 != run.request.model_sha256:
        raise UsageError(
            f"is another file than the run's: its SHA-256 starts with {sha256[:12]}, that of the"
            f" run with {run.request.model_sha256[:12]}",
            where=where,
            remedy="Give the file that was measured with --model",
        )


def in_phase(arrays: Arrays, opened: ModelFile, phase: str) -> Arrays:
    """The arrays as the phase has them, where there is one."""
    return fed(arrays, states_of(opened), Phase.of(phase)) if phase else arrays


def _fed(run: Run, table: LayerTable, inputs: Path | None, opened: Any) -> Arrays:
    digest = run.request.inputs_sha256
    if inputs is None and not digest:
        arrays = generate(table, run.request.seed, declared_fills(opened))
        return in_phase(arrays, opened, run.request.phase)
    if inputs is None:
        raise UsageError(
            "the run was measured with arrays of a file, which is not stored with it",
            where=run.request.model_name,
            remedy="Give that file with --inputs",
        )
    arrays, own = from_file(inputs, table)
    if digest and own != digest:
        raise UsageError(
            f"is not the file of inputs that was measured: SHA-256 {own[:12]}, not {digest[:12]}",
            where=str(inputs),
        )
    return arrays


def _loaded(tensor: onnx.TensorProto, data: DataFolder) -> onnx.TensorProto:
    """A weight with its data in it."""
    if not is_external(tensor):
        return tensor
    held = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    held.raw_data = data.read(tensor, size_bytes(tensor, str(tensor.name)))
    return held


def _values(
    whole: onnx.ModelProto,
    prepared: PreparedModel,
    table: LayerTable,
    fed: Arrays,
    names: tuple[str, ...],
) -> Arrays:
    """Arrays of these tensors, from the reference."""
    wanted = [name for name in names if name not in fed]
    if not wanted:
        return {name: fed[name] for name in names}
    graph = upstream(whole, wanted)
    source = replace(prepared, source=graph.SerializeToString())
    needed = {value.name for value in graph.graph.input}
    work = Workload(
        model=source,
        table=table,
        inputs={name: array for name, array in fed.items() if name in needed},
        threads=1,
        granularity=Granularity.WRITTEN,
    )
    with registry.reference().open(work) as session:
        session.infer()
        values = session.values()
    if missing := [name for name in wanted if name not in values]:
        raise ModelError(
            f"{missing[0]!r} is no array that can be stored",
            remedy="Choose a layer whose inputs and outputs are tensors",
        )
    return {name: fed[name] if name in fed else values[name] for name in names}


def _describe(part: Cut, values: Arrays) -> None:
    """Give the cut's inputs and outputs their types and shapes."""
    graph = part.model.graph
    for side, names in ((graph.input, part.inputs), (graph.output, part.outputs)):
        del side[:]
        for name in names:
            array = values[name]
            kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            side.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))


def _shown(name: str, values: Arrays) -> str:
    array = values[name]
    return f"{name} {array.dtype}[{','.join(map(str, array.shape))}]"


def _setting(run: Run, step: Step, shared: tuple[tuple[int, int], ...] = ()) -> Setting:
    provider = step.provider if _PROVIDER.fullmatch(step.provider) else _CPU
    return Setting(
        _package(run),
        run.request.threads,
        run.request.granularity is not Granularity.WRITTEN,
        tuple(dict.fromkeys((provider, _CPU))),
        shared,
    )


def _package(run: Run) -> str:
    """The requirement of the run's onnxruntime; any version where the run names none."""
    facts = dict(run.environment)
    for name in _PACKAGES:
        if _VERSION.fullmatch(facts.get(name, "")):
            return f"{name}=={facts[name]}"
    return "onnxruntime"
