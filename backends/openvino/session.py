"""OpenVINO sessions: settings, and bound inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxprof.backends.openvino.graphs.clues import SINK
from onnxprof.backends.openvino.graphs.elements import ELEMENTS, name_of
from onnxprof.backends.openvino.graphs.marks import Marks, mark
from onnxprof.backends.openvino.refusals import named
from onnxprof.backends.openvino.runtime import runtime, runtime_errors
from onnxprof.backends.openvino.settings import one_stream, properties, refuse_other_values
from onnxprof.backends.openvino.source import readable
from onnxprof.errors import BackendError
from onnxprof.machine.kernel import usable_cores
from onnxprof.plugins.backend import Workload
from onnxprof.records.elements.arrays import packed, unpacked
from onnxprof.records.elements.table import by_name
from onnxprof.records.layer import Tensor


@dataclass(frozen=True, slots=True)
class Loaded:
    """A compiled model, with the marks of its operations."""

    compiled: Any
    names: tuple[str, ...]
    """The model's outputs, in the model's order."""
    marks: Marks
    model: Any = None
    """The marked model that was compiled; None for a model without marks."""


def load(workload: Workload, core: Any, target: str, producers: Producers | None = None) -> Loaded:
    """Read, set the size of every input and compile. Raises BackendError.

    With `producers`, which map original tensors to their layers, operations are marked and
    performance counters are on.
    """
    counted = producers is not None
    with (
        named(workload.table),
        runtime_errors("cannot load the model"),
        readable(workload.model, workload.table) as source,
    ):
        model = core.read_model(source)
        marks: Marks = {} if producers is None else mark(model, producers)
        names = tuple(_output_name(port, result) for port, result in _outputs(model))
        _refuse_other_types(model)
        model.reshape(_sizes(model, workload.inputs))
        asked = properties(workload, core, target, counted)
        compiled = core.compile_model(model, target, asked)
        refuse_other_values(compiled, workload.setup.session)
        _refuse_fewer_threads(compiled, workload.threads, target)
        is_set = counted and target == "CPU" and bool(workload.setup.session)
        if is_set and (single := one_stream(asked, compiled)):
            compiled = core.compile_model(model, target, single)
    return Loaded(compiled, names, marks, model if counted else None)


Producers = Mapping[str, Sequence[str]]


def _refuse_fewer_threads(compiled: Any, asked: int, target: str) -> None:
    """Raise if the runtime silently took fewer threads than were requested."""
    if target != "CPU" or asked <= usable_cores():
        return
    taken = int(compiled.get_property("INFERENCE_NUM_THREADS"))
    if taken < asked:
        raise BackendError(
            f"OpenVINO takes {taken} threads here, not {asked}",
            where="openvino",
            remedy=f"Use --threads {taken}",
        )


def _refuse_other_types(model: Any) -> None:
    """Raise for tensors that cannot be fed or asked for.

    Strings can crash the runtime's Python package (2026.4).
    """
    for port in (*model.inputs, *model.outputs):
        kind = port.get_element_type().get_type_name()
        if kind == "string":
            raise BackendError(
                f"OpenVINO cannot be fed with strings or asked for them: {port.get_any_name()}",
                where="openvino",
                remedy="Use --backend ort",
            )


def _outputs(model: Any) -> Iterator[tuple[Any, Any]]:
    return zip(model.outputs, model.get_results(), strict=True)


def _output_name(port: Any, result: Any) -> str:
    """The output's name in the file; behind an Identity, a tensor has several names."""
    given = str(result.get_friendly_name()).removesuffix(SINK)
    return given if given in port.get_names() or not port.get_names() else port.get_any_name()


def _sizes(model: Any, inputs: Mapping[str, NDArray[Any]]) -> dict[str, list[int]]:
    return {name: list(inputs[name].shape) for name in _input_names(model, inputs)}


def _input_names(model: Any, inputs: Mapping[str, NDArray[Any]]) -> list[str]:
    """For each input of the model, the name of its array."""
    return [next(n for n in sorted(port.get_names()) if n in inputs) for port in model.inputs]


class BoundSession:
    """A compiled model whose inputs are bound once, and which allocates its outputs once."""

    def __init__(self, loaded: Loaded, inputs: Mapping[str, NDArray[Any]]) -> None:
        self.loaded = loaded
        with runtime_errors("cannot bind the inputs"):
            self.request = loaded.compiled.create_infer_request()
            names = _input_names(loaded.compiled, inputs)
            ports = list(loaded.compiled.inputs)
            # the runtime holds no reference to the memory that it shares
            self._arrays = [np.array(inputs[name], order="C") for name in names]
            for port, array in zip(ports, self._arrays, strict=True):
                self.request.set_tensor(port, _tensor(array))

    def infer(self) -> None:
        """Run once; outputs are not copied."""
        with runtime_errors("cannot run the model", "Other inputs? See --inputs and --dim"):
            self.request.infer(share_outputs=True)

    def outputs(self) -> list[Tensor]:
        """Names, dtypes and shapes after the last inference."""
        return [_described(name, tensor) for name, tensor in self._results()]

    def values(self) -> dict[str, NDArray[Any]]:
        """Copies of the last outputs; types without a NumPy array are left out."""
        made = {name: array_of(tensor) for name, tensor in self._results()}
        return {name: array for name, array in made.items() if array is not None}

    def _results(self) -> Iterator[tuple[str, Any]]:
        for number, name in enumerate(self.loaded.names):
            yield name, self.request.get_output_tensor(number)


def _tensor(array: NDArray[Any]) -> Any:
    """An array as a tensor of the runtime, which shares the memory where possible."""
    openvino = runtime()
    element = by_name(array.dtype.name)
    if element is not None and not element.in_numpy:
        raw, kind = packed(array), getattr(openvino.Type, name_of(element.name))
        return openvino.Tensor(raw, openvino.Shape(array.shape), kind)
    return openvino.Tensor(array, shared_memory=True)


def array_of(tensor: Any) -> NDArray[Any] | None:
    """A copy of a tensor as an array; None for a type that NumPy and ml_dtypes lack."""
    name = ELEMENTS.get(tensor.element_type.get_type_name(), "")
    element = by_name(name)
    if element is None:
        return None
    if element.in_numpy:
        return np.array(tensor.data)
    raw = np.ascontiguousarray(tensor.data).reshape(-1).view(np.uint8)
    return np.array(unpacked(raw, name, tuple(tensor.shape)))


def _described(name: str, tensor: Any) -> Tensor:
    kind = tensor.element_type.get_type_name()
    shape = tuple(int(size) for size in tensor.shape)
    return Tensor(name, ELEMENTS.get(kind, kind), shape, observed=True)
