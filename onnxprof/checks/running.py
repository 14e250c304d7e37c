"""Whether a model runs at given sizes: it is run once, on the reference backend."""

from __future__ import annotations

import re
from collections.abc import Mapping

from onnxprof.errors import OnnxprofError
from onnxprof.model.feeds import generate
from onnxprof.model.file import ModelFile, declared_fills, prepare
from onnxprof.model.layers import inspect
from onnxprof.plugins import registry
from onnxprof.plugins.backend import Workload
from onnxprof.records.step import Granularity

#: Larger models take long to load, and an error message must not.
_MOST_BYTES = 256 << 20
_NODE = re.compile(r"Name:'(?P<node>[^']*)' Status Message: (?P<why>.+)", re.DOTALL)


def trouble(model: ModelFile, batch: int, sizes: Mapping[str, int]) -> str:
    """Why the model does not run at these sizes; empty where it does, or cannot be tried here."""
    if sum(path.stat().st_size for path in model.files()) > _MOST_BYTES:
        return ""
    try:
        reference = registry.reference()
        table = inspect(model, batch, sizes)
        inputs = generate(table, 0, declared_fills(model))
        made = prepare(model, batch, sizes)
        work = Workload(made, table, inputs, 1, granularity=Granularity.WRITTEN)
    except OnnxprofError:
        return ""
    try:
        with reference.open(work) as session:
            session.infer()
    except OnnxprofError as error:
        return _told(error.what)
    return ""


def _told(text: str) -> str:
    """The innermost node that refuses, and why, as the runtime says it."""
    found = _NODE.search(text)
    while found is not None and (inner := _NODE.search(found["why"])):
        found = inner
    if found is None:
        return f"it does not run: {text}"
    return f"node {found['node']!r} refuses: {found['why'].strip()}"
