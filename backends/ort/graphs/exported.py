"""The graph that onnxruntime executes, as a file for whoever wants to look at it or run it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from onnxprof.analysis.memory.alive import alive_in_table
from onnxprof.backends.ort.graphs.saved import structure
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.errors import BackendError, UsageError
from onnxprof.model.graph.data_files import is_external, location, stored_tensors
from onnxprof.model.graph.read import light, read_prepared
from onnxprof.plugins.backend import Workload
from onnxprof.records.layer import PreparedModel

SUFFIX = ".onnx"
#: From so many bytes of weights on they lie beside the file: protobuf ends at 2 GB.
_BESIDE_BYTES = 1 << 30
#: Smaller weights stay in the file all the same.
_SMALL_BYTES = "1024"
_OUTSIDE = "session.optimized_model_external_initializers_"


def suffix(provider: str) -> str:
    """The ending of the file. Raises UsageError for a provider whose graph cannot be written."""
    known = providers.PROVIDERS.get(provider)
    if known is not None and known.compiles:
        raise UsageError(
            f"onnxruntime cannot write a graph whose parts the provider {provider} has compiled",
            remedy="Leave out --save-optimized, or use --provider cpu",
        )
    return SUFFIX


def data_name(path: Path) -> str:
    """The name of the file of weights beside it."""
    return f"{path.name}.data"


def save(workload: Workload, path: Path, beside_bytes: int = _BESIDE_BYTES) -> None:
    """Write the graph at the sizes of the workload's inputs. Raises BackendError.

    The weights lie beside it where they take more than `beside_bytes`, or lie beside the original.
    """
    beside = (
        _is_external(workload.model) or alive_in_table(workload.table).weights_bytes > beside_bytes
    )
    ort_session.load(workload, partial(_to, path, beside))
    made = structure(path)
    if made is None:
        raise BackendError("onnxruntime wrote no graph", where="ort")
    strange = [t.name for t in stored_tensors(made) if _lies_elsewhere(t, path)]
    if strange:
        raise BackendError(f"onnxruntime left the weight {strange[0]!r} out of the file it wrote")


def _is_external(model: PreparedModel) -> bool:
    """Whether weights lie in other files than the model's own."""
    own = "" if isinstance(model.source, bytes) else model.source.name
    tensors = stored_tensors(read_prepared(light(model)))
    return any(is_external(tensor) and location(tensor) != own for tensor in tensors)


def _to(path: Path, beside: bool, made: Any) -> None:
    made.optimized_model_filepath = str(path)
    if beside:
        made.add_session_config_entry(f"{_OUTSIDE}file_name", data_name(path))
        made.add_session_config_entry(f"{_OUTSIDE}min_size_in_bytes", _SMALL_BYTES)


def _lies_elsewhere(tensor: Any, path: Path) -> bool:
    return is_external(tensor) and location(tensor) != data_name(path)
