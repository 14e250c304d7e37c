"""One onnxruntime session: options, bound inputs and outputs, inference."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, chdir, nullcontext, suppress
from dataclasses import replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from onnxprof.backends.ort.runtime import lacks, rare, settings
from onnxprof.backends.ort.runtime import providers as ort_providers
from onnxprof.backends.ort.runtime.errors import failure, runtime_errors
from onnxprof.backends.ort.runtime.turns import Turns
from onnxprof.backends.ort.runtime.values import array_of, described, fed, ortvalue_of, view_of
from onnxprof.errors import BackendError
from onnxprof.plugins.backend import Workload
from onnxprof.records.device import device_index
from onnxprof.records.layer import PreparedModel, Tensor
from onnxprof.records.sequences.states import CARRIES_NONE, Carried
from onnxprof.records.step import Granularity

_FATAL_ONLY = 4
_CANNOT_RUN, _OTHER_INPUTS = "cannot run the model", "Other inputs? See --inputs and --dim"
_EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
#: Versions before it look for external weights of a model in memory in the current folder.
_FOLDER_SINCE = (1, 21)
#: Weights are read where they are, without a copy in the layout that kernels like best.
NO_PACKING = "session.disable_prepacking"
_POOL: list[int] = []
#: Whether the sessions of this process share their threads, which its first one settles for all.
_SHARED: list[bool] = []


Configure = Callable[[Any], None]


def load(workload: Workload, configure: Configure = lambda _: None) -> Any:
    """Create a session, after `configure` has changed the options.

    Raises BackendError with the runtime's reason. Fixed sizes let the runtime optimise more,
    but shape inference may refuse them in a branch that never runs; then the model is loaded
    with open sizes, which the input arrays determine.
    """
    try:
        return create(workload, workload.model, configure)
    except BackendError:
        opened = _with_open_sizes(workload.model)
        if opened is None:
            raise
        with suppress(BackendError):
            return create(workload, opened, configure)
        raise


def create(workload: Workload, model: PreparedModel, configure: Configure) -> Any:
    """A session for this form of the model. Raises BackendError with the runtime's reason."""
    import onnxruntime as ort

    made = _options(workload, model)
    configure(made)
    source = model.source if isinstance(model.source, bytes) else str(model.source)
    if ort_providers.provider_of(workload).kind == "cuda":
        ort_providers.preload()
        ort.set_default_logger_severity(_FATAL_ONLY)
    providers = ort_providers.requested(workload)
    with (
        rare.named(workload.table),
        runtime_errors("cannot load the model"),
        _where_weights_are(ort, model),
    ):
        session = ort.InferenceSession(source, made, providers=providers, enable_fallback=0)
    ort_providers.require(session, workload)
    return session


def _where_weights_are(ort: Any, model: PreparedModel) -> AbstractContextManager[None]:
    """The folder of external weights as the current one, for versions that look there alone."""
    inside = isinstance(model.source, bytes)
    if not inside or not os.path.isdir(model.folder) or _numbers(ort.__version__) >= _FOLDER_SINCE:
        return nullcontext()
    lacks.without(_EXTERNAL_FOLDER, "weights are read from the current folder")
    return chdir(model.folder)


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _options(workload: Workload, model: PreparedModel) -> Any:
    """Session options with every setting that the measurement depends on."""
    import onnxruntime as ort

    levels = ort.GraphOptimizationLevel
    made = ort.SessionOptions()
    made.log_severity_level = _FATAL_ONLY
    shares = workload.own_process and not workload.concurrent and _shares_threads(workload)
    if not (shares and _share_threads(made, workload.threads)):
        made.intra_op_num_threads = workload.threads
        made.inter_op_num_threads = 1
    made.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    written = workload.granularity is Granularity.WRITTEN
    made.graph_optimization_level = levels.ORT_DISABLE_ALL if written else levels.ORT_ENABLE_ALL
    settings.apply(workload.setup, made)
    for name, size in model.free_dims:
        made.add_free_dimension_override_by_name(name, size)
    if isinstance(model.source, bytes):
        made.add_session_config_entry(_EXTERNAL_FOLDER, str(model.folder))
    return made


def _shares_threads(workload: Workload) -> bool:
    """Whether sessions share threads: not where these are to be set, for none in the process."""
    if not _SHARED:
        _SHARED.append(not settings.wants_own_threads(workload.setup))
    return _SHARED[0]


def _share_threads(made: Any, threads: int) -> bool:
    """Use one thread pool for all sessions: idle threads of a second pool would spin beside it.

    The runtime has one global pool a process, and every session of the process must use it. False
    where its size cannot be set, as before 1.23.
    """
    import onnxruntime as ort

    if not hasattr(ort, "set_global_thread_pool_sizes"):
        lacks.without(
            "set_global_thread_pool_sizes", "each session has threads of its own, which may spin"
        )
        return False
    if not _POOL:
        ort.set_global_thread_pool_sizes(threads, 1)
        _POOL.append(threads)
    made.use_per_session_threads = False
    return True


def _with_open_sizes(model: PreparedModel) -> PreparedModel | None:
    """The same model without fixed input sizes; None if there is nothing to open."""
    if not isinstance(model.source, bytes):
        return replace(model, free_dims=()) if model.free_dims else None
    import onnx

    proto = onnx.load_model_from_string(model.source)
    for value in proto.graph.input:
        if value.type.HasField("tensor_type"):
            for dim in value.type.tensor_type.shape.dim:
                dim.Clear()
    return replace(model, source=proto.SerializeToString())


class Place(NamedTuple):
    """The device of inputs and outputs, by the runtime's names."""

    device: str = "cpu"
    number: int = 0


