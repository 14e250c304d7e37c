"""The executed graph of a large model, saved before the model is loaded to be timed.

While onnxruntime optimises a graph it holds most weights twice or three times. Where that happens
in the session that is traced, beside the un-profiled one, it is the peak of a measurement. So it
happens in a session that is closed before any other is loaded, and the traced session maps the
packed weights that were saved, as every prefix does. Loaded with optimisations off, it runs the
steps that the un-profiled session has optimised its graph to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnxprof.backends.ort.graphs.saved import Saved, matrices, saving, structure, unchanged
from onnxprof.backends.ort.runtime import providers
from onnxprof.backends.ort.runtime import session as ort_session
from onnxprof.errors import BackendError
from onnxprof.machine import memory
from onnxprof.model.graph.read import light, read_prepared
from onnxprof.plugins.backend import Workload
from onnxprof.provenance.onnx_graph import control_flow
from onnxprof.records.layer import PreparedModel
from onnxprof.records.step import Granularity

#: Smaller models are loaded twice at once: it takes less time, and memory that hardly counts.
_LARGE_BYTES = 64 << 20


@contextmanager
def saved_beforehand(workload: Workload) -> Iterator[Workload]:
    """The workload with its executed graph, where that can be saved; its files last for the body.

    Models with matrices that are mapped from their own files are left as they are.
    """
    if not _is_apt(workload):
        yield workload
        return
    with TemporaryDirectory(prefix="onnxprof-") as folder:
        path = Path(folder) / "executed.onnx"
        made = saving(workload, path, lambda _: None)
        usable = made is not None and path.with_suffix(".bin").exists()
        del made
        memory.give_back()
        yield replace(workload, made=Saved.beside(path)) if usable else workload


def _is_apt(workload: Workload) -> bool:
    source = workload.model.source
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size < _LARGE_BYTES or workload.granularity is Granularity.WRITTEN:
        return False
    entry = providers.provider_of(workload)
    if entry.kind != "cpu" or entry.compiles:
        return False
    original = read_prepared(light(workload.model))
    return not any(control_flow(original.graph)) and not matrices(original)


def from_saved(workload: Workload, configure: ort_session.Configure) -> tuple[Any, Saved] | None:
    """A session for the graph that was saved; None where there is none, or it cannot be loaded."""
    held = workload.made
    if not isinstance(held, Saved) or structure(held.path) is None:
        return None
    with suppress(BackendError):
        prepared = PreparedModel(held.path, held.folder)
        configured = partial(_both, configure)
        return ort_session.create(workload, prepared, configured), held
    return None


def _both(configure: ort_session.Configure, made: Any) -> None:
    configure(made)
    unchanged(made)