def place_of(workload: Workload) -> Place:
    """The GPU itself for CUDA, so that the latency contains no copies."""
    if ort_providers.provider_of(workload).kind != "cuda":
        return Place()
    return Place("cuda", device_index(workload.device))


class BoundSession:
    """A session whose inputs are bound once and whose outputs are allocated once.

    On a GPU the runtime waits at the end of an inference until the GPU is done.
    """

    def __init__(
        self,
        session: Any,
        inputs: Mapping[str, NDArray[Any]],
        place: Place,
        carried: Carried = CARRIES_NONE,
    ) -> None:
        self.session = session
        self._shared = {output: before for before, output in carried.shared}
        self._turns = Turns(carried) if carried.fed_back else None
        self._inputs: dict[str, Any] = dict(inputs)
        self._place = place
        self._binding: Any = None
        # A model may list an output twice; the runtime binds it once.
        self._names = list(dict.fromkeys(o.name for o in session.get_outputs()))
        self._values: list[Any] = []
        self._held: dict[str, Any] = {}
        self._bindable = _is_bindable(session)
        self._infer: Callable[[Any], None] = type(self)._first  # bound, it would be a cycle

    def infer(self) -> None:
        """Run once; the second call binds the outputs that the first one allocated."""
        self._infer(self)

    def outputs(self) -> list[Tensor]:
        """Names, dtypes and shapes after the last inference."""
        return [
            described(name, value) for name, value in zip(self._names, self._values, strict=True)
        ]

    def values(self) -> dict[str, NDArray[Any]]:
        """Copies of the last outputs; sequences, maps and types without an array are left out.

        Where states are fed back they are those of a first step, whose inputs are known.
        """
        if self._turns is not None and self._turns.restarted():
            self.infer()
        return self._arrays(array_of)

    def views(self) -> dict[str, NDArray[Any]]:
        """The last outputs as `values` gives them, but in the runtime's memory where it is ours.

        They hold until the next inference.
        """
        return self._arrays(view_of)

    def _arrays(self, read: Callable[[Any], NDArray[Any] | None]) -> dict[str, NDArray[Any]]:
        made = {n: read(v) for n, v in zip(self._names, self._on_host(), strict=True)}
        return {name: array for name, array in made.items() if array is not None}

    def _on_host(self) -> Sequence[Any]:
        if self._place.device == "cpu" or self._binding is None:
            return self._values
        with runtime_errors("cannot copy the outputs from the device"):
            copied: Sequence[Any] = self._binding.copy_outputs_to_cpu()
        return copied

    def _first(self) -> None:
        with runtime_errors(_CANNOT_RUN, _OTHER_INPUTS):
            if self._bindable:
                self._bind_inputs()
                self.session.run_with_iobinding(self._binding)
                self._values = self._binding.get_outputs()
                self._infer = type(self)._second
            elif self._turns is not None:
                raise BackendError("its states cannot be bound: not all inputs are numbers")
            else:
                self._inputs = fed(self._inputs)
                self._run_unbound()
                self._infer = type(self)._run_unbound

    def _bind_inputs(self) -> None:
        self._binding = self.session.io_binding()
        for name, array in self._inputs.items():
            narrow = ortvalue_of(array)
            if narrow is not None:  # the runtime copies it to the device
                self._held[name] = narrow
                self._binding.bind_ortvalue_input(name, narrow)
            elif self._place.device == "cpu" and name not in self._shared.values():
                self._binding.bind_cpu_input(name, array)
            else:
                self._binding.bind_ortvalue_input(name, self._placed(name, array))
        for name in self._names:
            if (before := self._shared.get(name)) in self._held:
                self._binding.bind_ortvalue_output(name, self._held[before])
            else:
                self._binding.bind_output(name, *self._place)

    def _placed(self, name: str, array: NDArray[Any]) -> Any:
        """The input on the device, copied there once."""
        import onnxruntime as ort

        if name not in self._held:
            made = ort.OrtValue.ortvalue_from_numpy(array, *self._place)
            self._held[name] = made
        return self._held[name]

    def _second(self) -> None:
        """Reuse the first outputs' memory, unless shapes change from call to call."""
        dynamic = self._binding
        try:
            self._bind_inputs()
            self._binding.clear_binding_outputs()
            for name, value in zip(self._names, self._values, strict=True):
                self._binding.bind_ortvalue_output(name, value)
            self.session.run_with_iobinding(self._binding)
        except Exception as error:
            if self._turns is not None:
                raise failure(error, "cannot feed its states back") from error
            self._binding = dynamic
        self._infer = type(self)._run_bound
        if self._turns is not None:
            made = dict(zip(self._names, self._values, strict=True))
            self._turns.bind(self.session, self._inputs, made, self._place)
            self._infer = type(self)._run_in_turn

    def _run_in_turn(self) -> None:
        """The next step, which reads the states that the last one wrote."""
        assert self._turns is not None
        try:
            self.session.run_with_iobinding(self._turns.next())
        except Exception as error:
            raise failure(error, _CANNOT_RUN) from error

    def _run_bound(self) -> None:
        try:  # unlike a context manager, free if nothing is raised
            self.session.run_with_iobinding(self._binding)
        except Exception as error:
            raise failure(error, _CANNOT_RUN) from error

    def _run_unbound(self) -> None:
        try:
            self._values = self.session.run(None, self._inputs)
        except Exception as error:
            raise failure(error, _CANNOT_RUN, _OTHER_INPUTS) from error


def _is_bindable(session: Any) -> bool:
    """Whether every input and output is a tensor of numbers."""
    arguments = (*session.get_inputs(), *session.get_outputs())
    return all(a.type.startswith("tensor(") and a.type != "tensor(string)" for a in arguments)
